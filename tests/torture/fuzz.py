"""atheris on each parser (tests/fuzz), for a minute each; left out where it is not installed."""

import importlib.util
import re

from tests.fuzz.targets import TARGETS
from tests.torture.commands import run_python
from tests.torture.torture import Torture

SECONDS = 60
LONGEST = 65_535


async def run(torture: Torture) -> None:
    """A line each."""
    if importlib.util.find_spec("atheris") is None:
        torture.tell("fuzz", "left out: atheris is not installed (pip install -e '.[fuzz]')")
        return
    for name in TARGETS:
        limits = (
            f"-max_total_time={torture.count(SECONDS)}",
            f"-max_len={LONGEST}",
            "-timeout=10",
            "-rss_limit_mb=2048",
        )
        places = f"-artifact_prefix={torture.directory}/"
        status, last = await run_python("-m", "tests.fuzz.fuzz", name, *limits, places, search=r"^Done (\d+) runs")
        runs = re.search(r"\d+", last)
        figures = f"{int(runs[0]):,} inputs" if runs else last
        torture.tell(f"fuzz {name}", figures, [] if status == 0 else [last])
