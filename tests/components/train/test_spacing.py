"""Weekly and monthly chains, from files to what the service reads."""

import io
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.train.worker import train_store_job
from components.validate.step import validate
from foreact.outlines.assembling import assemble_store
from foreact.publications import PublishedModel, PublishedObject, StoreEntry
from foreact.runs.events import Events
from foreact.spacing import Spacing
from tests.components.train.small import make_jobs, read_objects
from tests.shops import take_in, write_rows


@pytest.mark.parametrize(("spacing", "periods"), [(Spacing.WEEKLY, 130), (Spacing.MONTHLY, 40)])
def test_a_chain_is_forecast_on_its_own_dates(tmp_path: Path, spacing: Spacing, periods: int) -> None:
    """Its plan is by day and ends before the horizon does; its year has a season."""
    last = date(2025, 3, 27) if spacing is Spacing.WEEKLY else date(2025, 2, 28)
    draw = np.random.default_rng(7)
    dates = [spacing.next_period(last, back) for back in range(1 - periods, 1)]
    rows = [
        [day, "A", item, draw.poisson(level * (1 + 0.5 * np.sin(2 * np.pi * place / spacing.year)))]
        for place, day in enumerate(dates)
        for item, level in (("x", 40), ("y", 100), ("z", 15))
    ]
    ends = spacing.next_period(last, 3)
    plan = [[dates[0] + timedelta(days=day), day % 5] for day in range((ends - dates[0]).days)]
    dataset = take_in(
        tmp_path,
        write_rows(tmp_path / "sales.csv", rows),
        write_rows(tmp_path / "plan.csv", plan, "date,promo"),
        horizon=0,
    )
    outcome = validate(dataset=dataset, rejected=tmp_path / "rejected", max_rejected_share=0.01, events=Events())
    assert outcome.problem == ""
    assert "known tables cover the horizon" in [each.rule for each in outcome.findings.warnings]
    [job] = make_jobs(outcome.checked).values()
    objects = read_objects(job, train_store_job(job, None))
    tables = {kind: pq.read_table(io.BytesIO(data)) for kind, data in objects.items() if kind != "outline"}
    ahead = [spacing.next_period(last, place) for place in range(1, spacing.usual_horizon + 1)]
    assert tables["totals"]["date"].to_pylist() == ahead
    # Neither a seventh nor seven times as much.
    assert 100 < np.mean(tables["totals"]["mean"].to_pylist()) < 240
    entry = StoreEntry(
        run="r", as_of=last, generated_at="2025-03-28T00:00Z", horizon=len(ahead), spacing=spacing, items=3,
        model=PublishedModel(name="m"), data_hash="h", code_version="c",
        objects={k: PublishedObject(name=k, sha256="", size=1, rows=t.num_rows) for k, t in tables.items()},
    )  # fmt: skip
    served = assemble_store("A", entry, objects)
    past = min(spacing.past, periods)
    assert served.past_dates[-past:].tolist() == dates[-past:]
    assert pa.types.is_date32(tables["history"]["date"].type)
