"""A late dataclass is what the standard library makes of the same declaration, before and after its first use."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest

from wire.start import late_dataclass

BOTH = pytest.mark.parametrize("dataclass", [late_dataclass.dataclass, dataclasses.dataclass], ids=["late", "standard"])
Decorator = Callable[..., Callable[[type[Any]], type[Any]]]


def point(dataclass: Decorator, **how: bool) -> type[Any]:
    """A class with a default, a list of its own, and a field that counts for nothing."""

    class Point:
        """A point."""

        x: int
        y: int = 2
        near: list[int] = field(default_factory=list)
        name: str = field(default="", repr=False, compare=False)

    return dataclass(**how)(Point)


@BOTH
@pytest.mark.parametrize("slots", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_values_are_made_compared_and_printed(dataclass: Decorator, slots: bool, frozen: bool) -> None:
    Point = point(dataclass, slots=slots, frozen=frozen)
    one, same, other = Point(1, near=[3], name="a"), Point(x=1, near=[3], name="b"), Point(1, 4)
    assert (one.x, one.y, one.near, one.name) == (1, 2, [3], "a")
    assert one == same and one != other and one != (1, 2, [3], "a")
    assert repr(one).endswith(".Point(x=1, y=2, near=[3])")
    assert Point(1).near is not Point(1).near
    assert dataclasses.replace(one, y=7) == Point(1, 7, [3])
    assert dataclasses.asdict(other) == {"x": 1, "y": 4, "near": [], "name": ""}
    assert not slots or not hasattr(one, "__dict__")
    match one:
        case Point(x, y):
            assert (x, y) == (1, 2)
        case _:
            raise AssertionError


@BOTH
@pytest.mark.parametrize("wrong", [{}, {"x": 1, "z": 2}])
def test_wrong_arguments_are_refused_by_the_first_call_and_by_the_next(
    dataclass: Decorator, wrong: dict[str, int]
) -> None:
    Point = point(dataclass, slots=True)
    for _ in range(2):
        with pytest.raises(TypeError, match="argument"):
            Point(**wrong)


@BOTH
@pytest.mark.parametrize("slots", [False, True])
def test_what_is_frozen_does_not_change_and_is_a_key(dataclass: Decorator, slots: bool) -> None:
    class Declared:
        a: int
        b: bytes = b""

    Key = dataclass(frozen=True, slots=slots)(Declared)
    key = Key(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.a = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del key.a
    assert {Key(1): "found"}[key] == "found" and hash(Key(1)) == hash(Key(1, b""))


@BOTH
def test_what_may_change_is_no_key_unless_it_is_compared_by_identity(dataclass: Decorator) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(point(dataclass, slots=True)(1))
    Thing = point(dataclass, slots=True, eq=False)
    assert hash(Thing(1)) and Thing(1) != Thing(1)


@BOTH
def test_what_a_class_says_itself_stays(dataclass: Decorator) -> None:
    @dataclass(frozen=True, slots=True)
    class Own:
        a: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 5

        def __repr__(self) -> str:
            return "own"

        def __post_init__(self) -> None:
            if self.a < 0:
                raise ValueError("negative")

    assert Own(1) == Own(2) and hash(Own(1)) == 5 and repr(Own(1)) == "own"
    for _ in range(2):
        with pytest.raises(ValueError, match="negative"):
            Own(-1)


@BOTH
@pytest.mark.parametrize("used", [False, True])
def test_fields_of_a_base_come_first_whether_it_was_used_before_or_not(dataclass: Decorator, used: bool) -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Base:
        a: int
        b: int = 0

    if used:
        Base(a=1)

    @dataclass(frozen=True, slots=True)
    class Derived(Base):
        c: int

    class Plain(Derived):
        """No dataclass itself."""

    derived = Derived(3, a=1)
    assert (derived.a, derived.b, derived.c) == (1, 0, 3)
    assert [each.name for each in dataclasses.fields(Derived)] == ["a", "b", "c"]
    assert Plain(3, a=1).c == 3 and Plain(3, a=1) == Plain(3, a=1) and Plain(3, a=1) != derived
    assert Base(a=1) == Base(a=1) != Derived(3, a=1)


def test_a_docstring_is_neither_made_up_nor_lost() -> None:
    @late_dataclass.dataclass(slots=True)
    class Silent:
        a: int

    assert Silent.__doc__ is None
    assert point(late_dataclass.dataclass, slots=True).__doc__ == "A point."


def test_methods_are_written_at_the_first_call_and_then_are_the_standard_ones() -> None:
    Point = point(late_dataclass.dataclass, slots=True)
    before = Point.__init__
    assert "x" not in inspect.signature(before).parameters
    Point(1)
    assert list(inspect.signature(Point.__init__).parameters) == ["self", "x", "y", "near", "name"]
    assert before is not Point.__init__
    before(kept := Point(1), 9)  # who has asked for it before its first use may go on with it
    assert kept.x == 9


STANDARD = re.compile(r"from dataclasses import .*\bdataclass\b|dataclasses\.dataclass\(")


def test_no_other_module_of_ours_takes_the_standard_one() -> None:
    """Its start, and that of each process which imports it, would be slower."""
    itself = Path(late_dataclass.__file__)
    packages = [itself.parents[2] / name for name in ("wire", "connectd", "gossipd", "lightningd_py")]
    sources = [path for package in packages for path in package.rglob("*.py")]
    assert [path for path in sources if STANDARD.search(path.read_text())] == [itself]
