"""Compiled pipelines, read for a cluster that is to run them."""

from pathlib import Path

from foreact.errors import ForeactError
from foreact.kubeflow.package import Package

# What overlays hold before anything is deployed, as in kustomize/set_images.py.
PLACEHOLDER = b"@sha256:" + b"0" * 64


def load_package(path: Path) -> Package:
    """Read a compiled pipeline, and refuse one whose tasks would run an image that does not exist."""
    package = Package.load(path)
    if PLACEHOLDER in package.content:
        raise ForeactError(
            f"The tasks of {path} name an image that nobody has built ({PLACEHOLDER.decode()}): "
            "deploy first, then write what runs there by `make packages OVERLAY=PLACE`."
        )
    return package
