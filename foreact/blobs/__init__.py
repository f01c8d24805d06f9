"""Where bytes are kept: one protocol, a folder on a laptop or Azure Blob."""

from foreact.blobs.connecting import connect, open_url
from foreact.blobs.folder import FolderStore
from foreact.blobs.protocol import Blob, BlobConflict, BlobInfo, BlobNotFound, BlobStore, BlobUnavailable

__all__ = [
    "Blob",
    "BlobConflict",
    "BlobInfo",
    "BlobNotFound",
    "BlobStore",
    "BlobUnavailable",
    "FolderStore",
    "connect",
    "open_url",
]
