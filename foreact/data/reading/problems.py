"""What the machine or the engine refuses, as one sentence."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from foreact.errors import ForeactError

# Errors in our own SQL, not in the data.
OURS = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)


class ReadAll(Exception):
    """New files cannot be added to what was read before, because all rows decide otherwise now; the text says why."""


@contextmanager
def explain_engine_errors(what: str, where: Path) -> Iterator[None]:
    """Turn a full disk, a folder that cannot be written and data that cannot be read into a sentence."""
    try:
        yield
    except OSError as error:
        raise _explain_error(what, where, error.errno, error.strerror or str(error)) from error
    except duckdb.OutOfMemoryException as error:
        raise ForeactError(f"Could not {what}: the memory allowed is too small; raise the step's memory.") from error
    except OURS:
        raise
    except (duckdb.Error, pa.ArrowInvalid) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        number = next((code for code, text in SIGNS if text in lines[0]), None)
        raise _explain_error(what, where, number, lines[0].rstrip(".")) from error


SIGNS = (
    (errno.ENOSPC, "No space left"),
    (errno.EACCES, "Permission denied"),
    (errno.EROFS, "Read-only file system"),
)


def _explain_error(what: str, where: Path, number: int | None, text: str) -> ForeactError:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return ForeactError(f"Could not {what}: there is no space left in {where}; free some and run again.")
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ForeactError(f"Could not {what}: {where} cannot be written; allow it, or choose another place.")
    return ForeactError(f"Could not {what}: {text}.")
