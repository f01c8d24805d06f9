"""A real Ray cluster and a training on it, in a network of its own; `test_ray_cluster.py` starts this and judges it.

    python -m tests.components.train.ray_cluster scenario FOLDER   a head, two workers and a driver; prints what it saw
    python -m tests.components.train.ray_cluster node ROLE FOLDER  one node, until it is killed

A worker is a process tree with its own scratch folder, to which the data's folder is hidden: it reads its store from
object storage. Killing it takes all of it at once, as when a pod is deleted.
"""

import fcntl
import json
import os
import pickle
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.train.worker import StoreJob, StoreOutcome, train_store_job
from foreact.blobs import BlobPlace
from foreact.publications import Reader
from tests.services import listens, serve_azurite
from tests.waiting import until

if TYPE_CHECKING:
    from foreact.data.dataset.stored import Dataset

GCS, CLIENT = "127.0.0.1:6379", "ray://127.0.0.1:10001"
TOKEN = "a" * 64
STORES = 30
CUT_SECONDS = 2
THIS = "tests.components.train.ray_cluster"


def raise_loopback() -> None:
    """Bring up `lo`, which a new network namespace has but does not use."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))


def run_node(role: str, folder: Path) -> None:
    """Be one node."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    head = role == "head"
    parameters = RayParams(
        gcs_address=None if head else GCS,
        gcs_server_port=6379 if head else None,
        ray_client_server_port=10001 if head else None,
        node_ip_address="127.0.0.1",
        num_cpus=0 if head else 1,
        num_gpus=0,
        memory=2 * 1024**3,
        object_store_memory=100 * 1024**2,
        temp_dir=str(folder),
        include_dashboard=False,
        include_log_monitor=False,
        no_monitor=True,
        min_worker_port=0,
        max_worker_port=0,
    )
    Node(parameters, head=head, shutdown_at_exit=False, spawn_reaper=False)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


@contextmanager
def node(role: str, folder: Path, hidden: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a node whose mounts and processes are its own; ready once the first line is read."""
    shell = f"mount -t tmpfs none {hidden} && exec {sys.executable} -m {THIS} node {role} {folder}"
    if role == "head":
        shell = f"exec {sys.executable} -m {THIS} node {role} {folder}"
    folder.mkdir()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", shell],
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Line:
    """A connection to the head that can be cut: what came over it ends, and nobody gets through until it is mended."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"ray://127.0.0.1:{self.server.getsockname()[1]}"
        self.is_cut = False
        self.ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.is_cut = True
        for end in self.ends:
            _close(end)
        self.ends.clear()

    def mend(self) -> None:
        self.is_cut = False

    def _accept(self) -> None:
        while True:
            caller, _ = self.server.accept()
            if self.is_cut:
                caller.close()
                continue
            head = socket.create_connection(("127.0.0.1", 10001))
            self.ends += [caller, head]
            for source, target in ((caller, head), (head, caller)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        _close(end)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def train_and_tell(job: StoreJob, chain: None) -> tuple[str, bool, StoreOutcome]:
    """Train, and tell on which node, and whether the data's folder can be seen from there.

    Neither node does its second store before each has done one.
    """
    import ray

    place, done = ray.get_runtime_context().get_node_id(), Path(os.environ["DONE"])
    while (done / place).exists() and len(list(done.iterdir())) < 2:
        time.sleep(0.05)
    outcome = train_store_job(job, chain)
    (done / place).touch()
    return place, Path(os.environ["HIDDEN"], "sales.csv").exists(), outcome


def comparable(outcome: StoreOutcome, data: "Dataset") -> tuple[Any, ...]:
    """Return the record, and what was written, but for the run's name."""
    record, reader = outcome.record, Reader(data.place.connect())
    written = {**record.objects, "model": record.model, "challenger": record.challenger}
    contents = {kind: reader.read_object(each) for kind, each in written.items() if each is not None}
    return record.model_copy(update={"objects": {}, "model": None, "challenger": None}), contents


def train_with_a_death(data: "Dataset", victim: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Train all stores while one of two workers is killed."""
    import ray

    from components.train.fanout import Task, open_workers
    from foreact.runs.process import TaskSize
    from tests.components.train.small import make_jobs

    jobs = make_jobs(data)
    size = TaskSize(cpus=1, memory=1024**3)
    with open_workers(1, size=size) as here:
        done = here.run(train_store_job, [Task(s, j, 1) for s, j in jobs.items()])
        expected = {each.store: comparable(each.result, data) for each in done if each.result}
    jobs = {store: replace(job, run="on two") for store, job in jobs.items()}
    # Larger than either node: it is given the most that one has.
    tasks = [Task(s, job, 10**12 if number == 0 else 10**8) for number, (s, job) in enumerate(jobs.items())]
    began, places, failures, same, seen, largest = time.monotonic(), [], {}, 0, 0, 0

    def living() -> int:
        return sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())

    alive: list[int] = []
    killed_after = 0
    line = Line()
    with open_workers(len(tasks), size=size, address=line.address) as workers:
        patience = ray.util.client.ray.get_context().client_worker._reconnect_grace_period
        outcomes = enumerate(workers.run(train_and_tell, tasks), 1)
        for number, outcome in outcomes:
            if outcome.result is None:
                failures[outcome.store] = outcome.failure
            else:
                place, visible, trained = outcome.result
                places.append(place)
                seen += visible
                same += comparable(trained, data) == expected[outcome.store]
                largest = max(largest, len(pickle.dumps(trained)))
            if len(set(places)) == 2 and not killed_after:
                victim.kill()
                line.cut()
                threading.Timer(CUT_SECONDS, line.mend).start()
                killed_after = number
            if number == 1:
                alive.append(living())
            if number == len(jobs):
                # The driver goes away with the last one.
                until(lambda: living() < 2)
                alive.append(living())
    return {
        "stores": len(jobs),
        "same": same,
        "failures": failures,
        "places": len(set(places)),
        "killed_after": killed_after,
        "patience": patience,
        "alive": [alive[0], alive[-1]],
        "data_seen_by_workers": seen,
        "largest_result": largest,
        "largest_job": max(len(pickle.dumps(job)) for job in jobs.values()),
        "seconds": time.monotonic() - began,
    }


def refuse(address: str, **environment: str) -> dict[str, Any]:
    """Try to train where that cannot work; a new process, for Ray reads its token once."""
    code = (
        "from components.train.fanout import open_workers\n"
        "from foreact.errors import ForeactError\n"
        "from foreact.runs.process import TaskSize\n"
        "try:\n"
        f"    with open_workers(2, size=TaskSize(1, 1024**3), address={address!r}):\n"
        "        pass\n"
        "except ForeactError as problem:\n"
        "    print(problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, check=False
    )
    return {"said": done.stdout.strip() or done.stderr[-2000:]}


class Mute(socketserver.BaseRequestHandler):
    """Takes connections and says nothing."""

    def handle(self) -> None:
        while self.request.recv(1 << 16):
            pass


def scenario(folder: Path) -> dict[str, Any]:
    """Run everything on one cluster."""
    from tests.components.train.small import make_dataset

    raise_loopback()
    began, times = time.monotonic(), {}
    data, done = folder / "data", folder / "done"
    data.mkdir()
    done.mkdir()
    os.environ |= {
        "HIDDEN": str(data), "DONE": str(done),
        "RAY_AUTH_TOKEN": TOKEN, "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0",
        # A node that is gone is noticed in seconds; one that is held up for long is not taken for gone.
        "RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500",
        "RAY_health_check_timeout_ms": "60000", "RAY_health_check_failure_threshold": "3",
    }  # fmt: skip
    with ExitStack() as stack:
        azurite = stack.enter_context(serve_azurite(folder))
        # What workers get from their pod.
        os.environ["FOREACT_BLOB_CONNECTION_STRING"] = azurite.connection_string
        place = BlobPlace(folder / "workspace", f"{azurite.endpoint}/data")
        head = stack.enter_context(node("head", folder / "h", data))
        dataset = make_dataset(data, STORES, place=place)
        ready(head)
        listening(CLIENT)
        times["head"] = time.monotonic() - began
        workers = [stack.enter_context(node("worker", folder / f"w{i}", data)) for i in range(2)]
        mute = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mute))
        mute.daemon_threads = True
        threading.Thread(target=mute.serve_forever, daemon=True).start()
        seen: dict[str, Any] = {}
        tries = {
            "nobody": ("ray://127.0.0.1:9", {}),
            "mute": (f"ray://127.0.0.1:{mute.server_address[1]}", {}),
            "wrong token": (CLIENT, {"RAY_AUTH_TOKEN": "b" * 64}),
            "no token": (CLIENT, {"RAY_AUTH_TOKEN": "", "HOME": str(folder)}),
        }
        threads = [
            threading.Thread(target=lambda n=name, a=a, e=e: seen.update({n: refuse(a, **e)}))  # type: ignore[misc]
            for name, (a, e) in tries.items()
        ]
        for thread in threads:
            thread.start()
        for worker in workers:
            ready(worker)
        times["workers"] = time.monotonic() - began
        seen["training"] = train_with_a_death(dataset, workers[0])
        times["trained"] = time.monotonic() - began
        for thread in threads:
            thread.join()
        seen["times"] = times | {"all": time.monotonic() - began}
        mute.shutdown()
    return seen


def ready(process: subprocess.Popen[bytes]) -> None:
    """Wait until a node says that it runs."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == b"ready":
            return
    raise RuntimeError("a node did not start")


def listening(address: str) -> None:
    """Wait until the head takes clients, which it does a while after it is ready."""
    port = address.rpartition(":")[2]
    until(lambda: listens(int(port)))


if __name__ == "__main__":
    if sys.argv[1] == "node":
        run_node(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.stdout.write(f"RESULT {json.dumps(scenario(Path(sys.argv[2])))}\n")
