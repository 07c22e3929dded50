"""Where funding outputs are looked up: the test in the master's place."""

import asyncio

from tests.gossipd.gossipd_process import GossipdProcess
from wire.control.control_message import ControlMessage
from wire.control.control_wire import GetTxout, GetTxoutReply


class ChainSource:
    """A source that answers while `goes_on` is set, each question with the script that is asked for."""

    def __init__(self, gossipd: GossipdProcess) -> None:
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.answered = 0
        self._gossipd = gossipd
        self._questions: asyncio.Queue[GetTxout] = asyncio.Queue()
        gossipd.master._on_message = self._received

    def _received(self, message: ControlMessage) -> None:
        if isinstance(message, GetTxout):
            self._questions.put_nowait(message)
        else:
            self._gossipd.said.put_nowait(message)

    async def run(self) -> None:
        """For ever."""
        while True:
            question = await self._questions.get()
            await self.goes_on.wait()
            self._gossipd.master.reply(question, GetTxoutReply(5_000, question.script, ""))
            self.answered += 1
