"""What is unusual comes first, and what is usual does not come."""

import re
from collections.abc import Callable
from datetime import timedelta
from statistics import NormalDist

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from foreact.blobs.folder import FolderStore
from tests.serving import shop
from tests.serving.conftest import Serving


def test_the_item_about_to_peak_is_first_among_items(serving: Serving) -> None:
    alerts = serving.get("/v1/alerts").json()["alerts"]
    stakes = [alert["at_stake"] for alert in alerts]
    assert stakes == sorted(stakes, reverse=True)
    peaks = {(alert["store"], alert["item"]) for alert in alerts if alert["kind"] == "peak" and alert["item"]}
    # The made-up stores have one item each whose coming week is 2.5 times its level.
    assert {(store, "item-0000") for store in ("S1", "S2", "S3")} <= peaks
    assert len(peaks) <= 6
    for alert in alerts:
        assert 0.5 <= alert["probability"] <= 0.99
        against = max(alert["recent"], alert["last_year"]) if alert["kind"] == "peak" else alert["normal_delivery"]
        assert alert["expected"] - against == alert["at_stake"] > 0
        assert alert["expected_high"] > alert["expected"]


def test_the_numbers_on_a_line_add_up_as_they_are_written(serving: Serving) -> None:
    line = re.compile(
        r'<span class="stake"><b>\+(\S+)</b>.*?<span class="why">\s*(\S+) expected.*?(brought|holds) (\S+):', re.S
    )
    told = line.findall(serving.get("/").text)
    assert "brought" in {words for _, _, words, _ in told}
    for *written, _, last in told:
        stake, expected, against = (float(text.replace(",", "")) for text in (*written, last))
        # Below ten there is a decimal, which the sum of a large and a small number loses.
        assert stake == pytest.approx(expected - against, abs=1e-9 if against >= 10 else 0.5)


def test_a_shortage_is_told_with_what_would_do(store: FolderStore, start: Callable[..., Serving]) -> None:
    tables = shop.make_tables("S1")
    history = tables["history"]
    last_year = pc.less(history["date"], pa.scalar(shop.AS_OF - timedelta(days=300), pa.date32()))
    # Last year was as busy as the coming week will be: no peak, but more than what is delivered lately.
    units = pc.if_else(last_year, pc.multiply(history["units"], 2.5), history["units"])
    tables["history"] = history.set_column(3, "units", pc.cast(units, pa.float32()))
    shop.publish(store, ["S1"], tables={"S1": tables})
    serving = start()
    (alert,) = [
        each for each in serving.get("/v1/alerts?kind=shortage").json()["alerts"] if each["item"] == "item-0000"
    ]
    assert alert["at_stake"] == alert["expected"] - alert["normal_delivery"]
    # What would do with 90 % says how wide the week is, and so how likely it is to need more than a normal delivery.
    week = NormalDist(0, (alert["expected_high"] - alert["expected"]) / NormalDist().inv_cdf(0.9))
    assert alert["probability"] == pytest.approx(week.cdf(alert["at_stake"]), abs=0.01)
    page = re.sub(r"\s+", " ", serving.get("/stores/S1/items/item-0000").text)
    assert "Peak</span>" not in page
    assert f"A normal delivery holds {alert['normal_delivery']:.0f}: " in page
    assert f"likely too little; {alert['expected_high']:.0f} would do with 90" in page
    assert "A normal delivery is what four in five of the last eight weeks would have needed." in page


def test_alerts_keep_to_the_callers_stores(serving: Serving) -> None:
    alerts = serving.get("/v1/alerts?kind=peak", "viewer").json()["alerts"]
    assert {alert["store"] for alert in alerts} == {"S1"}
    assert serving.get("/v1/alerts?store=S2", "viewer").status_code == 404
