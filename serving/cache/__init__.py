"""The publication in memory: compact arrays, swapped whole."""

from serving.cache.arrays import StoreArrays
from serving.cache.library import Library
from serving.cache.snapshot import Snapshot
from serving.cache.tables import BadObject

__all__ = ["BadObject", "Library", "Snapshot", "StoreArrays"]
