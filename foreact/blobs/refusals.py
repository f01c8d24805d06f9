"""What Azure's errors mean: worth another try, a state that a caller asked about, or a sentence for the user."""

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

PASSING = (408, 429)
NEVER_BETTER = (501, 505)
SIGN_IN = "sign in (az login, workload identity or AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET)"


def is_transient(error: AzureError) -> bool:
    """Say whether another try may do better."""
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return True
    if not isinstance(error, HttpResponseError) or isinstance(error, ClientAuthenticationError):
        return False
    # No status: the connection broke while the answer was being read.
    status = _status_code(error)
    return status is None or status in PASSING or (status >= 500 and status not in NEVER_BETTER)


def explain_refusal(verb: str, name: str, place: str, patience: float, error: AzureError) -> ForeactError:
    """Return what a final error means."""
    where = f"{name} in {place}" if name else place
    if isinstance(error, ResourceExistsError):
        return BlobConflict(f"{name} is already in {place}.")
    if isinstance(error, ResourceModifiedError):
        return BlobConflict(f"{where} is no longer in the state that was read.")
    if isinstance(error, ResourceNotFoundError) and error_code(error) != "ContainerNotFound":
        return BlobNotFound(f"{name} is not in {place}.")
    return BlobUnavailable(f"Cannot {verb} {where}: {_explain_trouble(patience, error)}.")


def error_code(error: AzureError) -> str:
    """Return the service's name for the error."""
    value = getattr(error, "error_code", None)
    return str(getattr(value, "value", value) or "")


def error_reason(error: AzureError) -> str:
    """Say what went wrong without the client's own text, which may repeat headers and addresses."""
    return error_code(error) or (f"status {_status_code(error)}" if _status_code(error) else type(error).__name__)


def _explain_trouble(patience: float, error: AzureError) -> str:
    if isinstance(error, ResourceNotFoundError):
        return "the container does not exist; create it or mend FOREACT_BLOB_URL"
    if isinstance(error, ClientAuthenticationError) or _status_code(error) in (401, 403):
        return f"this identity may not ({error_reason(error)}); {SIGN_IN} with the role Storage Blob Data Contributor"
    if is_transient(error):
        return (
            f"no answer within {patience:.0f} s ({error_reason(error)}); "
            "see whether the account can be reached, then run again"
        )
    return f"the service refused ({error_reason(error)})"


def _status_code(error: AzureError) -> int | None:
    return cast("int | None", getattr(error, "status_code", None))
