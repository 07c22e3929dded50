"""Frames: what goes in comes out, in any pieces, over any hand-over, and nothing is decrypted before its turn."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.crypto_state import MAX_MESSAGE, MAX_PACKET, MAX_UNREAD, READ_SIZE, CryptoState, PeerState, Traffic, hkdf_pair
from wire.frames import FrameError, Frames

KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32
CHAIN, OTHER_CHAIN = b"\x03" * 32, b"\x04" * 32
FRAME_OVERHEAD = 34


def pair(nonce: int = 0, other_nonce: int = 0) -> tuple[Frames, Frames]:
    """Two ends of a connection: `nonce` of the direction from the first to the second one, and of the other one."""
    first = CryptoState(other_nonce, nonce, OTHER_KEY, KEY, OTHER_CHAIN, CHAIN)
    second = CryptoState(nonce, other_nonce, KEY, OTHER_KEY, CHAIN, OTHER_CHAIN)
    return Frames(first), Frames(second)


def handed_over(frames: Frames) -> Frames:
    """The same connection in another process."""
    state = frames.export(b"")
    assert state.crypto.rn % 2 == state.crypto.sn % 2 == 0
    return Frames(state.crypto, state.unread)


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """`data` cut into pieces of these sizes, over and over."""
    position = number = 0
    while position < len(data):
        size = sizes[number % len(sizes)]
        yield data[position : position + size]
        position, number = position + size, number + 1


@pytest.mark.bolt("B8-50")
@pytest.mark.parametrize("size", [0, 1, 2, 430, 65519, MAX_MESSAGE])
def test_sizes(size: int) -> None:
    sender, receiver = pair()
    packet = sender.encrypt(bytes(size))
    assert len(packet) == size + FRAME_OVERHEAD
    assert list(receiver.feed(packet)) == [bytes(size)]
    assert receiver.unread_size == 0


@pytest.mark.bolt("B8-51")
def test_largest_message_is_the_largest_packet() -> None:
    sender, _ = pair()
    assert len(sender.encrypt(bytes(MAX_MESSAGE))) == MAX_PACKET
    with pytest.raises(ValueError, match="65536 bytes is too long"):
        sender.encrypt(bytes(MAX_MESSAGE + 1))
    assert sender.export(b"").crypto.sn == 2


def test_batch_is_the_same_as_single_messages() -> None:
    single, batching = pair()[0], pair()[0]
    batch = bytearray()
    messages: list[bytes | bytearray | memoryview] = [b"hello", bytearray(b"you"), memoryview(b"there")]
    for message in messages:
        batching.encrypt_into(batch, message)
    assert batch == b"".join(single.encrypt(message) for message in messages)


@pytest.mark.bolt("B8-50", "B8-52")
@pytest.mark.parametrize("start", [0, 2, 994, 996, 998, 1000])
def test_many_at_once_are_the_same_as_single_messages(start: int) -> None:
    single, batching = pair(nonce=start)[0], pair(nonce=start)[0]
    batch = bytearray(b"before")
    for messages in ([b"hello", b"", b"you"], [], [b"there"]):
        batching.encrypt_all_into(batch, messages)
    assert batch == b"before" + b"".join(map(single.encrypt, [b"hello", b"", b"you", b"there"]))
    assert batching.export(b"") == single.export(b"")


def test_a_message_that_is_too_long_takes_no_nonce_back() -> None:
    sender, receiver = pair()
    batch = bytearray()
    with pytest.raises(ValueError, match="65536 bytes is too long"):
        sender.encrypt_all_into(batch, [b"hello", bytes(MAX_MESSAGE + 1)])
    sender.encrypt_all_into(batch, [b"you"])
    assert list(receiver.feed(bytes(batch))) == [b"hello", b"you"]


@given(
    messages=st.lists(st.binary(max_size=100), min_size=1, max_size=12),
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=8),
    start=st.sampled_from([0, 2, 980, 990, 996, 998, 1000]),
    hand_over_receiver=st.sets(st.integers(0, 40)),
    hand_over_sender=st.sets(st.integers(0, 12)),
    stop_early=st.booleans(),
)
@pytest.mark.bolt("B8-50", "B8-52", "B8-54")
def test_messages_in_are_messages_out(
    messages: list[bytes],
    sizes: list[int],
    start: int,
    hand_over_receiver: set[int],
    hand_over_sender: set[int],
    stop_early: bool,
) -> None:
    sender, receiver = pair(nonce=start)
    stream = b""
    for number, message in enumerate(messages):
        if number in hand_over_sender:
            sender = handed_over(sender)
        stream += sender.encrypt(message)
    got = []
    for number, piece in enumerate(pieces(stream, sizes)):
        for message in receiver.feed(piece):
            got.append(message)
            if stop_early:
                break
        if number in hand_over_receiver:
            receiver = handed_over(receiver)
    got += receiver.feed(b"")
    assert got == messages
    assert receiver.unread_size == 0


@pytest.mark.bolt("B8-52", "B8-54")
@pytest.mark.parametrize("nonce", [996, 998, 1000])
@pytest.mark.parametrize("cut", [0, 1, 17, 18, 19, 36, 38, 39], ids="cut{}".format)
@pytest.mark.parametrize("outgoing", [True, False])
def test_hand_over_around_the_rotation(nonce: int, cut: int, outgoing: bool) -> None:
    """Of five messages, one ends at nonce 1000; the hand-over is in the middle of each of them in turn."""
    expected = [b"hello" for _ in range(5)]
    for number in range(5):
        first, second = pair(nonce if outgoing else 0, 0 if outgoing else nonce)
        sender, receiver = (first, second) if outgoing else (second, first)
        packets = [sender.encrypt(message) for message in expected]
        before = b"".join(packets[:number]) + packets[number][:cut]
        got = list(receiver.feed(before))
        state = receiver.export(b"")
        assert state.crypto.rn % 2 == 0
        assert state.unread == (packets[number][:cut] if cut < len(packets[number]) else b"")
        receiver = Frames(state.crypto)
        got += receiver.feed(state.unread + packets[number][cut:] + b"".join(packets[number + 1 :]))
        assert got == expected


@pytest.mark.bolt("B8-52")
def test_each_direction_rotates_for_itself() -> None:
    first, second = pair(nonce=998, other_nonce=500)
    for _ in range(2):
        assert list(second.feed(first.encrypt(b"there"))) == [b"there"]
    assert list(first.feed(second.encrypt(b"back"))) == [b"back"]
    state = first.export(b"").crypto
    assert (state.s_ck, state.sk) == hkdf_pair(CHAIN, KEY)
    assert (state.r_ck, state.rk) == (OTHER_CHAIN, OTHER_KEY)
    assert (state.sn, state.rn) == (2, 502)


@pytest.mark.bolt("B8-54")
@pytest.mark.parametrize("nonce", [-2, 1, 999, 1002])
def test_a_state_between_boundaries_is_refused(nonce: int) -> None:
    for state in (CryptoState(nonce, 0, KEY, KEY, CHAIN, CHAIN), CryptoState(0, nonce, KEY, KEY, CHAIN, CHAIN)):
        with pytest.raises(ValueError, match="no message boundary"):
            Frames(state)


@pytest.mark.bolt("B8-54")
def test_nothing_after_the_yielded_message_is_decrypted() -> None:
    sender, receiver = pair(nonce=996)
    packets = [sender.encrypt(b"message %d" % number) for number in range(4)]
    expected = [(996 + 2, CHAIN), (996 + 4, CHAIN), (2, hkdf_pair(CHAIN, KEY)[0]), (4, hkdf_pair(CHAIN, KEY)[0])]
    for number, _ in enumerate(receiver.feed(b"".join(packets))):
        state = receiver.export(b"what the socket left")
        assert (state.crypto.rn, state.crypto.r_ck) == expected[number]
        assert state.unread == b"".join(packets[number + 1 :])
        assert receiver.unread_size == len(state.unread)
        assert state.unsent == b"what the socket left"


def test_bytes_are_taken_before_the_first_message_is_asked_for() -> None:
    sender, receiver = pair()
    packet = sender.encrypt(b"hello")
    receiver.feed(packet)
    assert receiver.unread_size == len(packet)
    assert list(receiver.feed(b"")) == [b"hello"]


def test_a_consumer_may_feed_and_sleep_between_messages() -> None:
    sender, receiver = pair(nonce=998)
    first, second, third = (sender.encrypt(text) for text in (b"first", b"second", b"third"))
    messages = receiver.feed(first + second[:20])
    got = [next(messages)]
    receiver.sleep()
    inner = receiver.feed(second[20:] + third)
    got += [next(messages), next(inner)]
    assert got == [b"first", b"second", b"third"]
    assert list(messages) == list(inner) == []


def test_sleep_in_the_middle_of_a_message_and_between_sends() -> None:
    sender, receiver = pair()
    packet = sender.encrypt(b"first")
    sender.sleep()
    packets = packet + sender.encrypt(b"second")
    got: list[bytes] = []
    for piece in pieces(packets, [7]):
        got += receiver.feed(piece)
        receiver.sleep()
    assert got == [b"first", b"second"]


@given(st.integers(0, 2 * (5 + FRAME_OVERHEAD) * 8 - 1), st.integers(1, 80))
@pytest.mark.bolt("B8-46")
def test_each_flipped_bit_is_noticed(bit: int, size: int) -> None:
    sender, receiver = pair()
    stream = sender.encrypt(b"hello") + sender.encrypt(b"there")
    changed = (int.from_bytes(stream) ^ 1 << (len(stream) * 8 - 1 - bit)).to_bytes(len(stream))
    got: list[bytes] = []
    with pytest.raises(FrameError, match="bad MAC"):
        for piece in pieces(changed, [size]):
            got.extend(receiver.feed(piece))
    assert got == [b"hello"][: bit // 8 // (5 + FRAME_OVERHEAD)]
    with pytest.raises(FrameError, match="bad MAC"):
        list(receiver.feed(b""))


@pytest.mark.bolt("B8-54")
def test_unread_has_a_bound() -> None:
    sender, receiver = pair()
    stream = sender.encrypt(bytes(MAX_MESSAGE)) * 3
    assert list(receiver.feed(stream[: MAX_PACKET - 1])) == []
    receiver.feed(stream[:READ_SIZE])
    assert receiver.unread_size <= MAX_UNREAD == MAX_PACKET + READ_SIZE
    with pytest.raises(ValueError, match="left unread"):
        receiver.feed(stream[:READ_SIZE])


def test_a_rest_does_not_hold_the_whole_read() -> None:
    sender, receiver = pair()
    read = sender.encrypt(bytes(1000)) + sender.encrypt(bytes(1000))[:10]
    assert len(list(receiver.feed(read))) == 1
    assert len(receiver._buffer) == 10


def test_secrets_do_not_print() -> None:
    sender, receiver = pair()
    receiver.feed(sender.encrypt(b"hello")[:30])
    state = receiver.export(b"unsent")
    assert repr(state) == "PeerState(crypto=CryptoState(rn=0, sn=0))"
    assert isinstance(state, PeerState)
    assert repr(receiver).startswith("<wire.frames.Frames object")


def test_traffic_is_counted_across_rotations_and_owners() -> None:
    sender, receiver = pair()
    size = 0
    for number in range(1_201):
        frame = sender.encrypt(bytes(number % 7))
        size += len(frame)
        assert len(list(receiver.feed(frame))) == 1
        if number % 250 == 0:
            states = sender.export(b""), receiver.export(b"")
            sender, receiver = (Frames(state.crypto, state.unread, state.traffic) for state in states)
    assert sender.traffic == Traffic(0, size, 0, 1_201)
    assert receiver.traffic == Traffic(size, 0, 1_201, 0)


@pytest.mark.parametrize("nonce", [0, 10, 998, 1000])
def test_put_back(nonce: int) -> None:
    """The message that was decrypted last is unread again, here and elsewhere, also at a rotation of the key."""
    ours, theirs = pair(nonce)
    data = b"".join(ours.encrypt(message) for message in (b"one", b"two", b"three"))
    messages = theirs.feed(data)
    next(messages)
    theirs.put_back(next(messages))
    assert theirs.traffic.messages_in == 1
    assert list(handed_over(theirs).feed(b"")) == [b"two", b"three"]
    assert list(theirs.feed(b"")) == [b"two", b"three"]
