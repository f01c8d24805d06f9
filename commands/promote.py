"""`foreact promote`: a registered version of somebody's choice goes live."""

from typing import Annotated, Any

import typer

from commands.options import Workspace, name_caller, note_action
from commands.run import run_pipeline

Store = Annotated[str, typer.Argument(metavar="STORE", help="The store, as the history names it")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="The number that MLflow shows of foreact-STORE")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who read it later")]
Force = Annotated[bool, typer.Option("--force", help="Publish it even if it loses at the gate")]


def promote(*, store: Store, version: Version, reason: Reason, force: Force = False, workspace: Workspace) -> None:
    """Judge a registered version on the newest data as the gate does, publish its forecasts and make it the live model.

    The data is that of the last retrain-all; every other store's forecasts stay as they are.
    """
    run_pipeline("retrain-store", make_promotion(store, version, reason, force=force), workspace)
    note_action(workspace, "promote", f"{store} version {version}")
    typer.echo(f"Version {version} of store {store} is published, and live.")


def make_promotion(store: str, version: str, reason: str, *, force: bool) -> dict[str, Any]:
    """Return the parameters of retrain-store that promote a version."""
    return {"store": store, "version": version, "reason": reason, "by": name_caller(), "force": force}
