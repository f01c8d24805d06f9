"""Files of a run: the packed model of a version, refused unless it is what was registered."""

import tempfile
from pathlib import Path
from typing import Any

from foreact.packing import compute_checksum
from foreact.registry.client import download_file, is_missing
from foreact.registry.records import PACKED, Champion, UnusableModel


def fetch_model(store: str, champion: Champion, files: Any) -> bytes:
    """Return a version's packed model if it is there, the store's own, and what was registered."""
    version = f"{champion.name} version {champion.version}"
    if champion.store != store:
        raise UnusableModel(f"{version} is refused: it belongs to another store.")
    lost = UnusableModel(f"{version} is lost: its file is no longer in the registry.")
    if files is None:
        raise lost
    with tempfile.TemporaryDirectory() as scratch:
        fetched = Path(scratch, PACKED)
        try:
            download_file(files, champion.file, fetched)
        except Exception as error:
            if is_missing(error):
                raise lost from None
            raise
        data = fetched.read_bytes()
    if compute_checksum(data) != champion.sha256:
        raise UnusableModel(
            f"{version} is refused because it has been tampered with: its bytes are not those registered."
        )
    return data
