"""Figures night after night: one lasting MLflow run a store, whose metrics have a point for each date of data.

MLflow draws a metric over the steps of one run. A run of its own for each store and night would cost a thousand runs
more a night and draw nothing, so each store's figures join those of the nights before.
"""

from collections.abc import Mapping
from typing import Any

from foreact.registry.client import map_concurrently
from foreact.registry.records import LONGEST_NAME, NOTE, Moment, model_name

STORES_EXPERIMENT = "foreact-stores"
# Whose figures a run holds: the name of the store's registered model, or of the chain's.
SERIES = "foreact.model"
# Up to so many stores are looked for one by one, more by reading all.
FEW = 5
PAGE = 1000


def make_metrics(figures: Mapping[str, float], moment: Moment) -> list[Any]:
    """Return figures as MLflow takes them."""
    from mlflow.entities import Metric

    return [Metric(name, value, moment.timestamp, moment.step) for name, value in figures.items()]


def log_series(
    client: Any, experiment: str, figures: Mapping[str, Mapping[str, float]], moment: Moment, threads: int
) -> None:
    """Add a point to each store's figures; those of the whole chain go by its model's name."""
    runs = _find_runs(client, experiment, list(figures))

    def log_store(store: str) -> None:
        run = runs.get(model_name(store)) or _begin_run(client, experiment, store)
        client.log_batch(run, make_metrics(figures[store], moment))

    for _ in map_concurrently(log_store, figures, threads):
        pass


def _find_runs(client: Any, experiment: str, stores: list[str]) -> dict[str, str]:
    """Return the run of each store that has one: the oldest, should two have begun at once."""
    names = [model_name(store) for store in stores]
    filters = [f"tags.`{SERIES}` = '{name}'" for name in names] if len(names) <= FEW else [""]
    runs: dict[str, str] = {}
    for filter_ in filters:
        token = None
        while True:
            page = client.search_runs(
                [experiment], filter_, max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
            )
            for run in page:
                runs.setdefault(run.data.tags.get(SERIES, ""), run.info.run_id)
            token = page.token
            if not token:
                break
    return runs


def describe_series(store: str) -> tuple[str, dict[str, str]]:
    """Return the name and the tags of the run that holds a store's figures, or the whole chain's."""
    whose = f"of store {store}" if store else "over all stores, each of the same weight,"
    tags = {
        SERIES: model_name(store),
        NOTE: f"Figures {whose} night after night. A metric's step is the last date of the data, in "
        "days since 1970; its time is that of the training. `live_` measures past publications on the sales since.",
    }
    return store[:LONGEST_NAME] or "all stores", tags


def _begin_run(client: Any, experiment: str, store: str) -> str:
    name, tags = describe_series(store)
    run = client.create_run(experiment, run_name=name, tags=tags)
    # It takes figures for ever, and nothing is under way in it.
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)
