"""Kubeflow Pipelines' REST API v2beta1 as far as it is called, on a local port.

What it holds are the client's own models, read and written by the client's own code, so a field that the API does not
have cannot slip in. Names, conflicts, paging, filters, errors and the fate of schedules follow the backend's source.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import kfp_server_api as api
import yaml

PREFIX = "/apis/v2beta1/"
# What the backend tells of a moment that has not come.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}
FIELDS = {"display_name", "name", "created_at", "pipeline_id", "experiment_id", "run_id", "recurring_run_id"}
MOST = 200


class Refusal(Exception):
    """An error as the backend answers it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Death(Exception):
    """The server is gone; nobody gets an answer."""


@dataclass
class Fake:
    """The state of an installation."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    token: str = ""
    forbidden: bool = False
    page: str = ""
    most: int = MOST
    first_state: str = "PENDING"
    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    # Which mutating call is the last, counted from 1, and whether it is still carried out.
    dies_at: int = 0
    dies_after_doing: bool = False
    mutations: int = 0
    dead: bool = False
    # How many requests to a dead server get no answer before it is back by itself; 0: it stays away.
    missing: int = 0
    failures: list[int] = field(default_factory=list)
    _serial: int = 0
    _client: Any = field(default_factory=api.ApiClient)

    # --- what tests ask and arrange

    def kept(self, kind: str) -> list[Any]:
        """Return the things of a kind in the order of their making."""
        return list(self.things.setdefault(kind, {}).values())

    def revive(self) -> None:
        """Start the server again."""
        self.dead, self.dies_at, self.mutations = False, 0, 0

    def enter_state(self, run: Any, state: str) -> None:
        """Bring a run into a state."""
        run.state = state
        run.state_history = [*(run.state_history or []), api.V2beta1RuntimeStatus(state=state)]

    def end_run(self, run: Any, state: str, after: timedelta = timedelta(minutes=2)) -> None:
        """End a run so long after its making; no exit handler says anything."""
        self.enter_state(run, state)
        run.finished_at = run.created_at + after

    def _retry_run(self, run: Any) -> None:
        """Go on as the backend does: what went well stays, the exit handler of the first try included."""
        if run.state != "FAILED":
            raise Refusal(400, "Workflow must be Failed/Error to retry")
        self.enter_state(run, "RUNNING")
        run.finished_at = NEVER
        run.run_details.task_details = [task for task in run.run_details.task_details if task.state == "SUCCEEDED"]

    # --- one request

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Any:
        """Carry a request out and give what it answers."""
        if self.dead:
            if self.missing == 1:
                self.revive()
            self.missing = max(0, self.missing - 1)
            raise Death
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        path = unquote(url.path)
        self.calls.append(f"{method} {path}")
        if self.failures:
            raise Refusal(self.failures.pop(0), "the database is not there")
        if self.token and headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(401, "Request header error: there is no user identity header.")
        if self.forbidden:
            raise Refusal(403, f"User 'robot' is not authorized with reason: {method} {path}")
        if not path.startswith(PREFIX):
            raise Refusal(404, "Not Found")
        mutating = method != "GET"
        self.mutations += mutating
        dying = mutating and self.mutations == self.dies_at
        if dying and not self.dies_after_doing:
            self.dead = True
            raise Death
        result = self._route(method, path.removeprefix(PREFIX), query, headers, body)
        if dying:
            self.dead = True
            raise Death
        return self._client.sanitize_for_serialization(result)

    def _route(self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> Any:
        path, _, verb = path.partition(":")
        parts = path.split("/")
        if parts[0] == "pipelines":
            return self._pipelines(method, parts, query, headers, body)
        kinds = {
            "experiments": (api.V2beta1Experiment, api.V2beta1ListExperimentsResponse),
            "runs": (api.V2beta1Run, api.V2beta1ListRunsResponse),
            "recurringruns": (api.V2beta1RecurringRun, api.V2beta1ListRecurringRunsResponse),
        }
        if parts[0] not in kinds:
            raise Refusal(404, "Not Found")
        model, listing = kinds[parts[0]]
        kind = {"recurringruns": "recurring_runs"}.get(parts[0], parts[0])
        if len(parts) == 1:
            if method == "GET":
                return self._list(kind, listing, query)
            return getattr(self, f"_create_{kind}")(self._read(body, model))
        thing = self._find(kind, parts[1])
        if method == "DELETE":
            del self.things[kind][parts[1]]
            return {}
        if verb in {"enable", "disable"}:
            thing.mode, thing.status = verb.upper(), f"{verb.upper()}D"
            thing.updated_at = self.clock()
            return {}
        if verb == "terminate":
            # As the backend tells of it: cancelling, and when all its pods have gone, failed.
            self.enter_state(thing, "CANCELING")
            self.end_run(thing, "FAILED")
            return {}
        if verb == "retry":
            self._retry_run(thing)
            return {}
        return thing

    def _find(self, kind: str, identity: str) -> Any:
        try:
            return self.things.setdefault(kind, {})[identity]
        except KeyError:
            raise Refusal(404, f"ResourceNotFoundError: {kind} {identity} not found.") from None

    def _read(self, body: bytes, model: type) -> Any:
        known = set(model.attribute_map.values())  # type: ignore[attr-defined]
        unknown = set(json.loads(body)) - known
        if unknown:
            raise Refusal(400, f"unknown field {sorted(unknown)}")
        return self._client.deserialize(SimpleNamespace(data=body), model)

    def _keep(self, kind: str, thing: Any, key: str) -> Any:
        self._serial += 1
        identity = f"{kind.rstrip('s')}-{self._serial:04d}"
        setattr(thing, key, identity)
        # The backend keeps whole seconds.
        thing.created_at = self.clock().replace(microsecond=0)
        self.things.setdefault(kind, {})[identity] = thing
        return thing

    def _list(self, kind: str, listing: type, query: dict[str, str]) -> Any:
        found = self.kept(kind)
        for key in ("experiment_id", "pipeline_id", "namespace"):
            if query.get(key):
                found = [t for t in found if (getattr(t, key, None) or "") == query[key]]
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            if predicate["operation"] != "EQUALS" or predicate["key"] not in FIELDS:
                raise Refusal(400, f"Invalid input error: cannot filter by {predicate}")
            found = [t for t in found if getattr(t, predicate["key"]) == predicate["string_value"]]
        if query.get("sort_by"):
            name, _, order = query["sort_by"].partition(" ")
            if name not in FIELDS:
                raise Refusal(400, f"Invalid input error: cannot sort by {name}")
            found.sort(key=lambda t: getattr(t, name), reverse=order == "desc")
        size = min(int(query.get("page_size") or 20), self.most)
        start = int(query.get("page_token") or 0)
        more = str(start + size) if start + size < len(found) else None
        field_name = next(name for name in listing.openapi_types if name not in {"total_size", "next_page_token"})  # type: ignore[attr-defined]
        return listing(**{field_name: found[start : start + size] or None}, total_size=len(found), next_page_token=more)

    # --- what can be made

    def _create_experiments(self, thing: Any) -> Any:
        if any(t.display_name == thing.display_name for t in self.kept("experiments")):
            raise Refusal(409, f"Already exist error: the experiment name {thing.display_name} already exists")
        thing.storage_state = "AVAILABLE"
        return self._keep("experiments", thing, "experiment_id")

    def _pipelines(self, method: str, parts: list[str], query: dict[str, str], headers: Any, body: bytes) -> Any:
        if parts[1:] == ["upload_version"]:
            return self._upload_version(query, headers, body)
        if len(parts) == 1 and method == "GET":
            return self._list("pipelines", api.V2beta1ListPipelinesResponse, query)
        if len(parts) == 1:
            thing = self._read(body, api.V2beta1Pipeline)
            thing.name = thing.name or thing.display_name
            if any(t.name == thing.name for t in self.kept("pipelines")):
                raise Refusal(409, f"Already exist error: the name {thing.name} already exist")
            return self._keep("pipelines", thing, "pipeline_id")
        self._find("pipelines", parts[1])
        return self._list("versions", api.V2beta1ListPipelineVersionsResponse, query | {"pipeline_id": parts[1]})

    def _upload_version(self, query: dict[str, str], headers: Any, body: bytes) -> Any:
        head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
        (part,) = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()  # type: ignore[attr-defined]
        assert part.get_param("name", header="content-disposition") == "uploadfile"
        documents = list(yaml.safe_load_all(part.get_payload(decode=True)))
        self._find("pipelines", query["pipelineid"])
        thing = api.V2beta1PipelineVersion(
            pipeline_id=query["pipelineid"],
            name=query["name"],
            display_name=query.get("display_name", query["name"]),
            description=query.get("description"),
            pipeline_spec={"pipeline_spec": documents[0], "platform_spec": documents[1] if documents[1:] else {}},
        )
        if any((t.pipeline_id, t.name) == (thing.pipeline_id, thing.name) for t in self.kept("versions")):
            raise Refusal(409, "Failed to create a pipeline version")
        return self._keep("versions", thing, "pipeline_version_id")

    def _create_runs(self, thing: Any) -> Any:
        self._find("experiments", thing.experiment_id)
        if thing.pipeline_version_reference:
            self._find("versions", thing.pipeline_version_reference.pipeline_version_id)
        elif "pipeline_spec" not in (thing.pipeline_spec or {}):
            raise Refusal(400, "Invalid input error: the run has neither a pipeline spec nor a version")
        thing.state, thing.storage_state = self.first_state, "AVAILABLE"
        thing.run_details = api.V2beta1RunDetails(task_details=[])
        return self._keep("runs", thing, "run_id")

    def _create_recurring_runs(self, thing: Any) -> Any:
        self._find("experiments", thing.experiment_id)
        self._find("versions", thing.pipeline_version_reference.pipeline_version_id)
        if not 1 <= int(thing.max_concurrency or 0) <= 10:
            raise Refusal(400, "Invalid input error: The max concurrency of the recurring run is out of range.")
        if len(thing.trigger.cron_schedule.cron.split()) not in {5, 6}:
            raise Refusal(400, "Invalid input error: Schedule cron is not a supported format.")
        if len(thing.description or "") > 191:
            raise Refusal(500, "Internal Server Error")
        thing.status = f"{thing.mode}D"
        return self._keep("recurring_runs", thing, "recurring_run_id")


@contextmanager
def serving(fake: Fake) -> Iterator[str]:
    """Serve a fake on a port of its own; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One segment an answer; in several, each would wait for the client to acknowledge the one before.
        wbufsize = 1 << 16

        def log_message(self, *_: object) -> None:
            pass

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if fake.page:
                self.reply(200, fake.page.encode(), "text/html")
                return
            try:
                answer = fake.answer(self.command, self.path, self.headers, body)
            except Death:
                self.close_connection = True
                self.connection.close()
            except Refusal as refusal:
                status = api.GoogleRpcStatus(code=CODES[refusal.status], message=str(refusal), details=[])
                content = api.ApiClient().sanitize_for_serialization(status)
                self.reply(refusal.status, json.dumps(content).encode())
            else:
                self.reply(200, json.dumps(answer).encode())

        def reply(self, status: int, content: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Controller:
    """The backend's scheduler: which enabled recurring runs fire as time goes by.

    One is looked at by its last firing, or by its making; with `no_catchup` it makes up for the latest one alone.
    """

    fake: Fake
    fires: Callable[[str, datetime, datetime], list[datetime]]
    last: dict[str, datetime] = field(default_factory=dict)

    def look(self) -> None:
        """Fire what is due now."""
        now = self.fake.clock()
        for recurring in self.fake.kept("recurring_runs"):
            since = self.last.get(recurring.recurring_run_id, recurring.created_at)
            due = self.fires(recurring.trigger.cron_schedule.cron, since, now)
            if recurring.mode != "ENABLE" or not due:
                continue
            for moment in due[-1:] if recurring.no_catchup else due:
                self.last[recurring.recurring_run_id] = moment
                run = api.V2beta1Run(
                    display_name=f"{recurring.display_name} {moment:%Y-%m-%d-%H-%M}",
                    experiment_id=recurring.experiment_id,
                    recurring_run_id=recurring.recurring_run_id,
                    pipeline_version_reference=recurring.pipeline_version_reference,
                    scheduled_at=moment,
                )
                self.fake._create_runs(run)
                run.state = "RUNNING"

    def end_runs(self, after: timedelta = timedelta(hours=1)) -> None:
        """Let runs that have taken their time succeed."""
        for run in self.fake.kept("runs"):
            if self.fake.clock() - run.created_at >= after:
                run.state = "SUCCEEDED"
