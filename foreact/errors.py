"""What can go wrong in a way that a user can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class ForeactError(Exception):
    """A problem in one sentence: what is wrong, where, and what to do about it."""


class ServiceUnavailable(ForeactError):
    """The same may well work later: a service did not answer, or refused, or files are being uploaded."""


def count_noun(number: int, noun: str) -> str:
    """Return how many there are of something: 1 store, 1,115 stores."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def name_examples(values: list[str], limit: int = 5) -> str:
    """Name the first few of many values, and how many there are in all."""
    shown = ", ".join(repr(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit:,} more"


def end_sentence(text: str) -> str:
    """Close a sentence that may end in a question."""
    return text if text.endswith("?") else f"{text}."


def suggest_name(name: str, names: Iterable[str]) -> str:
    """Name the one that may be meant, if any is near."""
    by_folded = {candidate.casefold(): candidate for candidate in names}
    near = get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.6)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""
