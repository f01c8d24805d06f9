"""The series of scorecards in the run's report."""

from datetime import date, timedelta
from pathlib import Path

from components.train.report.drift import add_latest, read_earlier_series
from components.train.report.page import write_report
from foreact.blobs import connect
from foreact.forecasting import Accuracy
from foreact.runs.trained import Trained, TrainedStore
from foreact.settings import PipelineSettings
from foreact.telemetry.scorecards import Scorecards, write_scorecards

AS_OF = date(2026, 3, 4)
HIGH = {"wape": 0.3, "bias": 0.4, "coverage": 0.8}
PROMISED = Accuracy(wape=0.3)


def test_the_report_charts_the_series_and_names_marked_stores(tmp_path: Path) -> None:
    settings = PipelineSettings(workspace=tmp_path)
    for day in (3, 2, 1):
        stores = {"Bonn": {**HIGH, "promised": 0.3}, "Gone": {**HIGH, "promised": 0.3}}
        write_scorecards(connect(settings), Scorecards(run=f"r{day}", as_of=AS_OF - timedelta(days=day), stores=stores))
    store = TrainedStore(
        store="Bonn",
        items=1,
        data_hash="h",
        outcome="promoted",
        reason="better",
        accuracy=PROMISED,
        scorecard=HIGH,
    )
    trained = Trained(as_of=AS_OF, horizon=7, source_version="s", margin=0.02, stores={"Bonn": store})
    kept = read_earlier_series(settings)
    assert [point.as_of.day for point in add_latest(kept, trained)["Bonn"]] == [1, 2, 3, 4]
    write_report(tmp_path / "report.html", trained, {}, kept)
    page = (tmp_path / "report.html").read_text()
    assert "How publications did, by day of data" in page
    assert "Marked for retraining" in page
    assert "Gone" not in page


def test_a_first_run_has_nothing_to_draw(tmp_path: Path) -> None:
    store = TrainedStore(store="Bonn", items=1, data_hash="h", outcome="promoted", reason="first", accuracy=PROMISED)
    trained = Trained(as_of=AS_OF, horizon=7, source_version="s", margin=0.02, stores={"Bonn": store})
    write_report(tmp_path / "report.html", trained, {}, read_earlier_series(PipelineSettings(workspace=tmp_path)))
    assert "How publications did" not in (tmp_path / "report.html").read_text()
