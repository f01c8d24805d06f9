"""Publications in both kinds of store."""

from tests.foreact.blobs.conftest import make_store, store

__all__ = ["make_store", "store"]
