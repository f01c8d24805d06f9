"""The publication in memory: compact arrays, replaced as a whole."""

from serving.publication.arrays import StoreData
from serving.publication.cache import PublicationCache
from serving.publication.snapshot import Snapshot
from serving.publication.tables import BadObject

__all__ = ["BadObject", "PublicationCache", "Snapshot", "StoreData"]
