"""Completion without a node, in the shells that are here; and words that are nearly right."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lightningd_py.cli.cli import command
from lightningd_py.cli.completion import FILES, SHARED
from lightningd_py.daemons.moving import MOVABLE

ASK_BASH = """
source {script}
COMP_WORDS=({words} {last}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_lightning_cli_py
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(words: str, last: str = "''") -> set[str]:
    asked = ASK_BASH.format(script=SHARED / FILES["bash"], words=words, last=last)
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_methods_and_options_in_bash() -> None:
    assert completed("lightning-cli-py", "listno") == {"listnodes"}
    assert {"getinfo", "feed", "completion"} <= completed("lightning-cli-py")
    assert "--network" in completed("lightning-cli-py", "--n")


def test_words_behind_a_method_in_bash() -> None:
    assert completed("lightning-cli-py --network regtest completion") == {"bash", "zsh", "fish"}
    assert completed("lightning-cli-py --network = regtest -k restart") == set(MOVABLE)
    assert "listpeers" in completed("lightning-cli-py help", "l")
    assert completed("lightning-cli-py getinfo") == set()


@pytest.mark.parametrize("shell", FILES)
def test_each_script_is_printed_and_is_the_shells(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "listpeers" in script
    program = shutil.which(shell)
    if program is not None:
        done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [[], ["tcsh"], ["bash", "zsh"]])
def test_another_shell_is_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["completion", *words]) == 3
    assert capsys.readouterr().err == "lightning-cli-py: completion needs one shell: bash, zsh or fish\n"


def test_no_line_of_a_man_page_is_taken_for_a_command_of_its_own() -> None:
    for page in Path(SHARED).glob("*.1"):
        known = ('.\\"', ".TH ", ".SH ", ".TP", ".B ")
        assert [line for line in page.read_text().splitlines() if line[:1] in ".'" and not line.startswith(known)] == []
