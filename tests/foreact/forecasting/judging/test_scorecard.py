import numpy as np
import pytest

from foreact.forecasting import Panel, PublishedForecast, train_store
from foreact.forecasting.judging.scorecard import score_published


def publish(panel: Panel, origin: int, mean: np.ndarray) -> PublishedForecast:
    horizon = mean.shape[1]
    return PublishedForecast(
        as_of=panel.dates[origin - 1],
        items=np.repeat(panel.items, horizon),
        dates=np.tile(panel.dates[origin : origin + horizon], len(panel.items)),
        mean=mean.ravel(),
        p10=mean.ravel() * 0.5,
        p90=mean.ravel() * 1.5,
    )


def test_a_publication_is_scored_on_the_days_that_have_come(panel: Panel) -> None:
    origin = panel.days - 10
    truth = np.nan_to_num(panel.units[:, origin : origin + 14]).astype(np.float64)
    scores = score_published(panel, [publish(panel, origin, truth)])
    assert [score.lead for score in scores] == [0, *range(1, 11)]
    assert all(score.wape == 0 and score.bias == 0 and score.coverage == 1 for score in scores)
    assert scores[0].cells == 10 * len(panel.items)
    assert scores[0].beats_naive == 1

    doubled = score_published(panel, [publish(panel, origin, 2 * truth)])
    assert doubled[0].wape == pytest.approx(1)
    assert doubled[0].bias == pytest.approx(1)


def test_nothing_has_come_yet_and_unknown_items_are_left_out(panel: Panel) -> None:
    ahead = publish(panel.truncate_at(panel.days), panel.days, np.ones((len(panel.items), 14)))
    assert score_published(panel, [ahead]) == []
    gone = publish(panel, panel.days - 5, np.ones((len(panel.items), 5)))
    gone.items[:] = "gone"
    assert score_published(panel, [gone]) == []


def test_training_scores_what_was_published_before(panel: Panel) -> None:
    before = panel.truncate_at(panel.days - 7)
    forecast = train_store(before).forecast
    scores = train_store(panel, previous=[publish(panel, panel.days - 7, forecast.mean.astype(np.float64))]).scorecard
    assert scores[0].lead == 0
    assert 0 < scores[0].wape < 1
    assert scores[0].beats_naive > 0.5
