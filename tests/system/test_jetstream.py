"""Recorders, a real NATS server and archives: what each vantage point has heard is in each archive once."""

import asyncio
import functools
import random
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nats
import nkeys
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lightningd_py.observatory.metrics.declared import declared
from lightningd_py.observatory.tables.segment import read_segment
from tests.harness.jetstream import Archiving, NatsServer, Talk, make_streams, recording, same_arrivals
from tests.harness.observatories import PATIENCE, arrivals_of, refused, until
from tests.lightningd_py.observatory.recorded import rows

KILLS = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[list[Talk]]:
    found = [Talk(tmp_path / name) for name in ("east", "west")]
    yield found
    for talk in found:
        talk.end()


def has_said(talk: Talk, more_than: int) -> bool:
    return talk.said.total() > more_than


def test_streams_are_made_once(server: NatsServer) -> None:
    assert make_streams(server).splitlines() == [
        f"{name} is made" for name in ("LN_ARRIVALS", "LN_MESSAGES", "LN_PEERS", "LN_VANTAGES")
    ]
    assert make_streams(server).count("is there") == 4
    assert make_streams(server, "--max-bytes", "32M").count("is changed") == 3


@pytest.mark.long
def test_two_vantage_points_in_two_archives(tmp_path: Path, server: NatsServer, talks: list[Talk]) -> None:
    make_streams(server)
    records, archives = [tmp_path / "a", tmp_path / "b"], [tmp_path / "x", tmp_path / "y"]
    with (
        recording(records[0], talks[0], server, "--metrics-addr", "127.0.0.1:0") as first,
        recording(records[1], talks[1], server) as second,
        Archiving(archives[0], server, "--convert-every", "1s"),
        Archiving(archives[1], server, "--metrics-addr", "127.0.0.1:0") as archiving,
    ):
        of_recorder, of_archive = (each.heard("metrics are at ").split()[-1] for each in (first, archiving))
        first.heard("is recorded into")
        second.heard("is recorded into")
        until(lambda: min(map(len, (talk.said for talk in talks))) > 2_000, "some talk")
        for talk in talks:
            talk.end()
        for archive in archives:
            until(functools.partial(same_arrivals, archive, *records), "all of it")
        until(lambda: scraped(of_recorder)["lightning_recorder_waiting_bytes"] == {("east",): 0}, "nothing to wait")
        told = {**scraped(of_recorder), **scraped(of_archive)}
    assert told.keys() == {metric.name for metric in declared.values()}
    assert told["lightning_recorder_messages_total"] == {("east",): talks[0].said.total()}
    assert told["lightning_archive_rows_total"]["arrivals",] == sum(talk.said.total() for talk in talks)
    assert told["lightning_archive_vantage_lag_seconds"].keys() == {("east",), ("west",)}
    assert told["lightning_archive_waiting_messages"]["arrivals",] == 0
    assert told["lightning_archive_trouble"] == {(): 0} and not told["lightning_archive_losses_total"]
    assert all(same_arrivals(archive, *records) for archive in archives)
    assert list(archives[0].glob("arrivals/*/*/archive-*.parquet"))
    assert not list(records[0].glob("arrivals/*")), "the spool is all that there is"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_kills_of_each(tmp_path: Path, server: NatsServer, talks: list[Talk]) -> None:
    """Server, archive and a recorder are killed in turn, while the feeds go on: nothing is lost, none doubled."""
    make_streams(server)
    chance = random.Random(17)
    records, archive = [tmp_path / "a", tmp_path / "b"], tmp_path / "x"
    steady = recording(records[1], talks[1], server)
    killed = recording(records[0], talks[0], server)
    archiving = Archiving(archive, server, "--convert-every", "1s")
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.5))
            archiving.kill()
            time.sleep(chance.uniform(0.1, 1.0))
            archiving = Archiving(archive, server, "--convert-every", "1s")
            server.kill()
            time.sleep(chance.uniform(0.1, 1.5))
            server.start()
            time.sleep(chance.uniform(0.1, 1.0))
            killed.kill()
            killed = recording(records[0], talks[0], server)
        until(lambda: min(len(talk.said) for talk in talks) > 2_000, "some talk")
        for talk in talks:
            talk.end()
        until(lambda: same_arrivals(archive, *records), "all of it")
    finally:
        for process in (steady, killed, archiving):
            process.end()
    assert same_arrivals(archive, *records)


def scraped(url: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Metric -> values of its labels -> value."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        found = list(text_string_to_metric_families(answer.read().decode()))
    return {
        family.name + "_total" * (family.type == "counter"): {
            tuple(sample.labels.values()): sample.value for sample in family.samples
        }
        for family in found
    }


@pytest.mark.long
async def test_batches_that_are_sent_again_much_later(tmp_path: Path, server: NatsServer, talks: list[Talk]) -> None:
    """The server knows an id for ten minutes only; an archive for ever."""
    make_streams(server)
    client = await nats.connect(server.url)
    arrivals = (await client.jetstream().stream_info("LN_ARRIVALS")).config
    arrivals.duplicate_window = 0.1
    await client.jetstream().update_stream(arrivals)
    record, archive = tmp_path / "a", tmp_path / "x"
    with Archiving(archive, server):
        for _ in range(2):
            with recording(record, talks[0], server) as recorder:
                recorder.heard("is recorded into")
                have = talks[0].said.total()
                await asyncio.to_thread(until, functools.partial(has_said, talks[0], have + 500), "some talk")
            await asyncio.to_thread(until, lambda: same_arrivals(archive, record), "all of it")
            before = (await client.jetstream().stream_info("LN_ARRIVALS")).state.messages
            (record / "spool/east.published").unlink()
    assert (await client.jetstream().stream_info("LN_ARRIVALS")).state.messages == before
    sent = sum(1 for path in (record / "spool/arrivals").iterdir() for _ in read_segment(path))
    assert before > sent, "the first run's batches are in the stream twice"
    assert same_arrivals(archive, record)
    await client.close()


async def test_messages_of_others(tmp_path: Path, server: NatsServer, talks: list[Talk]) -> None:
    """What is no batch is left out, with a sentence and a row in `losses`, and all else is archived."""
    make_streams(server)
    client = await nats.connect(server.url)
    about = {"Ln-Schema": "1", "Nats-Msg-Id": "east-1-arrivals-1"}
    for headers in (None, about, about | {"Ln-Schema": "9", "Nats-Msg-Id": "x"}):
        await client.jetstream().publish("ln.regtest.arrivals.east", b"rubbish", headers=headers)
    await client.jetstream().publish("ln.regtest.messages.257", b"rubbish")
    await client.close()
    record, archive = tmp_path / "a", tmp_path / "x"
    with recording(record, talks[0], server), Archiving(archive, server) as archiving:
        for words in ("1 is left out: it is of schema 'none'", "2 is left out: it is no Arrow batch", "3 is left out"):
            await asyncio.to_thread(archiving.heard, words)
        await asyncio.to_thread(until, lambda: bool(talks[0].said), "some talk")
        talks[0].end()
        await asyncio.to_thread(until, lambda: same_arrivals(archive, record), "all of it")
    lost = [(row["topic"], row["why"]) for row in rows(archive, "losses") if row["vantage"] == "archive"]
    assert sorted(lost) == [("arrivals", "unreadable")] * 3 + [("messages", "unreadable")]


def test_users_with_keys(tmp_path: Path, talks: list[Talk]) -> None:
    seed, other = (nkeys.encode_seed(bytes([number]) * 32, nkeys.PREFIX_BYTE_USER) for number in (1, 2))
    for name, content in (("seed", seed), ("other", other)):
        (tmp_path / name).write_bytes(content)
    config = tmp_path / "config"
    user = nkeys.from_seed(bytearray(seed)).public_key.decode()
    config.write_text(f"authorization {{ users = [ {{ nkey: {user} }} ] }}")
    with NatsServer(tmp_path, "-c", str(config)) as server:
        assert "Authorization Violation" in refused("init", "--nats", server.url)
        assert "Authorization Violation" in refused(
            "init", "--nats", server.url, "--nats-nkey", str(tmp_path / "other")
        )
        make_streams(server, "--max-bytes", "64M", "--nats-nkey", str(tmp_path / "seed"))
        with recording(tmp_path / "a", talks[0], server) as recorder:
            recorder.heard("Authorization Violation; the spool keeps what is recorded")


@pytest.mark.long
def test_user_that_is_let_in_again(tmp_path: Path, talks: list[Talk]) -> None:
    """A server that refuses us is tried on; the spool keeps what comes meanwhile."""
    seed = nkeys.encode_seed(bytes([1]) * 32, nkeys.PREFIX_BYTE_USER)
    (tmp_path / "seed").write_bytes(seed)
    config, key = tmp_path / "config", ("--nats-nkey", str(tmp_path / "seed"))
    user = nkeys.from_seed(bytearray(seed)).public_key.decode()
    let_in = f"authorization {{ users = [ {{ nkey: {user} }} ] }}"
    config.write_text(let_in)
    with NatsServer(tmp_path, "-c", str(config)) as server:
        make_streams(server, "--max-bytes", "64M", *key)
        record, archive = tmp_path / "a", tmp_path / "x"
        with recording(record, talks[0], server, *key) as recorder, Archiving(archive, server, *key) as archiving:
            until(lambda: archive.exists() and bool(arrivals_of(archive)), "both are connected")
            server.kill()
            config.write_text("authorization { users = [ { user: another, password: another } ] }")
            server.start()
            for process in (recorder, archiving):
                process.heard("NATS: Authorization Violation")
            server.kill()
            config.write_text(let_in)
            server.start()
            recorder.heard("NATS is there again")
            talks[0].end()
            until(lambda: same_arrivals(archive, record), "all of it")


@pytest.mark.long
def test_stream_that_is_full(tmp_path: Path, server: NatsServer, talks: list[Talk]) -> None:
    """The spool keeps what the server does not take, and it is sent when there is room."""
    make_streams(server, "--max-bytes", "400k")
    record, archive = tmp_path / "a", tmp_path / "x"
    with recording(record, talks[0], server) as recorder:
        recorder.heard("NATS does not take what is recorded: maximum bytes exceeded; the spool keeps it")
        make_streams(server)
        recorder.heard("batches are sent")
        with Archiving(archive, server):
            talks[0].end()
            until(lambda: same_arrivals(archive, record), "all of it")


@pytest.mark.long
def test_recorder_that_comes_before_the_server(tmp_path: Path, server: NatsServer, talks: list[Talk]) -> None:
    server.kill()
    record, archive = tmp_path / "a", tmp_path / "x"
    with recording(record, talks[0], server) as recorder, Archiving(archive, server) as archiving:
        recorder.heard("the spool keeps what is recorded")
        archiving.heard("it is tried again until it is there")
        server.start()
        recorder.heard(
            "no stream takes ln.regtest.arrivals.*: `lightning-observatory init` makes them; the spool keeps"
        )
        make_streams(server)
        until(lambda: bool(talks[0].said), "some talk")
        talks[0].end()
        until(lambda: same_arrivals(archive, record), "all of it")


def test_mistakes_are_one_sentence(tmp_path: Path, server: NatsServer) -> None:
    assert "nats://127.0.0.1:1: " in refused("init", "--nats", "nats://127.0.0.1:1")
    assert "missing.creds: No such file or directory" in refused(
        "init", "--nats", server.url, "--nats-creds", str(tmp_path / "missing.creds")
    )
    with Archiving(tmp_path / "x", server) as archiving:
        archiving.heard("no stream takes")
        assert "another recorder writes to" in refused("archive", str(tmp_path / "x"), "--nats", server.url)
