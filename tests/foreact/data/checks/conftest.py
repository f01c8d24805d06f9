"""Two shops of two items, taken in and checked."""

from pathlib import Path
from typing import Any

import pytest

from components.validate.step import Validated, validate
from foreact.runs import defaults
from foreact.runs.events import Events
from tests.foreact.data.checks.findings import DAYS, Check, Rows
from tests.shops import TODAY, take_in, write_rows


@pytest.fixture
def rows() -> Rows:
    return [
        [day, store, item, 5 + index % 7]
        for index, day in enumerate(DAYS)
        for store in ("A", "B")
        for item in ("x", "y")
    ]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def run(
        rows: Rows,
        *known: Path,
        header: str = "date,store,item,units",
        limits: dict[str, Any] | None = None,
        **options: Any,
    ) -> Validated:
        source = take_in(tmp_path, write_rows(tmp_path / "sales.csv", rows, header), *known, **options)
        return validate(
            dataset=source,
            rejected=tmp_path / "rejected.csv",
            events=Events(tmp_path / "events"),
            **{"today": TODAY, "max_rejected_share": defaults.MAX_REJECTED_SHARE, **(limits or {})},
        )

    return run
