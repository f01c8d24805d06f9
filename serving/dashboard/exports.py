"""What pages show, as CSV and as Excel files."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from foreact.spacing import Spacing
from foreact.spreadsheets import guard_text
from serving.alerts.grouping import merge_alert_groups
from serving.analysis.item_table import tabulate_items
from serving.analysis.series import Series, find_stores_in_step, item_series, sum_totals
from serving.analysis.week import summarize_week
from serving.dashboard import columns, stores
from serving.dashboard.charts import driver_chart
from serving.dashboard.columns import Column
from serving.publication import StoreData
from serving.publication.view import FreshnessView

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True)
class Sheet:
    """One table."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]


def overview_sheets(view: FreshnessView, chosen: Sequence[StoreData], order: str) -> list[Sheet]:
    """Return the overview's tables; the first is the one that CSV has."""
    if not chosen:
        return [Sheet("Stores", columns.STORES[:1], [])]
    in_step = find_stores_in_step(chosen)
    series = sum_totals(in_step)
    heat_days = series.dates[: columns.DAYS_SHOWN]
    return [
        _store_sheet(view, chosen, order, series, summarize_week(in_step, series).days),
        _total_sheet(series),
        Sheet(
            f"Stores by {series.spacing.period}",
            (columns.STORES[0], *(Column(day, heading=f"{day}: change", unit="share") for day in heat_days)),
            [(row.store, *row.change) for row in stores.heat_rows(in_step, heat_days)],
        ),
        _alert_sheet(in_step),
        _sold_sheet(series),
    ]


def store_sheets(arrays: StoreData, rows: Sequence[int]) -> list[Sheet]:
    """Return a store's tables, its items first."""
    table = tabulate_items(arrays)
    series = sum_totals([arrays])
    days = summarize_week([arrays], series).days
    shown = columns.select_exported(columns.name_window(columns.ITEMS, arrays.spacing, days))
    return [
        Sheet("Items", shown, [[_convert_cell(table[column.key][row], column) for column in shown] for row in rows]),
        _total_sheet(series),
        *_driver_sheets(driver_chart(arrays), arrays.spacing),
        _sold_sheet(series),
    ]


def _store_sheet(view: FreshnessView, chosen: Sequence[StoreData], order: str, series: Series, days: int) -> Sheet:
    zone = ZoneInfo(view.timezone)
    shown = columns.select_exported(columns.name_window(columns.STORES, series.spacing, days, view.timezone))
    rows = [
        {
            **row,
            "generated_at": row["generated_at"].astimezone(zone),
            "state": row["state"] + (", held" if row["held"] else ""),
        }
        for row in stores.store_rows(view, chosen, order)
    ]
    return Sheet("Stores", shown, [[row[column.key] for column in shown] for row in rows])


def _alert_sheet(in_step: Sequence[StoreData]) -> Sheet:
    rows = []
    for alerts in merge_alert_groups(in_step):
        first = alerts[0].to_json()
        delivery = next((alert.normal_delivery for alert in alerts if alert.kind == "shortage"), None)
        kinds = ", ".join(alert.kind for alert in alerts)
        row = {**first, "kind": kinds, "item": first["item"] or "", "normal_delivery": delivery}
        rows.append([row[column.key] for column in columns.ALERTS])
    return Sheet("Alerts", columns.name_window(columns.ALERTS, in_step[0].spacing), rows)


def _total_sheet(series: Series) -> Sheet:
    return _column_sheet(
        f"Total by {series.spacing.period}", columns.TOTALS, {**series.to_json(), "date": series.dates}
    )


def _sold_sheet(series: Series) -> Sheet:
    return _column_sheet("Sold", columns.SOLD, {"date": series.past_dates, "sold": series.past})


def _column_sheet(title: str, shown: tuple[Column, ...], values: Mapping[str, Sequence[Any]]) -> Sheet:
    """Return the table of each column's values, found by its key."""
    cells = ([_convert_cell(value, column) for value in values[column.key]] for column in shown)
    return Sheet(title, shown, list(zip(*cells, strict=True)))


def _driver_sheets(series: dict[str, Any], spacing: Spacing) -> list[Sheet]:
    """Return the table of a store's drivers; none if its model has no drivers."""
    if not series["drivers"]:
        return []
    parts = {"total": series["total"], f"normal {spacing.period}": series["level"]}
    parts |= {driver["name"]: driver["units"] for driver in series["drivers"]}
    known = {name: units for name, units in parts.items() if units is not None}
    rows = zip(series["dates"], *known.values(), strict=True)
    return [
        Sheet(
            "Drivers",
            (columns.SOLD[0], *(Column(name, heading=f"{name} (units)", unit="units") for name in known)),
            [(date.fromisoformat(day), *units) for day, *units in rows],
        )
    ]


def item_sheets(arrays: StoreData, row: int) -> list[Sheet]:
    """Return an item's days."""
    series = item_series(arrays, row)
    days = len(series.dates)
    values = {
        "store": [arrays.store] * days,
        "item": [arrays.items[row]] * days,
        "date": series.dates,
        "mean": arrays.mean[row].tolist(),
        "p10": arrays.p10[row].tolist(),
        "p50": arrays.p50[row].tolist(),
        "p90": arrays.p90[row].tolist(),
        "last_year": series.last_year,
    }
    return [_column_sheet("Forecast", columns.FORECAST, values), _sold_sheet(series)]


def _convert_cell(value: Any, column: Column) -> Any:
    return date.fromisoformat(value) if column.unit == "day" else value


def answer_export(kind: str, name: str, sheets: Sequence[Sheet]) -> Response:
    """Return the first table as CSV, or all tables as an Excel file."""
    body, media = (write_csv(sheets[0]), "text/csv; charset=utf-8") if kind == "csv" else (write_xlsx(sheets), XLSX)
    safe = "".join(c if c.isalnum() or c in "-_~" else "_" for c in name)[:150]
    headers = {"content-disposition": f'attachment; filename="{safe}.{kind}"', "cache-control": "no-store"}
    return Response(body, 200, headers, media)


def write_csv(sheet: Sheet) -> bytes:
    """Return a table as CSV that no spreadsheet finds a formula in."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([guard_text(column.heading) for column in sheet.columns])
    for row in sheet.rows:
        writer.writerow([_safe_text(value) for value in row])
    # Excel recognises UTF-8 by the byte order mark.
    return b"\xef\xbb\xbf" + buffer.getvalue().encode()


def _safe_text(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str):
        return guard_text(value)
    return value.isoformat() if isinstance(value, date) else value


def write_xlsx(sheets: Sequence[Sheet]) -> bytes:
    """Return tables as the sheets of an Excel file, each with a fixed header and filters."""
    import xlsxwriter

    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        formats = {
            "units": book.add_format({"num_format": "#,##0.0"}),
            "share": book.add_format({"num_format": "0%"}),
            "percentage": book.add_format({"num_format": "0%"}),
            "count": book.add_format({"num_format": "#,##0"}),
            "day": book.add_format({"num_format": "yyyy-mm-dd"}),
            "moment": book.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
        }
        for sheet in sheets:
            page = book.add_worksheet(sheet.title)
            page.freeze_panes(1, 0)
            page.write_row(0, 0, [column.heading for column in sheet.columns], head)
            page.set_column(0, len(sheet.columns) - 1, 15)
            page.autofilter(0, 0, max(len(sheet.rows), 1), len(sheet.columns) - 1)
            for number, row in enumerate(sheet.rows, 1):
                for place, value in enumerate(row):
                    _write_cell(page, number, place, value, sheet.columns[place], formats)
    return buffer.getvalue()


def _write_cell(page: Any, row: int, place: int, value: Any, column: Column, formats: dict[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, datetime):
        page.write_datetime(row, place, value.replace(tzinfo=None), formats["moment"])
    elif isinstance(value, date):
        page.write_datetime(row, place, datetime(value.year, value.month, value.day), formats["day"])
    elif isinstance(value, str):
        page.write_string(row, place, value)
    else:
        page.write_number(row, place, value, formats[column.unit])
