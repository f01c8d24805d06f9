"""The object names that both implementations accept."""

from foreact.errors import ForeactError

LONGEST_NAME, LONGEST_PART = 1024, 255


def check_name(name: str) -> str:
    """Return the name; raise unless it is plain parts between single slashes, none beginning with a dot."""
    parts = name.split("/")
    plain = all(part and not part.startswith(".") and len(part.encode()) <= LONGEST_PART for part in parts)
    if not plain or len(name) > LONGEST_NAME or "\\" in name or not name.isprintable():
        raise ForeactError(f"{name!r} is not an object name: use plain parts between slashes.")
    return name
