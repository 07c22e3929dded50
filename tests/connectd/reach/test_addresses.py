"""The table of addresses by node."""

import pytest

from connectd.reach import addresses
from connectd.reach.addresses import AddressBook


def test_the_book_is_bounded_and_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MAX_NODES", 2)
    monkeypatch.setattr(addresses, "MAX_HINTS", 2)
    book = AddressBook()
    for number in range(3):
        book.hint(b"a", f"hint {number}")
    book.hint(b"a", "hint 1")
    book.reached(b"a", "last")
    assert book.known(b"a") == ["hint 1", "hint 2", "last"]
    book.hint(b"b", "hint")
    book.hint(b"c", "hint")
    assert book.known(b"a") == ["last"]
    book.reached(b"b", "last")
    book.reached(b"c", "last")
    assert [book.known(node_id) for node_id in (b"a", b"b", b"c")] == [[], ["hint", "last"], ["hint", "last"]]
