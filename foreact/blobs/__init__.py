"""Blob stores: one protocol for a folder on a laptop and for Azure Blob."""

from foreact.blobs.connecting import BlobPlace, connect, open_url
from foreact.blobs.folder import FolderStore
from foreact.blobs.protocol import Blob, BlobConflict, BlobInfo, BlobNotFound, BlobStore, BlobUnavailable

__all__ = [
    "Blob",
    "BlobConflict",
    "BlobInfo",
    "BlobNotFound",
    "BlobPlace",
    "BlobStore",
    "BlobUnavailable",
    "FolderStore",
    "connect",
    "open_url",
]
