"""lnprototest, by which implementations are tested against the spec, with our node under it.

Its events run in a virtual environment of their own (lnprototest/cases.py); here each case has a name and says which
requirements it proves.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.node import PROGRAMS
from tests.interop.conftest import Program

HERE = Path(__file__).parent

BOLT1 = [
    pytest.param("bolt1_init.comes_first", marks=pytest.mark.bolt("B1-20", "B1-22", "B1-23", "B1-24", "B1-25")),
    pytest.param("bolt1_init.waits_for_ours", marks=pytest.mark.bolt("B1-21")),
    pytest.param("bolt1_init.offers_what_it_lists", marks=pytest.mark.bolt("B1-22")),
    pytest.param("bolt1_init.echoed"),
    pytest.param("bolt1_init.data_loss_protect", marks=pytest.mark.bolt("B1-28")),
    pytest.param("bolt1_init.unknown_odd_bits", marks=pytest.mark.bolt("B1-28")),
    pytest.param("bolt1_init.unknown_even_bits", marks=pytest.mark.bolt("B1-27", "B1-28")),
    pytest.param("bolt1_init.both_maps_are_one", marks=pytest.mark.bolt("B1-27", "B1-30")),
    pytest.param("bolt1_init.networks", marks=pytest.mark.bolt("B1-29")),
    pytest.param("bolt1_init.extension", marks=pytest.mark.bolt("B1-9", "B1-10", "B1-11", "B1-13", "B1-14")),
    pytest.param("bolt1_init.cut_short", marks=pytest.mark.bolt("B1-7")),
    pytest.param("bolt1_init.something_else_first", marks=pytest.mark.bolt("B1-5", "B1-21")),
    pytest.param("bolt1_init.one_connection_per_peer", marks=pytest.mark.bolt("B1-1")),
    pytest.param("bolt1_init.two_peers"),
    pytest.param("bolt1_messages.pongs", marks=pytest.mark.bolt("B1-37", "B1-38")),
    pytest.param("bolt1_messages.pings_without_pong", marks=pytest.mark.bolt("B1-37")),
    pytest.param("bolt1_messages.ping_with_extension", marks=pytest.mark.bolt("B1-8")),
    pytest.param("bolt1_messages.known_but_too_short", marks=pytest.mark.bolt("B1-7")),
    pytest.param("bolt1_messages.pong_for_nothing"),
    pytest.param("bolt1_messages.unknown_odd_types", marks=pytest.mark.bolt("B1-5")),
    pytest.param("bolt1_messages.unknown_even_types", marks=pytest.mark.bolt("B1-6")),
    pytest.param("bolt1_messages.their_warnings", marks=pytest.mark.bolt("B1-34")),
    pytest.param("bolt1_messages.error_of_unknown_channel", marks=pytest.mark.bolt("B1-33")),
    pytest.param("bolt1_messages.channel_nobody_has", marks=pytest.mark.bolt("B1-36")),
    pytest.param("bolt1_messages.open_channel", marks=pytest.mark.bolt("B1-36")),
]

BOLT7 = [
    pytest.param("bolt7_filter.no_filter", marks=pytest.mark.bolt("B7-95")),
    pytest.param("bolt7_filter.first_is_included", marks=pytest.mark.bolt("B7-96")),
    pytest.param("bolt7_filter.end_is_excluded", marks=pytest.mark.bolt("B7-96")),
    pytest.param("bolt7_filter.range_beyond_32_bits", marks=pytest.mark.bolt("B7-96")),
    pytest.param("bolt7_filter.later_gossip_too", marks=pytest.mark.bolt("B7-96")),
    pytest.param("bolt7_filter.new_filter_replaces", marks=pytest.mark.bolt("B7-96")),
    pytest.param("bolt7_filter.other_chain", marks=pytest.mark.bolt("B7-95")),
    pytest.param("bolt7_queries.ranges", marks=pytest.mark.bolt("B7-90", "B7-92")),
    pytest.param("bolt7_queries.range_beyond_32_bits", marks=pytest.mark.bolt("B7-92")),
    pytest.param("bolt7_queries.range_with_timestamps_and_checksums", marks=pytest.mark.bolt("B7-92")),
    pytest.param("bolt7_queries.range_of_another_chain", marks=pytest.mark.bolt("B7-92")),
    pytest.param("bolt7_queries.channels_in_full", marks=pytest.mark.bolt("B7-91")),
    pytest.param("bolt7_queries.channels_by_flags", marks=pytest.mark.bolt("B7-91")),
    pytest.param("bolt7_queries.unknown_channels", marks=pytest.mark.bolt("B7-91")),
    pytest.param("bolt7_queries.channels_of_another_chain", marks=pytest.mark.bolt("B7-91")),
    pytest.param("bolt7_queries.bad_encodings", marks=pytest.mark.bolt("B7-90", "B7-91")),
    pytest.param("bolt7_queries.bad_lengths", marks=pytest.mark.bolt("B1-7", "B7-91")),
    pytest.param("bolt7_queries.cut_short", marks=pytest.mark.bolt("B1-7")),
    pytest.param("bolt7_queries.answers_not_asked_for"),
    pytest.param("bolt7_relay.backfill", marks=pytest.mark.bolt("B7-64", "B7-96", "B7-98")),
    pytest.param("bolt7_relay.live", marks=pytest.mark.bolt("B7-64", "B7-95", "B7-100")),
    pytest.param("bolt7_relay.no_echo"),
    pytest.param("bolt7_relay.announcement_waits_for_update", marks=pytest.mark.bolt("B7-98")),
    pytest.param("bolt7_relay.newest_update_counts", marks=pytest.mark.bolt("B7-82", "B7-83")),
    pytest.param("bolt7_relay.newest_node_announcement_counts", marks=pytest.mark.bolt("B7-69")),
    pytest.param("bolt7_relay.other_chain", marks=pytest.mark.bolt("B7-59", "B7-81")),
    pytest.param("bolt7_relay.without_a_channel", marks=pytest.mark.bolt("B7-69", "B7-77")),
    pytest.param("bolt7_relay.not_to_be_forwarded", marks=pytest.mark.bolt("B7-87")),
    pytest.param("bolt7_relay.update_of_the_far_future", marks=pytest.mark.bolt("B7-84")),
    pytest.param("bolt7_relay.bad_announcement_signatures", marks=pytest.mark.bolt("B7-57", "B7-62")),
    pytest.param("bolt7_relay.bad_signatures", marks=pytest.mark.bolt("B7-68")),
    pytest.param("bolt7_relay.cut_short", marks=pytest.mark.bolt("B1-7")),
    pytest.param("bolt7_relay.unknown_features", marks=pytest.mark.bolt("B7-63")),
]


@pytest.fixture(scope="module")
def lnprototest(pyln_python: Path) -> Iterator[Any]:
    """The program that runs the cases."""
    path = os.pathsep.join([str(HERE / "pyln"), *filter(None, [os.environ.get("PYTHONPATH")])])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        program = Program(pyln_python, HERE / "lnprototest/cases.py", PROGRAMS / "lightningd-py")
    yield program
    try:
        program.ask("end")
    finally:
        program.end()


@pytest.mark.parametrize("case", BOLT1 + BOLT7)
def test_case(lnprototest: Any, case: str) -> None:
    lnprototest.ask("run", name=case)


def test_all_cases_are_here(lnprototest: Any) -> None:
    assert sorted(lnprototest.ask("names")) == sorted(str(case.values[0]) for case in BOLT1 + BOLT7)
