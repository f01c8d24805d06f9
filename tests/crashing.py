"""Work in processes of its own: many at once, or killed, as by a power cut, at a chosen step."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock", "shutil.copyfile", "http.client.send")
# SQLite's writes are made in C and tell nobody: MLflow's own calls stand for them.
TRANSACTIONS = (
    *("create_run", "log_batch", "update_run_info", "create_registered_model", "create_model_version"),
    *("set_registered_model_alias", "get_model_version_by_alias", "search_model_versions", "search_runs"),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_at(boundary: int, work: Callable[[], Any]) -> bool:
    """Do the work in a process that dies by SIGKILL before its n-th such step; say whether it came to that.

    A step is whatever creates, locks, renames or removes a file, sends bytes to a server, or begins a transaction of
    MLflow's database.
    """
    child = os.fork()
    if child == 0:
        _work_until(boundary, work)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the work failed by itself"
    return False


def at_once(works: Iterable[Callable[[], Any]]) -> None:
    """Do each work in a process of its own, all at the same time, and fail if any of them fails."""
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            _work_until(0, work)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    assert not any(statuses), f"{sum(map(bool, statuses))} of {len(statuses)} failed"


def _work_until(boundary: int, work: Callable[[], Any]) -> None:
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen == boundary:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            count()

    def watch_calls(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_name in TRANSACTIONS and code.co_filename.endswith("sqlalchemy_store.py"):
            count()

    status = 1
    try:
        if boundary:
            sys.addaudithook(watch)
            sys.setprofile(watch_calls)
        work()
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        # Not by sys.exit: the rest of this process is pytest's.
        os._exit(status)
