"""MLflow's client with our own limits on retries, and its errors as one sentence."""

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from foreact.errors import ForeactError, ServiceUnavailable
from foreact.registry.records import EXPERIMENT

Item = TypeVar("Item")
Result = TypeVar("Result")

# A server answers many calls at once; SQLite takes one writer.
SERVER_THREADS = 8
NOT_FOUND = 404
# How long one try to reach a server takes, and how long it is remembered that all of them failed: a store alone is
# trained, registered and published in one process, and somebody waits for it.
REACH_SECONDS = 10
REMEMBERED_SECONDS = 600.0
OTHER_VERSION = "This MLflow cannot download one file of a run; install the version that Foreact's lock file names."
REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
_unreached: dict[str, float] = {}
# Its answer needs the server's database, which /health does not ask.
PROBE = "/api/2.0/mlflow/experiments/get-by-name"
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class RegistryUnavailable(ServiceUnavailable):
    """The registry did not answer, or refused."""


def make_client(uri: str) -> Any:
    """Return MLflow's client for tracking and registry."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # MLflow's own: 7 tries of 2 minutes each.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def reach_server(uri: str) -> None:
    """Wait until a server and its database answer: a minute, or not at all if this process has just waited in vain."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    waited = time.monotonic() - _unreached.pop(uri, -math.inf) < REMEMBERED_SECONDS
    asked = {"experiment_name": EXPERIMENT}
    retries = 0 if waited else None
    try:
        creds = get_default_host_creds(uri)
        http_request(creds, PROBE, "GET", max_retries=retries, timeout=REACH_SECONDS, params=asked)
    except Exception:
        _unreached[uri] = time.monotonic()
        raise


def download_file(files: Any, name: str, target: Path) -> None:
    """Download one file of a run.

    It uses the method that each of MLflow's artifact repositories implements, because the public one would list the
    whole run, every other store's model included, for each file.
    """
    try:
        download = files._download_file
    except AttributeError:
        raise ForeactError(OTHER_VERSION) from None
    download(name, str(target))


def display_address(uri: str) -> str:
    """Name a tracking server without the credentials its address may carry."""
    parts = urlsplit(uri)
    server = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{server}{parts.path}" if parts.scheme else parts.path


@contextmanager
def explain_mlflow_errors(address: str) -> Iterator[None]:
    """Raise MLflow's errors as one sentence."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException  # type: ignore[import-untyped]
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (RequestException, SQLAlchemyError) as error:
        raise RegistryUnavailable(_describe_outage(address, _explain_error(error))) from None
    except ModuleNotFoundError as error:
        raise ForeactError(
            f"{address} wants the Python package {error.name!r}, which is not here: install it, or name the driver "
            "that is, as in postgresql+psycopg2://."
        ) from None
    except OSError as error:
        raise RegistryUnavailable(_describe_outage(address, error.strerror or type(error).__name__)) from None
    except MlflowException as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, RequestException | SQLAlchemyError):
            raise RegistryUnavailable(_describe_outage(address, _explain_error(cause))) from None
        raise RegistryUnavailable(_describe_outage(address, error.error_code)) from None


def is_missing(error: Exception) -> bool:
    """Return whether MLflow means that the thing requested does not exist."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return getattr(error, "error_code", "") in MISSING or status == NOT_FOUND


def is_unknown(error: Exception) -> bool:
    """Return whether a registered model may not exist: a server refuses it, but to its administrator, instead."""
    return is_missing(error) or getattr(error, "error_code", "") == "PERMISSION_DENIED"


def map_concurrently(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Return the results of the work for each item in order, several at a time; the first failure ends it."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def sqlite_uri(workspace: Path) -> str:
    """Return the address of a workspace's own database."""
    return f"sqlite:///{workspace.absolute() / 'mlflow.db'}"


def _explain_error(error: Exception) -> str:
    """Return SQLite's own message, which is safe to repeat, or for a server only the kind of the error."""
    original = getattr(error, "orig", None)
    return str(original) if isinstance(original, sqlite3.Error) else type(error).__name__


def _describe_outage(address: str, why: str) -> str:
    if why in REFUSED:
        return f"The model registry at {address} refused ({why}): check the account and what it may do, then run again."
    return f"The model registry at {address} failed ({why}): check that it is running, then run again."
