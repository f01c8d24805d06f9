"""The boosting over bins: what it says of a value is what it says of the value's bin."""

import copy

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from foreact.errors import ForeactError
from foreact.forecasting.inputs.threads import single_thread
from foreact.forecasting.items import boosting
from foreact.forecasting.items.boosting import BINS, SETTINGS, encode_bins, find_edges, fit_boosting

ROWS = 20_000


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(1)
    many = random.gamma(0.5, size=ROWS)
    few = random.integers(0, 7, ROWS).astype(float)
    same = np.full(ROWS, 3.0)
    unknown = np.where(random.random(ROWS) < 0.3, np.nan, random.normal(size=ROWS))
    never = np.full(ROWS, np.nan)
    features = np.column_stack([many, few, same, unknown, never]).astype(np.float32)
    rate = np.exp(0.5 * np.sqrt(many) - 0.2 * few + np.where(np.isnan(unknown), 0.7, 0.3 * np.sign(unknown)))
    weight = random.gamma(2.0, size=ROWS).astype(np.float32)
    weight /= weight.mean()
    return features, (random.poisson(rate * weight) / weight).astype(np.float32), weight


def test_values_are_forecast_as_their_bins_are(rows):
    features, target, weight = rows
    edges = [find_edges(column, weight) for column in features.T]
    codes = np.nan_to_num(encode_bins(features, edges), nan=-1)
    codes = np.where(np.isnan(features) & np.isfinite(features).any(0), np.nan, codes)
    with single_thread():
        on_codes = HistGradientBoostingRegressor(**SETTINGS, min_samples_leaf=40, random_state=5)
        on_codes.fit(codes, target, sample_weight=weight)
        fitted = fit_boosting(features, target, weight, 5)
        assert np.array_equal(fitted.predict(features), on_codes.predict(codes))
        # Between the values that were learnt from, too, and beyond them.
        others = np.random.default_rng(2).normal(scale=4, size=(5_000, features.shape[1])).astype(np.float32)
        assert np.array_equal(fitted.predict(others), on_codes.predict(encode_bins(others, edges)))


def test_it_learns_what_scikit_learn_does_by_itself(rows):
    features, target, weight = rows
    with single_thread():
        theirs = HistGradientBoostingRegressor(**SETTINGS, min_samples_leaf=40, random_state=5)
        theirs.fit(features[:, :4], target, sample_weight=weight)
        ours = fit_boosting(features[:, :4], target, weight, 5)
        apart = np.abs(ours.predict(features[:, :4]) / theirs.predict(features[:, :4]) - 1)
    assert np.average(apart, weights=weight) < 0.03


def test_bins_are_of_equal_weight(rows):
    features, _, weight = rows
    edges = find_edges(features[:, 0], weight)
    assert len(edges) == BINS - 1
    codes = np.searchsorted(edges, features[:, 0])
    share = np.bincount(codes, weights=weight) / weight.sum()
    assert np.allclose(share, 1 / BINS, atol=0.002)


def test_few_values_have_a_bin_each(rows):
    features, _, weight = rows
    edges = [find_edges(column, weight) for column in features.T]
    assert [len(upper) for upper in edges[1:3]] == [6, 0]
    assert np.array_equal(encode_bins(features, edges)[:, 1], features[:, 1])
    assert not len(edges[4])


def test_a_value_that_most_rows_have_does_not_make_empty_bins():
    column = np.concatenate([np.zeros(900), np.arange(1, 101)]).astype(np.float32)
    edges = find_edges(column, np.ones(1000, np.float32))
    codes = np.searchsorted(edges, column)
    assert np.array_equal(np.unique(codes), np.arange(len(edges) + 1))


def test_the_limit_of_leaves_follows_the_rows(monkeypatch, rows):
    features, target, weight = rows
    seen = {}

    class Spy(HistGradientBoostingRegressor):
        def fit(self, *args, **kwargs):
            seen["leaf"] = self.min_samples_leaf
            return super().fit(*args, **kwargs)

    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingRegressor", Spy)
    boosting.fit_boosting(features[:5_000], target[:5_000], weight[:5_000], 0)
    assert seen["leaf"] == 20


@pytest.mark.parametrize(
    "change",
    [
        lambda fitted: vars(fitted).pop("_predictors"),
        lambda fitted: fitted._predictors.clear(),
        lambda fitted: fitted._predictors.append([]),
        lambda fitted: setattr(fitted._predictors[0][0], "nodes", np.zeros(1, [("threshold", float)])),
    ],
)
def test_another_layout_of_scikit_learns_trees_fails_loudly(monkeypatch, rows, change):
    class Changed(HistGradientBoostingRegressor):
        def predict(self, features):
            # The last call before the trees are changed.
            result = super().predict(features)
            change(self)
            return result

    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingRegressor", Changed)
    features, target, weight = rows
    with pytest.raises(ForeactError, match="keeps its trees in another way"):
        fit_boosting(features[:5_000], target[:5_000], weight[:5_000], 0)


def test_trees_that_do_not_follow_their_nodes_fail_loudly(monkeypatch, rows):
    class Cached(HistGradientBoostingRegressor):
        def fit(self, *args, **kwargs):
            super().fit(*args, **kwargs)
            self.trees = copy.deepcopy(self._predictors)
            return self

        def _predict_iterations(self, features, predictors, *args, **kwargs):
            return super()._predict_iterations(features, self.trees, *args, **kwargs)

    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingRegressor", Cached)
    features, target, weight = rows
    with pytest.raises(ForeactError, match="keeps its trees in another way"):
        fit_boosting(features[:5_000], target[:5_000], weight[:5_000], 0)
