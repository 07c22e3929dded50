"""What README and docs/ show as code, by page and number: found, changed to the places of a test, and run."""

import asyncio
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness import processes

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0


def snippets(language: str) -> dict[str, str]:
    """All blocks of this language: `docs/bus.md 1` -> its text."""
    found = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        found.update({f"{page.relative_to(ROOT)} {number}": text for number, text in enumerate(blocks, 1)})
    return found


def placed(text: str, places: Mapping[str, object]) -> str:
    """The text with each of these places put for that of the page, which has to be in it."""
    for shown, real in places.items():
        assert shown in text, f"{shown} is not in the snippet"
        text = text.replace(shown, str(real))
    return text


class Running:
    """A snippet as a process: its lines are waited for; killed at the end of the block, if it has not ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *command: str | Path, cwd: Path) -> Self:
        pipe = subprocess.PIPE
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(cwd), "PYTHONUNBUFFERED": "1"}
        return cls(await asyncio.create_subprocess_exec(*command, cwd=cwd, env=environment, stdout=pipe, stderr=pipe))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def line(self) -> str:
        """The next line that it prints; what it complained of if there is none."""
        assert self._process.stdout is not None and self._process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            if line := await self._process.stdout.readline():
                return line.decode().rstrip("\n")
            raise AssertionError((await self._process.stderr.read()).decode())

    async def end(self) -> tuple[int | None, str, str]:
        """Exit status, output and complaint, when it has ended by itself."""
        async with asyncio.timeout(PATIENCE):
            out, error = await self._process.communicate()
        return self._process.returncode, out.decode(), error.decode()

    def has_open(self, path: Path) -> bool:
        """Whether it has this file open."""
        return str(path) in processes.links(self._process.pid)
