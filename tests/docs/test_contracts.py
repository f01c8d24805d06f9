"""The contracts of import-linter that list modules list all of them."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def find_contract(name: str) -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    (contract,) = [contract for contract in contracts if contract["name"] == name]
    return contract


def test_forecasting_may_import_errors_and_spacing_alone() -> None:
    library = {path.stem for path in (ROOT / "foreact").iterdir() if path.suffix == ".py" or path.is_dir()}
    others = library - {"__init__", "__main__", "__pycache__", "errors", "forecasting", "spacing"}
    forbidden = find_contract("Forecasting needs errors and spacing alone of the library")["forbidden_modules"]
    assert set(forbidden) == {f"foreact.{name}" for name in others}


def test_every_step_is_independent() -> None:
    steps = {f"components.{path.parent.name}" for path in (ROOT / "components").glob("*/component.py")}
    assert set(find_contract("Steps know no other step")["modules"]) == steps
