"""One task a store, on Ray, no more at a time than memory holds."""

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from foreact.errors import ForeactError
from foreact.runs.process import TaskSize
from foreact.telemetry.tracing import log_context

log = logging.getLogger(__name__)
Job = TypeVar("Job")
Result = TypeVar("Result")

# A worker that dies takes no more than its own store down, and that one is tried again this often.
TRIES = 3
CONNECT_SECONDS = 10
CONNECTS = 3
# What a busy head says when it was too slow to start what serves us.
PASSING = ("Starting Ray client server failed", "ZombieProcess")
# A cluster that has scaled to nothing starts a node first.
WORKER_SECONDS = 900
# Tasks that a cluster is given beyond what it can do at the moment: the demand that lets it grow.
AHEAD = 64
# What workers may hold of a task's memory; the rest is for Ray itself, its objects and the driver.
WORKERS_SHARE = 0.6
OPTIONS: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of one store: its result, or why there is none."""

    store: str
    result: Result | None = None
    failure: str = ""


@dataclass(frozen=True)
class Task(Generic[Job]):
    """A store's work and the memory it may take."""

    store: str
    job: Job
    memory: int


def run_here(function: Callable[[Job], Result], tasks: Iterable[Task[Job]]) -> Iterator[Outcome[Result]]:
    """Do the work in this process, one store after the other."""
    for task in tasks:
        try:
            yield Outcome(task.store, function(task.job))
        except MemoryError:
            yield Outcome(task.store, failure="out of memory")
        except Exception as error:
            with log_context(store=task.store):
                log.exception("store %r failed", task.store)
            yield Outcome(task.store, failure=_first_sentence(error))


def run_on_ray(
    function: Callable[[Job], Result], tasks: Iterable[Task[Job]], *, size: TaskSize, address: str = ""
) -> Iterator[Outcome[Result]]:
    """Do the work on a Ray cluster: the one at `ray://...`, or one of this task's own size."""
    with _Session(address, size) as capacity:
        try:
            yield from _run_tasks(function, tasks, capacity)
        except ConnectionError as error:
            raise ForeactError(f"The Ray cluster at {address} went away amid the training: {error}.") from None


def _run_tasks(
    function: Callable[[Job], Result], tasks: Iterable[Task[Job]], capacity: "_Capacity"
) -> Iterator[Outcome[Result]]:
    import ray
    from ray.exceptions import RayError, RayTaskError

    # An error of the model would come again; only a worker that is gone is worth another try.
    remote = ray.remote(num_cpus=1, max_retries=TRIES - 1, retry_exceptions=False)(function)
    waiting: dict[Any, Task[Job]] = {}
    source = iter(tasks)
    following = next(source, None)
    while following is not None or waiting:
        while following is not None and capacity.admits(following.memory, waiting.values()):
            reference = remote.options(**capacity.claim(following.memory)).remote(ray.put(following.job))
            waiting[reference] = following
            following = next(source, None)
        done, _ = ray.wait(list(waiting), num_returns=1)
        for reference in done:
            task = waiting.pop(reference)
            try:
                yield Outcome(task.store, ray.get(reference))
            except RayTaskError as error:
                with log_context(store=task.store):
                    log.error("store %r failed: %s", task.store, error)
                yield Outcome(task.store, failure=_first_sentence(error.cause or error))
            except RayError as error:
                with log_context(store=task.store):
                    log.error("store %r: its worker died %d times: %s", task.store, TRIES, error)
                yield Outcome(task.store, failure=f"its worker died {TRIES} times")


class _Capacity:
    """How much work this machine's Ray takes at once; a store that alone is too large still gets its turn, alone."""

    def __init__(self, cpus: float, memory: float) -> None:
        self.memory = memory or float("inf")
        # Twice the cores: the next task's data is there when a core falls free.
        self.tasks = max(2, int(2 * cpus))

    def admits(self, memory: int, running: Iterable[Task[Any]]) -> bool:
        held = [task.memory for task in running]
        return not held or (len(held) < self.tasks and sum(held) + memory <= self.memory)

    def claim(self, memory: int) -> dict[str, Any]:
        return {}


class _ClusterCapacity(_Capacity):
    """How much a cluster takes: its own scheduler fits tasks to nodes by what they claim, and lets it grow."""

    def __init__(self, largest: float) -> None:
        super().__init__(0, 0)
        self.largest = largest

    def admits(self, memory: int, running: Iterable[Task[Any]]) -> bool:
        import ray

        return len(list(running)) < max(AHEAD, int(2 * ray.cluster_resources().get("CPU", 0)))

    def claim(self, memory: int) -> dict[str, Any]:
        # What no node could ever give would wait for ever.
        return {"memory": int(min(memory, self.largest))} if self.largest else {}


class _Session:
    """Ray for the length of a training."""

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

        # "local": never another cluster that happens to run on this machine.
        memory = int(self.size.memory * WORKERS_SHARE)
        ray.init(address="local", num_cpus=self.size.cpus, _memory=memory, include_dashboard=False, **OPTIONS)
        return _Capacity(self.size.cpus, memory)

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Fail at once where nobody listens; Ray itself would go on trying."""
    import socket
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(address)
        target = (parts.hostname or "", parts.port or 10001)
    except ValueError:
        target = ("", 0)
    if not address.startswith("ray://") or not target[0]:
        raise ForeactError(f"FOREACT_RAY_ADDRESS is {address!r}; it is ray://HOST:10001, or empty for Ray in the task.")
    try:
        socket.create_connection(target, timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ForeactError(f"No Ray cluster answers at {address} ({error}): check FOREACT_RAY_ADDRESS.") from None


def _connect_client(address: str) -> None:
    """Connect, or say in one sentence why not; Ray's client gives up after half a minute by itself."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray
    from ray.exceptions import AuthenticationError

    try:
        for left in reversed(range(CONNECTS)):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    # Code comes with the image that workers run too, so nothing is uploaded.
                    ray.init(address, **OPTIONS)
                break
            except (ConnectionError, RuntimeError) as error:
                if not left or not any(passing in str(error) for passing in PASSING):
                    raise
    except AuthenticationError:
        raise ForeactError(
            f"The Ray cluster at {address} wants a token: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to its file."
        ) from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ForeactError(
            f"What listens at {address} is no Ray cluster that takes us in ({_first_sentence(error)}): check "
            "FOREACT_RAY_ADDRESS, that RAY_AUTH_TOKEN is the cluster's, and that its Ray is of our version."
        ) from None


def _has_answered() -> bool:
    return True


def _await_worker(address: str) -> float:
    """Wait until the cluster has a worker; gives the memory of its largest one."""
    import ray

    # Something to do lets a cluster that has scaled to nothing start a node.
    reference = ray.remote(num_cpus=1)(_has_answered).remote()
    ready, _ = ray.wait([reference], timeout=WORKER_SECONDS)
    if not ready:
        ray.cancel(reference)
        raise ForeactError(
            f"The Ray cluster at {address} had no worker within {WORKER_SECONDS // 60} minutes: "
            "see whether its nodes start, or leave FOREACT_RAY_ADDRESS empty to train inside the task."
        )
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    return max((float(resources.get("memory", 0)) for resources in nodes), default=0.0)


def _first_sentence(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[-1] if text else type(error).__name__
