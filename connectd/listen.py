"""Binding: from the addresses that the master names to listening sockets."""

from connectd.addresses import from_socket, resolve, to_socket
from wire.address import WireAddr, parse_address
from wire.sockman import SockMan


class BindFailed(Exception):
    """One address cannot be listened on; the text is one sentence for the operator."""


async def bind_all(sockman: SockMan, addresses: list[str], default_port: int) -> list[str]:
    """Listen on each address, a name standing for all of its own. Returns them with the ports that the kernel chose.

    Nothing is accepted before SockMan is started. Raises BindFailed at the first one that does not work.
    """
    bindings: list[str] = []
    for text in addresses:
        try:
            named = parse_address(text, default_port)
            for address in await resolve(named):
                bindings.append(_bind(sockman, address))
        except OSError as error:
            raise BindFailed(f"Cannot bind {named}: {error.strerror or error}") from error
        except ValueError as error:
            raise BindFailed(f"Cannot bind {text}: {error}") from error
    return bindings


def _bind(sockman: SockMan, address: WireAddr) -> str:
    bound = sockman.bind_and_start_listening(to_socket(address))
    return str(from_socket(bound, bound))
