"""The columns of the dashboard's tables, each declared once for pages, CSV and Excel."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from foreact.errors import count_noun
from foreact.spacing import Spacing

# A share is above or below something and has a sign; a percentage has none.
Unit = Literal["text", "units", "share", "percentage", "count", "day", "moment"]
# How many periods ahead the tables show one by one.
DAYS_SHOWN = 14


@dataclass(frozen=True)
class Column:
    """One column: the key of its value, its names on the page and in exports, and its unit."""

    key: str
    # The heading on the page; empty: in exports only. `rest` is the part of it that a narrow page leaves out.
    title: str = ""
    rest: str = ""
    # The heading in CSV and Excel; empty: on the page only.
    heading: str = ""
    unit: Unit = "text"
    # Whether the first click on the heading puts the largest values first.
    most_first: bool = False
    # The words before and after a cell where a narrow page folds rows into lines.
    before: str = ""
    after: str = ""

    @property
    def is_number(self) -> bool:
        """Return whether cells are aligned to the right."""
        return self.unit in {"units", "share", "percentage", "count"}

    def to_json(self) -> dict[str, Any]:
        """Return what the page's script needs to write the column's cells."""
        return {
            "key": self.key,
            "unit": self.unit,
            "number": self.is_number,
            "before": self.before,
            "after": self.after,
        }


STORES = (
    Column("store", "Store", heading="store"),
    Column("region", "Region", heading="region"),
    Column("items", heading="items", unit="count"),
    Column("expected", "Next {days}", ", units", "next {days} (units)", "units", most_first=True, after="units"),
    Column("recent", heading="usual {days} (units)", unit="units"),
    Column("change", "Against usual", heading="change", unit="share", most_first=True, after="against usual"),
    Column(
        "last_year",
        "Last year",
        ", units",
        "same {period}s last year (units)",
        "units",
        most_first=True,
        before="last year",
        after="units",
    ),
    Column("as_of", "Data as of", heading="data as of", unit="day", before="data as of"),
    Column("generated_at", "Published", heading="published ({zone})", unit="moment", before="published"),
    Column("state", "State", heading="state", most_first=True),
)

ITEMS = (
    Column("item", "Item", heading="item"),
    Column("expected", "Expected", ", units", "next {days} (units)", "units", most_first=True, after="units"),
    Column("recent", "Usual", ", units", "usual {days} (units)", "units", most_first=True, before="usual"),
    Column("change", "Change", heading="change", unit="share", most_first=True),
    Column(
        "last_year",
        "Last year",
        ", units",
        "same {period}s last year (units)",
        "units",
        most_first=True,
        before="last year",
    ),
    Column("peak_day", "Busiest {period}", heading="busiest {period}", unit="day", before="busiest"),
    Column("peak", "That {period}", ", units", "{that} (units)", "units", most_first=True),
    Column("peak_high", "At most", ", 90 % sure", "90 % {that} (units)", "units", most_first=True, before="at most"),
)

TOTALS = (
    Column("date", "{Period}", heading="date", unit="day"),
    Column("mean", "Expected, units", heading="expected (units)", unit="units", after="units"),
    Column("low", "At least, 90 % sure", heading="10 % (units)", unit="units", before="at least"),
    Column("high", "At most, 90 % sure", heading="90 % (units)", unit="units", before="at most"),
    Column("last_year", "Last year, units", heading="last year (units)", unit="units", before="last year"),
)

SOLD = (Column("date", heading="date", unit="day"), Column("sold", heading="sold (units)", unit="units"))

SCORES = (
    Column("published_as_of", "Forecast made on data to", unit="day"),
    Column("units", "Sold, units", unit="units"),
    Column("wape", "Miss", unit="percentage"),
    Column("bias", "Too high, too low", unit="share"),
    Column("coverage", "In band", unit="percentage"),
)

ALERTS = (
    Column("kind", heading="kind"),
    Column("store", heading="store"),
    Column("item", heading="item"),
    Column("start", heading="from", unit="day"),
    Column("end", heading="to", unit="day"),
    Column("expected", heading="expected (units)", unit="units"),
    Column("expected_high", heading="90 % (units)", unit="units"),
    Column("recent", heading="usual (units)", unit="units"),
    Column("last_year", heading="last year (units)", unit="units"),
    Column("normal_delivery", heading="normal delivery (units)", unit="units"),
    Column("at_stake", heading="at stake (units)", unit="units"),
    Column("probability", heading="probability", unit="share"),
    Column("peak_day", heading="busiest {period}", unit="day"),
)

FORECAST = (
    Column("store", heading="store"),
    Column("item", heading="item"),
    Column("date", heading="date", unit="day"),
    Column("mean", heading="expected (units)", unit="units"),
    Column("p10", heading="10 % (units)", unit="units"),
    Column("p50", heading="50 % (units)", unit="units"),
    Column("p90", heading="90 % (units)", unit="units"),
    Column("last_year", heading="last year (units)", unit="units"),
)


def name_window(columns: tuple[Column, ...], spacing: Spacing, days: int = 0, zone: str = "") -> tuple[Column, ...]:
    """Return the columns with the window's days, weeks or months and the time zone in their names."""
    period = spacing.period
    named = {"days": count_noun(days, period), "period": period, "Period": period.capitalize(), "zone": zone}
    named["that"] = f"{'on' if spacing is Spacing.DAILY else 'in'} that {period}"
    return tuple(
        replace(column, title=column.title.format(**named), heading=column.heading.format(**named))
        for column in columns
    )


def select_exported(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns that exports have."""
    return tuple(column for column in columns if column.heading)


def select_shown(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns that the page has."""
    return tuple(column for column in columns if column.title)
