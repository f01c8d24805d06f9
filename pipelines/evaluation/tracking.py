"""An evaluation in MLflow: its parameters, its figures and its page."""

import os

from foreact.context import RunContext
from foreact.settings import PipelineSettings
from pipelines.evaluation.backtest import Evaluation


def log_to_mlflow(evaluation: Evaluation, parameters: dict[str, str], settings: PipelineSettings) -> str:
    """Log figures, parameters and the page; into the run that MLflow began, where it did, else into a new one."""
    from foreact.registry import Registry
    from foreact.registry.client import make_client

    begun = RunContext.read().mlflow_run
    if begun:
        client = make_client(os.environ.get("MLFLOW_TRACKING_URI", settings.mlflow_uri))
        run = begun
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
    if not begun:
        client.set_terminated(run)
    return run
