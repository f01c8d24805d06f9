"""HTTP calls to an installation of Kubeflow Pipelines: its token, repeated reads, pages, and errors as sentences."""

import json
import socket
import ssl
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx

from foreact.errors import ForeactError
from foreact.kubeflow.settings import KubeflowSettings

PAGE_SIZE = 100
# While a server restarts, a call that changes nothing is repeated after these pauses.
RETRY_PAUSES = (0.0, 0.2, 0.4)
UNAVAILABLE = frozenset({502, 503, 504})

Answer = dict[str, Any]


class Refused(ForeactError):
    """Kubeflow Pipelines answered with an error."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Unreachable(ForeactError):
    """No answer: the request may have been carried out or not."""


class Connection:
    """The API of one installation (v2beta1)."""

    def __init__(self, settings: KubeflowSettings) -> None:
        if not settings.host:
            raise ForeactError("The address of Kubeflow Pipelines is not set: use --host or FOREACT_KFP_HOST.")
        host = settings.host.rstrip("/")
        self.host = host if "://" in host else f"https://{host}"
        self._client = httpx.Client(
            base_url=f"{self.host}/apis/v2beta1/",
            timeout=httpx.Timeout(settings.answer_seconds, connect=settings.connect_seconds),
            auth=_TokenFile(settings.token_file) if settings.token_file else None,
            # What was never sent may be sent again, whatever it is.
            transport=httpx.HTTPTransport(
                verify=ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True, retries=2
            ),
            follow_redirects=True,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send_request(self, method: str, path: str, **options: Any) -> Answer:
        """Send one request and return the answer's JSON; a GET is repeated while the server is unavailable."""
        for pause in RETRY_PAUSES if method == "GET" else ():
            try:
                response = self._client.request(method, path, **options)
                if response.status_code not in UNAVAILABLE:
                    return self._read_answer(response)
            except httpx.TransportError:
                pass
            time.sleep(pause)
        try:
            return self._read_answer(self._client.request(method, path, **options))
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(
                f"Kubeflow Pipelines does not answer at {self.host}: {_explain_silence(error)}."
            ) from None

    def post_json(self, path: str, body: Answer) -> Answer:
        """Post a body and return the answer's JSON."""
        return self.send_request("POST", path, json=body)

    def list_pages(self, path: str, filter_: str = "", *, key: str = "", **query: str) -> Iterator[Answer]:
        """Return the entries of all pages of a listing; `key` is their name in the answer, if it is not the path."""
        token = ""
        while True:
            params = {"page_token": token, "page_size": PAGE_SIZE, "filter": filter_, **query}
            page = self.send_request("GET", path, params=params)
            yield from page.get(key or path) or []
            token = page.get("next_page_token") or ""
            if not token:
                return

    def _read_answer(self, response: httpx.Response) -> Answer:
        if response.is_error:
            raise self._make_error(response)
        kind = response.headers.get("content-type", "").partition(";")[0]
        try:
            answer = response.json() if "json" in kind else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Refused(
                f"{self.host} answered with {kind or 'nothing'} instead of the Kubeflow Pipelines API's "
                "JSON: it is another server, or a login page that requires FOREACT_KFP_TOKEN_FILE.",
                response.status_code,
            )
        return answer

    def _make_error(self, response: httpx.Response) -> ForeactError:
        status = response.status_code
        place = f"Kubeflow Pipelines at {self.host}"
        reason = _read_message(response.text) or response.reason_phrase or "no reason given"
        if status in UNAVAILABLE:
            return Unreachable(f"Kubeflow Pipelines does not answer at {self.host}: {status} {reason}.")
        if status == 401:
            sentence = f"{place} does not recognise this caller: check FOREACT_KFP_TOKEN_FILE."
        elif status == 403:
            sentence = f"{place} does not allow this caller to do that: {reason}."
        else:
            sentence = f"Kubeflow Pipelines refused ({status}): {reason}."
        return Refused(sentence, status)


class _TokenFile(httpx.Auth):
    """Presents the token that the file holds now, because Kubernetes replaces its tokens while a process runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        try:
            token = self.path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ForeactError(f"The token file {self.path} (FOREACT_KFP_TOKEN_FILE) cannot be read.") from None
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


def _read_message(body: str) -> str:
    """Return what the server says: a status in JSON, or plain text from its upload handlers."""
    try:
        status = json.loads(body)
    except ValueError:
        status = {"message": "" if "<" in body else body}
    if not isinstance(status, dict):
        return ""
    text = str(status.get("message") or status.get("error_message") or status.get("error") or "").strip()
    return text.splitlines()[0].rstrip(".")[:300] if text else ""


def _explain_silence(error: BaseException) -> str:
    """Return in a few words why there was no answer."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    words: dict[type[BaseException], str] = {
        httpx.ConnectTimeout: "no connection in time",
        httpx.TimeoutException: "no answer in time",
        socket.gaierror: "no such host",
        ConnectionRefusedError: "connection refused",
        ssl.SSLError: "TLS failed",
        ConnectionResetError: "the connection was cut",
        httpx.ReadError: "the connection was cut",
        httpx.RemoteProtocolError: "the connection was cut",
    }
    for kind, text in words.items():
        if any(isinstance(each, kind) for each in chain):
            return text
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
