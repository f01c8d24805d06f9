"""The dataset that a workspace's last run of the whole chain read."""

from pathlib import Path

from foreact.blobs import BlobPlace
from foreact.data.dataset.kept import MANIFEST, KeptDatasets
from foreact.data.dataset.stored import Dataset


def open_last_dataset(workspace: Path) -> Dataset:
    """Open it as ingest stored it."""
    place = BlobPlace(workspace.absolute())
    kept = KeptDatasets.model_validate_json(place.connect().read(MANIFEST).data).datasets
    return Dataset.open([each.record for each in kept if not each.store][-1], place)
