"""`foreact backup` and `foreact restore-from`: what is not in object storage, saved and put back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from commands.options import Workspace
from foreact.errors import ForeactError
from foreact.settings import PlaceSettings

Database = Annotated[
    str,
    typer.Option(
        metavar="URI",
        help="MLflow's PostgreSQL too, as postgresql://USER@HOST/NAME; the password by PGPASSWORD or ~/.pgpass",
        show_default=False,
    ),
]


def backup(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, or a folder to write one into")],
    workspace: Workspace,
    database: Database = "",
) -> None:
    """Save the workspace in one file, also while it is in use: publications, models, MLflow's database, keys, records.

    What the settings keep in a container of Azure Blob is not in it: there, deletions can be undone.
    """
    from foreact.backups import describe_backup, explain_damage, write_backup

    _refuse_password(database)
    if not workspace.is_dir() and not database:
        raise ForeactError(f"There is no workspace at {str(workspace)!r}: name it by --workspace.")
    if out.is_dir():
        out = out / f"foreact-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar"
    record = write_backup(out, workspace if workspace.is_dir() else None, database)
    typer.echo(f"{out}: {describe_backup(record)}.")
    if record.damaged:
        typer.echo(f"warning: {explain_damage(record)}", err=True)
    settings = PlaceSettings(workspace=workspace)
    if settings.blob_url:
        typer.echo(f"What is in {settings.blob_url} is not in it.")


def restore_from(
    backup: Annotated[Path, typer.Argument(metavar="FILE", help="What `foreact backup` wrote")],
    workspace: Workspace,
    database: Database = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Though the workspace is not empty; what is there is kept beside it")
    ] = False,
) -> None:
    """Put a backup into the workspace, whole or not at all; its checksums are compared first.

    With --database, the database of the backup goes into the empty one of that address.
    """
    from foreact.backups import DUMP, describe_backup, explain_damage, restore_backup

    _refuse_password(database)
    if not backup.is_file():
        raise ForeactError(f"There is no backup at {str(backup)!r}.")
    record = restore_backup(backup, workspace, database, replace=replace)
    place = f"{workspace} is" if record.workspace else "The database is"
    typer.echo(f"{place} as it was: {describe_backup(record)}.")
    if DUMP in record.files and not database:
        typer.echo("warning: its database was left out: say by --database where it goes.", err=True)
    if record.damaged:
        typer.echo(f"warning: {explain_damage(record)}", err=True)


def _refuse_password(database: str) -> None:
    """Raise for a password on the command line, where every process of the machine can read it."""
    if urlsplit(database).password:
        raise ForeactError("--database carries a password: leave it out, and set PGPASSWORD or ~/.pgpass.")
