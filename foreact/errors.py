"""What can go wrong in a way that a user can mend."""


class ForeactError(Exception):
    """A problem in one sentence: what is wrong, where, and what to do about it."""


def count_noun(number: int, noun: str) -> str:
    """Return how many there are of something: 1 store, 1,115 stores."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def name_examples(values: list[str], limit: int = 5) -> str:
    """Name the first few of many values, and how many there are in all."""
    shown = ", ".join(repr(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit:,} more"
