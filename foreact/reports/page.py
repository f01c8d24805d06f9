"""A small HTML page: headings, tables and charts, with everything that came from data escaped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from markupsafe import Markup

Kind = Literal["good", "warn", "bad"]
STYLE = Markup("""
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
@media (max-width: 40rem) { body { margin: 1rem auto; padding: 0 .5rem } th, td { padding: .25rem .4rem }
  table { display: block; overflow-x: auto } }
""")


class Page:
    """A page that grows from top to bottom."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts = [Markup("<h1>{}</h1>").format(title)]

    def heading(self, text: str) -> None:
        """Begin a part."""
        self.parts.append(Markup("<h2>{}</h2>").format(text))

    def paragraph(self, text: str, kind: Kind | None = None) -> None:
        """Add a paragraph; a verdict stands on its colour."""
        opening = Markup("<p class={}>").format(kind) if kind else Markup("<p>")
        self.parts.append(opening + text + Markup("</p>"))

    def links(self, targets: Mapping[str, str]) -> None:
        """Add links, each by its text."""
        link = Markup('<a href="{}" target="_blank" rel="noopener">{}</a>')
        links = Markup(" · ").join(link.format(target, text) for text, target in targets.items())
        self.parts.append(Markup("<p>{}</p>").format(links))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Add a table; numbers are rounded to what a reader can use."""
        self.parts.append(render_table(header, rows))

    def chart(self, svg: str, caption: str) -> None:
        """Add a chart, with what it shows in words."""
        figure = Markup('<figure role="img" aria-label="{0}">{1}<figcaption>{0}</figcaption></figure>')
        self.parts.append(figure.format(caption, Markup(svg)))  # noqa: S704 - drawn by our own charts

    def render(self) -> str:
        """Return the whole page."""
        page = Markup(
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            "<title>{}</title><style>{}</style></head><body>{}</body></html>"
        )
        return str(page.format(self.title, STYLE, Markup("").join(self.parts)))


def render_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table, with a header if there is one."""
    cells = [list(row) for row in rows]
    head = Markup("")
    if header:
        head = Markup("<thead>{}</thead>").format(_render_row("th", header, cells[0] if cells else header))
    body = Markup("").join(_render_row("td", row, row) for row in cells)
    return Markup("<table>{}<tbody>{}</tbody></table>").format(head, body)


def _render_row(element: str, cells: Sequence[object], like: Sequence[object]) -> Markup:
    """Return a row whose cells are aligned as those of another: texts to the left, numbers to the right."""
    kinds = [Markup(' class="text"') if isinstance(cell, str) else "" for cell in like]
    cell = Markup("<{0}{1}>{2}</{0}>")
    texts = [cell.format(element, kind, _format_value(value)) for value, kind in zip(cells, kinds, strict=True)]
    return Markup("<tr>{}</tr>").format(Markup("").join(texts))


def _format_value(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
