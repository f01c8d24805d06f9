"""The KFP API down and back: forecasts are served on, refreshes say why they cannot start, and none is lost."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from foreact.blobs.folder import FolderStore
from foreact.kubeflow.settings import KubeflowSettings
from foreact.runs.ledger import RunLedger
from pipelines.compiling import FOLDER
from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.refreshes.kubeflow import KubeflowRunner
from serving.settings import ServingSettings
from tests.drills.inside import listening, wait
from tests.drills.outcome import Outcome
from tests.kubeflow.fake import Fake, serving
from tests.serving import shop


def drill(folder: Path) -> Outcome:
    """A stand-in for the API over real HTTP: it takes a run, goes away, and comes back with the run still going."""
    fake, store = Fake(), FolderStore(folder / "blobs")
    shop.publish(store)
    token, _ = keys.create_key(store, "drill", Grant(role="admin"), created_by="drill")
    with serving(fake) as host:
        package = str(FOLDER / "retrain-store.yaml")
        settings = ServingSettings(workspace=folder, refresh_package=package, _env_file=None)  # type: ignore[call-arg]
        runner = KubeflowRunner.from_settings(settings, KubeflowSettings(host=host), RunLedger(store))
        with (
            listening(create_app(settings, store, runner=runner)) as url,
            httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=120) as client,
        ):
            location = client.post("/v1/stores/S1/refreshes").headers["location"]
            started = wait(lambda: fake.kept("runs"))
            fake.dead = True
            refused = client.post("/v1/stores/S2/refreshes")
            meanwhile: dict[str, Any] = client.get(location).json()
            served = client.get("/v1/totals?store=S1").status_code
            fake.revive()
            again = client.post("/v1/stores/S2/refreshes")
            both = wait(lambda: len(fake.kept("runs")) == 2)
            shop.publish(store, ["S1", "S2"], run="after", generated_at=datetime.now(UTC), seed=2)
            for run in fake.kept("runs"):
                run.state = "SUCCEEDED"
            ended = [wait(lambda at=at: client.get(at).json()["ended_at"]) for at in _places(location, again)]
            states = [client.get(at).json()["state"] for at in _places(location, again)]
        runner.close()
    rows = [
        ("forecasts while it was down", f"{served}"),
        ("the refresh under way, while it was down", f"{meanwhile['state']}"),
        ("a refresh asked for while it was down", f"{refused.status_code} {refused.json()['error']['message'][:160]}"),
        ("asked for again when it was back", f"{again.status_code}"),
        ("both in the end", f"{', '.join(states)}, {len(fake.kept('runs'))} runs"),
    ]
    held = (
        started
        and (served, refused.status_code, again.status_code) == (200, 503, 202)
        and meanwhile["state"] == "running"
        and both
        and all(ended)
        and states == ["succeeded", "succeeded"]
    )
    seen = "Planners saw their forecasts, why no refresh could start, and the one under way to its end."
    return Outcome("kubeflow", bool(held), rows, seen)


def _places(first: str, second: httpx.Response) -> list[str]:
    return [first, second.headers.get("location", first)]
