"""A dataclass whose methods are written when they are first used.

`dataclasses.dataclass` writes and compiles source for each method of each class, a third of a millisecond for a class
with slots that is frozen. A process of ours imports some three hundred such classes and uses a few dozen: that was two
fifths of the CPU time of its start. Here only the fields are found at once; `__init__` and the others are taken from
`dataclasses.make_dataclass` at their first call, and are from then on what they would have been.

For the type checker this is `dataclasses.dataclass` itself.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, repr=True, eq=True, frozen=False, kw_only=False, slots=False):
        """As that of the standard library, with as much of it as is needed here: no `InitVar`, no order."""
        methods = {"repr": repr, "eq": eq, "frozen": frozen}

        def declare(cls):
            return _declare(cls, methods, kw_only=kw_only, slots=slots)

        return declare if cls is None else declare(cls)


def _declare(cls: type[Any], wanted: dict[str, bool], *, kw_only: bool, slots: bool) -> type[Any]:
    """The class with its fields, and in the place of each method what writes it."""
    bare, cls.__doc__ = cls.__doc__ is None, cls.__doc__ or cls.__name__  # else one is made of the signature
    declared = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only, slots=slots)(cls)
    if bare:
        declared.__doc__ = None
    own = declared.__dict__
    names = ["__init__"]
    names += ["__repr__"] if wanted["repr"] else []
    names += ["__eq__"] if wanted["eq"] else []
    names += ["__hash__"] if wanted["eq"] and wanted["frozen"] else []
    names = [name for name in names if own.get(name) is None]
    if wanted["eq"] and not wanted["frozen"] and "__hash__" not in own:
        declared.__hash__ = None  # type: ignore[assignment]  # what may change is no key
    for name in names:
        setattr(declared, name, _first(declared, name, names, wanted))
    if wanted["frozen"]:
        declared.__setattr__ = _refuse
        declared.__delattr__ = _refuse  # type: ignore[assignment]
    return declared


def _refuse(self: object, name: str, value: object = None) -> None:
    """In the place of `__setattr__` and `__delattr__`."""
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _first(cls: type[Any], name: str, names: list[str], wanted: dict[str, bool]) -> Callable[..., Any]:
    """What stands for the method until it is called."""

    def first(self: object, *args: Any, **keywords: Any) -> Any:
        _write(cls, names, wanted)
        return getattr(cls, name)(self, *args, **keywords)

    return first


def _write(cls: type[Any], names: list[str], wanted: dict[str, bool]) -> None:
    """Put the methods in their places. Twice at a time does no harm: both write the same."""
    fields = [(field.name, field.type, field) for field in dataclasses.fields(cls)]
    after = {"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {}
    model = dataclasses.make_dataclass(cls.__name__, fields, namespace=after, **wanted)  # type: ignore[arg-type]
    for name in names:
        setattr(cls, name, getattr(model, name))
