"""Stores' arrays as the service has them in memory."""

from collections.abc import Callable
from typing import Any

import pytest

from foreact.blobs.folder import FolderStore
from serving.publication import PublicationCache, StoreData
from tests.serving import shop

Load = Callable[..., dict[str, StoreData]]


@pytest.fixture
def load(store: FolderStore) -> Load:
    """Publish stores, and return the arrays of all that are published."""

    def load(stores: list[str], **options: Any) -> dict[str, StoreData]:
        shop.publish(store, stores, **options)
        cache = PublicationCache(store)
        cache.refresh()
        assert cache.current is not None
        return cache.current.stores

    return load
