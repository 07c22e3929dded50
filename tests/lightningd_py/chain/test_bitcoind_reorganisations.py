"""What another chain makes of the channels that are watched. With a real node: tests/system/test_bitcoin.py."""

import asyncio

import pytest

from lightningd_py.chain.source import NoOutput, Output
from tests.lightningd_py.chain.canned_bitcoind import Block, Transaction
from tests.lightningd_py.chain.followed_chain import AMOUNT, SCRIPT, FollowedChain, Late, look_up
from wire.scid import make_scid


async def test_a_reorganisation_undoes_spends(followed: FollowedChain) -> None:
    scids, tx = followed.fund(2)
    async with followed.following() as source:
        await look_up(source, *scids)
        followed.chain.grow(1)
        followed.spend(tx, 0)
        followed.chain.grow(2)
        await followed.reached(10)
        del followed.chain.blocks[7:]
        followed.spend(tx, 1)
        followed.chain.grow(4)
        await followed.reached(12)
        assert followed.heard.undone == [(7, [scids[0]])]
        assert followed.heard.spent == [(8, [scids[0]]), (8, [scids[1]])]
        assert await look_up(source, *scids) == [Output(AMOUNT, SCRIPT), NoOutput("its output is spent")]


async def test_channels_that_a_reorganisation_moves_are_gone(followed: FollowedChain) -> None:
    stays, _ = followed.fund()
    goes, tx = followed.fund()
    followed.chain.grow(2)
    async with followed.following() as source:
        await look_up(source, *stays, *goes)
        del followed.chain.blocks[6:]
        followed.chain.add(Transaction([bytes(36)], [], 77), tx)
        followed.chain.grow(4)
        await followed.reached(11)
        assert followed.heard.spent == [(11, goes)]
        moved = make_scid(7, 2, 0)
        answers = await look_up(source, *goes, moved)
        assert answers == [NoOutput("its transaction has only 0 outputs", forged=True), Output(AMOUNT, SCRIPT)]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_channel_that_another_reorganisation_brings_back(followed: FollowedChain, restarted: bool) -> None:
    """Only one that replaces its block: not one of a few blocks in the chain where it is not."""
    goes, tx = followed.fund()
    followed.chain.grow(2)
    async with followed.following() as source:
        await look_up(source, *goes)
        before = followed.chain.blocks[5:]
        del followed.chain.blocks[5:]
        followed.chain.grow(6)
        await followed.reached(11)
        assert followed.heard.spent == [(11, goes)]
        del followed.chain.blocks[9:]
        followed.chain.grow(3)
        await followed.reached(12)
        assert followed.heard.undone == [(5, []), (9, [])]
        if not restarted:
            await comes_back(followed, before)
    if restarted:
        async with followed.following() as source:
            assert source.unwatched([]) == []  # gossipd has forgotten it by now
            await comes_back(followed, before)
    async with followed.following():
        followed.spend(tx)
        await followed.reached(15)
    assert followed.heard.spent == [(11, goes), (15, goes)]


async def comes_back(followed: FollowedChain, before: list[Block]) -> None:
    """The blocks above 5 are once more what they were, and more than what replaced them."""
    del followed.chain.blocks[5:]
    followed.chain.blocks += before
    followed.chain.grow(6)
    await followed.reached(14)
    assert followed.heard.undone[-1] == (5, [make_scid(6, 1, 0)])
    assert len(followed.heard.spent) == 1


async def test_a_channel_whose_transaction_has_moved_is_watched_where_it_is(followed: FollowedChain) -> None:
    """The place where it was is remembered for a day, and does not take the new one's watch along."""
    (goes,), tx = followed.fund()
    followed.chain.grow(2)
    async with followed.following() as source:
        await look_up(source, goes)
        del followed.chain.blocks[5:]
        followed.chain.add(Transaction([bytes(36)], [], 77), tx)
        followed.chain.grow(4)
        await followed.reached(10)
        moved = make_scid(6, 2, 0)
        assert await look_up(source, moved) == [Output(AMOUNT, SCRIPT)]
        followed.chain.grow(141)
        await followed.reached(151)
        followed.spend(tx)
        await followed.reached(152)
    assert followed.heard.spent == [(10, [goes]), (152, [moved])]


async def test_a_channel_that_is_brought_back_and_spent_at_once(followed: FollowedChain) -> None:
    """Its transaction was elsewhere meanwhile, and announced there: both places are closed."""
    (goes,), tx = followed.fund()
    followed.chain.grow(2)
    moved = make_scid(6, 2, 0)
    async with followed.following() as source:
        await look_up(source, goes)
        before = followed.chain.blocks[5:]
        del followed.chain.blocks[5:]
        followed.chain.add(Transaction([bytes(36)], [], 77), tx)
        followed.chain.grow(4)
        await followed.reached(10)
        await look_up(source, moved)
    del followed.chain.blocks[5:]
    followed.chain.blocks += before
    followed.chain.grow(3)
    followed.spend(tx)
    async with followed.following():
        await followed.reached(12)
    assert [(height, sorted(scids)) for height, scids in followed.heard.spent] == [(10, [goes]), (12, [goes, moved])]


@pytest.mark.parametrize("call", ['"getblockhash", "params": [6]', '"getblock", "params"', '"gettxout"'])
async def test_what_was_asked_before_a_reorganisation_is_not_used_after_it(followed: FollowedChain, call: str) -> None:
    """The hash of a block, its transactions, an output: whichever answer is the late one."""
    (scid,), _ = followed.fund()
    followed.chain.grow(2)
    async with followed.following() as source:
        await followed.reached(8)
        late = Late(source, call)
        answer = asyncio.create_task(look_up(source, scid))
        await late.asked.wait()
        del followed.chain.blocks[5:]
        followed.chain.grow(5)
        await followed.reached(10)
        late.go_on.set()
        assert await answer == [NoOutput("its block has only 1 transactions", forged=True)]


async def test_a_reorganisation_while_we_were_away(followed: FollowedChain) -> None:
    scids, tx = followed.fund(1)
    async with followed.following() as source:
        await look_up(source, *scids)
        followed.spend(tx)
        await followed.reached(7)
    del followed.chain.blocks[6:]
    followed.chain.grow(5)
    async with followed.following():
        await followed.reached(11)
    assert followed.heard.undone == [(6, scids)]
