"""A change of daylight-saving time: the deadline stays at half past eight on the planners' clocks."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx

from foreact.blobs.folder import FolderStore
from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.settings import ServingSettings
from tests.drills.inside import listening, wait
from tests.drills.outcome import Outcome
from tests.serving import shop
from tests.serving.conftest import Clock

# The nights in which Berlin's clocks go forward and back, and two around each; half past eight there, in UTC.
DAYS = {
    date(2026, 3, 28): "07:30",
    date(2026, 3, 29): "06:30",
    date(2026, 3, 30): "06:30",
    date(2026, 10, 24): "06:30",
    date(2026, 10, 25): "07:30",
    date(2026, 10, 26): "07:30",
}


def drill(folder: Path) -> Outcome:
    """Publish each night at four, miss one deadline on purpose, and ask the service a second before and after it."""
    rows, wrong = [], []
    for day, due in DAYS.items():
        store = FolderStore(folder / str(day))
        moment = datetime.fromisoformat(f"{day}T{due}:00+00:00")
        yesterday = moment - timedelta(hours=28)
        shop.publish(store, ["S1"], as_of=day - timedelta(days=2), generated_at=yesterday)
        token, _ = keys.create_key(store, "drill", Grant(role="viewer"), created_by="drill")
        clock = Clock(moment - timedelta(seconds=1))
        settings = ServingSettings(workspace=folder, timezone="Europe/Berlin", poll_seconds=0.2, _env_file=None)  # type: ignore[call-arg]
        headers = {"authorization": f"Bearer {token}"}
        with (
            listening(create_app(settings, store, clock=clock)) as url,
            httpx.Client(base_url=url, headers=headers, timeout=120) as client,
        ):
            before, deadline = _ask(client)
            clock.now = moment + timedelta(seconds=1)
            after, _ = _ask(client)
            shop.publish(store, ["S1"], run="late", as_of=day - timedelta(days=1), generated_at=clock.now)
            healed = "fresh" if wait(lambda: _ask(client)[0] == "fresh") else "still stale"
        told = datetime.fromisoformat(deadline)
        if told != moment or (before, after, healed) != ("fresh", "stale", "fresh"):
            wrong.append(f"{day}: {before}, {after}, {healed}, deadline {deadline}")
        rows.append(
            (
                f"{day}",
                f"due {told:%H:%M %z} = {told.astimezone(UTC):%H:%M} UTC; a second before {before}, after {after}, "
                f"published {healed}",
            )
        )
    seen = "Red from the very second of 08:30 on planners' clocks, on the days of the change as on any other."
    return Outcome("dst", not wrong, rows, seen if not wrong else "; ".join(wrong))


def _ask(client: httpx.Client) -> tuple[str, str]:
    fresh = client.get("/v1/totals?store=S1").json()["stores"]["S1"]["freshness"]
    return fresh["state"], fresh["next_deadline"]
