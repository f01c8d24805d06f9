"""Poisson boosting over weighted rows, binned once: scikit-learn sorts every feature anew for each of its quantiles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.forecasting.inputs.arrays import Floats
from foreact.forecasting.inputs.threads import single_thread

BINS = 63
SETTINGS: dict[str, Any] = {
    "loss": "poisson",
    "max_iter": 60,
    "learning_rate": 0.15,
    "max_leaf_nodes": 31,
    "max_bins": BINS,
    "max_features": 0.5,
    # Where next to nothing sold the likelihood is flat: without a pull to zero, one sale sends leaves to infinity.
    "l2_regularization": 20.0,
    "early_stopping": False,
}


def fit_boosting(features: Floats, target: Floats, weight: Floats, seed: int) -> Any:
    """Fit the boosting on the features' bins, then put its thresholds back into the features' own units."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    edges = [find_edges(column, weight) for column in features.T]
    codes = encode(features, edges)
    # scikit-learn fails on a feature without any value, as last year's sales are in a short history.
    codes[:, np.isnan(codes).all(0)] = 0
    leaf = min(200, max(20, len(target) // 500))
    booster = HistGradientBoostingRegressor(**SETTINGS, min_samples_leaf=leaf, random_state=seed)
    # Set once more, because a limit holds only for the libraries that were loaded when it was set.
    with single_thread():
        # Of mean 1, so that neither the pull nor anything else depends on how much is sold.
        booster.fit(codes, target, sample_weight=weight / weight.mean())
    _restore_thresholds(booster, edges)
    return booster


def find_edges(column: Floats, weight: Floats) -> Floats:
    """Return the upper edges of all bins but the last: of equal weight, or one for each value where there are few."""
    known = np.isfinite(column)
    order = np.argsort(column[known], kind="stable")
    values = column[known][order]
    distinct = values[np.flatnonzero(np.diff(values))] if len(values) else values
    if len(distinct) < BINS:
        return distinct
    mass = np.cumsum(weight[known][order], dtype=np.float64)
    at = np.searchsorted(mass, mass[-1] * np.arange(1, BINS) / BINS)
    edges = np.unique(values[at])
    return np.asarray(edges[edges < values[-1]])


def encode(features: Floats, edges: list[Floats]) -> Floats:
    """Return each value's bin, NaN for unknown values."""
    codes = np.full(features.shape, np.nan, np.float32)
    for feature, upper in enumerate(edges):
        known = np.flatnonzero(np.isfinite(features[:, feature]))
        codes[known, feature] = np.searchsorted(upper, features[known, feature])
    return codes


def _restore_thresholds(booster: Any, edges: list[NDArray[np.float32]]) -> None:
    """Turn a split after bin k into one at that bin's upper edge."""
    for (tree,) in booster._predictors:
        splits = np.flatnonzero(tree.nodes["is_leaf"] == 0)
        for node in splits:
            feature, threshold = tree.nodes["feature_idx"][node], tree.nodes["num_threshold"][node]
            if np.isfinite(threshold):
                tree.nodes["num_threshold"][node] = edges[feature][int(threshold)]
