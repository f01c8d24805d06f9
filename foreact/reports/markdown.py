"""Text for pages in Markdown."""

from collections.abc import Iterable


def format_row(cells: Iterable[str]) -> str:
    """Return a row of a table, its cells escaped."""
    return "| " + " | ".join(escape_cell(cell) for cell in cells) + " |"


def escape_cell(text: str) -> str:
    """Escape a text for a table cell: nothing in it is markup, and it stays on one line."""
    for character in "&\\|`*_<>[]":
        text = text.replace(character, f"&#{ord(character)};")
    return " ".join(text.split())
