"""The register step as Kubeflow Pipelines shows it."""

from kfp import dsl

from components.declaring import declare_component


@declare_component
def register(
    trained: dsl.Input[dsl.Artifact],
    versions: dsl.Output[dsl.Artifact],
    gate: dsl.Output[dsl.Markdown],
    gate_figures: dsl.Output[dsl.Metrics],
    run: str,
    store: str,
) -> None:
    """Register one model version a store and let those that passed the gate go live as champion.

    Args:
        trained: Every store's decision, and the names of its models and forecasts in object storage.
        run: The pipeline run's id, under which the models can be found in MLflow.
        store: The one store of this run; empty: all.

    Returns:
        versions: Which version of which registered model makes each store's numbers.
        gate: What the gate decided for each store, and why.
        gate_figures: How many stores were promoted, kept their champion or fell back.
    """
    from pathlib import Path

    from components.register.step import register as step
    from foreact.context import RunContext
    from foreact.runs.owed import RunOrigin
    from foreact.runs.process import configure_task

    settings, events = configure_task(store)
    context = RunContext.read()
    result = step(
        trained=Path(trained.path),
        versions=Path(versions.path),
        origin=RunOrigin(
            run=context.run or run,
            pipeline=context.pipeline,
            store=store,
            code_version=context.code_version,
            parent_run=context.mlflow_run,
        ),
        settings=settings,
        events=events,
    )
    Path(gate.path).write_text(result.summary, encoding="utf-8")
    events.figures("register", result.metrics)
    for name, value in result.metrics.items():
        gate_figures.log_metric(name, value)
