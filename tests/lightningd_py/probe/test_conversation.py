"""The talk with a node, which here is a scripted one: honest, lying or silent."""

import asyncio

import pytest

from lightningd_py.probe import conversation as module
from lightningd_py.probe.conversation import Conversation
from lightningd_py.probe.survey import Survey, Worth
from lightningd_py.tools.scripted_peer import ScriptedListener, ScriptedPeer
from tests.lightningd_py.probe.test_survey import CHANNELS, REGTEST, SCIDS, spoilt
from wire.encoded import decode_short_ids, encode_short_ids
from wire.peer_wire import (
    Ping,
    Pong,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    WarningMessage,
)

END = ReplyShortChannelIdsEnd(REGTEST, 1)


def reply(first: int, count: int, scids: list[int]) -> ReplyChannelRange:
    return ReplyChannelRange(REGTEST, first, count, 0, encode_short_ids(scids))


async def listener() -> ScriptedListener:
    return await ScriptedPeer.listen()


def begin(survey: Survey, number: int = 0) -> "asyncio.Task[None]":
    return asyncio.create_task(Conversation(survey, number, "regtest", asyncio.get_running_loop().time()).run())


async def test_a_list_in_parts_and_what_is_given_for_it() -> None:
    async with await listener() as node:
        survey = Survey([node.target], REGTEST)
        talk = begin(survey)
        peer = await node.accept()
        await peer.hear(QueryChannelRange)
        await peer.say(Pong(ignored=b"\0"), reply(0, 102, SCIDS[:2]), reply(102, 0xFFFFFFFF - 102, SCIDS[2:4]))
        asked = await peer.hear(QueryShortChannelIds)
        assert set(decode_short_ids(asked.encoded_short_ids)) == set(SCIDS[:4])
        given = [CHANNELS[0].announcement, *CHANNELS[0].updates, spoilt(CHANNELS[1].announcement)]
        await peer.say(*given, WarningMessage(bytes(32), b"that is all"), END)
        await peer.sync()
        await peer.close()
        await talk
    (found,) = survey.peers
    assert found.connected is not None
    assert found.ping is not None
    assert (len(found.listed), found.asked, len(found.answers)) == (4, 4, 1)
    assert (found.count(Worth.FIRST), found.count(Worth.WRONG)) == (3, 1)
    assert found.refused == set(SCIDS[1:4])
    assert found.error.startswith("the peer hung up")


async def test_a_ping_is_answered() -> None:
    async with await listener() as node:
        talk = begin(Survey([node.target], REGTEST))
        peer = await node.accept()
        await peer.say(Ping(num_pong_bytes=3, ignored=b""))
        assert (await peer.hear(Pong)).ignored == bytes(3)
        await peer.close()
        await talk


async def test_what_a_liar_says_it_has_is_asked_for_once() -> None:
    async with await listener() as liar, await listener() as honest:
        survey = Survey([liar.target, honest.target], REGTEST)
        talks = [begin(survey, i) for i in range(2)]
        bad = await liar.accept()
        await bad.hear(QueryChannelRange)
        await bad.say(reply(0, 0xFFFFFFFF, SCIDS[:1]))
        await bad.hear(QueryShortChannelIds)
        good = await honest.accept()
        await good.hear(QueryChannelRange)
        await good.say(reply(0, 0xFFFFFFFF, SCIDS[:1]))
        await bad.say(END)
        asked = await good.hear(QueryShortChannelIds)
        assert decode_short_ids(asked.encoded_short_ids) == SCIDS[:1]
        await good.say(CHANNELS[0].announcement, END)
        await good.sync()
        await bad.sync()
        assert not any(isinstance(each, QueryShortChannelIds) for each in bad.heard)
        await bad.close()
        await good.close()
        await asyncio.gather(*talks)
    assert survey.peers[0].count(Worth.FIRST) == 0
    assert len(survey.peers[0].refused) == 1
    assert survey.peers[1].count(Worth.FIRST) == 1


async def test_a_list_after_the_list_is_passed_over_and_garbage_ends_the_talk() -> None:
    async with await listener() as node:
        survey = Survey([node.target], REGTEST)
        talk = begin(survey)
        peer = await node.accept()
        await peer.hear(QueryChannelRange)
        await peer.say(reply(0, 0xFFFFFFFF, SCIDS[:1]), reply(0, 0xFFFFFFFF, SCIDS), END, END)
        await peer.sync()
        await peer.say(bytes.fromhex("0108ff"))
        await talk
        await peer.close()
    assert len(survey.peers[0].listed) == 1
    assert survey.peers[0].error


async def test_a_peer_that_does_not_answer_is_asked_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUERY_TIME", 0.05)
    monkeypatch.setattr(module, "TICK", 0.01)
    async with await listener() as node:
        survey = Survey([node.target, "other"], REGTEST)
        talk = begin(survey)
        peer = await node.accept()
        await peer.hear(QueryChannelRange)
        await peer.say(reply(0, 0xFFFFFFFF, SCIDS[:1]))
        await peer.hear(QueryShortChannelIds)
        survey.lists(1, SCIDS[:1])
        async with asyncio.timeout(60):
            while not survey.peers[0].unanswered:
                await peer.sync()
        assert survey.question(1) == (SCIDS[0],), "another one may give it"
        await peer.close()
        await talk


async def test_no_connection(unused_ports: list[int]) -> None:
    survey = Survey(
        [f"{'02' + '79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'}@127.0.0.1:{unused_ports[0]}"],
        REGTEST,
    )
    await begin(survey)
    assert "refused" in survey.peers[0].error.lower() or "Connect call failed" in survey.peers[0].error
    assert survey.peers[0].connected is None
