"""Names for objects and registered models, made from ids of stores, items and runs that may be any text.

Letters, digits, "_" and "-" stand for themselves; every other byte becomes "~" and two hexadecimal digits. No id can
therefore leave its folder, meet another id's name, or hold a character that a store or a registry refuses. An id
whose name would be too long for a file system is cut and closed with its SHA-256 after "~~"; such a name is still
its own, but the id has to be looked up (in the manifest, or in the model's tags).
"""

import hashlib
import re

LONGEST = 180
_ESCAPED = re.compile(rb"[^A-Za-z0-9_-]")


def encode_id(text: str) -> str:
    """Return the name of an id."""
    data = text.encode("utf-8", "surrogatepass")
    escaped = _ESCAPED.sub(lambda match: b"~%02X" % match[0][0], data).decode()
    if 0 < len(escaped) <= LONGEST:
        return escaped
    digest = hashlib.sha256(data).hexdigest()
    return f"{escaped[: LONGEST - len(digest) - 2]}~~{digest}"
