"""The order that a dataset's rows have, as one number a row."""

# The row's series (or item) in the upper bits, its day in the lower ones; above both, where it counts, its slice.
DAY_BITS, SERIES_BITS = 16, 31
# No file's column has this name.
KEY = "foreact sort key"


def sort_key(place: str, day: str) -> str:
    """Return SQL for a row's place in the order of a dataset."""
    return f"{place}::BIGINT * {1 << DAY_BITS} + {day}"


def slice_key(slice_place: str, key: str) -> str:
    """Return SQL for a row's place in the order of a dataset that is cut into slices, from the one within its slice."""
    return f"{slice_place}::BIGINT * {1 << SERIES_BITS + DAY_BITS} + {key}"
