"""Rate limits: a number of tries a minute for each caller, counted in this process."""

from collections import OrderedDict
from collections.abc import Callable

MOST_CALLERS = 10_000


class RateLimit:
    """A bucket of tries for each caller, refilled evenly over a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._size = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take_try(self, caller: str) -> float:
        """Use up one try and return 0; without a try left, return the seconds until there is one."""
        now = self._clock()
        tries, at = self._buckets.pop(caller, (float(self._size), now))
        tries = min(self._size, tries + (now - at) * self._size / 60)
        wait = 0.0 if tries >= 1 else (1 - tries) * 60 / self._size
        self._buckets[caller] = (tries - 1 if tries >= 1 else tries, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return wait

    def return_try(self, caller: str) -> None:
        """Add back a try that does not count after all."""
        tries, at = self._buckets.get(caller, (float(self._size), self._clock()))
        self._buckets[caller] = (min(self._size, tries + 1), at)
