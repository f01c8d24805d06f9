"""The publish step as Kubeflow Pipelines shows it."""

from kfp import dsl

from components.declaring import declare_component


@declare_component
def publish(
    trained: dsl.Input[dsl.Artifact],
    versions: dsl.Input[dsl.Artifact],
    published: dsl.Output[dsl.Markdown],
    publication_figures: dsl.Output[dsl.Metrics],
    store: str,
) -> None:
    """Publish the forecasts of all stores of a run in one instruction; readers see all of them or none.

    Args:
        trained: Every store's decision, and the names of its models and forecasts in object storage.
        versions: Which version of which registered model makes each store's numbers.
        store: The one store of this run; empty: all.

    Returns:
        published: What was published, and what stayed as it was.
        publication_figures: The version's number and how many stores it changed.
    """
    from pathlib import Path

    from components.publish.step import publish as step
    from foreact.context import RunContext
    from foreact.runs.process import configure_task

    settings, events = configure_task(store)
    result = step(
        trained=Path(trained.path),
        versions=Path(versions.path),
        settings=settings,
        code_version=RunContext.read().code_version,
        events=events,
    )
    Path(published.path).write_text(result.summary, encoding="utf-8")
    events.figures("publish", result.metrics)
    for name, value in result.metrics.items():
        publication_figures.log_metric(name, value)
