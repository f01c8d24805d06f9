"""The drills that are quick enough to be run with every change; the others are run by hand."""

import math
from pathlib import Path

import pytest

from tests.drills import DRILLS
from tests.drills.__main__ import run

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dst", "kubeflow"])
def test_what_the_drill_promises_holds(name: str) -> None:
    outcome = run(name)
    assert outcome.held, str(outcome)


@pytest.mark.slow
def test_publications_swap_under_load() -> None:
    outcome = run("swap", swaps=3, promise=math.inf)
    assert outcome.held, str(outcome)


@pytest.mark.parametrize("name", DRILLS)
def test_every_drill_is_described(name: str) -> None:
    assert f"| `{name}` |" in DOCUMENTED
