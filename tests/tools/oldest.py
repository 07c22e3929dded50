"""Print pyproject's requirements, those of the tests included, each with the oldest version that it allows.

`make test-oldest` installs them: what pyproject says is enough is what was tested.
"""

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"
NOT_TESTED = {"ruff"}
"""No test needs it."""


def oldest(requirement: str) -> str:
    """`websockets>=15,<18` -> `websockets==15`; without a bound as it stands. Raises ValueError for other forms."""
    match = re.fullmatch(r"([\w.-]+)(?:(>=|==)([\w.]+)(?:,<[\w.]+)?)?", requirement)
    if match is None:
        raise ValueError(f"no lower bound can be read from {requirement}")
    return f"{match[1]}=={match[3]}" if match[2] else match[1]


def requirements(pyproject: Path = PYPROJECT) -> list[str]:
    project = tomllib.loads(pyproject.read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return [oldest(each) for each in wanted if re.split(r"[^\w.-]", each)[0] not in NOT_TESTED]


if __name__ == "__main__":
    print("\n".join(requirements()))
