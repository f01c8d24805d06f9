"""A small HTML page: headings, tables and charts, with everything that came from data escaped."""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #fff; margin: 2rem auto; max-width: 68rem;
  padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #dde3ea; text-align: right }
.text { text-align: left } td:last-child.text { min-width: 14rem }
figure { margin: 1rem 0 } figcaption { color: #55606d } svg { max-width: 100%; height: auto }
"""


class Page:
    """A page that grows from top to bottom."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts: list[str] = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Say something."""
        self.parts.append(f"<p>{escape(text)}</p>")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show rows; numbers are rounded to what a reader can use."""
        cells = [list(row) for row in rows]
        head = _row("th", header, cells[0] if cells else header)
        body = "".join(_row("td", row, row) for row in cells)
        self.parts.append(f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")

    def chart(self, svg: str, says: str) -> None:
        """Show a chart and what it says, in words."""
        label = escape(says, quote=True)
        self.parts.append(
            f'<figure role="img" aria-label="{label}">{svg}<figcaption>{escape(says)}</figcaption></figure>'
        )

    def render(self) -> str:
        """Give the whole page."""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head><body>{''.join(self.parts)}</body></html>"
        )


def _row(tag: str, cells: Sequence[object], like: Sequence[object]) -> str:
    """Write a row whose cells stand as those of another do: texts to the left, numbers to the right."""
    kinds = [' class="text"' if isinstance(cell, str) else "" for cell in like]
    texts = [f"<{tag}{kind}>{escape(show(cell))}</{tag}>" for cell, kind in zip(cells, kinds, strict=True)]
    return f"<tr>{''.join(texts)}</tr>"


def show(value: object) -> str:
    """Write a cell's value."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
