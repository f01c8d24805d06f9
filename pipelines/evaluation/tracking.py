"""An evaluation in MLflow: its parameters, its figures and its page."""

import math

from foreact.context import RunContext
from foreact.settings import PipelineSettings
from pipelines.evaluation.backtest import Evaluation


def log_to_mlflow(evaluation: Evaluation, parameters: dict[str, str], settings: PipelineSettings, by: str = "") -> str:
    """Log figures, parameters and the page to the run that MLflow started, or to a new one; return the run's id."""
    from foreact.registry import Moment, Registry
    from foreact.registry.client import make_client
    from foreact.registry.figures import make_metrics

    context = RunContext.read()
    if context.mlflow_run:
        client = make_client(context.mlflow_uri or settings.mlflow_uri)
        run = context.mlflow_run
    else:
        registry = Registry.connect(settings)
        client = registry.client
        name, tags = f"evaluate {evaluation.trained.as_of}", {"mlflow.user": by} if by else {}
        run = client.create_run(registry.experiment, run_name=name, tags=tags).info.run_id
        for name, text in parameters.items():
            client.log_param(run, name, text)
    figures = dict(evaluation.figures)
    for row in evaluation.list_rows():
        named = {f"{row['forecaster']}_{figure}": float(row[figure]) for figure in ("scaled_error", "wape", "bias")}
        figures |= {name: value for name, value in named.items() if math.isfinite(value)}
    client.log_batch(run, make_metrics(figures, Moment(evaluation.trained.as_of, evaluation.trained.generated_at)))
    client.log_artifact(run, str(evaluation.report))
    if not context.mlflow_run:
        client.set_terminated(run)
    return run
