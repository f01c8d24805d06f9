"""Starts the service."""

import atexit
import contextlib
import logging
import sys
from collections.abc import Callable

from foreact.blobs.connecting import connect
from foreact.blobs.protocol import BlobStore
from foreact.errors import ForeactError
from foreact.runs.ledger import RunLedger
from foreact.telemetry import tracing
from foreact.telemetry.lines import configure_logging
from serving.address import listen_at
from serving.app import create_app
from serving.auth.local import ACCOUNT, LocalLogin
from serving.connections import make_server
from serving.refreshes.embedded import Command, EmbeddedRunner
from serving.refreshes.runner import Runner
from serving.settings import ServingSettings, is_loopback

log = logging.getLogger("foreact.serving")
# A caller is waiting, so give up soon on a store that does not answer, and serve what is in memory.
PATIENCE_SECONDS = 3.0


def serve(
    settings: ServingSettings,
    retrain_store: Command,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    local_login: bool | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serve until stopped; raise ForeactError for settings that are too weak for the address.

    `retrain_store` makes the command of each refresh that runs on this machine.
    On loopback, where no single sign-on is set up, one local login is made and printed through `say`.
    """
    if local_login is None:
        local_login = is_loopback(host) and not settings.oidc_issuer
    settings.check_proxies()
    settings.check_exposure(host, local_login=local_login)
    address = listen_at(host, port)
    configure_logging(as_json=not sys.stderr.isatty())
    tracing.start_exporting("foreact-serving")
    local = LocalLogin() if local_login else None
    store = connect(settings, patience=PATIENCE_SECONDS)
    app = create_app(settings, store, runner=make_runner(settings, store, retrain_store), local=local)
    if say is not None:
        for line in describe_logins(host, port, local):
            say(line)
    log.info("serving on http://%s:%d", host, port)
    atexit.register(tracing.stop_exporting)
    server = make_server(app, forwarded_allow_ips=settings.proxies, timeout_graceful_shutdown=5)
    # Ctrl-C is the usual way to stop it.
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[address])
    if not server.started:
        raise ForeactError("The service did not start; its log has the reason.")


def describe_logins(host: str, port: int, local: LocalLogin | None) -> list[str]:
    """Return lines that name the dashboard's address and how to log in."""
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    lines = [f"Dashboard: {address}"]
    if local is not None:
        lines.append(f"Log in by this link, which works once: {address}/login/once?token={local.token}")
        lines.append(f"or as {ACCOUNT!r} with the password {local.password}")
    return lines


def make_runner(settings: ServingSettings, store: BlobStore, retrain_store: Command) -> Runner | None:
    """Return the runner of refreshes that the settings name; None for none."""
    if settings.runner == "embedded":
        return EmbeddedRunner(settings.workspace, retrain_store, settings.refresh_parallel)
    if settings.runner == "kubeflow":
        from foreact.kubeflow.settings import KubeflowSettings
        from serving.refreshes.kubeflow import KubeflowRunner

        kubeflow = KubeflowSettings()
        if not kubeflow.host:
            raise ForeactError("FOREACT_RUNNER is kubeflow: set FOREACT_KFP_HOST to the address of its API.")
        return KubeflowRunner.from_settings(settings, kubeflow, RunLedger(store))
    return None
