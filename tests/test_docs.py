"""The generated pages are current, and the `bolt` markers name requirements that exist."""

import ast
import re
from pathlib import Path

import pytest

from docs import bus_pages, generate
from wire.bus.bus_message import BusMessage
from wire.control.control_message import ControlMessage

PAGES = sorted([*generate.ROOT.glob("*.md"), *generate.DOCS.glob("*.md")])


@pytest.mark.parametrize("page", generate.PAGES)
def test_generated_page_is_current(page: str) -> None:
    is_current = (generate.DOCS / page).read_text() == generate.PAGES[page]()
    assert is_current, "stale: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
    assert [link for link in links if link and "://" not in link and not (page.parent / link).exists()] == []


def test_every_marker_names_a_requirement() -> None:
    known = {requirement.id for requirement in generate.requirements()}
    assert [(id_, path, test) for id_, path, test in generate.marked_tests() if id_ not in known] == []


def test_requirements_are_listed_once_with_known_words() -> None:
    listed = generate.requirements()
    assert len({requirement.id for requirement in listed}) == len(listed) == 156
    assert {requirement.level for requirement in listed} <= {"must", "should", "may", "fact", "ours"}
    assert {requirement.owner for requirement in listed} <= {"wire", "connectd", "gossipd", "lightningd_py"}


def test_every_control_message_has_a_docstring() -> None:
    registry = ControlMessage.registry.values()
    assert [cls.name() for cls in registry if not cls.__doc__ or cls.__doc__.startswith(f"{cls.__name__}(")] == []


def test_markers_are_found_on_tests_classes_parameters_and_modules() -> None:
    source = """
pytestmark = [pytest.mark.bolt("B1-1")]
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.bolt("B1-2", "B1-3"))])
async def test_one(x): ...
@pytest.mark.bolt("B1-4")
class TestMany:
    def test_two(self): ...
def helper(): ...
"""
    found = list(generate._marks_in(ast.parse(source).body, "p", [], ""))
    assert [(id_, test) for id_, _, test in found] == [
        ("B1-1", "test_one"),
        ("B1-2", "test_one"),
        ("B1-3", "test_one"),
        ("B1-1", "TestMany::test_two"),
        ("B1-4", "TestMany::test_two"),
    ]


def test_every_bus_message_and_field_is_explained() -> None:
    registry = BusMessage.registry.values()
    assert [cls.name() for cls in registry if not cls.__doc__ or cls.__doc__.startswith(f"{cls.__name__}(")] == []
    assert {name for cls in registry for name, *_, meaning in bus_pages.fields(cls) if not meaning} == set()
    page = generate.PAGES["bus-messages.md"]()
    assert [cls.name() for cls in registry if f"#### {cls.name()}\n" not in page] == []


def test_the_channel_service_in_the_page_is_the_example() -> None:
    source = (generate.ROOT / "lightningd_py" / "examples" / "channel_service.py").read_text()
    code = source[source.index("import sys\n") :]
    assert f"```python\n{code}```" in (generate.DOCS / "bus.md").read_text()
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 60
