"""`foreact smoke`: whether a service answers as it should, asked as programs and planners ask."""

import html
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreact.errors import ForeactError

if TYPE_CHECKING:
    import httpx

PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Call:
    """A request, and what an answer to it must be."""

    path: str
    statuses: frozenset[int]
    queries: list[dict[str, str]] | None = None
    # What the answer's text holds.
    shows: str = ""


def smoke(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the service is")],
    key: Annotated[
        str, typer.Option(envvar="FOREACT_API_KEY", metavar="KEY", help="An API key; better in FOREACT_API_KEY")
    ] = "",
    host: Annotated[
        str, typer.Option(metavar="NAME", help="The name it answers under, where the address has another")
    ] = "",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long an answer may take")] = 10.0,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for a service that has forecasts")
    ] = 60.0,
) -> None:
    """Wait for forecasts, call every route that changes nothing, the pages too; exit code 1 on any unexpected answer.

    With a key a store's forecasts are asked for; without one all that needs a key must be refused.
    """
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    headers |= {"Host": host} if host else {}
    with httpx.Client(base_url=url, headers=headers, timeout=timeout) as client:
        check_service(client, has_key=bool(key), wait=wait)


def check_service(client: "httpx.Client", *, has_key: bool, wait: float = 0.0) -> None:
    """Print status and time of every answer; raise ForeactError where one is not as expected."""
    import httpx

    try:
        _await_forecasts(client, has_key=has_key, wait=wait)
        calls = list(_plan_calls(client, has_key=has_key))
        unexpected = sum(not _is_expected(client, call) for call in calls)
    except (httpx.HTTPError, ValueError, LookupError) as error:
        raise ForeactError(
            f"{client.base_url} does not answer like this service: {type(error).__name__}: {error}"
        ) from None
    if unexpected:
        raise ForeactError(f"{unexpected} of {len(calls)} routes gave an unexpected answer.")


def _await_forecasts(client: "httpx.Client", *, has_key: bool, wait: float) -> None:
    """Wait until the service has forecasts and knows the key: a rollout, or a key just made, takes it a moment."""
    end = time.monotonic() + wait
    while (missing := _find_missing(client, has_key=has_key)) is not None:
        if time.monotonic() >= end:
            raise ForeactError(f"{client.base_url} is not ready after {wait:.0f} seconds: {missing}.")
        time.sleep(PAUSE_SECONDS)


def _find_missing(client: "httpx.Client", *, has_key: bool) -> str | None:
    """Return what a service lacks for its routes to be called; None if nothing."""
    import httpx

    try:
        ready = client.get("/readyz")
        stores = client.get("/v1/stores") if has_key else None
    except httpx.HTTPError as error:
        return f"it does not answer ({type(error).__name__}: {error})"
    missing = _judge_readiness(ready)
    if missing is not None or stores is None:
        return missing
    if stores.status_code != 200:
        return f"/v1/stores answers {stores.status_code} to this key"
    return None if stores.json()["stores"] else "the key sees no store"


def _judge_readiness(answer: "httpx.Response") -> str | None:
    if answer.status_code != 200:
        return f"/readyz answers {answer.status_code}: {answer.text[:300]}"
    state = answer.json()
    wrong = state["refused"] or state["unreachable"]
    faults = {
        "empty": "nothing is published yet; run retrain-all first",
        "degraded": f"it serves older forecasts: {wrong}",
    }
    return faults.get(state["status"])


def _plan_calls(client: "httpx.Client", *, has_key: bool) -> Iterator[Call]:
    """Yield a call of every route that changes nothing, about a store, an item and a version that exist."""
    paths: dict[str, Any] = client.get("/openapi.json").raise_for_status().json()["paths"]
    ok, kept = frozenset({200}), frozenset({200 if has_key else 401})
    special = {
        # If they have a token, only the scraper has it.
        "/metrics": frozenset({200, 401}),
        # An administrator's key may read it; other keys get 403.
        "/v1/audit": frozenset({200, 403}) if has_key else kept,
    }
    values: dict[str, str] = {}
    item = {"store": "any", "item": "any"}
    shown = ""
    if has_key:
        store = client.get("/v1/stores").json()["stores"][0]
        [first, *_] = client.get(f"/v1/stores/{store['name']}/items").json()["items"]
        item, shown = {"store": store["store"], "item": first}, store["store"]
        version = client.get("/v1/publications").json()["publications"][0]["version"]
        values = {"store": store["name"], "version": str(version)}
    for path, methods in paths.items():
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if "get" in methods and all(name in values for name in names):
            default = kept if path.startswith("/v1") else ok
            yield Call(path.format(**values), special.get(path, default))
    yield Call("/v1/forecasts/query", kept, queries=[item], shows='"rows":[{' if has_key else "")
    yield Call("/", kept, shows=html.escape(shown))
    yield Call("/docs", ok, shows="/v1/forecasts")


def _is_expected(client: "httpx.Client", call: Call) -> bool:
    """Make a call, print its answer, and return whether it is as expected."""
    answer = client.get(call.path) if call.queries is None else client.post(call.path, json={"queries": call.queries})
    expected = answer.status_code in call.statuses and call.shows in answer.text
    elapsed = answer.elapsed.total_seconds() * 1000
    typer.echo(f"{'ok ' if expected else 'BAD'} {answer.status_code} {elapsed:7.1f} ms  {call.path}")
    return expected
