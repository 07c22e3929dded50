"""BOLT 9: the table of features, row by row, and the rules for setting and reading them."""

import json
from pathlib import Path
from typing import Any

import pytest

from wire.features import FEATURES, Features, default_init_features, feature_bit

ROWS = json.loads((Path(__file__).parent / "vectors" / "bolt09_features.json").read_text())


@pytest.mark.bolt("B9-104", "B9-105")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_assigned_feature_flags(row: dict[str, Any]) -> None:
    (feature,) = (feature for feature in FEATURES if feature.name == row["name"])
    assert [feature.bit, feature.bit + 1] == row["bits"]
    assert list(feature.dependencies) == row["dependencies"]
    assert feature.contexts == row["context"]


@pytest.mark.bolt("B9-104")
def test_bits_are_even_and_names_are_used_once() -> None:
    assert all(feature.bit % 2 == 0 for feature in FEATURES)
    assert len({feature.bit for feature in FEATURES}) == len({feature.name for feature in FEATURES}) == len(FEATURES)


@pytest.mark.bolt("B9-104")
def test_bits_are_numbered_from_the_end() -> None:
    assert Features.of([0]).to_bytes() == b"\x01"
    assert Features.of([15]).to_bytes() == b"\x80\x00"
    assert Features(b"\x02\x00\x80").has(17)


@pytest.mark.bolt("B9-104")
def test_a_pair_with_both_bits_set_is_mandatory() -> None:
    both = Features.of([6, 7])
    assert both.requires("gossip_queries")
    assert both.offers("gossip_queries")


@pytest.mark.bolt("B9-105", "B1-30")
@pytest.mark.parametrize("row", [row for row in ROWS if row["dependencies"]], ids=lambda row: row["name"])
@pytest.mark.parametrize("odd", [0, 1])
def test_dependencies_must_be_set(row: dict[str, Any], odd: int) -> None:
    needed = [feature_bit(name) + 1 for name in row["dependencies"]]
    assert Features.of([row["bits"][odd], *needed]).missing_dependency() is None
    assert Features.of([row["bits"][odd]]).missing_dependency() == f"{row['name']} needs {row['dependencies'][0]}"


@pytest.mark.bolt("B9-106", "B9-105", "B1-22", "B1-23", "B1-24")
def test_what_we_offer() -> None:
    ours = default_init_features()
    assert ours.names() == [
        "option_data_loss_protect/odd",
        "option_gossip_queries/odd",
        "option_var_onion_optin/odd",
        "option_gossip_queries_ex/odd",
        "option_static_remotekey/odd",
        "option_payment_secret/odd",
        "option_channel_type/odd",
    ]
    assert ours.missing_dependency() is None
    assert ours.unknown_even() is None
    assert ours.to_bytes()[0] != 0
