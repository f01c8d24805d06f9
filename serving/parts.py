"""The parts that the application is made of, passed in by the entry point."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from anyio import CapacityLimiter

from foreact.blobs import BlobStore
from foreact.clock import utc_now
from serving.audit import AuditLog
from serving.auth.keys import KeyRing
from serving.auth.limits import RateLimit, Shares
from serving.auth.local import LocalLogin
from serving.auth.sessions import Sessions
from serving.errors import ApiError
from serving.metrics.service import Metrics
from serving.publication import PublicationCache
from serving.publication.view import FreshnessView, ViewSource
from serving.refreshes.service import Refreshes
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from serving.auth.oidc import SingleSignOn


# Threads share the interpreter with the event loop; but one that waits for the blob store must not stop all pages.
ASIDE = 2
OPENING = 4
# Sign-ins that wait for the provider, which may not answer for long: others need the threads that are left.
SIGN_INS = 8


@dataclass
class Service:
    """Everything that routes work with."""

    settings: ServingSettings
    store: BlobStore
    publications: PublicationCache
    views: ViewSource
    keys: KeyRing
    sessions: Sessions
    metrics: Metrics
    audit: AuditLog
    refreshes: Refreshes
    local: LocalLogin | None
    sign_on: "SingleSignOn | None"
    login_limit: RateLimit
    refresh_limit: RateLimit
    clock: Callable[[], datetime] = utc_now
    # Event streams that are open: of a caller as many as a few pages follow.
    streams: Shares = field(default_factory=lambda: Shares(15, 200))
    # Large answers make their pieces in turn; what cannot be made in pieces is made in threads, few at a time.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    aside: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(ASIDE))
    waiting: Shares = field(default_factory=lambda: Shares(6))
    # Answers whose items have to be read first wait for disks and networks.
    opening: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(OPENING))
    sign_ins: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(SIGN_INS))
    # Whether the process is about to end.
    closing: bool = False

    @property
    def view(self) -> FreshnessView:
        """Return the current view; raise ApiError while there is none."""
        view = self.views.current
        if view is None:
            reason = self.publications.refused or self.publications.unreachable or "nothing has been published yet"
            raise ApiError(
                503, "no_publication", f"there are no forecasts to serve: {reason}", headers={"retry-after": "10"}
            )
        return view
