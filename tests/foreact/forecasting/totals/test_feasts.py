"""What was out of the ordinary comes back on its feast, which moves, and not on last year's date."""

from datetime import date

import numpy as np
import pytest

from tests.foreact.forecasting.totals.forecasts import forecast_days, list_days

ASCENSIONS = ["2022-05-26", "2023-05-18", "2024-05-09", "2025-05-29"]
WHIT_MONDAYS = ["2022-06-06", "2023-05-29", "2024-05-20", "2025-06-09"]


@pytest.mark.parametrize("first", [date(2022, 1, 3), date(2024, 1, 1)])
def test_moving_feasts_come_back_on_their_days_alone(first: date) -> None:
    days = list_days(first, date(2025, 6, 15))
    feasts = np.isin(days, np.array(ASCENSIONS + WHIT_MONDAYS, "datetime64[D]"))
    forecast = forecast_days(days, np.where(feasts, 1.9, 1.0), 45)
    unusual = 1.12 * float(np.median(list(forecast.values())))
    for old, new in (("2025-05-09", "2025-05-29"), ("2025-05-20", "2025-06-09")):
        assert forecast[old] < unusual < forecast[new]


def test_what_two_years_do_not_agree_on_does_not_come_back() -> None:
    days = list_days(date(2022, 1, 3), date(2025, 3, 31))
    forecast = forecast_days(days, np.where(days == np.datetime64("2024-03-13"), 1.9, 1.0), 28)
    assert forecast["2025-03-13"] < 112


@pytest.mark.parametrize("first", [date(2022, 1, 3), date(2024, 1, 1)])
def test_a_fixed_feast_comes_back_on_its_date(first: date) -> None:
    days = list_days(first, date(2025, 12, 31))
    eve = np.array([str(day)[5:] == "12-24" for day in days])
    assert forecast_days(days, np.where(eve, 1.9, 1.0), 28)["2025-12-24"] > 118
