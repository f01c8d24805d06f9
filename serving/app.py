"""The application, put together from its parts."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from foreact import __version__
from foreact.blobs import BlobStore, BlobUnavailable
from foreact.clock import utc_now
from foreact.errors import ForeactError
from foreact.runs.ends import report_end, report_missed_ends, report_stuck_runs
from foreact.runs.ledger import RunLedger
from serving import errors
from serving.alerts.grouping import count_alert_groups
from serving.analysis.comparison import prepare_totals
from serving.api import alerts, audit, forecasts, probes, publications, refreshes, stores, totals
from serving.api.parameters import check_parameters
from serving.audit import AuditLog
from serving.auth.ended import SHARE_SECONDS, EndedSessions
from serving.auth.keys import KeyRing
from serving.auth.limits import RateLimit
from serving.auth.local import LocalLogin
from serving.auth.sessions import Sessions, Signer, load_secret
from serving.dashboard import login, reference, routes
from serving.dashboard.pages import failure_page, problem_page
from serving.metrics.objective import ObjectiveMetrics
from serving.metrics.runs import RunMetrics
from serving.metrics.service import Metrics
from serving.middleware.caching import AnswerCache
from serving.middleware.callers import CallerMiddleware
from serving.middleware.damage import DamageMiddleware
from serving.middleware.requests import RequestMiddleware
from serving.parts import Service
from serving.publication import DamagedStore, PublicationCache
from serving.publication.kept import KeptFiles
from serving.publication.view import ViewSource
from serving.refreshes.records import RefreshRecords
from serving.refreshes.runner import Runner
from serving.refreshes.service import Refreshes
from serving.settings import ServingSettings

if TYPE_CHECKING:
    import httpx

    from serving.auth.oidc import SingleSignOn

log = logging.getLogger("foreact.serving")
WARM_SECONDS = 0.5
# Where in the workspace stores' arrays are kept; backups leave it out.
KEPT = ".serving"
# How often the record of runs is read for the metrics, and whether a deadline passed.
RUNS_SECONDS = 15.0
# How often to check for runs that ended without reporting it.
ENDS_SECONDS = 15.0
# How often audit events are retried that could not be written while the blob store did not answer.
AUDIT_SECONDS = 5.0
# How often to see whether keys are to be loaded again.
KEYS_SECONDS = 0.5
# How often events older than the retention are deleted.
DAY_SECONDS = 86_400.0
DESCRIPTION = """Demand forecasts per store and item. Send an API key as a bearer token, or log in with a browser.
Dates are days in the retailer's time zone; moments carry their offset."""


def create_app(
    settings: ServingSettings,
    store: BlobStore,
    *,
    state: BlobStore | None = None,
    audit_store: BlobStore | None = None,
    runner: Runner | None = None,
    local: LocalLogin | None = None,
    http: "httpx.Client | None" = None,
    clock: Callable[[], datetime] = utc_now,
    ticks: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """Return the application over a blob store; without `runner` it has no refreshes, without `local` no local login.

    Its own keys and refreshes are in `state`, its audit log in `audit_store`; without them all is in one store.
    Rate limits are measured by `ticks`, which never run backwards as a clock may.
    """
    state = state or store
    cache = PublicationCache(
        store,
        clock,
        memory_bytes=settings.store_memory_mib << 20,
        kept=KeptFiles(settings.workspace / KEPT, settings.store_disk_mib << 20) if settings.store_disk_mib else None,
        state=state,
    )
    views = ViewSource(cache, settings.promise, settings.region_attribute, clock)
    metrics = Metrics(
        views, RunMetrics(store, clock), ObjectiveMetrics(store, state, settings.promise, clock, settings.keep_days)
    )
    secret = settings.session_secret.get_secret_value().encode() or load_secret(settings.workspace)
    signer = Signer(secret, lambda: clock().timestamp())
    ended = EndedSessions(state, lambda: clock().timestamp())
    service = Service(
        settings=settings,
        store=store,
        publications=cache,
        views=views,
        keys=KeyRing(state),
        sessions=Sessions(signer, ended, settings.session_hours, https=settings.public_url.startswith("https://")),
        metrics=metrics,
        audit=AuditLog(audit_store or state, clock, keep_days=settings.keep_days),
        refreshes=Refreshes(
            RefreshRecords(state),
            runner,
            cache,
            metrics,
            RunLedger(store, clock),
            partial(report_end, pipeline="retrain-store", settings=settings, blobs=store),
            clock,
            queue=settings.refresh_queue,
            minutes=settings.refresh_minutes,
        ),
        local=local,
        sign_on=_make_sign_on(settings, signer, http),
        login_limit=RateLimit(settings.login_attempts, ticks),
        refresh_limit=RateLimit(settings.refresh_attempts, ticks),
        clock=clock,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(cache.refresh)
        await run_in_threadpool(metrics.runs.read_ledger)
        await run_in_threadpool(ended.share)
        await run_in_threadpool(service.keys.renew_keys)
        tasks: list[asyncio.Task[Any]] = [
            # FastAPI keeps the description once made, so the first request does not wait for it.
            asyncio.create_task(run_in_threadpool(app.openapi)),
            asyncio.create_task(_repeat_forever(settings.poll_seconds, cache.refresh)),
            asyncio.create_task(_repeat_forever(SHARE_SECONDS, ended.share)),
            asyncio.create_task(_repeat_forever(KEYS_SECONDS, service.keys.renew_keys)),
            asyncio.create_task(_repeat_forever(WARM_SECONDS, lambda: _prepare_pages(cache))),
            asyncio.create_task(_repeat_forever(RUNS_SECONDS, metrics.runs.read_ledger)),
            asyncio.create_task(_repeat_forever(RUNS_SECONDS, metrics.objective.count_deadlines)),
            asyncio.create_task(_repeat_forever(ENDS_SECONDS, lambda: _report_ends(settings, store, runner, clock()))),
            asyncio.create_task(_repeat_forever(AUDIT_SECONDS, service.audit.write_queued)),
            asyncio.create_task(_repeat_forever(DAY_SECONDS, service.audit.prune)),
        ]
        if runner is not None:
            tasks.append(asyncio.create_task(_repeat_forever(runner.interval, service.refreshes.advance_refreshes)))
        try:
            yield
        finally:
            service.closing = True
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await run_in_threadpool(service.audit.write_queued)

    app = FastAPI(
        title="Foreact",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.service = service
    app.add_middleware(DamageMiddleware, page=problem_page)
    app.add_middleware(AnswerCache)
    app.add_middleware(CallerMiddleware, page=problem_page)
    errors.install_handlers(app, problem_page)
    for part in (stores, forecasts, totals, alerts, refreshes, publications, audit):
        app.include_router(part.router, dependencies=[Depends(check_parameters)])
    for part in (probes, login, routes, reference):
        app.include_router(part.router)
    app.add_middleware(
        RequestMiddleware,
        metrics=service.metrics,
        hosts=settings.hosts,
        max_body_bytes=settings.max_body_bytes,
        https=settings.public_url.startswith("https://"),
        failure_page=failure_page,
    )
    return app


def _make_sign_on(settings: ServingSettings, signer: Signer, http: "httpx.Client | None") -> "SingleSignOn | None":
    if not settings.oidc_issuer:
        return None
    # Importing these takes half a second, spent only where single sign-on is set up.
    import httpx

    from serving.auth.oidc import SingleSignOn, read_grants

    secret = settings.oidc_client_secret.get_secret_value()
    client = http or httpx.Client(timeout=10, follow_redirects=False)
    grants = read_grants(settings.oidc_roles)
    return SingleSignOn(
        settings.oidc_issuer,
        settings.oidc_client_id,
        secret,
        grants,
        signer,
        client,
        assertion_file=settings.oidc_assertion_file,
        scopes=settings.oidc_scopes,
    )


def _prepare_pages(cache: PublicationCache) -> None:
    """Compute and read what pages need, before the first request waits for it."""
    snapshot = cache.current
    if snapshot is None:
        return
    prepare_totals(snapshot.stores.values())
    for arrays in snapshot.stores.values():
        try:
            count_alert_groups([arrays])
        except DamagedStore as problem:
            cache.set_aside(problem)
    if not cache.unreachable:
        # If it does not answer, the next look at the manifest says so.
        with contextlib.suppress(BlobUnavailable):
            cache.earlier.read_manifests(snapshot.version)


def _report_ends(settings: ServingSettings, store: BlobStore, runner: Runner | None, now: datetime) -> None:
    """Report the ends of runs that have not reported theirs."""
    try:
        if runner is not None:
            report_missed_ends(runner.find_end, settings, store)
        report_stuck_runs(settings, store, now=now)
    except ForeactError as problem:
        log.warning("runs that ended unreported cannot be looked for: %s", problem)


async def _repeat_forever(seconds: float, work: Callable[[], object]) -> None:
    """Call `work` every so many seconds; log what it raises, and go on."""
    while True:
        try:
            await run_in_threadpool(work)
        except Exception:
            log.exception("%s failed", getattr(work, "__qualname__", work))
        await asyncio.sleep(seconds)
