"""docs/architecture.md names every folder that holds code, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMED = {name for line in PAGE.splitlines() if line.startswith("| `") for name in re.findall(r"`([a-z_/]+)/`", line)}


def test_every_folder_has_its_sentence() -> None:
    packages = ("commands", "pipelines", "components", "serving", "foreact")
    folders = {path.parent.relative_to(ROOT) for top in packages for path in (ROOT / top).rglob("*.py")}
    # A step's folder is described by its own page; folders of folders by what is in them.
    left_out = {
        folder
        for folder in folders
        if (folder.parts[0] == "components" and len(folder.parts) == 2)
        or folder in {Path("foreact"), Path("foreact/data"), Path("foreact/forecasting"), Path("serving")}
    }
    assert sorted(str(folder) for folder in folders - left_out if str(folder) not in NAMED) == []


def test_every_folder_that_is_named_is_there() -> None:
    assert sorted(name for name in NAMED if not (ROOT / name).is_dir()) == []
