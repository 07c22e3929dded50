"""Every test with hypothesis, with examples that are drawn at random instead of CI's, which are always the same."""

from tests.torture.commands import run_python
from tests.torture.torture import Torture


async def run(torture: Torture) -> None:
    """One line."""
    profile = "random" if torture.share == 1.0 else "derandomized"
    seed = str(torture.chance.randrange(1 << 32))
    pytest = ("-m", "pytest", "-q", "-m", "hypothesis and not processes", "--timeout=900", "-p", "no:cacheprovider")
    status, last = await run_python(*pytest, f"--hypothesis-profile={profile}", f"--hypothesis-seed={seed}")
    torture.tell("properties at random", f"seed {seed}: {last}", [] if status == 0 else [last])
