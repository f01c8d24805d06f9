"""An evaluation in MLflow: its parameters, its figures and its page."""

from foreact.context import RunContext
from foreact.settings import PipelineSettings
from pipelines.evaluation.backtest import Evaluation


def log_to_mlflow(evaluation: Evaluation, parameters: dict[str, str], settings: PipelineSettings) -> str:
    """Log figures, parameters and the page to the run that MLflow started, or to a new one; return the run's id."""
    from foreact.registry import Registry
    from foreact.registry.client import make_client

    context = RunContext.read()
    if context.mlflow_run:
        client = make_client(context.mlflow_uri or settings.mlflow_uri)
        run = context.mlflow_run
    else:
        registry = Registry.connect(settings)
        client = registry.client
        run = client.create_run(registry.experiment, run_name="evaluate").info.run_id
        for name, text in parameters.items():
            client.log_param(run, name, text)
    for name, value in evaluation.figures.items():
        client.log_metric(run, name, value)
    for row in evaluation.list_rows():
        for figure in ("scaled_error", "wape", "bias"):
            client.log_metric(run, f"{row['forecaster']}_{figure}", float(row[figure]))
    client.log_artifact(run, str(evaluation.report))
    if not context.mlflow_run:
        client.set_terminated(run)
    return run
