"""The shape of a component's folder: a thin contract, a plain step, and a page about both."""

import ast
from pathlib import Path

import pytest

FOLDERS = sorted(path.parent for path in (Path(__file__).parents[2] / "components").glob("*/component.py"))
assert {"ingest", "validate", "train", "register", "publish"} <= {folder.name for folder in FOLDERS}

each_component = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def imports(nodes: list[ast.stmt] | ast.Module) -> set[str]:
    """Name the modules that are imported by these statements, or anywhere in a module."""
    found = set()
    for node in ast.walk(nodes) if isinstance(nodes, ast.Module) else nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@each_component
def test_a_contract_imports_kfp_and_how_it_is_declared_alone(folder: Path) -> None:
    assert imports(parse(folder / "component.py").body) | {"kfp"} == {"kfp", "components.declaring"}


@each_component
def test_steps_know_neither_kfp_nor_the_environment_nor_each_other(folder: Path) -> None:
    others = {f"components.{other.name}" for other in FOLDERS if other != folder}
    for path in folder.rglob("*.py"):
        if path.name == "component.py":
            continue
        modules = imports(parse(path))
        assert not {name for name in modules if name.split(".")[0] in {"kfp", "pipelines", "serving"}}, path
        assert not {name for name in modules if ".".join(name.split(".")[:2]) in others}, path
    assert "environ" not in (folder / "step.py").read_text()


@each_component
def test_its_page_names_its_files(folder: Path) -> None:
    page = (folder / "README.md").read_text()
    assert page.startswith(f"# {folder.name}\n")
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.py") if path.name != "__init__.py"}
    assert named == files
