"""What a fresh clone's make targets know of a place is what its cluster runs."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from foreact.kubeflow.package import FOLDER as COMPILED
from tests.kubeflow.fake import Fake
from tests.kustomize import manifests
from tests.kustomize.clones import make_clone
from tests.kustomize.manifests import LOADER, ROOT, pods

pytestmark = pytest.mark.kubectl
FAKE = Path(__file__).parent / "fake_kubectl.py"
NEW, OLD = "1" * 64, "2" * 64


def refer(name: str, digit: str) -> str:
    return f"registry.example/foreact-{name}@sha256:{digit}"


@dataclass(frozen=True)
class Clone:
    """A fresh clone, with a cluster that runs what others deployed."""

    folder: Path
    held: Path
    host: str

    def make(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "HELD": str(self.held),
            "REAL_PATH": os.environ["PATH"],
            "CONTEXTS": "foreact-dev foreact-prod",
            "FOREACT_KFP_HOST": self.host,
            "PYTHONPATH": str(ROOT.parent),
            **more,
        }
        given = {
            "KUBECTL": f"{sys.executable} {FAKE}",
            "BIN": str(Path(sys.executable).parent),
            "PYTHON": sys.executable,
        }
        command = ["make", "--silent", *(f"{key}={value}" for key, value in given.items()), *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def hold(self, *digits: str) -> None:
        """Let the cluster have run these versions of the service, the newest first."""
        images = [refer("serving", digit) for digit in digits]
        (self.held / "revisions.json").write_text(json.dumps(images))
        for digit, image in zip(digits, images, strict=True):
            folder = self.held / image.replace("/", "_")
            folder.mkdir(exist_ok=True)
            for file in COMPILED.glob("*.yaml"):
                text = file.read_text().replace("foreact-pipeline:dev", refer("pipeline", digit))
                (folder / file.name).write_text(text)

    def read_overlay(self, name: str) -> str:
        return (self.folder / "kustomize/overlays" / name / "kustomization.yaml").read_text()

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(self.held.glob("sent-*"))]


@pytest.fixture
def clone(tmp_path: Path, host: str) -> Clone:
    clone = Clone(make_clone(tmp_path / "clone"), tmp_path / "held", host)
    clone.held.mkdir()
    clone.hold(NEW, OLD)
    return clone


def read_scheduled_image(fake: Fake) -> set[str]:
    """Return the images of the pipelines that recurring runs are to run."""
    (run,) = [run for run in fake.kept("recurring_runs") if run.mode == "ENABLE"]
    (version,) = [
        version
        for version in fake.kept("versions")
        if version.pipeline_version_id == run.pipeline_version_reference.pipeline_version_id
    ]
    executors = version.pipeline_spec["pipeline_spec"]["deploymentSpec"]["executors"].values()
    return {executor["container"]["image"] for executor in executors}


def test_promote_gives_prod_what_dev_runs(clone: Clone) -> None:
    done = clone.make("promote")
    assert done.returncode == 0, done.stderr
    (sent,) = clone.sent()
    for name in ("pipeline", "serving"):
        assert refer(name, NEW) in sent["manifests"]
    assert refer("serving", OLD) not in sent["manifests"]
    assert NEW not in clone.read_overlay("dev")


def test_promote_takes_given_images_where_dev_is_out_of_reach(clone: Clone) -> None:
    (clone.held / "revisions.json").write_text("[]")
    done = clone.make("promote", f"IMAGES={refer('pipeline', OLD)} {refer('serving', OLD)}")
    assert done.returncode == 0, done.stderr
    assert refer("serving", OLD) in clone.sent()[0]["manifests"]


def test_an_evaluation_is_its_persons_own_with_the_services_image_and_what_was_asked(clone: Clone) -> None:
    asked = "EVALUATE=--known https://a/prices.csv --known https://a/offers.csv --columns 'date=Day of sale,units=Qty'"
    for person in ("Anna.B", "carl"):
        done = clone.make("evaluate", "OVERLAY=dev", asked, LOGNAME=person)
        assert done.returncode == 0, done.stderr
    jobs = [job for sent in clone.sent() for job in yaml.load_all(sent["manifests"], LOADER)]
    names = [job["metadata"]["name"] for job in jobs]
    assert [re.sub(r"\d", "0", name) for name in names] == ["evaluate-anna-b-0000-000000", "evaluate-carl-0000-000000"]
    container = jobs[0]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == refer("pipeline", NEW)
    assert {"name": "USER", "value": "Anna.B"} in container["env"]
    tables = ["--known", "https://a/prices.csv", "--known", "https://a/offers.csv"]
    assert container["args"][-6:] == [*tables, "--columns", "date=Day of sale,units=Qty"]
    # Nobody's is replaced: a name that exists already would be refused.
    assert all(sent["options"][0] != "--force" for sent in clone.sent())


def test_schedule_takes_the_services_own_pipelines(clone: Clone, fake: Fake) -> None:
    done = clone.make("schedule", "OVERLAY=dev")
    assert done.returncode == 0, done.stderr
    assert read_scheduled_image(fake) == {refer("pipeline", NEW)}
    held = clone.held / refer("serving", NEW).replace("/", "_")
    for file in held.iterdir():
        assert (clone.folder / "build/compiled" / file.name).read_bytes() == file.read_bytes()


def test_kubeflow_is_found_by_a_forwarded_port(clone: Clone, fake: Fake) -> None:
    ports = json.dumps({"service/ml-pipeline": urlsplit(clone.host).port})
    done = clone.make("schedule", "OVERLAY=dev", FOREACT_KFP_HOST="", PORTS=ports)
    assert done.returncode == 0, done.stderr
    assert read_scheduled_image(fake) == {refer("pipeline", NEW)}


def test_a_laptops_nightly_run_takes_its_demo_data(clone: Clone, fake: Fake) -> None:
    done = clone.make("schedule", "OVERLAY=local")
    assert done.returncode == 0, done.stderr
    (run,) = fake.kept("recurring_runs")
    sales = "http://azurite.azurite.svc.cluster.local:10000/devstoreaccount1/sales"
    given = run.runtime_config.parameters
    assert given["history"] == f"{sales}/history"
    assert given["known"] == [f"{sales}/known/{name}" for name in ("calendar.csv", "offers.parquet", "stores.csv")]
    assert given["train_memory"] == "2Gi"


def test_a_rollback_covers_service_ray_what_runs_by_the_clock_and_nightly_run(clone: Clone, fake: Fake) -> None:
    assert clone.make("schedule", "OVERLAY=prod").returncode == 0
    done = clone.make("rollback", "OVERLAY=prod")
    assert done.returncode == 0, done.stderr
    assert json.loads((clone.held / "revisions.json").read_text())[0] == refer("serving", OLD)
    assert read_scheduled_image(fake) == {refer("pipeline", OLD)}
    (sent,) = clone.sent()
    label, _, values = sent["options"][sent["options"].index("--selector") + 1].partition(" in ")
    selected = [
        item
        for item in yaml.load_all(sent["manifests"], LOADER)
        if item["metadata"].get("labels", {}).get(label) in values.strip("()").split(", ")
    ]
    assert {manifests.name(item) for item in selected} == {
        "RayCluster ray/foreact",
        "CronJob kubeflow/foreact-reforecast",
        "CronJob kubeflow/foreact-warm-node",
    }
    images = {container["image"] for made in pods(selected) for container in made.containers}
    assert images == {refer("pipeline", OLD)}
    # The next apply of this clone does not bring back what was rolled back.
    assert clone.read_overlay("prod").count(OLD) == 2


def test_what_runs_is_printed_and_taken_over(clone: Clone) -> None:
    assert clone.make("running", "OVERLAY=dev").stdout.split() == [refer("pipeline", NEW), refer("serving", NEW)]
    assert NEW not in clone.read_overlay("dev")
    assert clone.make("running", "OVERLAY=dev", "SET=1").returncode == 0
    assert clone.make("apply", "OVERLAY=dev").returncode == 0
    assert clone.read_overlay("dev").count(NEW) == 2


@pytest.mark.parametrize("target", ["promote", "schedule", "evaluate", "packages", "running"])
def test_where_nothing_was_deployed_nothing_is_done(clone: Clone, fake: Fake, target: str) -> None:
    (clone.held / "revisions.json").write_text("[]")
    done = clone.make(target, "OVERLAY=dev")
    assert done.returncode != 0
    assert "not found" in done.stderr
    assert "deploy there first, by make image push deploy OVERLAY=dev" in done.stderr
    assert clone.sent() == []
    assert fake.kept("recurring_runs") == []


def test_an_unknown_cluster_is_told(clone: Clone) -> None:
    done = clone.make("promote", "KUBECTL=/nowhere/kubectl")
    assert done.returncode != 0
    assert "what dev runs cannot be read" in done.stderr


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_zeros_are_not_applied(clone: Clone, overlay: str) -> None:
    done = clone.make("apply", f"OVERLAY={overlay}")
    assert done.returncode != 0
    assert f"make running OVERLAY={overlay} SET=1" in done.stderr
    assert clone.sent() == []


def test_zeros_are_neither_promoted_nor_deployed(clone: Clone) -> None:
    clone.hold("0" * 64)
    done = clone.make("promote")
    assert done.returncode != 0
    assert "stands for an image that nobody has deployed" in done.stderr
    assert clone.sent() == []


def test_a_tag_is_not_rolled_back(clone: Clone) -> None:
    done = clone.make("rollback", "OVERLAY=local")
    assert done.returncode != 0
    assert "no image of before" in done.stderr
    assert json.loads((clone.held / "revisions.json").read_text())[0] == refer("serving", NEW)


def test_a_version_whose_pods_do_not_start_lends_no_pipelines(clone: Clone) -> None:
    done = clone.make("packages", "OVERLAY=dev", "STUCK=1")
    assert done.returncode != 0
    assert f"no pod of dev runs {refer('serving', NEW)} yet" in done.stderr
    assert not (clone.folder / "build/compiled").exists()
