"""What is unusual comes first, and what is usual does not come."""

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
        if alert["kind"] == "peak":
            assert alert["expected"] - max(alert["recent"], alert["last_year"]) == alert["at_stake"]
        else:
            assert alert["normal_delivery"] < alert["expected"] + alert["at_stake"]


def test_alerts_keep_to_the_callers_stores(serving: Serving) -> None:
    alerts = serving.get("/v1/alerts?kind=peak", "viewer").json()["alerts"]
    assert {alert["store"] for alert in alerts} == {"S1"}
    assert serving.get("/v1/alerts?store=S2", "viewer").status_code == 404
