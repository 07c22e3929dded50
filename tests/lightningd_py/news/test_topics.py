"""Who hears of what."""

from typing import Any

import pytest

from lightningd_py.news.topics import CONNECT, DISCONNECT, GOSSIP_TOPICS, TOPICS, Topics, named


class Client:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def hear(self, topic: str, event: dict[str, Any]) -> None:
        self.heard.append((topic, event))


def test_names() -> None:
    assert named([CONNECT, "map."]) == {CONNECT, *(topic for topic in TOPICS if topic.startswith("map."))}
    assert named(["gossip.", "map.", "sent."]) == set(GOSSIP_TOPICS)
    assert named([]) == set()


@pytest.mark.parametrize("word", ["", ".", "map", "connec", "connect.", "nosuch", "peer.connected"])
def test_no_topic(word: str) -> None:
    with pytest.raises(ValueError, match="is no topic: there are connect, "):
        named([word])


def test_each_hears_what_it_has_taken_and_what_no_one_takes_is_not_made() -> None:
    topics, one, two = Topics(), Client(), Client()
    changes: list[frozenset[str]] = []
    topics.changed.append(lambda: changes.append(topics.taken))
    topics.take(one.hear, frozenset({CONNECT}))
    topics.take(two.hear, frozenset({CONNECT, DISCONNECT}))
    topics.say(CONNECT, lambda: {"n": 1})
    topics.say(DISCONNECT, lambda: {"n": 2})
    topics.say("log", lambda: pytest.fail("it was made"))
    topics.take(two.hear, frozenset())
    topics.say(DISCONNECT, lambda: pytest.fail("it was made"))
    topics.take(one.hear, frozenset())
    assert one.heard == [(CONNECT, {"n": 1})]
    assert two.heard == [(CONNECT, {"n": 1}), (DISCONNECT, {"n": 2})]
    assert changes == [{CONNECT}, {CONNECT, DISCONNECT}, {CONNECT}, set()]
