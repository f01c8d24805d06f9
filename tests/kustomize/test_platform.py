"""What comes from upstream is pinned in one place, and our settings reach it; a small made-up copy stands for it."""

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
import yaml

from foreact.runs.events import FINAL
from pipelines.graph import WEEK
from tests.kustomize.manifests import LOADER, OVERLAYS, ROOT, Object, run_kustomize
from tests.kustomize.schemas import MODULES
from tests.kustomize.test_schemas import VERSION
from tests.parts import require

pytestmark = pytest.mark.kubectl
README = (ROOT / "README.md").read_text()
# Where upstream is fetched from, with the version that is asked for.
GIT = re.compile(r"github\.com/(?P<repository>[\w-]+/[\w-]+)/(?P<folder>[\w./-]+)\?ref=(?P<ref>[\w.]+)")
FILE = re.compile(r"https://github\.com/[\w-]+/[\w-]+/releases/download/v(?P<version>[\d.]+)/[\w-]+\.yaml")


def make_deployment(name: str, namespace: str, **container: Any) -> Object:
    labels = {"app": name}
    spec = {"containers": [{"name": name, "image": f"upstream.example/{name}:1", **container}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def make_config(name: str, **data: str) -> Object:
    metadata = {"name": name, "namespace": "kubeflow"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def make_namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


DEFAULTS = """\
spec:
  ttlStrategy: {secondsAfterCompletion: 60, secondsAfterSuccess: 60, secondsAfterFailure: 60}
  templateDefaults: {retryStrategy: {limit: '2', retryPolicy: OnError}}
"""
MADE_UP: dict[str, list[Object]] = {
    "kubeflow-definitions": [make_namespace("kubeflow")],
    "kubeflow": [
        make_deployment("workflow-controller", "kubeflow", env=[{"name": "OTHER", "value": "kept"}]),
        make_deployment("ml-pipeline-scheduledworkflow", "kubeflow"),
        make_config("workflow-controller-configmap", workflowDefaults=DEFAULTS, executor="kept"),
        make_config("pipeline-install-config", cronScheduleTimezone="Nowhere", bucketName="kept"),
    ],
    "kuberay": [make_deployment("kuberay-operator", "default")],
    "cert-manager": [
        make_namespace("cert-manager"),
        make_deployment("cert-manager", "cert-manager", args=["--kept"]),
        make_deployment("cert-manager-webhook", "cert-manager", args=["--kept"]),
    ],
    "envoy-gateway": [
        make_namespace("envoy-gateway-system"),
        make_deployment("envoy-gateway", "envoy-gateway-system"),
    ],
}


def git(folder: Path, *arguments: str) -> None:
    (command,) = require("git", install="git")
    identity = ("-c", "user.name=upstream", "-c", "user.email=upstream@upstream.example")
    subprocess.run([command, *identity, *arguments], cwd=folder, check=True, capture_output=True)


def read_kustomization(part: str) -> str:
    return (ROOT / "upstream" / part / "kustomization.yaml").read_text()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of repositories, each with the very folder and version that is asked for."""
    mirror = tmp_path_factory.mktemp("mirror")
    for part, objects in MADE_UP.items():
        for match in GIT.finditer(read_kustomization(part)):
            repository = mirror / match["repository"]
            folder = repository / match["folder"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "all.yaml").write_text(yaml.safe_dump_all(objects))
            (folder / "kustomization.yaml").write_text("resources: [all.yaml]\n")
            git(repository, "init", "--quiet")
            git(repository, "add", "--all")
            git(repository, "commit", "--quiet", "--message", "made up")
            git(repository, "tag", "--force", match["ref"])
    return mirror


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return our kustomizations with each release's file beside them, as the runbook has it without GitHub."""
    copy = tmp_path_factory.mktemp("copy") / "kustomize"
    shutil.copytree(ROOT, copy)
    for part, objects in MADE_UP.items():
        file = copy / "upstream" / part / "kustomization.yaml"
        if FILE.search(file.read_text()):
            file.write_text(FILE.sub("downloaded.yaml", file.read_text()))
            (file.parent / "downloaded.yaml").write_text(yaml.safe_dump_all(objects))
    return copy


@pytest.fixture(scope="module")
def build(copy: Path, mirror: Path) -> Any:
    def build(part: str) -> dict[str, Object]:
        """Build a part from the mirror, and return its valid objects by kind and name."""
        done = run_kustomize(
            copy / part,
            GIT_CONFIG_COUNT="1",
            GIT_CONFIG_KEY_0=f"url.file://{mirror}/.insteadOf",
            GIT_CONFIG_VALUE_0="https://github.com/",
        )
        assert done.returncode == 0, done.stderr
        objects = [item for item in yaml.load_all(done.stdout, LOADER) if item]
        for item in objects:
            kubernetes_validate.validate(item, VERSION, strict=True)
        return {f"{item['kind']}/{item['metadata']['name']}": item for item in objects}

    return build


def get_container(deployment: Object) -> Object:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Object = container
    return found


@pytest.fixture(scope="module")
def kubeflow(build: Any) -> dict[str, Object]:
    objects: dict[str, Object] = build("overlays/dev/kubeflow")
    return objects


@pytest.fixture(scope="module")
def defaults(kubeflow: dict[str, Object]) -> Object:
    spec: Object = yaml.safe_load(kubeflow["ConfigMap/workflow-controller-configmap"]["data"]["workflowDefaults"])[
        "spec"
    ]
    return spec


def test_argo_looks_at_runs_every_second(kubeflow: dict[str, Object]) -> None:
    container = get_container(kubeflow["Deployment/workflow-controller"])
    assert container["image"] == "upstream.example/workflow-controller:1"
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env == {"OTHER": "kept", "DEFAULT_REQUEUE_TIME": "1s"}


@pytest.mark.parametrize(
    ("status", "exit_code", "message", "is_tried_again"),
    [
        pytest.param("Failed", "1", "main: Error (exit code 1)", True, id="a step failed"),
        pytest.param("Failed", "1", "main: Error (exit code 1): MLflow is away.", True, id="a service was away"),
        pytest.param("Failed", "1", f"main: Error (exit code 1): {FINAL}: Rows are bad.", False, id="data was refused"),
        pytest.param("Failed", "137", "main: OOMKilled (exit code 137)", True, id="a step had too little memory"),
        pytest.param("Error", "-1", "pod deleted", True, id="a pod was deleted"),
        pytest.param("Failed", "-1", "", False, id="a step failed in this group"),
    ],
)
def test_a_failed_step_is_tried_again_if_that_can_help_but_not_its_group(
    defaults: Object, status: str, exit_code: str, message: str, is_tried_again: bool
) -> None:
    strategy = defaults["templateDefaults"]["retryStrategy"]
    assert strategy["retryPolicy"] == "Always"
    # Of Argo's language only what is Python's too, but for three words.
    expression = strategy["expression"].replace("||", "or").replace("&&", "and")
    expression = re.sub(r"(lastRetry\.message) contains ('[^']*')", r"\2 in \1", expression)
    scope = {"lastRetry": SimpleNamespace(status=status, exitCode=exit_code, message=message), "asInt": int}
    assert eval(expression, scope) is is_tried_again


def test_the_time_to_live_of_our_runs_is_not_beaten(defaults: Object) -> None:
    """Of what a run asks for and what it leaves to the defaults, Argo takes the more particular first."""
    ours = defaults["ttlStrategy"] | {"secondsAfterCompletion": WEEK}
    for end in ("secondsAfterSuccess", "secondsAfterFailure"):
        assert ours.get(end, ours["secondsAfterCompletion"]) == WEEK


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nightly_runs_start_by_the_places_clock(build: Any, overlay: str) -> None:
    data = build(f"overlays/{overlay}/kubeflow")["ConfigMap/pipeline-install-config"]["data"]
    values = (ROOT / "overlays" / overlay / "values/values.env").read_text()
    assert f"TIMEZONE={data['cronScheduleTimezone']}\n" in values
    assert data["bucketName"] == "kept"


def test_what_is_not_ours_stays(kubeflow: dict[str, Object]) -> None:
    assert kubeflow["ConfigMap/workflow-controller-configmap"]["data"]["executor"] == "kept"
    assert len(kubeflow) == len(MADE_UP["kubeflow"])


def test_settings_that_would_reach_nothing_are_an_error(copy: Path) -> None:
    text = yaml.safe_dump_all([item for item in MADE_UP["kubeflow"] if item["kind"] == "ConfigMap"])
    folder = copy / "overlays/dev/renamed"
    folder.mkdir()
    (folder / "all.yaml").write_text(text)
    kustomization = {"resources": ["all.yaml", "../values"], "components": ["../../../platform/kubeflow"]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    done = run_kustomize(folder)
    assert done.returncode != 0
    assert "workflow-controller" in done.stderr


def test_the_gateway_is_known_to_cert_manager_and_to_our_policies(build: Any) -> None:
    objects = build("upstream/cert-manager-gateway")
    assert get_container(objects["Deployment/cert-manager"])["args"] == ["--kept", "--enable-gateway-api"]
    assert get_container(objects["Deployment/cert-manager-webhook"])["args"] == ["--kept"]
    assert get_container(build("upstream/cert-manager")["Deployment/cert-manager"])["args"] == ["--kept"]
    envoy = build("upstream/envoy-gateway")
    assert envoy["Namespace/envoy-gateway-system"]["metadata"]["labels"] == {"foreact.io/role": "gateway"}
    assert envoy["Deployment/envoy-gateway"]["spec"]["replicas"] == 2


@pytest.mark.parametrize("part", ["kubeflow-definitions", "kuberay"])
def test_other_parts_are_built_as_they_are(build: Any, part: str) -> None:
    assert list(build(f"upstream/{part}").values()) == MADE_UP[part]


def test_pins_agree_with_the_runbook_with_kfp_and_with_the_schemas() -> None:
    pins = {part: set(re.findall(r"(?:ref=|download/)v?(\d[\d.]+)", read_kustomization(part))) for part in MADE_UP}
    (kfp,) = pins["kubeflow"]
    assert pins["kubeflow-definitions"] == {kfp}
    locked = re.search(r"(?m)^kfp==(\d+\.\d+)\.", (ROOT.parent / "locks/dev.txt").read_text())
    assert locked is not None
    assert kfp.startswith(f"{locked[1]}.")
    groups = {"kuberay": "ray.io", "cert-manager": "cert-manager.io", "envoy-gateway": "gateway.envoyproxy.io"}
    for part, group in groups.items():
        assert {MODULES[group][0].rpartition("@v")[2]} == pins[part]
    titles = {
        "Kubeflow Pipelines": "kubeflow",
        "KubeRay": "kuberay",
        "cert-manager": "cert-manager",
        "Envoy Gateway": "envoy-gateway",
    }
    for title, part in titles.items():
        (pin,) = pins[part]
        assert re.search(rf"(?m)^\| {title} \| {re.escape(pin)}\b", README), title


@pytest.mark.parametrize("target", ["platform", "platform-diff"])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_make_goes_through_folders_that_are_there(target: str, overlay: str) -> None:
    make = ["make", "--dry-run", target, f"OVERLAY={overlay}"]
    plan = subprocess.run(make, cwd=ROOT.parent, capture_output=True, text=True, check=True).stdout
    parts = re.findall(r"(?:upstream|overlays)/[\w/-]+", plan)
    assert all((ROOT / part / "kustomization.yaml").is_file() for part in parts)
    used = {part.rpartition("/")[2] for part in parts}
    # cert-manager looks for the gateway's definitions when it starts.
    if overlay == "local":
        assert used == {"kubeflow-definitions", "kubeflow", "kuberay", "cert-manager"}
    else:
        own = {"envoy-gateway", "envoy-class", "cert-manager-gateway", "azure"}
        assert used == {"kubeflow-definitions", "kubeflow", "kuberay", *own}
        assert parts.index("upstream/envoy-gateway") < parts.index("upstream/cert-manager-gateway")
