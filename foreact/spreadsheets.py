"""CSV that people open in a spreadsheet: no text of it runs as a formula.

A text gets an apostrophe in front if its first character, after blanks and characters that do not show, is one that
begins a formula in any width (= + - @), or if it begins with a tab or a line break. Numbers stay numbers, negative
ones too, and so does a text that is one. What begins with an apostrophe before such a text gets one more, so a program
that reads CSV takes one away and has the text as it was; JSON and Parquet never have any.
"""

import re
import unicodedata

STARTS = frozenset("=+-@\N{MINUS SIGN}")
BREAKS = ("\t", "\r", "\n")
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)*|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)


def guard_text(text: str) -> str:
    """Return a text as a cell of CSV that no spreadsheet takes for a formula."""
    if text[:1].isalnum():
        return text
    if NUMBER.fullmatch(text) or not _is_formula(text.lstrip("'")):
        return text
    return f"'{text}"


def _is_formula(text: str) -> bool:
    if text.startswith(BREAKS):
        return True
    shown = next((character for character in text if unicodedata.category(character)[0] not in "ZC"), "")
    return unicodedata.normalize("NFKC", shown) in STARTS
