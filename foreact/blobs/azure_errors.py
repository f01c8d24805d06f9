"""The meaning of Azure's errors: another try, a state that a caller tested for, or a sentence for the user."""

import re
import socket
import ssl
from collections.abc import Iterator
from typing import cast

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from foreact.blobs.protocol import BlobConflict, BlobNotFound, BlobUnavailable
from foreact.errors import ForeactError

TRANSIENT = (408, 429)
PERMANENT = (501, 505)
SIGN_IN = "sign in (az login, workload identity or AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET)"
# Entra's number for why it gave no token.
REFUSED_BY_ENTRA = re.compile(r"AADSTS\d+")
FEDERATION = "check AZURE_CLIENT_ID, AZURE_TENANT_ID and the federated credential of the service account"


def is_transient(error: AzureError) -> bool:
    """Return whether another try may succeed."""
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return True
    if not isinstance(error, HttpResponseError) or isinstance(error, ClientAuthenticationError):
        return False
    # No status: the connection broke while the answer was being read.
    status = _status_code(error)
    return status is None or status in TRANSIENT or (status >= 500 and status not in PERMANENT)


def explain_refusal(verb: str, name: str, store: str, patience: float, error: AzureError) -> ForeactError:
    """Return the exception for a final error."""
    where = f"{name} in {store}" if name else store
    if isinstance(error, ResourceExistsError):
        return BlobConflict(f"{name} is already in {store}.")
    if isinstance(error, ResourceModifiedError):
        return BlobConflict(f"{where} is no longer in the state that was read.")
    if isinstance(error, ResourceNotFoundError) and error_code(error) != "ContainerNotFound":
        return BlobNotFound(f"{name} is not in {store}.")
    return BlobUnavailable(f"Cannot {verb} {where}: {_describe_trouble(patience, error)}.")


def error_code(error: AzureError) -> str:
    """Return the service's name for the error."""
    value = getattr(error, "error_code", None)
    return str(getattr(value, "value", value) or "")


def error_reason(error: AzureError) -> str:
    """Return what went wrong without the client's own text, which may repeat headers and addresses."""
    for cause in _list_causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {cause.verify_message}"
        if isinstance(cause, socket.gaierror):
            return "its name is not resolved"
    return error_code(error) or (f"status {_status_code(error)}" if _status_code(error) else type(error).__name__)


def _describe_trouble(patience: float, error: AzureError) -> str:
    if isinstance(error, ResourceNotFoundError):
        return "the container does not exist; create it or correct FOREACT_BLOB_URL"
    refusal = REFUSED_BY_ENTRA.search(str(error)) if isinstance(error, ClientAuthenticationError) else None
    if refusal:
        return f"Entra ID gives this identity no token ({refusal[0]}); {FEDERATION}"
    if isinstance(error, ClientAuthenticationError) or _status_code(error) in (401, 403):
        role = "with the role Storage Blob Data Contributor"
        return f"this identity is not allowed ({error_reason(error)}); {SIGN_IN} {role}"
    if is_transient(error):
        return (
            f"no answer within {patience:.0f} s ({error_reason(error)}); "
            "check that the account can be reached, then run again"
        )
    return f"the service refused ({error_reason(error)})"


def _list_causes(error: object) -> Iterator[BaseException]:
    """Return an error and what led to it, which clients keep in several places."""
    waiting, met = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in met:
            met.add(id(cause))
            yield cause
            places = (cause.__cause__, cause.__context__, getattr(cause, "reason", None))
            waiting += [*cause.args, *places, getattr(cause, "inner_exception", None)]


def _status_code(error: AzureError) -> int | None:
    return cast("int | None", getattr(error, "status_code", None))
