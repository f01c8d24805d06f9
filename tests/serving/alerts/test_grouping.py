"""Alerts of one series are one line, and the line with most at stake comes first."""

from serving.alerts.grouping import count_alert_groups, merge_alert_groups
from serving.alerts.ranking import rank_alerts
from tests.serving.conftest import Serving


def test_alerts_are_grouped_by_series_with_most_at_stake_first(serving: Serving) -> None:
    stores = list(serving.app.state.service.view.snapshot.stores.values())
    groups = list(merge_alert_groups(stores))
    assert len(groups) == count_alert_groups(stores) > 0
    series = [(group[0].store, group[0].item) for group in groups]
    assert len(set(series)) == len(series)
    for (store, item), group in zip(series, groups, strict=True):
        assert {(alert.store, alert.item) for alert in group} == {(store, item)}
        assert [alert.at_stake for alert in group] == sorted((alert.at_stake for alert in group), reverse=True)
    assert [group[0].at_stake for group in groups] == sorted((group[0].at_stake for group in groups), reverse=True)
    assert sorted(alert.at_stake for group in groups for alert in group) == sorted(
        alert.at_stake for alert in rank_alerts(stores, None)
    )
