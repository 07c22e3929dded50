"""Where bitcoind is and how it lets us in: its default ports and paths, its cookie, or a user and a password."""

import base64
from pathlib import Path

from lightningd_py.config.options import Options
from wire.start.late_dataclass import dataclass

RPC_PORTS = {"bitcoin": 8332, "testnet": 18332, "testnet4": 48332, "signet": 38332, "regtest": 18443}
FOLDERS = {"bitcoin": "", "testnet": "testnet3", "testnet4": "testnet4", "signet": "signet", "regtest": "regtest"}
"""Where each network lives below bitcoind's directory."""
DATADIR = Path(".bitcoin")
COOKIE = ".cookie"


class NoAccess(Exception):
    """There is no way to log in; one sentence."""


@dataclass(frozen=True, slots=True)
class BitcoindAccess:
    """bitcoind's RPC. Without a user and a password its cookie is read, and read again after it was refused."""

    host: str
    port: int
    user: str | None
    password: str | None
    cookie: Path

    @classmethod
    def of(cls, options: Options) -> "BitcoindAccess":
        """As the options say. --bitcoin-rpcconnect may be HOST:PORT, too, as bitcoin-cli takes it."""
        host, port = _host_and_port(options.bitcoin_rpcconnect)
        datadir = options.bitcoin_datadir or Path.home() / DATADIR
        return cls(
            host,
            options.bitcoin_rpcport or port or RPC_PORTS[options.network],
            options.bitcoin_rpcuser,
            options.bitcoin_rpcpassword,
            datadir / FOLDERS[options.network] / COOKIE,
        )

    def __str__(self) -> str:
        return f"bitcoind at {bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """Where requests are posted to."""
        return f"http://{bracketed(self.host)}:{self.port}/"

    @property
    def uses_cookie(self) -> bool:
        """No password was given."""
        return self.password is None

    def authorization(self) -> str:
        """The value of the HTTP header. Raises NoAccess."""
        if self.password is not None:
            credentials = f"{self.user or ''}:{self.password}"
        else:
            try:
                credentials = self.cookie.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is no text"
                raise NoAccess(f"its cookie {self.cookie} cannot be read: {reason}") from error
        return "Basic " + base64.b64encode(credentials.encode()).decode()


def _host_and_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]"), int(port)
    return text.strip("[]"), None


def bracketed(host: str) -> str:
    """A host as it stands before a colon and a port."""
    return f"[{host}]" if ":" in host else host
