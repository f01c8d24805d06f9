"""The publication in memory: compact arrays, swapped whole."""

from serving.publication.arrays import StoreArrays
from serving.publication.cache import Library
from serving.publication.snapshot import Snapshot
from serving.publication.tables import BadObject

__all__ = ["BadObject", "Library", "Snapshot", "StoreArrays"]
