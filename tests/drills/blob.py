"""Blob down and back: planners go on seeing the last good forecast, marked, and the new one once it can be read."""

import time
from datetime import UTC, datetime
from pathlib import Path

from azure.storage.blob import ContainerClient

from foreact.blobs import connect
from foreact.settings import PlaceSettings
from tests.drills.inside import wait
from tests.drills.outcome import Outcome
from tests.drills.planner import asking, read_state, wait_for_answers
from tests.drills.serving import serve
from tests.services import serve_azurite
from tests.serving import shop

STORES = ["S1", "S2", "S3"]
ASKED = ["/v1/totals?store=S1", "/", "/stores/S1", "/stores/S1/items/item-0001", "/export.csv"]
# How often each is asked for, at least, while the store is away.
ROUNDS = 20


def drill(folder: Path) -> Outcome:
    """Stop the real emulator for a while under load, and bring it back with its data."""
    (folder / "workspace").mkdir()
    with serve_azurite(folder) as azurite:
        container = "forecasts"
        with ContainerClient.from_connection_string(azurite.connection_string, container) as client:
            client.create_container()
        place = azurite.settings(container)
        shop.publish(connect(PlaceSettings(**place)), STORES, generated_at=datetime.now(UTC))
        environment = {f"FOREACT_{name.upper()}": str(value) for name, value in place.items()}
        with (
            serve(folder / "workspace", **environment, FOREACT_POLL_SECONDS="0.5") as service,
            asking(service, ASKED) as seen,
        ):
            loaded = wait_for_answers(seen, len(ASKED))
            azurite.process.stop()
            down, before = time.monotonic(), len(seen.seconds)
            noticed = wait(lambda: read_state(service).get("status") == "degraded", 60)
            notice = time.monotonic() - down
            with service.client() as client:
                refused = client.post("/v1/stores/S1/refreshes")
                opened = client.get("/stores/S2/items/item-0001", headers={"accept": "text/html"})
            loaded = loaded and wait_for_answers(seen, before + ROUNDS * len(ASKED))
            away = time.monotonic() - down
            azurite.process.start()
            back = time.monotonic()
            shop.publish(connect(PlaceSettings(**place)), STORES, run="after", generated_at=datetime.now(UTC))
            renewed = wait(lambda: read_state(service).items() >= {"status": "ready", "publication": 2}.items(), 90)
            recovered = time.monotonic() - back
    rows = [
        ("seconds down", f"{away:.0f}"),
        *seen.rows(),
        ("shown as degraded after", f"{notice:.1f} s" if noticed else "never"),
        ("a refresh asked for meanwhile", f"{refused.status_code} {refused.json()['error']['message']}"),
        ("an item's page first opened meanwhile", str(opened.status_code)),
        ("back, and the next publication visible, after", f"{recovered:.1f} s" if renewed else "never"),
    ]
    answered = set(seen.statuses) == {"200"} and opened.status_code == 200
    held = loaded and answered and noticed and renewed and refused.status_code == 503
    return Outcome("blob", held, rows, "Planners saw the last publication throughout, and the next soon after.")
