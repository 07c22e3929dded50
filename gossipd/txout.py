"""Is the channel's funding output there? The pipeline's third stage: it asks the master, which asks the chain.

With chain `none` nothing is asked and every announcement passes, unchecked.
"""

import asyncio
import hashlib
from collections.abc import Callable

from wire.control_channel import ChannelClosed, ControlChannel
from wire.control_wire import GetTxout, GetTxoutReply

WINDOW = 1_000
"""Questions at the master at a time; the channel makes the others wait in order."""

UNKNOWN_AMOUNT = 0


def funding_script(bitcoin_key_1: bytes, bitcoin_key_2: bytes) -> bytes:
    """The P2WSH script of the 2-of-2 of both keys. BOLT 3, Funding Transaction Output."""
    first, second = sorted((bitcoin_key_1, bitcoin_key_2))
    witness_script = b"\x52\x21" + first + b"\x21" + second + b"\x52\xae"
    return b"\x00\x20" + hashlib.sha256(witness_script).digest()


class Txout:
    """The stage. `passed` gets the amount in sat, `failed` a reason."""

    def __init__(self, master: ControlChannel, check: bool) -> None:
        self._master = master
        self._check = check
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, scid: int, script: bytes, passed: Callable[[int], None], failed: Callable[[str], None]) -> None:
        """Look the output of `scid` up and compare it with `script` (B7-60)."""
        if not self._check:
            passed(UNKNOWN_AMOUNT)
            return
        task = asyncio.get_running_loop().create_task(self._ask(scid, script, passed, failed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(
        self, scid: int, script: bytes, passed: Callable[[int], None], failed: Callable[[str], None]
    ) -> None:
        try:
            output = await self._master.request(GetTxout(scid), GetTxoutReply)
        except ChannelClosed:
            return  # the master is gone, and so are we in a moment
        if output.script != script:
            failed(
                "its output is spent or was never there" if not output.script else "its output pays to another script"
            )
        else:
            passed(output.amount_sat)
