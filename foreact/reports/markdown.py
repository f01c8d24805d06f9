"""Text for pages that read Markdown."""


def escape_cell(text: str) -> str:
    """Keep any text within its cell: nothing in it is markup, and it stays on one line."""
    for character in "&\\|`*_<>[]":
        text = text.replace(character, f"&#{ord(character)};")
    return " ".join(text.split())
