"""compiled/: the pipelines as Kubeflow takes them, made from the definitions alone."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foreact.kubeflow.package import FOLDER
from pipelines.graph import DESCRIPTIONS, build_pipeline

__all__ = ["FOLDER", "compile_all", "find_stale"]


def compile_all(folder: Path, place: Mapping[str, Any] | None = None) -> list[Path]:
    """Write every pipeline's YAML into the folder; a place's values stand for the parameters' own defaults."""
    from kfp import compiler

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in DESCRIPTIONS:
        path = folder / f"{name}.yaml"
        # A planner waits for one store, and pods take longer to start than its steps to run.
        pipeline = build_pipeline(name, in_one_pod=name == "retrain-store", place=place)
        compiler.Compiler().compile(pipeline, str(path))
        written.append(path)
    return written


def find_stale(folder: Path) -> list[str]:
    """Return the names of the files in the folder that differ from the definitions."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = compile_all(Path(scratch))
        return [
            p.name for p in fresh if not (folder / p.name).is_file() or (folder / p.name).read_bytes() != p.read_bytes()
        ]
