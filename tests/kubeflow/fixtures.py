"""A fake Kubeflow Pipelines, and compiled pipelines small enough to read."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from foreact.kubeflow.api import Kubeflow
from foreact.kubeflow.package import Package
from foreact.kubeflow.settings import KubeflowSettings
from tests.kubeflow.fake import Fake, serving

SPEC: dict[str, Any] = {
    "pipelineInfo": {"name": "retrain-all", "description": "Retrain every store."},
    "root": {
        "dag": {
            "tasks": {
                "exit-handler-1": {"componentRef": {"name": "comp-exit-handler-1"}, "taskInfo": {"name": "Retrain"}},
                "report": {"componentRef": {"name": "comp-report"}, "taskInfo": {"name": "Report how it ended"}},
            }
        },
        "inputDefinitions": {
            "parameters": {
                "history": {"parameterType": "STRING"},
                "known": {"parameterType": "LIST", "defaultValue": [], "isOptional": True},
                "horizon": {"parameterType": "NUMBER_INTEGER", "defaultValue": 28, "isOptional": True},
                "margin": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.02, "isOptional": True},
                "train_memory": {"parameterType": "STRING", "defaultValue": "8Gi", "isOptional": True},
            }
        },
    },
    "components": {
        "comp-exit-handler-1": {
            "dag": {
                "tasks": {
                    "ingest": {"componentRef": {"name": "comp-ingest"}, "taskInfo": {"name": "Ingest"}},
                    "train": {"componentRef": {"name": "comp-train"}, "taskInfo": {"name": "Train"}},
                }
            }
        },
        "comp-ingest": {"executorLabel": "exec-ingest"},
        "comp-train": {"executorLabel": "exec-train"},
        "comp-report": {"executorLabel": "exec-report"},
    },
}
PLATFORM = {"platforms": {"kubernetes": {"pipelineConfig": {"activeDeadlineSeconds": "14400"}}}}


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def start() -> Iterator[Callable[[Fake], str]]:
    """Serve a fake until the test ends."""
    with ExitStack() as stack:
        yield lambda fake: stack.enter_context(serving(fake))


@pytest.fixture
def host(fake: Fake, start: Callable[[Fake], str]) -> str:
    return start(fake)


@pytest.fixture
def settings(host: str) -> KubeflowSettings:
    return KubeflowSettings(host=host, timezone="Europe/Berlin")


@pytest.fixture
def kubeflow(settings: KubeflowSettings) -> Iterator[Kubeflow]:
    with Kubeflow(settings, lambda: datetime(2026, 11, 28, 8, 41, tzinfo=UTC)) as kubeflow:
        yield kubeflow


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of compiled pipelines."""
    folder = tmp_path / "compiled"
    folder.mkdir()
    (folder / "retrain-all.yaml").write_text(yaml.safe_dump_all([SPEC, PLATFORM]))
    one = yaml.safe_load(yaml.safe_dump(SPEC))
    one["pipelineInfo"]["name"] = "retrain-store"
    one["root"]["inputDefinitions"]["parameters"]["store"] = {"parameterType": "STRING"}
    (folder / "retrain-store.yaml").write_text(yaml.safe_dump_all([one, PLATFORM]))
    return folder


@pytest.fixture
def package(packages: Path) -> Package:
    return Package.load(packages / "retrain-all.yaml")
