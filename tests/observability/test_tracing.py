"""Spans and log lines, sent to a real OTLP receiver and read back from its protobuf."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from foreact.blobs.folder import FolderStore
from foreact.telemetry import tracing
from serving.refreshes.records import Refresh
from tests.observability.receiver import Receiver, receive
from tests.serving import shop
from tests.serving.conftest import Serving, start, store, tokens
from tests.serving.refreshes.runs import embedded
from tests.waiting import until

__all__ = ["start", "store", "tokens"]

# The receiver is a thread of a process that has other things to do.
PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "120"}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receive() as receiver:
        monkeypatch.setenv(tracing.ENDPOINT, receiver.url)
        for name, value in PATIENT.items():
            monkeypatch.setenv(name, value)
        yield receiver
        tracing.stop_exporting()


def spans(receiver: Receiver) -> list[Any]:
    found = []
    for path, headers, data in receiver.received:
        if path == "/v1/traces":
            assert headers.get("Content-Encoding") is None
            for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
                service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
                found += [(service, span) for scope in resource.scope_spans for span in scope.spans]
    return found


def log_lines(receiver: Receiver) -> list[Any]:
    requests = [ExportLogsServiceRequest.FromString(data) for path, _, data in receiver.received if path == "/v1/logs"]
    return [
        record
        for request in requests
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


STEP = """
import json, logging, sys
from foreact.runs.process import configure_task
_, events = configure_task()
with events.step("train"):
    logging.getLogger("foreact").warning("a line of the step")
print(json.dumps(sorted(name for name in sys.modules if name.startswith("opentelemetry"))))
"""


def run_step(workspace: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STEP],
        env={"PATH": "/usr/bin:/bin", "FOREACT_WORKSPACE": str(workspace), **PATIENT, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_nothing_of_it_is_imported_while_it_is_off(tmp_path: Path) -> None:
    assert json.loads(run_step(tmp_path, FOREACT_RUN_ID="r1").stdout) == []


def test_steps_of_a_run_share_a_trace_that_follows_from_its_id(tmp_path: Path, receiver: Receiver) -> None:
    for _ in range(2):
        run_step(tmp_path, FOREACT_RUN_ID="r1", **{tracing.ENDPOINT: receiver.url})
    found = spans(receiver)
    assert [(service, span.name) for service, span in found] == [("foreact-pipeline", "train")] * 2
    assert {span.trace_id.hex() for _, span in found} == {tracing.trace_of("r1").split("-")[1]}
    lines = [record for record in log_lines(receiver) if record.body.string_value == "a line of the step"]
    assert [line.trace_id for line in lines] == [span.trace_id for _, span in found]
    assert {a.key: a.value.string_value for a in lines[0].attributes} == {"logger": "foreact", "run": "r1"}


def test_a_refresh_is_one_trace_from_the_request_to_its_steps(
    receiver: Receiver, store: FolderStore, start: Callable[..., Serving], tmp_path: Path
) -> None:
    def command(refresh: Refresh) -> list[str]:
        return [sys.executable, "-c", STEP]

    shop.publish(store)
    tracing.start_exporting("foreact-serving")
    serving = start(runner=embedded(tmp_path, command))
    caller = f"00-{'ab' * 16}-{'cd' * 8}-01"
    answer = serving.post("/v1/stores/S1/refreshes", headers={"traceparent": caller})
    location = answer.headers["location"]
    until(lambda: serving.get(location).json()["ended_at"])
    tracing.stop_exporting()
    found = {(service, span.name): span for service, span in spans(receiver)}
    request = found["foreact-serving", "POST /v1/stores/{store}/refreshes"]
    step = found["foreact-pipeline", "train"]
    begun = found["foreact-serving", "refresh started"]
    assert {span.trace_id.hex() for span in (request, step, begun)} == {"ab" * 16}
    assert request.parent_span_id.hex() == "cd" * 8
    assert step.parent_span_id == begun.parent_span_id == request.span_id
    run = answer.json()["id"]
    assert {a.key: a.value.string_value for a in begun.attributes}["foreact.run"] == run
    assert begun.links[0].trace_id.hex() == tracing.trace_of(run).split("-")[1]


def test_a_receiver_that_is_away_stops_no_step(tmp_path: Path) -> None:
    environment = {tracing.ENDPOINT: "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    assert run_step(tmp_path, FOREACT_RUN_ID="r1", **environment).returncode == 0


@pytest.mark.parametrize("text", ["", "00-zz-1-01", f"00-{'0' * 32}-{'1' * 16}-01", "00-" + "a" * 500])
def test_a_traceparent_that_is_none_is_passed_over(text: str, receiver: Receiver) -> None:
    tracing.start_exporting("foreact-serving")
    with tracing.span("request", parent=text) as made:
        assert made.get_span_context().is_valid
