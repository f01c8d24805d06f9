"""Options that several commands share."""

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreact.settings import PlaceSettings

if TYPE_CHECKING:
    from foreact.blobs import BlobStore
    from serving.audit import Action


Workspace = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Folder for everything without a place of its own (default: .foreact, or FOREACT_WORKSPACE)",
        default_factory=lambda: PlaceSettings().workspace,
        show_default=False,
    ),
]


def read_place(workspace: Path) -> PlaceSettings:
    """Read the settings, with the workspace of the command line."""
    return PlaceSettings(workspace=workspace)


def open_store(workspace: Path) -> "BlobStore":
    """Open the blob store of a workspace, or the one that the settings name."""
    from foreact.blobs import connect

    return connect(read_place(workspace))


def name_caller() -> str:
    """Return the name of the account that runs the command; in a container it may have only a number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def note_action(workspace: Path, action: "Action", subject: str) -> None:
    """Record in the audit log what an account of this machine did at the command line."""
    from serving.audit import AuditLog
    from serving.settings import ServingSettings

    AuditLog(ServingSettings(workspace=workspace).connect_audit()).record_event(action, f"cli:{name_caller()}", subject)
