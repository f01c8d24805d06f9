"""Ray's head and worker as the manifest starts them: unprivileged, read-only, and open where they are probed."""

import pytest

from tests.image.conftest import Images
from tests.image.engine import Engine
from tests.kustomize.manifests import ROOT, Object, load
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.ray]

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
    def opened() -> bool:
        told = engine.docker("exec", container, "python", "-c", CONNECT, *wanted, check=False).stdout
        state = engine.docker("inspect", "--format", "{{.State.Running}}", container).stdout.strip()
        assert state == "true", engine.docker("logs", container, check=False).stderr[-3000:]
        return told.count("True") == len(wanted)

    until(opened)


def count_nodes(engine: Engine, container: str) -> int:
    """Count the nodes that the head tells of: its report follows them by seconds."""
    return engine.docker("exec", container, "ray", "status", check=False).stdout.count("node_")


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
        stranger = docker_engine.docker("exec", container, "sh", "-c", script, check=False)
        assert stranger.returncode != 0
        until(lambda: count_nodes(docker_engine, container) == 2)
    finally:
        docker_engine.docker("rm", "--force", container, check=False)
