"""A small HTML page: headings, tables and charts, with everything that came from data escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

Kind = Literal["good", "warn", "bad"]
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #fff; margin: 2rem auto; max-width: 68rem;
  padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #dde3ea; text-align: right; vertical-align: top }
.text { text-align: left } .text .text { min-width: 5rem } td:last-child.text { min-width: 14rem }
td:last-child.text, .text .text, p, small { overflow-wrap: anywhere }
p[class] { padding: .7rem 1rem; border-radius: .4rem; font-weight: 600 }
span[class] { padding: 0 .5rem; border-radius: .6rem; font-size: .85rem }
.good { background: #e3f4e8; color: #14532d } .warn { background: #fef3d7; color: #6b4300 }
.bad { background: #fde8e8; color: #7f1d1d }
summary { cursor: pointer } small, figcaption { color: #55606d }
figure { margin: 1rem 0 } svg { max-width: 100%; height: auto }
"""


class Markup(str):
    """What is HTML already; any other text is escaped."""

    __slots__ = ()


class Page:
    """A page that grows from top to bottom."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts: list[str] = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str, kind: Kind | None = None) -> None:
        """Say something; a verdict stands on its colour."""
        self.parts.append(f"<p{f' class={kind}' if kind else ''}>{escape(text)}</p>")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show rows; numbers are rounded to what a reader can use."""
        self.parts.append(render_table(header, rows))

    def chart(self, svg: str, says: str) -> None:
        """Show a chart and what it says, in words."""
        label = escape(says, quote=True)
        self.parts.append(
            f'<figure role="img" aria-label="{label}">{svg}<figcaption>{escape(says)}</figcaption></figure>'
        )

    def render(self) -> str:
        """Return the whole page."""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head><body>{''.join(self.parts)}</body></html>"
        )


def render_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Write rows, below a header if there is one."""
    cells = [list(row) for row in rows]
    head = f"<thead>{_render_row('th', header, cells[0] if cells else header)}</thead>" if header else ""
    return Markup(f"<table>{head}<tbody>{''.join(_render_row('td', row, row) for row in cells)}</tbody></table>")


def _render_row(element: str, cells: Sequence[object], like: Sequence[object]) -> str:
    """Write a row whose cells stand as those of another do: texts to the left, numbers to the right."""
    kinds = [' class="text"' if isinstance(cell, str) else "" for cell in like]
    texts = [f"<{element}{kind}>{_render_value(cell)}</{element}>" for cell, kind in zip(cells, kinds, strict=True)]
    return f"<tr>{''.join(texts)}</tr>"


def _render_value(value: object) -> Markup:
    """Write a cell's value."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        return Markup(f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}")
    return Markup(f"{value:,}" if isinstance(value, int) else escape(str(value)))
