"""What is used of MLflow that MLflow does not promise."""

import inspect
from pathlib import Path

from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from foreact.registry.client import download_file


def test_every_repository_of_mlflow_downloads_one_file_as_we_ask_it_to(tmp_path: Path) -> None:
    assert all("_download_file" in vars(kind) for kind in (HttpArtifactRepository, LocalArtifactRepository))
    assert list(inspect.signature(ArtifactRepository._download_file).parameters) == [
        "self",
        "remote_file_path",
        "local_path",
    ]
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "one.zip").write_bytes(b"model")
    download_file(LocalArtifactRepository(f"file://{tmp_path}/artifacts"), "one.zip", tmp_path / "here.zip")
    assert (tmp_path / "here.zip").read_bytes() == b"model"
