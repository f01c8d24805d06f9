"""The validate step as Kubeflow Pipelines shows it."""

from kfp import dsl

from components.declaring import declare_component


@declare_component
def validate(
    dataset: dsl.Input[dsl.Dataset],
    checked: dsl.Output[dsl.Dataset],
    rejected: dsl.Output[dsl.Artifact],
    data_checks: dsl.Output[dsl.HTML],
    data_check_figures: dsl.Output[dsl.Metrics],
    store: str,
    max_rejected_share: float,
) -> None:
    """Check the data against its rules; only what keeps them can be trained on.

    Args:
        dataset: The name of the record of the dataset that ingest stored.
        store: The one store of this run; empty: all that are published are expected.
        max_rejected_share: The share of rejected rows above which the data is refused.

    Returns:
        checked: The record of the same without rows that break a rule; it refuses its readers if it is not sound.
        rejected: The rows that were left out or blanked, as CSV, each with the rule and its own text.
        data_checks: Every rule, how often it is broken, and sample rows.
        data_check_figures: The same as figures.
    """
    from functools import partial
    from pathlib import Path

    from components.validate.previous import previous_items
    from components.validate.step import validate as step
    from foreact.blobs import BlobPlace
    from foreact.context import RunContext
    from foreact.data.dataset.stored import Dataset
    from foreact.runs.process import configure_task

    settings, events = configure_task(store)
    result = step(
        dataset=Dataset.open(Path(dataset.path).read_text(encoding="utf-8"), BlobPlace.read(settings)),
        rejected=Path(rejected.path),
        max_rejected_share=max_rejected_share,
        find_previous=partial(previous_items, settings, only=store),
        code_version=RunContext.read().code_version,
        events=events,
    )
    Path(checked.path).write_text(result.checked.write_record(), encoding="utf-8")
    Path(data_checks.path).write_text(result.page, encoding="utf-8")
    events.parameters("validate", {"max_rejected_share": max_rejected_share})
    events.figures("validate", result.metrics)
    for name, value in result.metrics.items():
        data_check_figures.log_metric(name, value)
