"""Docstrings say what a function does in the words of its field; ruff holds the mood (D401)."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def openings() -> Iterator[tuple[str, str]]:
    """Yield the first word of each docstring, and where it stands."""
    for top in ("commands", "components", "docker", "docs", "foreact", "kustomize", "pipelines", "serving", "tests"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, DOCUMENTED) and (docstring := ast.get_docstring(node)):
                    yield docstring.split()[0], f"{path.relative_to(ROOT)}: {node.name}"


def test_no_docstring_opens_with_a_word_that_says_nothing() -> None:
    found = list(openings())
    assert len(found) > 1000
    assert [place for word, place in found if word in {"Give", "Gives", "Tell", "Tells"}] == []
