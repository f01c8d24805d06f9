"""The real parts that some tests need: found, or named in a skip that CI turns into a failure."""

import os
import shutil

import pytest


def require(*commands: str, install: str) -> list[str]:
    """Return the paths of the commands; without them skip and say what to install, or in CI fail."""
    found = [shutil.which(command) for command in commands]
    missing = [command for command, path in zip(commands, found, strict=True) if path is None]
    if missing:
        unavailable(f"needs {', '.join(missing)}: {install}")
    return [path for path in found if path is not None]


def unavailable(reason: str) -> None:
    """Skip the test for want of a part; in CI, where every part is installed, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
