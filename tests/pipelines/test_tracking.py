"""An evaluation in MLflow."""

from pathlib import Path

from foreact.registry import Registry
from foreact.settings import PipelineSettings
from pipelines.evaluation.backtest import Evaluation
from pipelines.evaluation.tracking import log_to_mlflow
from tests.trainings import write_training


def test_an_evaluation_is_a_run_with_its_figures_by_date_and_what_was_not_measured_left_out(
    workspace: Path, tmp_path: Path
) -> None:
    baselines = {"seasonal_naive": {"wape": 0.3}}
    (tmp_path / "report.html").write_text("the page")
    settings = PipelineSettings(workspace=workspace)
    record = write_training(tmp_path / "trained", settings, "r", {"Kiel": {"baselines": baselines}})
    evaluation = Evaluation(record, {"wape": 0.2}, tmp_path / "report.html")
    run = log_to_mlflow(evaluation, {"store": "Kiel"}, settings, "anna")

    client = Registry.connect(settings).client
    found = client.get_run(run)
    assert (found.info.run_name, found.info.status) == ("evaluate 2024-03-31", "FINISHED")
    assert found.data.tags["mlflow.user"] == "anna"
    assert found.data.params == {"store": "Kiel"}
    assert found.data.metrics == {"wape": 0.2, "foreact_wape": 0.2, "seasonal_naive_wape": 0.3}
    assert [point.step for point in client.get_metric_history(run, "wape")] == [19813]
    assert [file.path for file in client.list_artifacts(run)] == ["report.html"]
