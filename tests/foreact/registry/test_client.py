"""What is used of MLflow that MLflow does not promise."""

import inspect
from pathlib import Path

import pytest
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from foreact.errors import ForeactError
from foreact.registry.client import display_address, download_file, explain_mlflow_errors


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


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("https://ada@mlflow:5000/base", "https://mlflow:5000/base"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        # A mistake is told as it was made.
        ("http://mlflow:5000x", "http://mlflow:5000x"),
        ("mlflow", "mlflow"),
    ],
)
def test_an_address_is_named_without_credentials(uri: str, address: str) -> None:
    assert display_address(uri) == address


def test_a_driver_that_is_not_installed_is_named() -> None:
    said = "^the database wants the Python package 'no_such_driver', which is not here"
    with pytest.raises(ForeactError, match=said), explain_mlflow_errors("the database"):
        __import__("no_such_driver")
