"""The file of gossip v2 on the disk: appended to, rewritten in steps, cut short, and on a disk that fails."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gossipd.v2 import file as module
from gossipd.v2.file import KeptFile
from wire.gossip_v2.kept import BEGINNING, Key, Record, latest, pack


class Around:
    """What is kept, and its file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: dict[Key, Record] = {}
        self.file = KeptFile(path, self.live_size, lambda: list(self.kept), self.record)
        self.found = list(self.file.read())
        for record in self.found:
            self.kept[record.key] = record

    def live_size(self) -> int:
        return sum(len(pack(record)) for record in self.kept.values())

    def record(self, key: Key) -> Record:
        return self.kept.get(key) or Record(key)

    def put(self, number: int, message: bytes = b"x") -> None:
        record = Record(number.to_bytes(8), message, "here", number)
        self.kept[record.key] = record
        self.file.append(record)

    def drop(self, number: int) -> None:
        del self.kept[number.to_bytes(8)]
        self.file.append(Record(number.to_bytes(8)))

    def content(self) -> bytes:
        return self.path.read_bytes()

    def size(self) -> int:
        return self.path.stat().st_size

    def mode(self) -> int:
        return self.path.stat().st_mode & 0o777

    def names(self) -> list[str]:
        return [entry.name for entry in self.path.parent.iterdir()]

    def damage(self, how: Callable[[bytes], bytes]) -> None:
        self.path.write_bytes(how(self.content()))

    def written(self) -> dict[Key, Record]:
        return latest(self.path.read_bytes())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gossip_store_v2"


async def begun(path: Path) -> Around:
    around = Around(path)
    around.file.tick()
    assert around.content() == BEGINNING
    return around


async def flushed() -> None:
    """What is done once a turn has been done."""
    await asyncio.sleep(0)


async def test_what_was_appended_is_there_in_the_next_turn(path: Path) -> None:
    around = await begun(path)
    assert around.mode() == 0o600
    around.put(1)
    around.put(2)
    around.drop(1)
    await flushed()
    assert around.written() == around.kept
    around.file.close()
    again = Around(path)
    assert again.kept == {**around.kept, (1).to_bytes(8): Record((1).to_bytes(8))}
    again.file.close()


async def test_it_goes_on_where_it_was(path: Path) -> None:
    first = await begun(path)
    first.put(1)
    first.file.close()
    size = first.size()
    second = Around(path)
    second.file.tick()
    assert second.size() == size, "there is nothing to rewrite"
    second.put(2)
    second.file.close()
    assert second.written() == second.kept
    assert len(second.kept) == 2


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (lambda content: content[:-1], 1),
        (lambda content: content + b"\0\0\0\5", 0),
        (lambda content: content[:-3] + b"abc", 1),
        (lambda content: b"x" + content[1:], 2),
        (lambda content: b"", 2),
    ],
    ids=["cut", "half a head", "another end", "another beginning", "empty"],
)
async def test_damage_costs_what_stands_behind_it(path: Path, damage: Callable[[bytes], bytes], lost: int) -> None:
    first = await begun(path)
    first.put(1)
    first.put(2)
    first.file.close()
    first.damage(damage)
    second = Around(path)
    assert [record.height for record in second.found] == [1, 2][: 2 - lost]
    for _ in range(3):
        second.file.tick()
    assert second.written() == second.kept
    second.put(3)
    second.file.close()
    assert second.written() == second.kept


async def test_rewritten_in_steps_while_more_comes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLACK", 1_000)
    monkeypatch.setattr(module, "SLICE", 2)
    around = await begun(path)
    for number in range(5):
        around.put(number)
    for height in range(100):
        around.put(0, b"%d" % height)
    await flushed()
    grown = around.size()
    around.file.tick()
    assert around.size() == grown, "not in one step"
    around.put(1, b"meanwhile")
    around.drop(4)
    around.put(9)
    await flushed()
    assert around.written() == around.kept, "what lies there is current all the time"
    for _ in range(3):
        around.file.tick()
        await flushed()
    assert around.size() < grown // 2
    assert around.written() == around.kept
    assert around.names() == [path.name]
    around.put(10)
    around.file.close()
    assert around.written() == around.kept


async def test_what_comes_while_there_is_no_file_yet(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After damage a file is begun in steps, too."""
    monkeypatch.setattr(module, "SLICE", 1)
    first = await begun(path)
    first.put(1)
    first.put(2)
    first.file.close()
    first.damage(lambda content: content + b"x")
    second = Around(path)
    second.file.tick()
    second.put(3)
    await flushed()
    for _ in range(3):
        second.file.tick()
    assert second.written() == second.kept
    assert len(second.kept) == 3
    second.file.close()


async def test_closed_in_the_midst_of_rewriting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLACK", -1_000)
    monkeypatch.setattr(module, "SLICE", 1)
    around = await begun(path)
    for number in range(5):
        around.put(number)
    await flushed()
    around.file.tick()
    around.file.close()
    assert around.names() == [path.name]
    assert around.written() == around.kept
    around.put(7)  # nobody's file: another gossipd may have it
    await flushed()
    assert len(around.written()) == 5
    for _ in range(8):  # that one has not begun
        around.file.tick()
    assert around.written() == around.kept
    around.file.close()


async def test_a_disk_that_fails(path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said once; when it works again the file has all that is kept."""
    caplog.set_level("INFO")
    around = await begun(path)
    around.put(1)
    await flushed()

    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_all", full)
    around.put(2)
    await flushed()
    around.file.tick()
    around.file.tick()
    around.put(3)
    await flushed()
    assert caplog.text.count("No space left on device") == 1
    assert len(around.written()) == 1
    monkeypatch.undo()
    for _ in range(3):
        around.file.tick()
    assert around.written() == around.kept
    assert len(around.kept) == 3
    assert caplog.text.count("can be written again") == 1
    around.file.close()


async def test_a_file_that_cannot_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gossip_store_v2"
    path.mkdir()
    around = Around(path)
    assert around.found == []
    around.file.tick()
    around.put(1)
    await flushed()
    assert caplog.text.count("gossip v2 would not outlive a restart") == 1
    around.file.close()
