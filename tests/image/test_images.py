"""What ships: small, unprivileged, without tools, and able to run what it is for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.image.conftest import Images
from tests.image.engine import ROOT, Engine
from tests.kustomize.manifests import ROOT as MANIFESTS
from tests.kustomize.manifests import load, pods
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

LOCKED = ("run", "--rm", "--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL")
TOOLS = ("pip", "pip3", "uv", "gcc", "cc", "make", "git", "curl", "wget")


def describe(engine: Engine, image: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(engine.docker("image", "inspect", image).stdout)
    return found[0]


@pytest.fixture(params=["pipeline", "serving"])
def image(request: pytest.FixtureRequest, images: Images) -> str:
    reference: str = getattr(images, request.param)
    return reference


def test_tells_where_it_comes_from(docker_engine: Engine, image: str, images: Images) -> None:
    config = describe(docker_engine, image)["Config"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.revision"] == images.commit
    assert labels["org.opencontainers.image.version"] == "0.1.0"
    assert f"FOREACT_CODE_VERSION={images.commit}" in config["Env"]
    assert not image.endswith(":latest")


def test_runs_as_nobody_on_a_read_only_root(docker_engine: Engine, image: str) -> None:
    script = "id -u; touch /opt/foreact/x 2>/dev/null || echo refused; touch $HOME/x && echo scratch; foreact --help"
    lines = docker_engine.docker(*LOCKED, image, "sh", "-c", script).stdout.splitlines()
    assert lines[:3] == ["10001", "refused", "scratch"]
    assert any("Usage: foreact" in line for line in lines)


def test_its_bill_of_materials_lists_what_it_has(docker_engine: Engine, images: Images, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "docker" / "sbom.py"), str(tmp_path), f"serving={images.serving}"]
    subprocess.run(command, env=docker_engine.environment, check=True, capture_output=True)
    bill = json.loads((tmp_path / "sbom-serving.json").read_text())
    listed = {
        (part["name"], part["version"]) for part in bill["components"] if part["purl"].startswith("pkg:deb/debian/")
    }
    asked = ("dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n")
    installed = docker_engine.docker(*LOCKED, images.serving, *asked).stdout
    assert listed == {tuple(line.split(" ")) for line in installed.splitlines()}
    assert [each["aggregate"] for each in bill["compositions"]] == ["complete"]


def test_leaves_no_build_tools(docker_engine: Engine, image: str) -> None:
    script = "; ".join(f"command -v {tool}" for tool in TOOLS) + "; python -m pip --version 2>/dev/null; true"
    assert docker_engine.docker(*LOCKED, image, "sh", "-c", script).stdout == ""


def test_serving_is_light(docker_engine: Engine, images: Images) -> None:
    assert describe(docker_engine, images.serving)["Size"] < 400e6
    absent = (
        "import importlib.util as u; print([m for m in ('kfp','ray','mlflow','pandas','sklearn') if u.find_spec(m)])"
    )
    assert docker_engine.docker(*LOCKED, images.serving, "python", "-c", absent).stdout.strip() == "[]"


def test_serving_has_a_health_check(docker_engine: Engine, images: Images) -> None:
    assert "/healthz" in " ".join(describe(docker_engine, images.serving)["Config"]["Healthcheck"]["Test"])


def test_serving_imports_all_that_it_serves_with(docker_engine: Engine, images: Images) -> None:
    docker_engine.docker(*LOCKED, images.serving, "python", "-c", "import serving.main, pyarrow.parquet, pyarrow.csv")


def test_pipeline_runs_a_component(docker_engine: Engine, images: Images) -> None:
    component = "from kfp.dsl import *\ndef hello(name: str) -> str:\n    return 'hello ' + name\n"
    executor_input = {
        "inputs": {"parameterValues": {"name": "store"}},
        "outputs": {"parameters": {"Output": {"outputFile": "/tmp/out"}}, "outputFile": "/tmp/meta.json"},
    }
    script = (
        f"cat > /tmp/c.py <<'EOF'\n{component}EOF\n"
        "_KFP_RUNTIME=true python -m kfp.dsl.executor_main --component_module_path /tmp/c.py"
        f" --function_to_execute hello --executor_input '{json.dumps(executor_input)}' >&2 && cat /tmp/meta.json"
    )
    told = json.loads(docker_engine.docker(*LOCKED, images.pipeline, "sh", "-c", script).stdout)
    assert told["parameterValues"] == {"Output": "hello store"}


def test_pipeline_has_every_step(docker_engine: Engine, images: Images) -> None:
    script = "import ray, mlflow, sklearn, skops, duckdb, great_expectations, psycopg2; import components, pipelines"
    docker_engine.docker(*LOCKED, images.pipeline, "python", "-c", script)
    assert "ray, version" in docker_engine.docker(*LOCKED, images.pipeline, "ray", "--version").stdout


def test_serving_submits_the_image_that_was_built(docker_engine: Engine, images: Images) -> None:
    script = "cat $FOREACT_REFRESH_PACKAGE"
    compiled = docker_engine.docker(*LOCKED, images.serving, "sh", "-c", script).stdout
    assert compiled.startswith("# Commit: ")
    named = {line.split("image: ")[1] for line in compiled.splitlines() if " image: " in line}
    assert named == {images.pipeline}


def test_serving_answers_and_is_healthy(docker_engine: Engine, images: Images) -> None:
    settings = {
        "FOREACT_SESSION_SECRET": "x" * 32,
        "FOREACT_METRICS_TOKEN": "x" * 32,
        "FOREACT_PUBLIC_URL": "https://foreact.example",
        "FOREACT_RUNNER": "none",
    }
    given = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    options = ("--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL")
    # A machine may be slow to start it, and to ask.
    patient = ("--health-interval", "1s", "--health-start-period", "240s", "--health-timeout", "60s")
    container = docker_engine.docker(
        "run", "--detach", *options, *patient, "--security-opt", "no-new-privileges", *given, images.serving
    ).stdout.strip()
    try:
        health = until(lambda: (state := _health(docker_engine, container)) != "starting" and state)
        logs = docker_engine.docker("logs", container)
        assert health == "healthy", logs.stdout + logs.stderr
        # By a pod's address, as the kubelet asks; metrics by the address that they came to.
        for path, host, status in (
            ("/healthz", "10.0.0.1", 200),
            ("/startupz", "10.0.0.1", 200),
            ("/readyz", "10.0.0.1", 200),
            ("/metrics", "10.0.0.1", 400),
            ("/metrics", "127.0.0.1", 401),
        ):
            told = docker_engine.docker("exec", container, "python", "-c", ASK, path, host).stdout
            assert told.strip() == str(status), path
        docker_engine.docker("stop", "--time", "120", container)
        state = json.loads(docker_engine.docker("inspect", container).stdout)[0]["State"]
        assert state["ExitCode"] == 0
    finally:
        docker_engine.docker("rm", "--force", container, check=False)


def test_the_evaluation_job_evaluates(docker_engine: Engine, images: Images) -> None:
    [job] = pods(load(MANIFESTS / "platform/evaluate"))
    [deployed] = job.containers
    command = [part.replace("$(HISTORY)", "/nowhere.csv") for part in (*deployed["command"], *deployed["args"])]
    told = docker_engine.docker(
        *LOCKED,
        images.pipeline,
        *command,
        check=False,
    )
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1] == "foreact: There is no file /nowhere.csv."


def test_forecasting_anew_looks_for_what_is_published(docker_engine: Engine, images: Images) -> None:
    [job] = pods(load(MANIFESTS / "base/pipelines"))
    [deployed] = job.containers
    told = docker_engine.docker(*LOCKED, images.pipeline, *deployed["command"], check=False)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1].startswith("foreact: Nothing is published yet, so there is no model")


ASK = """
import sys, httpx
path, host = sys.argv[1:]
print(httpx.get("http://127.0.0.1:8000" + path, headers={"host": host}, timeout=60).status_code)
"""


def _health(engine: Engine, container: str) -> str:
    state = json.loads(engine.docker("inspect", container).stdout)[0]["State"]
    return str(state["Health"]["Status"]) if state["Running"] else "stopped"


def test_mlflow_serves_as_it_is_deployed(docker_engine: Engine, images: Images) -> None:
    objects = load(MANIFESTS / "overlays/local")
    deployed = next(made for made in pods(objects) if made.owner["metadata"]["name"] == "mlflow").containers[0]
    config = next(
        item for item in objects if item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith("mlflow")
    )
    settings = {
        **config["data"],
        "MLFLOW_AUTH_ADMIN_PASSWORD": "correct horse battery",
        "MLFLOW_PIPELINES_PASSWORD": "staple of the steps",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "x" * 32,
        "MLFLOW_BACKEND_STORE_URI": "sqlite:////tmp/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": "/tmp/artifacts",
    }
    probes = [deployed[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe")]
    given = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    options = ("--detach", "--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL")
    [shell, flags], [script] = deployed["command"], deployed["args"]
    container = docker_engine.docker("run", *options, *given, images.pipeline, shell, flags, script).stdout.strip()
    # A kubelet asks for the pod's address and knows no password; a client asks for the service's name.
    ask = (
        "import httpx, sys, time\n"
        "server = httpx.Client(base_url='http://127.0.0.1:5000', headers={'host': '10.0.0.1:5000'}, timeout=60)\n"
        "for _ in range(600):\n"
        "    try:\n"
        "        server.get('/health').raise_for_status(); break\n"
        "    except httpx.HTTPError:\n"
        "        time.sleep(1)\n"
        "print(*(server.get(path).status_code for path in sys.argv[1:]))\n"
        "search = server.build_request('GET', '/api/2.0/mlflow/experiments/search?max_results=1')\n"
        "search.headers['host'] = 'mlflow.mlflow.svc.cluster.local:5000'\n"
        "admin = ('foreact-admin', 'correct horse battery')\n"
        "steps = ('foreact-pipelines', 'staple of the steps')\n"
        "print(*(server.send(search, auth=auth).status_code for auth in (None, admin, steps)))\n"
    )
    try:
        told = docker_engine.docker("exec", container, "python", "-c", ask, *probes, check=False)
        logs = docker_engine.docker("logs", container)
        assert told.stdout.split() == ["200"] * len(probes) + ["401", "200", "200"], (
            told.stderr + logs.stdout[-2000:] + logs.stderr[-3000:]
        )
        top = docker_engine.docker("top", container).stdout
        assert "job_runner" not in top
    finally:
        docker_engine.docker("rm", "--force", container, check=False)
