"""What the compiled pipelines mean."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from foreact.kubeflow.package import Package
from pipelines.compiling import FOLDER, compile_all, find_stale
from pipelines.graph import DESCRIPTIONS, NO_PROMOTION, build_pipeline

STEPS = {
    "ingest": set(),
    "validate": {"ingest"},
    "train": {"validate"},
    "register": {"train"},
    "publish": {"train", "register"},
}


@pytest.fixture(scope="module", params=sorted(DESCRIPTIONS))
def compiled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Each pipeline with a task a step: all stores' as it is compiled, one store's as it runs on a laptop."""
    path = FOLDER / f"{request.param}.yaml"
    if request.param == "retrain-store":
        path = tmp_path_factory.mktemp("compiled") / path.name
        compiler.Compiler().compile(build_pipeline(request.param), str(path))
    spec, platform = yaml.safe_load_all(path.read_text())
    return request.param, spec, platform


@pytest.fixture(scope="module")
def one_task() -> tuple[dict[str, Any], dict[str, Any]]:
    """What is compiled for one store."""
    spec, platform = yaml.safe_load_all((FOLDER / "retrain-store.yaml").read_text())
    return spec, platform


def inner(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the tasks that the exit handler watches over."""
    (name,) = [n for n in spec["components"] if "dag" in spec["components"][n]]
    return dict(spec["components"][name]["dag"]["tasks"])


def test_what_is_committed_is_what_the_definitions_say() -> None:
    assert find_stale(FOLDER) == []


def test_a_changed_file_is_found(tmp_path: Path) -> None:
    compile_all(tmp_path)
    (tmp_path / "retrain-all.yaml").write_text("something else")
    assert find_stale(tmp_path) == ["retrain-all.yaml"]


def test_steps_follow_each_other(compiled: Any) -> None:
    _, spec, _ = compiled
    assert {name: set(task.get("dependentTasks", [])) for name, task in inner(spec).items()} == STEPS


def test_every_task_has_a_name_a_size_and_the_one_image(compiled: Any) -> None:
    _, spec, _ = compiled
    tasks = {**inner(spec), "report": spec["root"]["dag"]["tasks"]["report"]}
    for name, task in tasks.items():
        assert task["taskInfo"]["name"] != name, "a title for people, not the function's name"
        container = spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
        assert container["image"] == "foreact-pipeline:dev"
        assert "pip install" not in " ".join(container["command"])
        resources = container["resources"]
        assert {"resourceCpuLimit", "resourceMemoryLimit", "resourceCpuRequest", "resourceMemoryRequest"} <= set(
            resources
        )
        parameter = "train_memory" if name == "train" else "step_memory"
        assert any(parameter in str(i) for i in task["inputs"]["parameters"].values())


def test_every_parameter_and_output_is_described(compiled: Any) -> None:
    _, spec, _ = compiled
    shown = {name: each for name, each in spec["components"].items() if "dag" not in each} | {"run": spec["root"]}
    undescribed = [
        f"{component}: {name}"
        for component, interface in shown.items()
        for side in ("inputDefinitions", "outputDefinitions")
        for kind in interface.get(side, {}).values()
        for name, value in kind.items()
        if not value.get("description")
    ]
    assert undescribed == []


def test_nothing_is_cached(compiled: Any) -> None:
    _, spec, _ = compiled
    assert [name for name, task in inner(spec).items() if task["cachingOptions"].get("enableCache")] == []


def test_every_step_of_a_refresh_knows_its_store(compiled: Any) -> None:
    name, spec, _ = compiled
    given = {step: task["inputs"]["parameters"]["store"] for step, task in inner(spec).items()}
    assert set(given) == set(STEPS)
    for value in given.values():
        assert ("componentInputParameter" in value) == (name == "retrain-store")


def test_retries_back_off_and_have_the_time_for_it(compiled: Any) -> None:
    _, spec, platform = compiled
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for name, task in inner(spec).items():
        policy = task["retryPolicy"]
        assert policy["maxRetryCount"] >= 1
        assert policy["backoffFactor"] == 2.0
        # Argo counts it from the first try's start and ends the try that runs then.
        timeout = int(executors[f"exec-{name}"]["activeDeadlineSeconds"])
        assert int(policy["backoffMaxDuration"].rstrip("s")) >= timeout * (policy["maxRetryCount"] + 1)


def test_the_end_is_always_reported(compiled: Any) -> None:
    _, spec, _ = compiled
    report = spec["root"]["dag"]["tasks"]["report"]
    assert report["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert "taskFinalStatus" in report["inputs"]["parameters"]["status"]


def test_one_store_is_one_task_of_the_size_of_training(one_task: Any) -> None:
    spec, platform = one_task
    ((name, task),) = spec["root"]["dag"]["tasks"].items()
    container = spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
    assert container["image"] == "foreact-pipeline:dev"
    assert "train_memory" in container["resources"]["resourceMemoryLimit"]
    assert task["retryPolicy"].get("maxRetryCount", 0) == 0, "data that was refused would be refused again"
    assert not task["cachingOptions"].get("enableCache")
    # Every parameter reaches it under its own name.
    given = {name: each.get("componentInputParameter") for name, each in task["inputs"]["parameters"].items()}
    assert {name: name for name in spec["root"]["inputDefinitions"]["parameters"]}.items() <= given.items()
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"exec-{name}"]
    secrets = {key["envVar"] for secret in settings["secretAsEnv"] for key in secret["keyToEnv"]}
    assert {"FOREACT_BLOB_CONNECTION_STRING", "MLFLOW_TRACKING_PASSWORD", "FOREACT_WEBHOOK_URL"} <= secrets
    assert Package.load(FOLDER / "retrain-store.yaml").titles == {name: "Retrain one store"}


def test_a_place_fills_in_what_runs_started_by_hand_need(tmp_path: Path) -> None:
    place = {"history": "https://a.blob.core.windows.net/sales/", "known": ["https://a/prices.csv"], "horizon": 14}
    for path in compile_all(tmp_path, place):
        parameters = Package.load(path).spec["root"]["inputDefinitions"]["parameters"]
        assert {name: parameters[name]["defaultValue"] for name in place} == place
        assert parameters["missing"]["defaultValue"] == "auto"
        Package.load(path).check_parameters({"store": "S"} if path.stem == "retrain-store" else {})


def test_runs_end_and_are_cleaned_up(compiled: Any) -> None:
    _, _, platform = compiled
    config = platform["platforms"]["kubernetes"]["pipelineConfig"]
    assert int(config["activeDeadlineSeconds"]) <= 4 * 3600
    assert int(config["resourceTtlOnCompletion"]) > 0


def test_both_pipelines_differ_by_what_concerns_one_store_alone() -> None:
    specs = {n: next(yaml.safe_load_all((FOLDER / f"{n}.yaml").read_text())) for n in DESCRIPTIONS}
    parameters = {n: spec["root"]["inputDefinitions"]["parameters"] for n, spec in specs.items()}
    assert set(parameters["retrain-store"]) - set(parameters["retrain-all"]) == {
        "store",
        *NO_PROMOTION,
    }
    for pipeline, spec in specs.items():
        for executor in spec["deploymentSpec"]["executors"].values():
            # Each task says which pipeline it is of: a run that is stuck is known by it.
            assert executor["container"]["env"] == [{"name": "FOREACT_PIPELINE", "value": pipeline}]
