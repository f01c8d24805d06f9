"""Publications: written whole by runs, read by serving."""

from foreact.publications.contract import CURRENT, Kind, Manifest, PublishedModel, PublishedObject, StoreEntry
from foreact.publications.groups import pick_stores
from foreact.publications.objects import confirm_objects, put_object, put_objects
from foreact.publications.publisher import Outcome, Publisher
from foreact.publications.reader import Publication, Reader
from foreact.publications.retention import NothingPublished, list_named_models, prune_archive, prune_objects
from foreact.publications.sealing import BrokenPublication

__all__ = [
    "CURRENT",
    "BrokenPublication",
    "Kind",
    "Manifest",
    "NothingPublished",
    "Outcome",
    "Publication",
    "PublishedModel",
    "PublishedObject",
    "Publisher",
    "Reader",
    "StoreEntry",
    "confirm_objects",
    "list_named_models",
    "pick_stores",
    "prune_archive",
    "prune_objects",
    "put_object",
    "put_objects",
]
