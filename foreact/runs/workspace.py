"""Runs in a workspace: the request of each, its folder, and its events.

runs/<id>/run.json       the request
runs/<id>/events.jsonl   the events, one a line
runs/<id>/log.txt        everything the steps logged
runs/<id>/reports/       the report of each step, as a page or a text
runs/last.json           the request of the last retrain-all that succeeded
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from foreact.blobs.records import StoredRecord, parse_or_skip, parse_record, skipped_records

KEPT_RUNS = 20


class Request(StoredRecord):
    """What a run has to do: a pipeline and its parameters."""

    kind: ClassVar[str] = "request"

    pipeline: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        """The run's name, which sorts by time."""
        return self.folder.name

    @property
    def events(self) -> Path:
        """The file of the run's events."""
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        """The file of all output of the steps."""
        return self.folder / "log.txt"

    @property
    def reports(self) -> Path:
        """The folder of the steps' pages and texts."""
        return self.folder / "reports"

    @property
    def request(self) -> Request:
        """What the run has to do."""
        path = self.folder / "run.json"
        return parse_record(Request, path.read_bytes(), str(path))

    def read_events(self, start: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Read the complete events after a position in the file, and the position to go on from."""
        if not self.events.exists():
            return [], start
        with self.events.open("rb") as file:
            file.seek(start)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        return list(_parse_events(whole, str(self.events))), start + len(whole)


def _parse_events(lines: bytes, name: str) -> Iterator[dict[str, Any]]:
    """Return the events of these lines; one that is torn, as by a full disk, is passed over."""
    for line in lines.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict) and {"event", "at"} <= event.keys():
            yield event
        else:
            skipped_records.note("run event", f"a line of {name} is no event.")


class WorkspaceRuns:
    """All runs of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "runs"
        self._last_request = self.folder / "last.json"

    def create_run(self, request: Request, name: str | None = None) -> Run:
        """Make the folder of a new run, under a name that the caller chose or one that sorts by time."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        run = self.get_run(name or f"{stamp}-{secrets.token_hex(3)}")
        run.folder.mkdir(parents=True)
        (run.folder / "run.json").write_text(request.model_dump_json(indent=1), encoding="utf-8")
        run.events.touch()
        return run

    def get_run(self, name: str) -> Run:
        """Return the run of a name, whether or not its folder exists yet."""
        return Run(self.folder / name)

    def list_runs(self) -> Iterator[Run]:
        """Return the runs, oldest first."""
        if self.folder.is_dir():
            for folder in sorted(self.folder.iterdir()):
                if (folder / "run.json").is_file():
                    yield Run(folder)

    def read_last_request(self) -> Request | None:
        """Return the request of the last successful retrain-all: where this workspace's data comes from.

        None if there is none that can be read; what a later version of this software wrote raises NewerRecord.
        """
        try:
            data = self._last_request.read_bytes()
        except FileNotFoundError:
            return None
        return parse_or_skip(Request, data, str(self._last_request))

    def remember_request(self, request: Request) -> None:
        """Store the request of a successful retrain-all; raise NewerRecord rather than replace what is newer."""
        self.read_last_request()
        draft = self._last_request.with_suffix(f".{os.getpid()}")
        draft.write_text(request.model_dump_json(indent=1), encoding="utf-8")
        draft.replace(self._last_request)

    def delete_old_runs(self) -> None:
        """Delete the folders of all but the latest runs."""
        for run in list(self.list_runs())[:-KEPT_RUNS]:
            shutil.rmtree(run.folder, ignore_errors=True)
