"""The service's settings, and which values are too weak to serve other machines with."""

import ipaddress
from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from foreact.blobs import BlobStore, connect
from foreact.errors import ForeactError
from foreact.publications.freshness import Promise
from foreact.settings import PlaceSettings


class ServingSettings(PlaceSettings):
    """FOREACT_* settings of the service; everything has a value that is safe on a laptop."""

    public_url: str = Field("", description="Where planners reach the service, https://HOST; empty: loopback only")
    state_url: str = Field(
        "",
        description="Container of the service's own keys and records, out of pipelines' reach; empty: publications'",
    )
    audit_url: str = Field(
        "", description="Container of the audit log, where nothing can be changed; empty: that of FOREACT_STATE_URL"
    )
    session_secret: SecretStr = Field(
        SecretStr(""), description="Signs sessions; 32 characters or more, all replicas alike"
    )
    session_hours: float = Field(10, gt=0, le=24, description="How long a login lasts")
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Bearer token that /metrics asks for; only on loopback may it be empty: none"
    )

    oidc_issuer: str = Field(
        "", description="Single sign-on: the issuer's URL, https://login.microsoftonline.com/TENANT/v2.0"
    )
    oidc_client_id: str = Field("", description="Single sign-on: this application's id")
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), description="Single sign-on: its secret; empty: a public client"
    )
    oidc_assertion_file: Path | None = Field(
        None,
        description="Single sign-on: a token of the service account that proves who asks, where there is no secret",
    )
    oidc_scopes: str = Field(
        "openid profile", description="Single sign-on: what is asked for; some providers name groups for `groups` alone"
    )
    oidc_roles: str = Field(
        "",
        description="JSON: each app role or group id to what it grants, "
        '{"Planner.North": {"role": "planner", "regions": ["North"]}}',
    )

    region_attribute: str = Field("region", description="The stores' attribute that scopes and filters call region")
    store_memory_mib: int = Field(
        512,
        ge=1,
        description="MiB for stores' items; where those of all stores take more, they are read when asked for",
    )
    store_disk_mib: int = Field(
        256,
        ge=0,
        description="MiB in the workspace for items that were read, which all processes there share; 0: none",
    )
    poll_seconds: float = Field(1, gt=0, description="How often to look for a new publication")
    business_days: str = Field("0123456", description="Days on which forecasts are due, as digits; Monday is 0")
    closed_days: str = Field("", description="Dates on which nothing is due and nothing is sold, 2026-12-25,...")
    data_slack_days: int = Field(0, ge=0, description="Business days that sales may be late by")

    runner: Literal["embedded", "kubeflow", "none"] = Field("embedded", description="Where refreshes run")
    refresh_queue: int = Field(50, ge=1, description="Refreshes that may wait; more are asked to come back later")
    refresh_parallel: int = Field(1, ge=1, description="Embedded refreshes that run at once")
    refresh_minutes: float = Field(15, gt=0, description="After how long a refresh counts as failed")
    refresh_package: str = Field("compiled/retrain-store.yaml", description="The compiled pipeline of a refresh")
    refresh_arguments: str = Field("{}", description="JSON: the pipeline's parameters, but for the store")

    proxies: str = Field(
        "", description="Addresses and networks of proxies, whose X-Forwarded-For is believed; empty: nobody's"
    )
    login_attempts: int = Field(10, ge=1, description="Logins that may fail from one address in a minute")
    refresh_attempts: int = Field(30, ge=1, description="Refreshes that one account may ask for in a minute")
    max_body_bytes: int = Field(1 << 20, ge=1024, description="The largest request that is read")

    def connect_state(self, *, patience: float | None = None) -> BlobStore:
        """Return the store of the service's own keys and records."""
        return connect(self, url=self.state_url, patience=patience)

    def connect_audit(self, *, patience: float | None = None) -> BlobStore:
        """Return the store of the audit log."""
        return connect(self, url=self.audit_url or self.state_url, patience=patience)

    @property
    def promise(self) -> Promise:
        """Return the schedule that freshness is judged by."""
        try:
            closed = [date.fromisoformat(day.strip()) for day in self.closed_days.split(",") if day.strip()]
        except ValueError:
            raise ForeactError(
                f"FOREACT_CLOSED_DAYS {self.closed_days!r} is not a list of dates like 2026-12-25,2026-12-26."
            ) from None
        return Promise.from_settings(
            self.timezone, self.publish_deadline, self.business_days, closed, self.data_slack_days
        )

    def check_proxies(self) -> None:
        """Raise ForeactError for proxies that are neither addresses nor networks."""
        for proxy in filter(None, (part.strip() for part in self.proxies.split(","))):
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise ForeactError(
                    f"FOREACT_PROXIES has {proxy!r}: name addresses and networks, like 10.244.0.0/16."
                ) from None

    def check_exposure(self, host: str, *, local_login: bool) -> None:
        """Raise ForeactError for settings that must not serve other machines."""
        if is_loopback(host):
            return
        if local_login:
            raise ForeactError(f"The local login serves this machine only: leave --host at 127.0.0.1, not {host}.")
        if len(self.session_secret.get_secret_value()) < 32:
            raise ForeactError("Set FOREACT_SESSION_SECRET to 32 random characters or more before serving others.")
        if not self.metrics_token.get_secret_value():
            raise ForeactError("Set FOREACT_METRICS_TOKEN, which /metrics then asks for, before serving others.")
        url = urlsplit(self.public_url)
        if url.scheme != "https" or not url.hostname:
            raise ForeactError(
                "Set FOREACT_PUBLIC_URL to the https:// address that planners use before serving others."
            )
        if self.oidc_issuer and urlsplit(self.oidc_issuer).scheme != "https":
            raise ForeactError("FOREACT_OIDC_ISSUER must be an https:// address to serve others.")

    @property
    def hosts(self) -> frozenset[str]:
        """Return the host names that requests may be addressed to."""
        public = urlsplit(self.public_url).hostname
        return frozenset({public} if public else {"127.0.0.1", "localhost", "::1"})


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
