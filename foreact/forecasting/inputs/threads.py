"""One thread for every sum, so that the order of additions, and with it the last bit, is the same on any machine."""

from contextlib import AbstractContextManager
from typing import Any


def single_thread() -> AbstractContextManager[Any]:
    """Limit the linear algebra and the boosting to one thread; stores run side by side instead."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1)
    return limits
