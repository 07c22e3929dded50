"""What the options of the log mean, and the word in which a process gets them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.log.style import BROKEN, DEBUG, INFO, IO, LEVELS, TRACE, UNUSUAL, LogStyle, parse_levels

NODE = "02" + "ab" * 32


def test_of_subsystems_and_peers() -> None:
    style = LogStyle(("debug:gossipd", "unusual", "io:abab", "trace:conn"))
    assert style.level_of("lightningd") == UNUSUAL
    assert style.level_of("gossipd") == DEBUG, "whichever came first"
    assert style.level_of("connectd") == style.level_of("connectiond") == TRACE
    assert style.level_of("gossipd", NODE) == IO
    assert style.lowest_level_of("lightningd") == IO, "it may be about that node"
    assert LogStyle(("broken",)).lowest_level_of("x") == BROKEN


def test_the_last_of_a_kind_counts() -> None:
    assert LogStyle(("io", "info")).level_of("hsmd") == INFO
    assert LogStyle(("io:hsmd", "info:hsmd")).level_of("hsmd") == INFO
    assert LogStyle(("io:hsmd",)).level_of("connectd") == INFO, "the default"


def test_levels_of_one_file() -> None:
    style = LogStyle(("unusual", "info:gossipd", "io:abab:/b", "debug:gossipd:/a"))
    assert style.files == {"/a", "/b"}
    of_a, of_b, of_c = (style.of_file(file) for file in ("/a", "/b", "/c"))
    assert [of.level_of("gossipd") for of in (of_a, of_b, of_c)] == [DEBUG, INFO, INFO]
    assert [of.level_of("hsmd", NODE) for of in (of_a, of_b, of_c)] == [UNUSUAL, IO, UNUSUAL]
    assert [style.level_of("gossipd"), style.level_of("hsmd", NODE), style.level_of("hsmd")] == [DEBUG, IO, UNUSUAL]
    assert style.lowest_level_of("hsmd") == IO


def test_a_file_with_a_level_for_all() -> None:
    """Unchanged by what is said of subsystems elsewhere."""
    style = LogStyle(("info", "io:gossipd", "unusual::/a:b"))
    assert (style.of_file("/a:b").levels, style.of_file("-").levels) == (("unusual",), ("info", "io:gossipd"))
    assert [style.level_of("gossipd"), style.level_of("hsmd")] == [IO, INFO]
    assert LogStyle(("info", "broken:gossipd:/a")).level_of("gossipd") == INFO, "other files want it"


@given(
    st.lists(st.builds("{}:{}".format, st.sampled_from(sorted(LEVELS)), st.sampled_from(["a b", "x-1"])), min_size=1),
    st.text(),
    st.booleans(),
    st.booleans(),
)
def test_as_one_word(levels: list[str], prefix: str, timestamps: bool, as_json: bool) -> None:
    style = LogStyle(tuple(levels), prefix, timestamps, as_json)
    assert LogStyle.parse(style.argument) == style


@pytest.mark.parametrize(
    "text", ["", "loud", "debug:", "debug:a,", "debug:a;b", "debug:a:", "debug:a:/b;c", "debug:\n"]
)
def test_rubbish(text: str) -> None:
    with pytest.raises(ValueError):
        parse_levels(text)
