"""The pages of docs/ that name tests which show what they say: each is there. And how docstrings begin."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NO_NOUN = re.compile(r"(It|Nobody|Somebody|Anybody|Whoever)\b")
"""Beginnings of a docstring that do not say what it is about."""


@pytest.mark.parametrize(
    ("page", "at_least"),
    [
        ("connectd.md", 30),
        ("chain.md", 20),
        ("gossipd.md", 9),
        ("reliability.md", 10),
        ("running.md", 0),
        ("observatory.md", 2),
        ("page.md", 12),
        ("exports.md", 1),
        ("rapid-gossip-sync.md", 3),
    ],
)
def test_every_test_that_the_page_names_exists(page: str, at_least: int) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / page).read_text())
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []
    assert len(named) > at_least


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each string that stands by itself: of modules, classes, functions and attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


@pytest.mark.parametrize("folder", ["wire", "connectd", "gossipd", "lightningd_py", "tests", "docs"])
def test_docstrings_begin_with_a_noun_or_a_verb(folder: str) -> None:
    assert [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, text in docstrings(path.read_text())
        if NO_NOUN.match(text)
    ] == []


def test_all_docstrings_are_looked_at() -> None:
    """Those of a module, a class, a method and an attribute."""
    source = '"""1"""\nclass A:\n    """2"""\n    x = 3\n    """It."""\n    def f(self):\n        """4"""\n'
    assert [text for _, text in sorted(docstrings(source))] == ["1", "2", "It.", "4"]
    assert [text for _, text in docstrings(source) if NO_NOUN.match(text)] == ["It."]
