"""The packed workspace of the release before, and how a test gets it back."""

import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

WRITTEN = Path(__file__).parent / "written.tar.xz"
# Stands in texts for the folder that the workspace lay in.
PLACE = b"@PLACE@"
TEXTS = {".json", ".jsonl", ".sql"}


def is_text(path: Path) -> bool:
    """Return whether a file may name the folder that it lies in: publications name none, and are checksummed."""
    return path.suffix in TEXTS and "blobs" not in path.parts


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Write what an archive holds into a folder, and nothing outside; Python before 3.11.4 cannot look."""
    archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
    archive.extractall(folder)


def unpack_written(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Unpack the tables and the workspace; return the workspace, and what the release before answered from it."""
    with tarfile.open(WRITTEN) as archive:
        extract(archive, folder)
    workspace = folder / "workspace"
    for path in workspace.rglob("*"):
        if path.is_file() and is_text(path):
            path.write_bytes(path.read_bytes().replace(PLACE, str(folder).encode()))
    script = workspace / "mlflow.sql"
    with sqlite3.connect(workspace / "mlflow.db") as database:
        database.executescript(script.read_text())
    script.unlink()
    return workspace, json.loads((workspace / "answers.json").read_text())
