"""What one store's task gives back."""

import io
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from components.train.worker import RegisteredModel, train_store_job
from foreact.packing import pack_model
from foreact.publications import put_object
from tests.components.train.small import ITEMS, make_dataset, make_jobs, read_objects


def test_what_was_published_before_is_scored(tmp_path: Path) -> None:
    data = make_dataset(tmp_path, stores=1)
    before = data.info.as_of - timedelta(days=3)
    [job] = make_jobs(data).values()
    published = read_objects(job, train_store_job(job, None))["forecasts"]
    table = pq.read_table(io.BytesIO(published))
    shifted = table.set_column(
        table.schema.get_field_index("date"),
        "date",
        [[day - timedelta(days=3) for day in table["date"].to_pylist()]],
    )
    buffer = io.BytesIO()
    pq.write_table(shifted, buffer)
    earlier = put_object(job.connect().store, "forecasts/data/earlier/S0.parquet", buffer.getvalue())
    outcome = train_store_job(replace(job, run="again", previous={before: earlier}), None)
    scores = pq.read_table(io.BytesIO(read_objects(job, outcome)["scorecard"])).to_pylist()
    assert [(row["published_as_of"], row["lead"], row["cells"]) for row in scores] == [
        (before, 0, 3 * ITEMS),
        *((before, lead, ITEMS) for lead in (1, 2, 3)),
    ]
    assert 0 < outcome.record.scorecard["wape"] < 1


TRAIN = """
import pickle, sys
from components.train.worker import train_store_job
train_store_job(pickle.load(sys.stdin.buffer), None)
"""


def _write_nothing(folder: Path) -> None:
    (folder / "model.json").write_text("{}")


def test_what_a_worker_logs_names_run_and_store(tmp_path: Path) -> None:
    [job] = make_jobs(make_dataset(tmp_path, stores=1)).values()
    whose = {"run": "r1", "pipeline": "retrain-all", "request_id": "abc"}
    packed = put_object(job.connect().store, "forecasts/data/earlier/S0.zip", pack_model(_write_nothing))
    job = replace(job, champion=RegisteredModel("3", "earlier", packed), log_fields=whose)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        input=pickle.dumps(job),
        env={"PATH": os.environ["PATH"], "KUBERNETES_SERVICE_HOST": "10.0.0.1"},
        capture_output=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines
    for line in lines:
        assert {field: line[field] for field in (*whose, "store")} == {**whose, "store": "S0"}
