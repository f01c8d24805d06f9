"""Text for pages in Markdown."""


def escape_cell(text: str) -> str:
    """Escape a text for a table cell: nothing in it is markup, and it stays on one line."""
    for character in "&\\|`*_<>[]":
        text = text.replace(character, f"&#{ord(character)};")
    return " ".join(text.split())
