"""A config file of CLN's: what it has and this node has not is accepted; what neither has is refused."""

from pathlib import Path

import pytest

from lightningd_py.config.cln_options import KINDS, RENAMED, UNUSED, Kind
from lightningd_py.config.options import Options, parse
from lightningd_py.config.table import OPTIONS
from lightningd_py.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without config files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def parse_file(home: Path, text: str, *argv: str) -> Options:
    path = home / "config"
    path.write_text(text)
    return parse([f"--conf={path}", *argv])


def complaint(home: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_file(home, text)
    return str(caught.value).removeprefix(f"{home / 'config'}:")


def test_each_kind_is_told_in_one_sentence(home: Path) -> None:
    options = parse_file(home, "fee-base=1\nalias=me\nwallet=sqlite3://x\nlarge-channels\nfee-base=2\nmax-inbound=7\n")
    assert (options.alias, options.max_inbound) == ("me", 7)
    assert options.without_use == (
        "fee-base, large-channels: without effect, this node has no channels",
        "wallet: without effect, there is no wallet",
    )


def test_nothing_is_said_of_options_that_count(home: Path) -> None:
    assert parse_file(home, "alias=me\n").without_use == ()


@pytest.mark.parametrize("name", sorted(UNUSED))
def test_every_option_without_effect_is_accepted_with_a_value_and_without(home: Path, name: str) -> None:
    for line in (name, f"{name}=1", f"{name}="):
        (sentence,) = parse_file(home, f"{line}\n").without_use
        assert sentence.startswith(f"{name}: without effect, ")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.reason)
def test_on_the_command_line_they_take_what_they_take_in_cln(home: Path, kind: Kind) -> None:
    for name in kind.valued:
        assert parse_file(home, "", f"--{name}", "1", "--alias=me").alias == "me"
    for name in kind.flags:
        assert parse_file(home, "", f"--{name}", "--alias=me").alias == "me"


def test_no_option_has_two_meanings() -> None:
    assert (UNUSED | set(RENAMED)) & {option.name for option in OPTIONS} == set()
    assert sum(len(kind.valued + kind.flags) for kind in KINDS) == len(UNUSED)


def test_an_older_name_is_the_option(home: Path) -> None:
    assert parse_file(home, "encrypted-hsm\n").hsm_passphrase
    assert parse(["--encrypted-hsm"]).hsm_passphrase


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("allias=me", "allias: unknown option, did you mean alias?"),
        ("fee-bace=1", "fee-bace: unknown option, did you mean fee-base?"),
        ("bind_addr=:1", "bind_addr: unknown option, did you mean bind-addr?"),
        ("summary-currency=USD", "summary-currency: unknown option"),
        ("recover=abandon", "recover: no secret is made of words here; hsm_secret is made by CLN's"),
    ],
)
def test_what_neither_has_is_refused(home: Path, line: str, sentence: str) -> None:
    assert complaint(home, f"offline\n{line}\n").startswith(f"2: {sentence}")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--netwrok=regtest", "--netwrok=regtest: unknown option, did you mean network?"),
        ("--recover=abandon", "--recover=abandon: no secret is made of words"),
        ("regtest", "regtest: unknown option"),
    ],
)
def test_the_same_on_the_command_line(argument: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([argument])
    assert str(caught.value).startswith(sentence)
