"""`foreact probe`: whether a planner gets, in time, fresh numbers that are those published."""

import math
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.options import Workspace, open_store, read_place
from foreact.blobs.connecting import FOLDER
from foreact.errors import ForeactError, count_noun, name_examples
from foreact.vocabulary import DATE, ITEM, MEAN, P10, P50, P90

if TYPE_CHECKING:
    import httpx

    from foreact.publications import Reader, StoreEntry

# A service that looks every other second has seen by then what was published.
LAG = timedelta(minutes=1)
NUMBERS = (MEAN, P10, P50, P90)
# What separates a number's text from its bits.
ROUNDING = 1e-4

Json = dict[str, Any]


def probe(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where planners open the dashboard")],
    workspace: Workspace,
    key: Annotated[
        str, typer.Option(envvar="FOREACT_API_KEY", metavar="KEY", help="An API key; better in FOREACT_API_KEY")
    ] = "",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="How long an answer may take")] = 10.0,
) -> None:
    """Ask for one item's forecast as a planner's page does; exit code 1 if it is late, stale or not what was published.

    It is compared with the object store that FOREACT_BLOB_URL or the workspace names; without one it is judged alone.
    """
    reader = _open_reader(workspace)
    with _connect(url, key.strip(), timeout) as client:
        stores = _ask(client, "/v1/stores")["stores"]
        _check_freshness(url, stores)
        store = secrets.choice(stores)
        items = _ask(client, f"/v1/stores/{store['name']}/items")["items"]
        answer = _ask(client, "/v1/forecasts", store=store["store"], item=(item := secrets.choice(items)))
    version, rows = answer["publication"]["version"], answer["rows"]
    series = f"item {item!r} in store {store['store']!r}"
    _check_quantiles(url, series, rows)
    if reader is not None:
        entry = _find_entry(url, reader, version, store["store"])
        _compare_rows(url, f"{series} in version {version}", rows, _read_rows(reader, entry, item))
    compared = "as published" if reader else "not compared with the object store"
    typer.echo(
        f"{count_noun(len(stores), 'store')} fresh at {url}, version {version}; "
        f"{count_noun(len(rows), 'day')} of {series} {compared}."
    )


def _open_reader(workspace: Path) -> "Reader | None":
    from foreact.publications import Reader

    has_store = bool(read_place(workspace).blob_url) or (workspace / FOLDER).is_dir()
    return Reader(open_store(workspace)) if has_store else None


def _connect(url: str, key: str, timeout: float) -> "httpx.Client":
    import httpx

    if not (key.isascii() and key.isprintable()):
        # httpx's own words would have the key in them.
        raise ForeactError("FOREACT_API_KEY is no key: it has characters that no key has.")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        return httpx.Client(base_url=url, headers=headers, timeout=timeout)
    except httpx.InvalidURL as error:
        raise ForeactError(f"{url!r} is not an address: {error}.") from None


def _ask(client: "httpx.Client", path: str, **query: str) -> Json:
    """Return an answer; raise if there is none in time, or it is an error."""
    import httpx

    try:
        answer = client.get(path, params=query)
        if answer.status_code == 401:
            raise ForeactError(
                f"{client.base_url} refuses the key: set FOREACT_API_KEY to one that `foreact keys` lists."
            )
        if answer.status_code != 200:
            raise ForeactError(f"{client.base_url} answers {path} with {answer.status_code}: {answer.text[:200]}.")
        found: Json = answer.json()
    except httpx.TimeoutException:
        raise ForeactError(f"{client.base_url} did not answer {path} within {client.timeout.read:g} s.") from None
    except (httpx.HTTPError, ValueError) as error:
        raise ForeactError(f"{client.base_url} does not answer {path}: {type(error).__name__}: {error}.") from None
    refused = found["publication"]["refused"]
    if refused:
        raise ForeactError(f"{client.base_url} cannot serve the newest publication as a whole: {refused}.")
    return found


def _check_freshness(url: str, stores: list[Json]) -> None:
    if not stores:
        raise ForeactError(f"{url} shows no store to this key: publish, or give the key more stores.")
    stale = {store["store"]: store["freshness"] for store in stores if store["freshness"]["state"] != "fresh"}
    if stale:
        reasons = next(iter(stale.values()))["reasons"]
        raise ForeactError(
            f"{len(stale):,} of {len(stores):,} stores at {url} are not fresh: {name_examples(list(stale))} "
            f"({'; '.join(reasons)})."
        )
    coming = min((store["freshness"]["next_deadline"] for store in stores), key=datetime.fromisoformat)
    if datetime.fromisoformat(coming) <= datetime.now(UTC):
        raise ForeactError(
            f"{url} waits for the deadline {coming}, which has passed: its clock or its view stands still."
        )


def _check_quantiles(url: str, series: str, rows: list[Json]) -> None:
    for row in rows:
        if not row[P10] <= row[P50] + ROUNDING <= row[P90] + 2 * ROUNDING:
            raise ForeactError(f"{url} answers {series} on {row[DATE]} with quantiles out of order.")


def _find_entry(url: str, reader: "Reader", version: int, store: str) -> "StoreEntry":
    """Return what the version that was answered says of a store; raise if a newer one should be served by now."""
    manifest = reader.read_current().manifest
    since = datetime.now(UTC) - manifest.created_at
    if manifest.version > version and since > LAG:
        raise ForeactError(
            f"{url} serves version {version}, although version {manifest.version} was published "
            f"at {manifest.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
        )
    if manifest.version != version:
        manifest = reader.read_version(version)
    if store not in manifest.stores:
        raise ForeactError(f"{url} shows store {store!r}, which version {version} in {reader.store} does not have.")
    return manifest.stores[store]


def _read_rows(reader: "Reader", entry: "StoreEntry", item: str) -> list[Json]:
    """Return the published rows of one item."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = reader.read_table(entry.objects["forecasts"])
    rows: list[Json] = table.filter(pc.equal(table[ITEM].cast(pa.string()), item)).to_pylist()
    return rows


def _compare_rows(url: str, series: str, answered: list[Json], published: list[Json]) -> None:
    expected = {row[DATE].isoformat(): row for row in published}
    if sorted(expected) != [row[DATE] for row in answered]:
        raise ForeactError(f"{url} answers {series} for other days than were published.")
    for row in answered:
        for name in NUMBERS:
            there = expected[row[DATE]][name]
            if not math.isclose(row[name], there, rel_tol=ROUNDING, abs_tol=ROUNDING):
                raise ForeactError(
                    f"{url} says {row[name]:g} for the {name} of {series} on {row[DATE]}, but {there:g} was published."
                )
