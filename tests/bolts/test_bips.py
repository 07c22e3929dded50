"""BIP 340 (Schnorr signatures) and BIP 327 (KeySort and KeyAgg of MuSig2): their test vectors."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from wire.gossip_v2.keys import aggregate, key_sort
from wire.secp256k1 import key_agg, public_key, sign_schnorr, tweak_x_only, verify_schnorr

VECTORS = Path(__file__).parent / "vectors"
with (VECTORS / "bip340.csv").open() as _lines:
    SCHNORR = list(csv.DictReader(_lines))
AGG: dict[str, Any] = json.loads((VECTORS / "bip327_key_agg.json").read_text())
SORT: dict[str, list[str]] = json.loads((VECTORS / "bip327_key_sort.json").read_text())
KEYS = [bytes.fromhex(key) for key in AGG["pubkeys"]]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
TWEAKS = [bytes.fromhex(tweak) for tweak in AGG["tweaks"]]


@pytest.mark.parametrize("row", SCHNORR, ids=lambda row: row["comment"] or f"vector {row['index']}")
def test_bip_340_verification(row: dict[str, str]) -> None:
    message, signature, key = (bytes.fromhex(row[name]) for name in ("message", "signature", "public key"))
    assert verify_schnorr(message, signature, key) is (row["verification result"] == "TRUE")


@pytest.mark.parametrize("row", [row for row in SCHNORR if row["secret key"]], ids=lambda row: f"vector {row['index']}")
def test_bip_340_signing(row: dict[str, str]) -> None:
    secret, message, aux_rand = (bytes.fromhex(row[name]) for name in ("secret key", "message", "aux_rand"))
    assert public_key(secret)[1:].hex().upper() == row["public key"]
    if len(message) == 32:
        assert sign_schnorr(secret, message, aux_rand).hex().upper() == row["signature"]
    else:
        with pytest.raises(ValueError, match="no digest"):
            sign_schnorr(secret, message, aux_rand)


@pytest.mark.parametrize("case", AGG["valid_test_cases"], ids=lambda case: str(case["key_indices"]))
def test_bip_327_key_aggregation(case: dict[str, Any]) -> None:
    agg = key_agg([KEYS[index] for index in case["key_indices"]])
    assert agg is not None
    assert agg.hex().upper() == case["expected"]


@pytest.mark.parametrize("case", AGG["error_test_cases"], ids=lambda case: case["comment"])
def test_bip_327_errors(case: dict[str, Any]) -> None:
    """A key that is none spoils all. The two cases of tweaks: ours are x-only, as BIP 341 has them."""
    agg = key_agg([KEYS[index] for index in case["key_indices"]])
    if not case["tweak_indices"]:
        assert agg is None
        return
    assert agg is not None
    tweak = TWEAKS[case["tweak_indices"][0]]
    if case["is_xonly"] == [True]:
        assert tweak_x_only(agg, tweak) is None
    else:
        point = public_key(tweak)
        assert point[0] == 2, "so the sum is infinity with the negative tweak"
        assert tweak_x_only(point[1:], (ORDER - int.from_bytes(tweak)).to_bytes(32)) is None
        assert tweak_x_only(point[1:], tweak) is not None


def test_bip_327_key_sorting() -> None:
    assert key_sort(map(bytes.fromhex, SORT["pubkeys"])) == list(map(bytes.fromhex, SORT["sorted_pubkeys"]))


def test_aggregation_sorts_first() -> None:
    sorted_keys = key_sort(KEYS[:3])
    assert aggregate(*KEYS[:3]) == aggregate(*reversed(KEYS[:3])) == key_agg(sorted_keys)
    assert key_agg(KEYS[:3]) != key_agg(KEYS[2::-1])


def test_no_keys_have_no_sum() -> None:
    assert key_agg([]) is None
