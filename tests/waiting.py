"""Waiting for what a test needs: it ends with the condition, so its limit may be far beyond any slow machine."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

Found = TypeVar("Found")
SECONDS = 240.0


def until(condition: Callable[[], Found], seconds: float = SECONDS) -> Found:
    """Return what the condition gives once that counts as true; fail the test if it never does."""
    deadline = time.monotonic() + seconds
    while True:
        # Whoever was held up for long still gets a last look.
        last = time.monotonic() > deadline
        if found := condition():
            return found
        if last:
            pytest.fail("it did not happen in time")
        time.sleep(0.05)
