"""A registry in a workspace, and one on a server with PostgreSQL."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from foreact.packing import pack_model
from foreact.registry import Candidate, Registry
from foreact.registry.records import PACKED
from foreact.settings import PipelineSettings


@pytest.fixture(params=["workspace", pytest.param("server", marks=[pytest.mark.postgres, pytest.mark.azurite])])
def connect(request) -> Callable[[], Registry]:
    """Return a function that opens one registry anew, as another process would."""
    if request.param == "workspace":
        settings = PipelineSettings(workspace=request.getfixturevalue("workspace"))
    else:
        settings = PipelineSettings(mlflow_uri=request.getfixturevalue("mlflow_server"))
    return lambda: Registry.connect(settings)


@pytest.fixture
def prefix() -> str:
    """Return ids that no other test has, for all tests share the server."""
    return uuid4().hex[:8]


def candidate(store: str, *, value: float = 1.0, promoted: bool = True, as_of: str = "2024-03-31") -> Candidate:
    """Make a small model and give it as a candidate."""

    def save(place: Path) -> None:
        (place / "items").mkdir()
        (place / "model.json").write_text(json.dumps({"store": store, "value": value}))
        (place / "items" / "arrays.npz").write_bytes(b"\x00" * 1000)

    files = {PACKED: pack_model(save)}
    tags = {"foreact.wape": "0.2000", "foreact.data_hash": "h"}
    return Candidate(store, lambda: files, promoted, as_of, tags, description="Promoted." if promoted else "Kept.")
