"""The source of blocks that --chain asks for: `none`, which knows nothing, or `bitcoind`."""

from lightningd_py.chain.source import Answered, ChainSource, Follower, NoOutput
from lightningd_py.config.options import Options
from lightningd_py.database import Database


class NoChain:
    """No chain at all: for observatories, and for tests."""

    name = "none"
    checks_outputs = False
    blockheight = 0
    warning = "no chain is followed (--chain=none): channels are listed without a check of their funding outputs"

    def start(self, follower: Follower) -> None:
        """Nothing will happen."""

    def look_up(self, scid: int, script: bytes, answered: Answered) -> None:
        """Outputs are not checked, so this is not asked for."""
        answered(NoOutput("no chain is followed"))

    def unwatched(self, scids: list[int]) -> list[int]:
        """Nothing is to be watched."""
        return []

    async def close(self) -> None:
        """Nothing to be stopped."""


def make_chain(options: Options, database: Database) -> ChainSource:
    """The source that was chosen."""
    if options.chain == "none":
        return NoChain()
    from lightningd_py.chain.bitcoind import Bitcoind  # aiohttp takes 150 ms to load: only for those who need it

    return Bitcoind(options, database)
