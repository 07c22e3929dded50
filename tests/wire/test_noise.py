"""The handshake's two sides against each other, and their state tables. The spec's vectors are in tests/bolts."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.noise import ACT_ONE_SIZE, ACT_THREE_SIZE, ACT_TWO_SIZE, HandshakeError, Initiator, Responder, Step
from wire.secp256k1 import ecdh, public_key

ALICE, ALICE_EPHEMERAL = b"\x01" * 32, b"\x02" * 32
BOB, BOB_EPHEMERAL = b"\x03" * 32, b"\x04" * 32
ALICE_ID, BOB_ID = public_key(ALICE), public_key(BOB)
SHARED = b"\x05" * 32


def initiator(their_id: bytes = BOB_ID) -> Initiator:
    return Initiator(ALICE_ID, their_id, ephemeral=ALICE_EPHEMERAL)


def responder() -> Responder:
    return Responder(BOB_ID, ephemeral=BOB_EPHEMERAL)


@pytest.mark.bolt("B8-44", "B8-49")
def test_both_sides_agree() -> None:
    alice, bob = initiator(), responder()
    act_one = alice.act_one()
    act_two = bob.act_two(ecdh(BOB, bob.receive_act_one(act_one)))
    act_three, hers = alice.act_three(ecdh(ALICE, alice.receive_act_two(act_two)))
    node_id, his = bob.receive_act_three(act_three)
    assert (len(act_one), len(act_two), len(act_three)) == (ACT_ONE_SIZE, ACT_TWO_SIZE, ACT_THREE_SIZE)
    assert node_id == ALICE_ID
    assert (hers.rk, hers.sk, hers.r_ck, hers.s_ck) == (his.sk, his.rk, his.s_ck, his.r_ck)
    assert (hers.rn, hers.sn, his.rn, his.sn) == (0, 0, 0, 0)
    assert alice.step is bob.step is Step.DONE


@pytest.mark.bolt("B8-46")
def test_a_responder_that_is_somebody_else_cannot_read_act_one() -> None:
    alice, bob = initiator(their_id=ALICE_ID), responder()
    shared = ecdh(BOB, bob.receive_act_one(alice.act_one()))
    with pytest.raises(HandshakeError, match=r"^act one: bad MAC$"):
        bob.act_two(shared)


@pytest.mark.bolt("B8-46")
def test_an_initiator_without_the_key_that_it_names_is_found_out() -> None:
    alice, bob = initiator(), responder()
    act_two = bob.act_two(ecdh(BOB, bob.receive_act_one(alice.act_one())))
    act_three, _ = alice.act_three(ecdh(BOB, alice.receive_act_two(act_two)))
    with pytest.raises(HandshakeError, match=r"^act three: bad MAC$"):
        bob.receive_act_three(act_three)


@given(st.binary(min_size=ACT_ONE_SIZE - 1, max_size=ACT_ONE_SIZE + 1))
def test_any_bytes_as_act_one_are_an_error_or_a_point(act: bytes) -> None:
    bob = responder()
    with pytest.raises(HandshakeError):
        bob.act_two(ecdh(BOB, bob.receive_act_one(act)))


@given(st.integers(0, ACT_THREE_SIZE * 8 - 1))
def test_each_flipped_bit_of_act_three_is_noticed(bit: int) -> None:
    alice, bob = initiator(), responder()
    act_two = bob.act_two(ecdh(BOB, bob.receive_act_one(alice.act_one())))
    act_three, _ = alice.act_three(ecdh(ALICE, alice.receive_act_two(act_two)))
    changed = (int.from_bytes(act_three) ^ 1 << bit).to_bytes(ACT_THREE_SIZE)
    with pytest.raises(HandshakeError):
        bob.receive_act_three(changed)


ACTIONS: dict[str, Callable[[Initiator | Responder], object]] = {
    "act_one": lambda side: side.act_one(),  # type: ignore[union-attr]
    "receive_act_one": lambda side: side.receive_act_one(initiator().act_one()),  # type: ignore[union-attr]
    "act_two": lambda side: side.act_two(SHARED),  # type: ignore[union-attr]
    "receive_act_two": lambda side: side.receive_act_two(bytes(ACT_TWO_SIZE)),  # type: ignore[union-attr]
    "act_three": lambda side: side.act_three(SHARED),  # type: ignore[union-attr]
    "receive_act_three": lambda side: side.receive_act_three(bytes(ACT_THREE_SIZE)),  # type: ignore[union-attr]
}


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("make", [initiator, responder])
def test_steps_out_of_order_are_our_own_bug(make: Callable[[], Initiator | Responder], step: Step) -> None:
    own = {action for _, action in make().next_step}
    for action in own - {action for at, action in make().next_step if at is step}:
        side = make()
        side.step = step
        with pytest.raises(RuntimeError, match=f"{action} in state {step.name}"):
            ACTIONS[action](side)
        assert side.step is step


def test_nothing_goes_on_after_a_failure() -> None:
    bob = responder()
    with pytest.raises(HandshakeError):
        bob.receive_act_one(bytes(ACT_ONE_SIZE))
    with pytest.raises(RuntimeError):
        bob.receive_act_one(initiator().act_one())


def test_tables_lead_from_ready_to_done() -> None:
    for table in (Initiator.next_step, Responder.next_step):
        assert {at for at, _ in table} | {Step.DONE} == set(table.values()) | {Step.READY}


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="no point"):
        initiator(their_id=bytes(33))
    with pytest.raises(ValueError, match="no secret"):
        Responder(BOB_ID, ephemeral=bytes(32))


def test_secrets_do_not_print() -> None:
    assert ALICE_EPHEMERAL.hex() not in repr(initiator())
