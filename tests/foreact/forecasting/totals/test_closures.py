"""Days are closed by what closed them before, named or not."""

from datetime import date

import numpy as np

from tests.foreact.forecasting.totals.forecasts import forecast_days, list_days

GOOD_FRIDAYS = ["2022-04-15", "2023-04-07", "2024-03-29", "2025-04-18"]
OPEN_HOLIDAYS = [f"{year}-{day}" for year in range(2022, 2026) for day in ("01-06", "05-01", "08-15", "11-01")]
LAST_MONDAYS_OF_MAY = ["2022-05-30", "2023-05-29", "2024-05-27", "2025-05-26"]


def mark(days: np.ndarray, texts: list[str]) -> np.ndarray:
    return np.isin(days, np.array(texts, "datetime64[D]"))


def test_a_feast_that_a_flag_marks_among_others_is_closed_again() -> None:
    days = list_days(date(2022, 1, 3), date(2025, 6, 1))
    closed = mark(days, GOOD_FRIDAYS + LAST_MONDAYS_OF_MAY)
    flag = closed | mark(days, OPEN_HOLIDAYS)
    forecast = forecast_days(days, np.where(closed, 0.0, 1.0), 60, {"is_holiday": flag.astype(np.float32)})
    assert [day for day, total in forecast.items() if total == 0] == ["2025-04-18", "2025-05-26"]


def test_a_movable_feast_is_closed_again_without_any_table() -> None:
    days = list_days(date(2022, 1, 3), date(2025, 5, 4))
    forecast = forecast_days(days, np.where(mark(days, GOOD_FRIDAYS), 0.0, 1.0), 28)
    assert [day for day, total in forecast.items() if total == 0] == ["2025-04-18"]


def test_a_flag_whose_days_were_closed_closes_its_days() -> None:
    days = list_days(date(2024, 1, 1), date(2025, 3, 2))
    closed = np.arange(len(days)) % 61 == 30
    stocktaking = forecast_days(days, np.where(closed, 0.0, 1.0), 70, {"stocktaking": closed.astype(np.float32)})
    business = forecast_days(days, np.where(closed, 0.0, 1.0), 70, {"business": (~closed).astype(np.float32)})
    expected = days[closed][days[closed] >= days[-70]].astype(str).tolist()
    for forecast in (stocktaking, business):
        assert [day for day, total in forecast.items() if total == 0] == expected


def test_two_closed_days_of_christmas_do_not_close_the_eve_in_a_longer_break() -> None:
    days = list_days(date(2023, 1, 2), date(2025, 12, 31))
    year_ends = [f"{year}-12-{day}" for year in (2023, 2024, 2025) for day in range(23, 32)]
    closed = mark(days, [day for day in year_ends if day[5:] in ("12-25", "12-26")])
    forecast = forecast_days(days, np.where(closed, 0.0, 1.0), 14, {"break": mark(days, year_ends).astype(np.float32)})
    assert [day for day, total in forecast.items() if total == 0] == ["2025-12-25", "2025-12-26"]
