"""Run tasks of stores, on Ray or in this process, no more at a time than memory allows."""

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from foreact.errors import ForeactError, ServiceUnavailable
from foreact.runs.process import TaskSize
from foreact.telemetry.tracing import log_context

log = logging.getLogger(__name__)
Job = TypeVar("Job")
Result = TypeVar("Result")

# A worker that dies affects only its own store, which is tried this many times.
TRIES = 3
CONNECT_SECONDS = 10
CONNECT_TRIES = 3
# A driver that loses its connection finds its tasks again within this time; Ray's own is 30 seconds.
RECONNECT_SECONDS = 180
# Errors of a busy head node that was too slow to start the server for this client.
PASSING_ERRORS = ("Starting Ray client server failed", "ZombieProcess")
# A cluster that has scaled to zero starts a node first.
WORKER_SECONDS = 900
# The least number of tasks submitted to a cluster: demand beyond its present size lets it grow.
TASKS_AHEAD = 64
# The share of the step's memory for workers; the rest is for Ray itself, its objects and the driver.
WORKERS_SHARE = 0.6
RAY_OPTIONS: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}


@dataclass(frozen=True)
class TaskResult(Generic[Result]):
    """The result of one store's task, or why there is none."""

    store: str
    result: Result | None = None
    failure: str = ""


@dataclass(frozen=True)
class Task(Generic[Job]):
    """A store's job and the memory it needs."""

    store: str
    job: Job
    memory: int


class Workers(Protocol):
    """Where tasks run."""

    def run(
        self, function: Callable[[Job, Any], Result], tasks: Iterable[Task[Job]], shared: Any = None
    ) -> Iterator[TaskResult[Result]]:
        """Run a function on every task's job and what all tasks share, and return results as they come."""


@contextmanager
def open_workers(stores: int, *, size: TaskSize, address: str = "") -> Iterator[Workers]:
    """Open a Ray cluster for as long as it is needed: the one at `ray://...`, or a local one of the step's size."""
    # A single store is trained before Ray would have started.
    if stores == 1:
        yield _InProcess()
        return
    with _Session(address, size) as capacity:
        yield _OnRay(capacity, address)


class _InProcess:
    """This process, one task after the other."""

    def run(
        self, function: Callable[[Job, Any], Result], tasks: Iterable[Task[Job]], shared: Any = None
    ) -> Iterator[TaskResult[Result]]:
        for task in tasks:
            try:
                yield TaskResult(task.store, function(task.job, shared))
            except MemoryError:
                yield TaskResult(task.store, failure="out of memory")
            except Exception as error:
                with log_context(store=task.store):
                    log.exception("store %r failed", task.store)
                yield TaskResult(task.store, failure=_last_line(error))


class _OnRay:
    """A Ray cluster."""

    def __init__(self, capacity: "_Capacity", address: str) -> None:
        self.capacity, self.address = capacity, address

    def run(
        self, function: Callable[[Job, Any], Result], tasks: Iterable[Task[Job]], shared: Any = None
    ) -> Iterator[TaskResult[Result]]:
        try:
            yield from _run_remotely(function, tasks, shared, self.capacity)
        except ConnectionError as error:
            raise ServiceUnavailable(
                f"The Ray cluster at {self.address} was lost during the training: {error}."
            ) from None


def _run_remotely(
    function: Callable[[Job, Any], Result], tasks: Iterable[Task[Job]], shared: Any, capacity: "_Capacity"
) -> Iterator[TaskResult[Result]]:
    import ray
    from ray.exceptions import RayError, RayTaskError

    # An error of the model would recur; only a dead worker is worth another try.
    remote = ray.remote(num_cpus=1, max_retries=TRIES - 1, retry_exceptions=False)(function)
    common = ray.put(shared)
    running: dict[Any, Task[Job]] = {}
    source = iter(tasks)
    following = next(source, None)
    while following is not None or running:
        while following is not None and capacity.admits_task(following.memory, running.values()):
            reference = remote.options(**capacity.task_options(following.memory)).remote(ray.put(following.job), common)
            running[reference] = following
            following = next(source, None)
        done, _ = ray.wait(list(running), num_returns=1)
        for reference in done:
            task = running.pop(reference)
            try:
                yield TaskResult(task.store, ray.get(reference))
            except RayTaskError as error:
                with log_context(store=task.store):
                    log.error("store %r failed: %s", task.store, error)
                yield TaskResult(task.store, failure=_last_line(error.cause or error))
            except RayError as error:
                with log_context(store=task.store):
                    log.error("store %r: its worker died %d times: %s", task.store, TRIES, error)
                yield TaskResult(task.store, failure=f"its worker died {TRIES} times")


class _Capacity:
    """The work that a local Ray accepts at once; a store that is too large by itself runs alone."""

    def __init__(self, cpus: float, memory: float) -> None:
        self.memory = memory or float("inf")
        # Twice the cores, so that the next task's data is there when a core becomes free.
        self.tasks = max(2, int(2 * cpus))

    def admits_task(self, memory: int, running: Iterable[Task[Any]]) -> bool:
        """Return whether one more task may run beside these."""
        claimed = [task.memory for task in running]
        return not claimed or (len(claimed) < self.tasks and sum(claimed) + memory <= self.memory)

    def task_options(self, memory: int) -> dict[str, Any]:
        """Return the options that Ray gets for a task of this memory."""
        return {}


class _ClusterCapacity(_Capacity):
    """The work that a cluster accepts: its own scheduler places tasks by the memory they request, and lets it grow."""

    def __init__(self, largest: float) -> None:
        super().__init__(0, 0)
        self.largest = largest
        self.tasks = TASKS_AHEAD

    def admits_task(self, memory: int, running: Iterable[Task[Any]]) -> bool:
        self._look_around()
        return len(list(running)) < self.tasks

    def _look_around(self) -> None:
        """Count the cluster's cores; while it cannot be asked, they are as many as before."""
        import grpc
        import ray

        with suppress(grpc.RpcError):
            self.tasks = max(TASKS_AHEAD, int(2 * ray.cluster_resources().get("CPU", 0)))

    def task_options(self, memory: int) -> dict[str, Any]:
        # A task that requests more than any node has would wait for ever.
        return {"memory": int(min(memory, self.largest))} if self.largest else {}


class _Session:
    """Ray while a training runs."""

    def __init__(self, address: str, size: TaskSize) -> None:
        self.address = address
        self.size = size

    def __enter__(self) -> _Capacity:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if self.address:
            _check_reachable(self.address)
            _connect_client(self.address)
            return _ClusterCapacity(_await_worker(self.address))
        import ray

        # "local" never means another cluster that happens to run on this machine.
        memory = int(self.size.memory * WORKERS_SHARE)
        ray.init(address="local", num_cpus=self.size.cpus, _memory=memory, include_dashboard=False, **RAY_OPTIONS)
        return _Capacity(self.size.cpus, memory)

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise at once if nothing listens at the address, because Ray itself would keep trying."""
    import socket
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(address)
        target = (parts.hostname or "", parts.port or 10001)
    except ValueError:
        target = ("", 0)
    if not address.startswith("ray://") or not target[0]:
        raise ForeactError(
            f"FOREACT_RAY_ADDRESS is {address!r}; it must be ray://HOST:10001, or empty for Ray in the task."
        )
    try:
        socket.create_connection(target, timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ServiceUnavailable(f"No Ray cluster answers at {address} ({error}): check FOREACT_RAY_ADDRESS.") from None


def _connect_client(address: str) -> None:
    """Connect, or raise with the reason in one sentence; Ray's client gives up by itself after half a minute."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", str(RECONNECT_SECONDS))
    import ray
    from ray.exceptions import AuthenticationError

    try:
        for tries_left in reversed(range(CONNECT_TRIES)):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    # Workers run the same image, so no code is uploaded.
                    ray.init(address, **RAY_OPTIONS)
                break
            except (ConnectionError, RuntimeError) as error:
                if not tries_left or not any(text in str(error) for text in PASSING_ERRORS):
                    raise
    except AuthenticationError:
        raise ForeactError(
            f"The Ray cluster at {address} requires a token: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to its file."
        ) from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ServiceUnavailable(
            f"Connecting to a Ray cluster at {address} failed ({_last_line(error)}): check that FOREACT_RAY_ADDRESS "
            "is a Ray cluster, RAY_AUTH_TOKEN its token, and its version of Ray the same as here."
        ) from None


def _return_true() -> bool:
    return True


def _await_worker(address: str) -> float:
    """Wait until the cluster has a worker, and return the memory of its largest one."""
    import ray

    # A task lets a cluster that has scaled to zero start a node.
    reference = ray.remote(num_cpus=1)(_return_true).remote()
    ready, _ = ray.wait([reference], timeout=WORKER_SECONDS)
    if not ready:
        ray.cancel(reference)
        raise ServiceUnavailable(
            f"The Ray cluster at {address} had no worker within {WORKER_SECONDS // 60} minutes: "
            "check that its nodes start, or leave FOREACT_RAY_ADDRESS empty to train inside the task."
        )
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    return max((float(resources.get("memory", 0)) for resources in nodes), default=0.0)


def _last_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[-1] if text else type(error).__name__
