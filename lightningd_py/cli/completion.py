"""`lightning-cli-py completion bash|zsh|fish`: the completion that came with the package. No node is asked."""

from pathlib import Path

from lightningd_py.errors import UsageError

SHARED = Path(__file__).parents[1] / "share"
FILES = {"bash": "lightning-cli-py.bash", "zsh": "_lightning-cli-py", "fish": "lightning-cli-py.fish"}


def script(shells: list[str]) -> str:
    """The text for the one shell that is named. Raises UsageError."""
    if len(shells) != 1 or shells[0] not in FILES:
        raise UsageError("completion needs one shell: bash, zsh or fish")
    return (SHARED / FILES[shells[0]]).read_text()
