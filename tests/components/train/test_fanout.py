"""Work spread over stores: what survives, what is told, what is held back."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from components.train.fanout import Task, open_workers
from foreact.errors import ForeactError
from foreact.runs.process import TaskSize

SIZE = TaskSize(cpus=2, memory=2 * 1024**3)


def work(job: dict[str, Any], shared: str) -> str:
    kind = job["kind"]
    if kind == "raises":
        raise ValueError("no such luck")
    if kind == "dies" or (kind == "dies once" and not Path(job["marker"]).exists()):
        Path(job["marker"]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{job['name']} done{shared}"


def tasks(tmp_path: Path, kinds: dict[str, str], memory: int = 1) -> list[Task[dict[str, Any]]]:
    return [
        Task(store, {"name": store, "kind": kind, "marker": str(tmp_path / store)}, memory)
        for store, kind in kinds.items()
    ]


@pytest.mark.ray
def test_ray_brings_back_every_store_and_says_what_became_of_the_others(tmp_path: Path) -> None:
    kinds = {"a": "works", "b": "dies once", "c": "dies", "d": "raises", "e": "works"}
    # The last one is larger than the machine: it gets its turn alone.
    given = [*tasks(tmp_path, kinds), *tasks(tmp_path, {"large": "works"}, memory=10**15)]

    with open_workers(len(given), size=SIZE) as workers:
        outcomes = {o.store: o for o in workers.run(work, given, " by all")}

    assert {s: o.result for s, o in outcomes.items() if o.result} == {
        "a": "a done by all",
        "b": "b done by all",
        "e": "e done by all",
        "large": "large done by all",
    }
    assert outcomes["c"].failure == "its worker died 3 times"
    assert outcomes["d"].failure == "no such luck"


def test_one_store_is_done_in_this_process(tmp_path: Path) -> None:
    with open_workers(1, size=SIZE) as workers:
        outcomes = list(workers.run(work, tasks(tmp_path, {"a": "works", "d": "raises"}), ""))
    assert [(o.store, o.result, o.failure) for o in outcomes] == [("a", "a done", ""), ("d", None, "no such luck")]


# Ray's own client would go on trying for minutes.
@pytest.mark.timeout(65)
def test_a_cluster_that_does_not_answer_is_one_sentence_and_soon(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{unused.getsockname()[1]}"
        with (
            pytest.raises(ForeactError, match=f"No Ray cluster answers at {address}"),
            open_workers(2, size=SIZE, address=address),
        ):
            pass
