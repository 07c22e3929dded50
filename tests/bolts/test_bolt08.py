"""BOLT 8, Appendix A: the transport's test vectors, all of them, by the spec's names."""

import pytest

from wire.crypto_state import CryptoState
from wire.frames import Frames
from wire.noise import HandshakeError, Initiator, Responder, Step
from wire.secp256k1 import ecdh, public_key

pytestmark = pytest.mark.bolt("B8-53")

INITIATOR_SECRET = b"\x11" * 32
INITIATOR_EPHEMERAL = b"\x12" * 32
RESPONDER_SECRET = b"\x21" * 32
RESPONDER_EPHEMERAL = b"\x22" * 32
INITIATOR_ID = bytes.fromhex("034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa")
RESPONDER_ID = bytes.fromhex("028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7")

ACT_ONE = "00036360e856310ce5d294e8be33fc807077dc56ac80d95d9cd4ddbd21325eff73f70df6086551151f58b8afe6c195782c6a"
ACT_TWO = "0002466d7fcae563e5cb09a0d1870bb580344804617879a14949cf22285f1bae3f276e2470b93aac583c9ef6eafca3f730ae"
ACT_THREE = (
    "00b9e3a702e93e3a9948c2ed6e5fd7590a6e1c3a0344cfc9d5b57357049aa22355361aa02e55a8fc28fef5bd6d71ad0c3822"
    "8dc68b1c466263b47fdf31e560e139ba"
)
CHAINING_KEY = bytes.fromhex("919219dbb2920afa8db80f9a51787a840bcf111ed8d588caf9ab4be716e42b01")
INITIATOR_SK = bytes.fromhex("969ab31b4d288cedf6218839b27a3e2140827047f2c0f01bf5c04435d43511a9")
INITIATOR_RK = bytes.fromhex("bb9020b8965f4df047e07f955f3c4b88418984aadc5cdb35096b9ea8fa5c3442")

INITIATOR_STATE = CryptoState(rn=0, sn=0, rk=INITIATOR_RK, sk=INITIATOR_SK, r_ck=CHAINING_KEY, s_ck=CHAINING_KEY)
RESPONDER_STATE = CryptoState(rn=0, sn=0, rk=INITIATOR_SK, sk=INITIATOR_RK, r_ck=CHAINING_KEY, s_ck=CHAINING_KEY)


def initiator_after_act_one() -> Initiator:
    initiator = Initiator(INITIATOR_ID, RESPONDER_ID, ephemeral=INITIATOR_EPHEMERAL)
    assert initiator.act_one().hex() == ACT_ONE
    return initiator


def responder_after_act_one(act_one: str) -> tuple[Responder, bytes]:
    responder = Responder(RESPONDER_ID, ephemeral=RESPONDER_EPHEMERAL)
    return responder, ecdh(RESPONDER_SECRET, responder.receive_act_one(bytes.fromhex(act_one)))


def responder_after_act_two() -> Responder:
    responder, shared = responder_after_act_one(ACT_ONE)
    assert responder.act_two(shared).hex() == ACT_TWO
    return responder


def test_keys_of_the_vectors() -> None:
    assert public_key(INITIATOR_SECRET) == INITIATOR_ID
    assert public_key(RESPONDER_SECRET) == RESPONDER_ID


@pytest.mark.bolt("B8-42", "B8-43", "B8-49")
def test_initiator_successful_handshake() -> None:
    initiator = initiator_after_act_one()
    point = initiator.receive_act_two(bytes.fromhex(ACT_TWO))
    act_three, state = initiator.act_three(ecdh(INITIATOR_SECRET, point))
    assert act_three.hex() == ACT_THREE
    assert state == INITIATOR_STATE


@pytest.mark.parametrize(
    ("act_two", "error"),
    [
        pytest.param(ACT_TWO[:-2], "act two: 49 bytes instead of 50", id="short read"),
        pytest.param("01" + ACT_TWO[2:], "act two: bad version 1", id="bad version"),
        pytest.param("0004" + ACT_TWO[4:], "act two: bad key", id="bad key serialization"),
        pytest.param(ACT_TWO[:-2] + "af", "act two: bad MAC", id="bad MAC"),
    ],
)
@pytest.mark.bolt("B8-44", "B8-45", "B8-46", "B8-47")
def test_initiator_act2(act_two: str, error: str) -> None:
    initiator = initiator_after_act_one()
    with pytest.raises(HandshakeError, match=f"^{error}$"):
        initiator.receive_act_two(bytes.fromhex(act_two))
    assert initiator.step is Step.FAILED


@pytest.mark.bolt("B8-42", "B8-43", "B8-49")
def test_responder_successful_handshake() -> None:
    node_id, state = responder_after_act_two().receive_act_three(bytes.fromhex(ACT_THREE))
    assert node_id == INITIATOR_ID
    assert state == RESPONDER_STATE


@pytest.mark.parametrize(
    ("act_one", "error"),
    [
        pytest.param(ACT_ONE[:-2], "act one: 49 bytes instead of 50", id="short read"),
        pytest.param("01" + ACT_ONE[2:], "act one: bad version 1", id="bad version"),
        pytest.param("0004" + ACT_ONE[4:], "act one: bad key", id="bad key serialization"),
        pytest.param(ACT_ONE[:-2] + "6b", "act one: bad MAC", id="bad MAC"),
    ],
)
@pytest.mark.bolt("B8-44", "B8-45", "B8-46", "B8-47")
def test_responder_act1(act_one: str, error: str) -> None:
    with pytest.raises(HandshakeError, match=f"^{error}$"):
        responder, shared = responder_after_act_one(act_one)
        responder.act_two(shared)


BAD_CIPHERTEXT = "00c9" + ACT_THREE[4:]
BAD_RS = (
    "00bfe3a702e93e3a9948c2ed6e5fd7590a6e1c3a0344cfc9d5b57357049aa2235536ad09a8ee351870c2bb7f78b754a26c6c"
    "ef79a98d25139c856d7efd252c2ae73c"
)


@pytest.mark.parametrize(
    ("act_three", "error"),
    [
        pytest.param("01" + ACT_THREE[2:], "act three: bad version 1", id="bad version"),
        pytest.param(ACT_THREE[:-2], "act three: 65 bytes instead of 66", id="short read"),
        pytest.param(BAD_CIPHERTEXT, "act three: bad MAC of the key", id="bad MAC for ciphertext"),
        pytest.param(BAD_RS, "act three: bad key", id="bad rs"),
        pytest.param(ACT_THREE[:-2] + "bb", "act three: bad MAC", id="bad MAC"),
    ],
)
@pytest.mark.bolt("B8-44", "B8-45", "B8-46", "B8-47")
def test_responder_act3(act_three: str, error: str) -> None:
    responder = responder_after_act_two()
    with pytest.raises(HandshakeError, match=f"^{error}$"):
        responder.receive_act_three(bytes.fromhex(act_three))
    assert responder.step is Step.FAILED


MESSAGES = {
    0: "cf2b30ddf0cf3f80e7c35a6e6730b59fe802473180f396d88a8fb0db8cbcf25d2f214cf9ea1d95",
    1: "72887022101f0b6753e0c7de21657d35a4cb2a1f5cde2650528bbc8f837d0f0d7ad833b1a256a1",
    500: "178cb9d7387190fa34db9c2d50027d21793c9bc2d40b1e14dcf30ebeeeb220f48364f7a4c68bf8",
    501: "1b186c57d44eb6de4c057c49940d79bb838a145cb528d6e8fd26dbe50a60ca2c104b56b60e45bd",
    1000: "4a2f3cc3b5e78ddb83dcb426d9863d9d9a723b0337c89dd0b005d89f8d3c05c52b76b29b740f09",
    1001: "2ecd8c8a5629d0d02ab457a0fdd0f7b90a192cd46be5ecb6ca570bfc5e268338b1a16cf4ef2d36",
}


@pytest.mark.bolt("B8-50", "B8-52")
def test_message_encryption() -> None:
    frames = Frames(INITIATOR_STATE)
    sent = [frames.encrypt(b"hello").hex() for _ in range(1002)]
    assert {number: sent[number] for number in MESSAGES} == MESSAGES


@pytest.mark.bolt("B8-50", "B8-52")
def test_message_decryption() -> None:
    sender, receiver = Frames(INITIATOR_STATE), Frames(RESPONDER_STATE)
    for _ in range(1002):
        assert list(receiver.feed(sender.encrypt(b"hello"))) == [b"hello"]
