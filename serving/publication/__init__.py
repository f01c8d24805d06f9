"""The publication in memory: totals of all stores, items of those that there is room for, replaced as a whole."""

from serving.publication.arrays import StoreData
from serving.publication.cache import PublicationCache
from serving.publication.shelf import DamagedStore
from serving.publication.snapshot import Snapshot

__all__ = ["DamagedStore", "PublicationCache", "Snapshot", "StoreData"]
