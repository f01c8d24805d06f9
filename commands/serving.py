"""`foreact serve`, `keys` and `status`: the service, its keys, and whether its forecasts are fresh."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import Workspace, name_caller, note_action, open_store
from commands.publications import open_reader
from foreact.errors import count_noun, name_examples
from foreact.publications.freshness import judge_freshness, list_due_early

if TYPE_CHECKING:
    from serving.refreshes.embedded import Command
    from serving.refreshes.records import Refresh
    from serving.settings import ServingSettings

Port = Annotated[int, typer.Option(min=1, max=65_535, metavar="N", help="Port to listen at")]
# What `foreact status --json` shows of a store's freshness.
FRESHNESS_KEYS = ("state", "reasons", "as_of", "published_at", "next_deadline")
keys_app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys; only their hashes are stored.")


def _read_settings(workspace: Path) -> "ServingSettings":
    from serving.settings import ServingSettings

    return ServingSettings(workspace=workspace)


def _retrain_store_in(workspace: Path) -> "Command":
    """Return what makes the command of a refresh: `foreact run retrain-store` in this workspace."""
    place = str(workspace.absolute())

    def retrain_store(refresh: "Refresh") -> list[str]:
        run = [sys.executable, "-m", "commands", "run", "retrain-store", "--store", refresh.store]
        return [*run, "--run-id", refresh.id, "--workspace", place]

    return retrain_store


def serve(
    workspace: Workspace,
    host: Annotated[str, typer.Option(help="Address to listen at; beyond this machine, safe settings are required")] = (
        "127.0.0.1"
    ),
    port: Port = 8000,
) -> None:
    """Serve the published forecasts: the dashboard, and the API with its documentation at /docs."""
    from serving.main import serve as listen

    listen(_read_settings(workspace), _retrain_store_in(workspace), host, port, say=typer.echo)


def serve_locally(workspace: Path, port: int) -> None:
    """Serve to this machine only, with a temporary login."""
    from serving.main import serve as listen

    listen(_read_settings(workspace), _retrain_store_in(workspace), port=port, local_login=True, say=typer.echo)


@keys_app.command("create")
def create_key(
    workspace: Workspace,
    name: Annotated[str, typer.Option(metavar="TEXT", help="The person or program that uses it")],
    role: Annotated[str, typer.Option(metavar="viewer|planner|admin", help="What it may do")] = "viewer",
    store: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this store. May be repeated.")] = None,
    region: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this region. May be repeated.")] = None,
    days: Annotated[int | None, typer.Option(metavar="N", min=1, help="Number of days until it expires")] = None,
) -> None:
    """Create a key and show it, only this once."""
    from serving.auth import keys
    from serving.auth.principal import Grant

    expires = datetime.now(UTC) + timedelta(days=days) if days else None
    grant = Grant(role=role, stores=store or None, regions=region or None)
    settings = _read_settings(workspace)
    text, key = keys.create_key(
        settings.connect_state(),
        name,
        grant,
        created_by=name_caller(),
        expires_at=expires,
        keep_days=settings.keep_days,
    )
    note_action(workspace, "key_created", key.id)
    typer.echo(text)
    typer.echo(
        f"Key {key.id} for {name}: save it now, because it is not shown again. Send it as `Authorization: Bearer`.",
        err=True,
    )


@keys_app.command("list")
def list_keys(workspace: Workspace) -> None:
    """List all keys, without their secrets."""
    from serving.auth import keys

    stored = keys.list_keys(_read_settings(workspace).connect_state())
    for key in stored:
        where = ", ".join([*(key.grant.stores or []), *(key.grant.regions or [])]) or "all stores"
        if key.grant.role == "admin" and where != "all stores":
            # Made before such keys were refused.
            where = f"all stores, whatever its scope says: {where}"
        typer.echo(f"{key.id}  {key.state:<8} {key.grant.role:<8} {key.created_at:%Y-%m-%d}  {key.name} ({where})")
    if not stored:
        typer.echo("There are no keys yet.", err=True)


@keys_app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `list` shows it")], workspace: Workspace
) -> None:
    """Revoke a key; it stops working within seconds."""
    from serving.auth import keys

    ended = keys.revoke_key(_read_settings(workspace).connect_state(), key)
    note_action(workspace, "key_revoked", ended.id)
    typer.echo(f"Key {ended.id} ({ended.name}) is revoked.")


def status(
    workspace: Workspace,
    as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
) -> None:
    """Show whether every store's forecasts are fresh; exit code 1 if one is not, or nothing is published.

    Then what is owed to the registry, and how much is left of the objective's error budget.

    Stores whose forecasts have been wrong in the same way for days are marked for retraining.
    """
    from foreact.objective import count_deadlines, describe_outcomes, tally_outcomes
    from foreact.runs.owed import list_owed, list_unreadable
    from foreact.telemetry.scorecards import find_drift, read_series

    publication = open_reader(workspace).read_current()
    if publication.problem:
        typer.echo(publication.problem, err=True)
    manifest = publication.manifest
    settings, now = _read_settings(workspace), datetime.now(UTC)
    promise = settings.promise
    judged = {store: judge_freshness(entry, promise, now) for store, entry in sorted(manifest.stores.items())}
    stale = [store for store, fresh in judged.items() if not fresh.is_fresh]
    early = list_due_early(manifest.stores, promise, now)
    owed, unreadable = len(list_owed(open_store(workspace))), list_unreadable(open_store(workspace))
    outcomes = count_deadlines(
        open_store(workspace), settings.connect_state(), promise, now, keep_days=settings.keep_days
    )
    drifts = [drift for drift in find_drift(read_series(open_store(workspace))) if drift.store in judged]
    if as_json:
        marks = {store: {d.figure: d.days for d in drifts if d.store == store} for store in judged}
        stores = {
            store: {**{key: fresh.to_json()[key] for key in FRESHNESS_KEYS}, "drift_days": marks[store]}
            for store, fresh in judged.items()
        }
        tally = tally_outcomes(outcomes)
        objective = tally.to_json() if tally else None
        answer = {
            "fresh": not stale,
            "version": manifest.version,
            "runs_owed": owed,
            "owed_unreadable": unreadable,
            "due_early": early,
            "objective": objective,
            "stores": stores,
        }
        typer.echo(json.dumps(answer, indent=1))
    else:
        for store, fresh in judged.items():
            typer.echo(f"{fresh.state:<8} {fresh.as_of}  {store}  {'; '.join(fresh.reasons)}".rstrip())
        for drift in drifts:
            typer.echo(f"marked for retraining: {drift}")
        if early:
            by = f"{promise.deadline:%H:%M} {promise.zone}, by which nights are ready"
            typer.echo(f"due before {by}: {name_examples(early)}; set FOREACT_TIMEZONE to the zone that is due first")
        if waiting := owed - len(unreadable):
            what_to_do = "the next retrain-all does it, or `foreact registry catch-up`"
            typer.echo(f"{count_noun(waiting, 'run')} not registered yet: {what_to_do}.")
        for problem in unreadable:
            typer.echo(f"passed over, and forgotten after FOREACT_KEEP_REGISTERED_DAYS: {problem}")
        for line in describe_outcomes(outcomes):
            typer.echo(line)
        typer.echo(f"{len(judged) - len(stale):,} of {len(judged):,} stores are fresh, version {manifest.version}.")
    if stale:
        raise typer.Exit(1)
