"""Poisson boosting over weighted rows, binned once: scikit-learn sorts every feature anew for each of its quantiles."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foreact.errors import ForeactError
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
# What skops may load. The class of trees, like the fields of their nodes, is private to scikit-learn.
TRUSTED_TYPES = [
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "functools.partial",
    "sklearn.utils.validation.check_array",
]
NODE_FIELDS = {"is_leaf", "feature_idx", "num_threshold"}
# Rows whose forecasts are compared before and after thresholds are restored.
CHECKED_ROWS = 256
OTHER_VERSION = "This version of scikit-learn keeps its trees in another way than expected: install the locked version."


def fit_boosting(features: Floats, target: Floats, weight: Floats, seed: int) -> Any:
    """Fit the boosting on the features' bins, then put its thresholds back into the features' own units."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    edges = [find_edges(column, weight) for column in features.T]
    codes = encode_bins(features, edges)
    # scikit-learn fails on a feature without any value, as last year's sales are in a short history.
    codes[:, np.isnan(codes).all(0)] = 0
    leaf = min(200, max(20, len(target) // 500))
    booster = HistGradientBoostingRegressor(**SETTINGS, min_samples_leaf=leaf, random_state=seed)
    # Set once more, because a limit holds only for the libraries that were loaded when it was set.
    with single_thread():
        # Of mean 1, so that neither the pull nor anything else depends on how much is sold.
        booster.fit(codes, target, sample_weight=weight / weight.mean())
        expected = booster.predict(codes[:CHECKED_ROWS])
        _restore_thresholds(booster, edges)
        if not np.array_equal(booster.predict(features[:CHECKED_ROWS]), expected):
            raise ForeactError(OTHER_VERSION)
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


def encode_bins(features: Floats, edges: list[Floats]) -> Floats:
    """Return each value's bin, NaN for unknown values."""
    codes = np.full(features.shape, np.nan, np.float32)
    for feature, upper in enumerate(edges):
        known = np.flatnonzero(np.isfinite(features[:, feature]))
        codes[known, feature] = np.searchsorted(upper, features[known, feature])
    return codes


def _restore_thresholds(booster: Any, edges: list[Floats]) -> None:
    """Turn a split after bin k into one at that bin's upper edge."""
    for nodes in _list_tree_nodes(booster):
        for node in np.flatnonzero(nodes["is_leaf"] == 0):
            feature, threshold = nodes["feature_idx"][node], nodes["num_threshold"][node]
            if np.isfinite(threshold):
                nodes["num_threshold"][node] = edges[feature][int(threshold)]


def _list_tree_nodes(booster: Any) -> list[NDArray[Any]]:
    """Return each tree's nodes from scikit-learn's private parts; raise if they are not as expected."""
    try:
        nodes = [tree.nodes for (tree,) in booster._predictors]
    except (AttributeError, TypeError, ValueError):
        nodes = []
    if not nodes or any(not set(each.dtype.names or ()) >= NODE_FIELDS for each in nodes):
        raise ForeactError(OTHER_VERSION)
    return nodes


def write_booster(booster: Any, file: Path) -> None:
    """Write a boosting in skops' format."""
    from skops.io import dump

    dump(booster, file)


def read_booster(file: Path) -> Any:
    """Read a boosting, trusting no types but those that it is made of."""
    from skops.io import load

    try:
        return load(file, trusted=TRUSTED_TYPES)
    except Exception as error:
        raise ForeactError(
            f"{file} does not contain a boosting that is safe to load ({error}): train the model again."
        ) from error
