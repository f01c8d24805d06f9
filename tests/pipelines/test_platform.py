"""What the cluster is told of every task: the second document of the compiled pipelines.

The whole of it is kept in platform.yaml, to be reviewed; `python -m tests.pipelines.test_platform` writes it anew.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml

from foreact.settings import PipelineSettings
from pipelines.compiling import FOLDER
from pipelines.graph import DEADLINE, DESCRIPTIONS

SNAPSHOT = Path(__file__).with_name("platform.yaml")
STEPS = {"ingest", "validate", "train", "register", "publish", "report"}


def read(name: str) -> dict[str, Any]:
    _, platform = yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())
    return dict(platform)


@pytest.fixture(scope="module")
def tasks() -> dict[str, dict[str, Any]]:
    """Each task's settings by its name."""
    executors = read("retrain-all")["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): settings for name, settings in executors.items()}


@pytest.mark.parametrize("name", sorted(DESCRIPTIONS))
def test_it_is_what_was_reviewed(name: str) -> None:
    reviewed = yaml.safe_load(SNAPSHOT.read_text())
    assert read(name) == reviewed[name], "python -m tests.pipelines.test_platform writes it anew"


def test_every_task_has_its_place(tasks: dict[str, dict[str, Any]]) -> None:
    assert set(tasks) == STEPS
    for settings in tasks.values():
        assert settings["podMetadata"]["labels"]["azure.workload.identity/use"] == "true"
        assert settings["imagePullPolicy"] == "IfNotPresent"
        assert settings["securityContext"] == {"runAsNonRoot": True}
        assert settings["nodeSelector"] == {"labels": {"foreact.io/pool": "batch"}}
        assert settings["tolerations"] == [
            {"key": "foreact.io/pool", "operator": "Equal", "value": "batch", "effect": "NoSchedule"}
        ]
        scratch = settings["emptyDirMounts"][0]
        assert scratch["mountPath"] == "/tmp"
        assert scratch["sizeLimit"].endswith("Gi")
        assert 0 < int(settings["activeDeadlineSeconds"]) < DEADLINE


def test_secrets_are_references_and_go_where_they_are_used(tasks: dict[str, dict[str, Any]]) -> None:
    given = {
        name: {key["envVar"] for secret in settings.get("secretAsEnv", []) for key in secret["keyToEnv"]}
        for name, settings in tasks.items()
    }
    mlflow = {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
    assert {name for name, keys in given.items() if mlflow <= keys} == {"train", "register"}
    assert {name for name, keys in given.items() if "RAY_AUTH_TOKEN" in keys} == {"train"}
    assert {name for name, keys in given.items() if "FOREACT_WEBHOOK_URL" in keys} == {"report"}
    assert {name for name, keys in given.items() if "OTEL_EXPORTER_OTLP_HEADERS" in keys} == STEPS
    for settings in tasks.values():
        for secret in settings.get("secretAsEnv", []):
            assert secret["optional"]
            assert set(secret) == {"keyToEnv", "optional", "secretName", "secretNameParameter"}
            assert secret["secretName"] == "foreact-pipelines"


def test_no_secret_stands_in_a_compiled_pipeline() -> None:
    spec = next(yaml.safe_load_all((FOLDER / "retrain-all.yaml").read_text()))
    for executor in spec["deploymentSpec"]["executors"].values():
        assert [variable["name"] for variable in executor["container"]["env"]] == ["FOREACT_PIPELINE"]


def test_every_setting_of_the_steps_can_come_from_the_config_map(tasks: dict[str, dict[str, Any]]) -> None:
    every = {f"FOREACT_{name.upper()}" for name in PipelineSettings.model_fields}
    for name, settings in tasks.items():
        (config,) = settings["configMapAsEnv"]
        keys = {key["envVar"] for key in config["keyToEnv"]}
        assert config["optional"], "a place without it runs on defaults"
        assert all(key["envVar"] == key["configMapKey"] for key in config["keyToEnv"])
        secret = {"FOREACT_BLOB_CONNECTION_STRING", "FOREACT_WEBHOOK_URL"}
        given = {"FOREACT_WORKSPACE"}
        assert keys - {"RAY_AUTH_MODE", "OTEL_EXPORTER_OTLP_ENDPOINT"} == every - secret - given
        assert ("RAY_AUTH_MODE" in keys) == (name == "train")


if __name__ == "__main__":
    SNAPSHOT.write_text(yaml.safe_dump({name: read(name) for name in DESCRIPTIONS}, sort_keys=True), encoding="utf-8")
