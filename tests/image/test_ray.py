"""Ray's head and worker as the manifest starts them: unprivileged, read-only, and open where they are probed."""

import time

import pytest

from tests.image.conftest import Images
from tests.image.engine import Engine
from tests.kustomize.manifests import ROOT, Object, load

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(1200)]

TOKEN = ("--env", "RAY_AUTH_MODE=token", "--env", f"RAY_AUTH_TOKEN={'x' * 40}")
CONNECT = """
import socket, sys
for port in map(int, sys.argv[1:]):
    with socket.socket() as probe:
        probe.settimeout(2)
        print(port, probe.connect_ex(("127.0.0.1", port)) == 0)
"""


def flags(parameters: dict[str, str]) -> str:
    return " ".join(f"--{name}={value}" for name, value in parameters.items())


def ports(group: Object) -> list[str]:
    container = group["template"]["spec"]["containers"][0]
    names = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    probed = container["readinessProbe"]["tcpSocket"]["port"]
    return [str(names.get(probed, probed)), *(str(port) for port in names.values())]


def wait(engine: Engine, container: str, *wanted: str) -> None:
    told, deadline = "", time.monotonic() + 120
    while time.monotonic() < deadline:
        told = engine.docker("exec", container, "python", "-c", CONNECT, *wanted, check=False).stdout
        if told.count("True") == len(wanted):
            return
        time.sleep(1)
    logs = engine.docker("logs", container, check=False)
    raise AssertionError(f"{told}{logs.stdout[-2000:]}{logs.stderr[-2000:]}")


def await_nodes(engine: Engine, container: str, wanted: int) -> int:
    """Count the nodes once all are told of: the head's report follows its nodes by seconds."""
    known, deadline = 0, time.monotonic() + 60
    while known != wanted and time.monotonic() < deadline:
        known = engine.docker("exec", container, "ray", "status", timeout=90).stdout.count("node_")
    return known


def test_head_and_worker_open_what_is_probed(docker_engine: Engine, images: Images) -> None:
    spec = next(item for item in load(ROOT / "platform/ray") if item["kind"] == "RayCluster")["spec"]
    head, worker = spec["headGroupSpec"], spec["workerGroupSpecs"][0]
    start = f"ray start --head {flags(head['rayStartParams'])} --ray-client-server-port=10001"
    container = docker_engine.docker(
        *("run", "--detach", "--read-only", "--tmpfs", "/tmp:exec", "--shm-size", "512m", "--network", "none"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", *TOKEN, images.pipeline),
        *("bash", "-c", f"ulimit -n 65536; {start} --node-ip-address=127.0.0.1 --block"),
    ).stdout.strip()
    try:
        wait(docker_engine, container, *ports(head))
        join = f"ray start --address=127.0.0.1:6379 {flags(worker['rayStartParams'])} --num-cpus=1 --block"
        docker_engine.docker("exec", "--detach", container, "bash", "-c", join)
        wait(docker_engine, container, *ports(worker))
        # A stranger without the token learns nothing.
        script = "unset RAY_AUTH_TOKEN; HOME=/dev/null ray status"
        stranger = docker_engine.docker("exec", container, "sh", "-c", script, check=False, timeout=90)
        assert stranger.returncode != 0
        assert await_nodes(docker_engine, container, 2) == 2
    finally:
        docker_engine.docker("rm", "--force", container, check=False)
