"""Other programs that a torture is: their end and their last line."""

import asyncio
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def run_python(*arguments: str, search: str = ".") -> tuple[int, str]:
    """Exit status, and the last line in which this is found; both outputs are one."""
    pipe, same = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=same
    )
    output, _ = await process.communicate()
    lines = output.decode("utf-8", "replace").splitlines()
    assert process.returncode is not None
    found = [line for line in lines if re.search(search, line)] if process.returncode == 0 else lines[-15:]
    return process.returncode, (found or [""])[-1] if process.returncode == 0 else " / ".join(found)
