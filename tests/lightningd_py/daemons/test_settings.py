"""setconfig: each option that is a limit is told to all who keep it, and no other changes with it."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lightningd_py.config.options import parse
from lightningd_py.config.table import OPTIONS
from lightningd_py.daemons import settings as module
from lightningd_py.daemons.settings import Settings
from wire.control.control_wire import SetLimits

OTHERS = {"log-level", "alias", "rgb", "announce-addr", "announce-addr-discovered"}
LIMITS = sorted(option.name for option in OPTIONS if option.dynamic and option.name not in OTHERS)


class Told:
    """All that is told to daemons, and what the master itself keeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.daemons: dict[str, Any] = {}
        monkeypatch.setattr(module, "tell", self._tell)
        self.programs = SimpleNamespace(limits=None)
        self.inbound: list[int] = []
        self.ownership: Any = SimpleNamespace(
            connectd="connectd",
            gossipd="gossipd",
            programs=self.programs,
            strangers=SimpleNamespace(change=self.inbound.append),
        )
        self.connectiond: Any = SimpleNamespace(change_limits=lambda limits: self.daemons.update(connectiond=limits))

    def _tell(self, channel: str, message: object) -> None:
        assert isinstance(message, SetLimits)
        self.daemons[channel] = message.limits


async def nothing(_: object) -> None:
    """No log file changes."""


def test_there_are_such_options() -> None:
    assert len(LIMITS) >= 13
    assert {"max-inbound", "max-read-rate", "slow-reader-timeout", "max-programs"} <= set(LIMITS)


@pytest.mark.parametrize("name", LIMITS)
async def test_a_limit_reaches_all_who_keep_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    options, told = parse([f"--lightning-dir={tmp_path}", "--regtest"]), Told(monkeypatch)
    own: Any = SimpleNamespace(announce=lambda before: None)
    log: Any = SimpleNamespace(change=nothing)
    before = options.limits
    await Settings(options, own, told.ownership, SimpleNamespace(), told.connectiond, log).change(  # type: ignore[arg-type]
        name, ["17"], keep=False
    )
    now = told.daemons["connectd"]
    assert now == told.daemons["gossipd"] == told.daemons["connectiond"] == told.programs.limits == options.limits
    assert told.inbound == [now.inbound]
    changed = {
        field.name: getattr(now, field.name)
        for field in dataclasses.fields(now)
        if getattr(now, field.name) != getattr(before, field.name)
    }
    assert list(changed.values()) == [17], changed
