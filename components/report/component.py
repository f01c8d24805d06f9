"""The exit handler as Kubeflow Pipelines shows it."""

from kfp import dsl

from components.declaring import declare_component


@declare_component
def report(status: dsl.PipelineTaskFinalStatus, overview: dsl.Output[dsl.HTML], pipeline: str, store: str = "") -> None:
    """Report how the run ended: in the log, and by the webhook where one is set.

    Args:
        status: How the run ended, as Kubeflow Pipelines says.
        pipeline: Which pipeline ran.
        store: The one store that was retrained; empty for all.

    Returns:
        overview: The run's first page: what became of it, its figures, the store that fares worst.
    """
    from pathlib import Path

    from components.report.step import report as step
    from foreact.blobs import connect
    from foreact.context import RunContext
    from foreact.runs.process import configure_task

    settings, _ = configure_task(store)
    text = step(
        pipeline=pipeline,
        store=store,
        state=status.state,
        run=RunContext.read().run or status.pipeline_job_resource_name,
        failed_task=status.pipeline_task_name,
        message=status.error_message,
        settings=settings,
        # What it tells is asked for thrice: a store that is gone for good must not hold up the run's end.
        blobs=connect(settings, patience=20.0),
    )
    Path(overview.path).write_text(text, encoding="utf-8")
