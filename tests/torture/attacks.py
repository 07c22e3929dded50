"""Each attack of tests/harness/siege alone, 30 s, beside 20 honest peers and one more each second."""

from tests.harness.bitcoin import BCOIN, SEGWIT, Bitcoin, Channel
from tests.harness.siege.attack import ATTACKS
from tests.harness.siege.siege import besiege
from tests.interop.conftest import node_modules_directory
from tests.torture.torture import Torture, figures_of, small_truth

SECONDS = 30
WITH_A_CHAIN = "announcements_without_outputs"


async def run(torture: Torture) -> None:
    """All of them."""
    for name in filter(torture.attacks.__contains__, ATTACKS):
        if name == WITH_A_CHAIN:
            await _with_a_chain(torture, name)
        else:
            await _without(torture, name)


async def _without(torture: Torture, name: str) -> None:
    with torture.nodes(name) as nodes:
        node = nodes.start("--bind-addr=ws:127.0.0.1:0")
        (web,) = (text.removeprefix("ws:") for text in node.bindings if text.startswith("ws:"))
        outcome = await besiege(node, small_truth(), [name], torture.count(SECONDS), web)
        torture.tell(name, figures_of(outcome), outcome.harm())


async def _with_a_chain(torture: Torture, name: str) -> None:
    bitcoin = Bitcoin(node_modules_directory(BCOIN))
    try:
        bitcoin.mine(SEGWIT + 20)
        channels = bitcoin.fund([Channel(number) for number in range(30)])
        bitcoin.mine(6)
        with torture.nodes(name) as nodes:
            node = nodes.start(*bitcoin.options)
            truth = [message for channel in channels for message in channel.gossip()]
            outcome = await besiege(node, truth, [name], torture.count(SECONDS))
            torture.tell(name, figures_of(outcome), outcome.harm())
    finally:
        bitcoin.end()
