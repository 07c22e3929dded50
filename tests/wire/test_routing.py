"""What happens to a message by its type alone."""

import pytest

from wire.peer_types import is_channel_message, message_name
from wire.routing import Action, Routes, default_action

GOSSIP = {256, 257, 258, 261, 262, 263, 264, 265, 267, 269, 271}
ANSWERED = {1, 16, 17, 18, 19}


@pytest.mark.bolt("B1-5", "B1-6", "B7-56")
def test_defaults_of_all_types() -> None:
    expected = dict.fromkeys(ANSWERED, Action.ANSWER) | dict.fromkeys(GOSSIP, Action.GOSSIP)
    for number in range(1 << 16):
        rest = Action.IGNORE if number % 2 else Action.CLOSE
        action = Action.TAKE if is_channel_message(number) else expected.get(number, rest)
        assert default_action(number) is action, number


@pytest.mark.parametrize(
    ("number", "action"),
    [
        *[(0, Action.CLOSE), (2, Action.TAKE), (7, Action.IGNORE), (32, Action.TAKE), (255, Action.TAKE)],
        *[(259, Action.TAKE), (260, Action.CLOSE), (513, Action.IGNORE), (0xFFFF, Action.IGNORE)],
    ],
)
def test_some(number: int, action: Action) -> None:
    assert Routes().action(number) is action, message_name(number)


def test_replace() -> None:
    """A table stands over the defaults, and the next one replaces it altogether."""
    routes = Routes()
    assert routes.action(513) is Action.IGNORE
    routes.replace([(513, "copy"), (18, "close")])
    assert (routes.action(513), routes.action(18), routes.action(32)) == (Action.COPY, Action.CLOSE, Action.TAKE)
    routes.replace([(32, "ignore")])
    assert (routes.action(513), routes.action(18), routes.action(32)) == (Action.IGNORE, Action.ANSWER, Action.IGNORE)


@pytest.mark.bolt("B1-152")
def test_peer_storage_goes_up_only_where_a_service_wants_it() -> None:
    routes = Routes()
    assert [routes.action(number) for number in (7, 9)] == [Action.IGNORE] * 2
    routes.replace([(7, "copy"), (9, "copy")])
    assert [routes.action(number) for number in (7, 9)] == [Action.COPY] * 2


def test_action_that_is_none() -> None:
    routes = Routes()
    with pytest.raises(ValueError, match="'explode' is not a valid Action"):
        routes.replace([(1, "explode")])
    assert routes.action(1) is Action.ANSWER


def test_custom_messages_are_copied_as_long_as_that_is_wanted() -> None:
    """What is no BOLT's, and may be ignored; not what a service has."""
    routes = Routes()
    routes.replace([(40_001, "take")])
    routes.copy_custom(wanted=True)
    actions = {number: routes.action(number) for number in (33_333, 40_001, 40_002, 7, 19, 256)}
    assert actions == {
        33_333: Action.COPY,
        40_001: Action.TAKE,
        40_002: Action.CLOSE,
        7: Action.IGNORE,
        19: Action.ANSWER,
        256: Action.GOSSIP,
    }
    routes.replace([(40_003, "copy")])
    assert [routes.action(number) for number in (33_333, 40_001, 40_003)] == [Action.COPY] * 3
    routes.copy_custom(wanted=False)
    assert [routes.action(number) for number in (33_333, 40_003)] == [Action.IGNORE, Action.COPY]


def test_news_is_gossipds_unless_a_route_says_otherwise() -> None:
    routes = Routes()
    assert routes.news == {256, 257, 258}
    routes.replace([(258, "copy"), (257, "gossip"), (513, "take")])
    assert routes.news == {256, 257}
    routes.replace([])
    assert routes.news == {256, 257, 258}
