"""Names for objects and registered models, made from store ids that may be any text.

Letters, digits, "_" and "-" stand for themselves; every other byte becomes "~" and two hexadecimal digits. No id can
therefore leave its folder, meet another id's name, or hold a character that a store or a registry refuses. An id
whose name would be too long for a file system is cut and closed with its SHA-256 after "~~"; such a name is still
its own, but the id has to be looked up (in the manifest, or in the model's tags).
"""

import hashlib
import re

LONGEST = 180
_ESCAPED = re.compile(rb"[^A-Za-z0-9_-]")


def encode_store(store: str) -> str:
    """Name a store id."""
    escaped = _ESCAPED.sub(lambda match: b"~%02X" % match[0][0], store.encode("utf-8", "surrogatepass")).decode()
    if 0 < len(escaped) <= LONGEST:
        return escaped
    digest = hashlib.sha256(store.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{escaped[: LONGEST - len(digest) - 2]}~~{digest}"


def decode_store(name: str) -> str:
    """Return the id that `encode` named; a ValueError for a name it did not make or could not keep whole."""
    if "~~" in name:
        raise ValueError(f"the id behind {name!r} is too long to be read from its name")
    data = re.sub(rb"~([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), name.encode("ascii"))
    store = data.decode("utf-8", "surrogatepass")
    if encode_store(store) != name:
        raise ValueError(f"{name!r} is not the name of a store")
    return store
