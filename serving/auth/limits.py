"""Limits for each caller, counted in this process: of tries a minute, and of what is under way at once."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


class Shares:
    """How much each caller has under way, and how much of it may be at once: of one caller, and of all."""

    def __init__(self, each: int, together: int | None = None) -> None:
        self.each = each
        self._together = together
        self._held: Counter[str] = Counter()

    def is_used_up(self, caller: str) -> bool:
        """Return whether a caller is to wait until something has ended."""
        return self._held[caller] >= self.each or (self._together is not None and self._held.total() >= self._together)

    @contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Count something of a caller's as under way."""
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
