"""A laptop's cluster: what its one command does, in which order, and the sales that it brings along."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from foreact.blobs import connect
from foreact.errors import ForeactError
from foreact.settings import PlaceSettings
from tests.kustomize.clones import make_clone
from tests.kustomize.manifests import ROOT
from tests.services import Azurite

# Writes down what it was called with; kind knows the clusters of $CLUSTERS, and what $FAILS names fails.
STUB = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
test "$*" != "get clusters" || printf '%s\\n' $CLUSTERS
case "$(basename "$0") $*" in $FAILS) exit 1;; esac
"""
STEPS = (
    "kind create cluster --name foreact",
    "kubectl --context kind-foreact apply --server-side --filename https://",
    "docker build .* --target pipeline --tag foreact-pipeline:dev",
    "docker build .* --target serving .*--tag foreact-serving:dev",
    "kind load docker-image foreact-pipeline:dev foreact-serving:dev --name foreact",
    "kubectl --context kind-foreact apply .*/overlays/local/kubeflow",
    "kubectl --context kind-foreact --namespace azurite get secret azurite$",
    "kubectl --context kind-foreact apply .* kustomize/overlays/local$",
    "python kustomize/forward.py .* kustomize/overlays/local/demo_data.py",
    "python kustomize/forward.py .* submit retrain-all",
    "python kustomize/forward.py .* schedule apply",
    "python kustomize/forward.py .*with_key.py .* smoke",
)


def make(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
    """Run a target with stand-ins for all that it calls; return its code, what it told, and the calls."""
    for name in ("docker", "kind", "kubectl", "python", "foreact"):
        (folder / name).write_text(STUB)
        (folder / name).chmod(0o755)
    (folder / "log").touch()
    tools = {name.upper(): str(folder / name) for name in ("docker", "kind", "kubectl", "python")} | {
        "BIN": str(folder)
    }
    given = [f"{key}={value}" for key, value in tools.items() if not any(a.startswith(f"{key}=") for a in arguments)]
    known = {"LOG": str(folder / "log"), "CLUSTERS": "", "FAILS": "nothing", **environment}
    unset = {name: value for name, value in os.environ.items() if not name.startswith("FOREACT_")}
    command = ["make", "--silent", *given, *arguments]
    clone = make_clone(folder / "clone")
    done = subprocess.run(command, cwd=clone, env={**unset, **known}, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, (folder / "log").read_text().splitlines()


def test_one_command_takes_every_step_in_order(tmp_path: Path) -> None:
    elsewhere = {"REGISTRY": "registry.example", "FOREACT_KFP_HOST": "http://elsewhere.example", "OVERLAY": "prod"}
    code, told, calls = make(tmp_path, "local-up", **elsewhere)
    assert code == 0, told
    left = iter(calls)
    for step in STEPS:
        assert any(re.search(step, call) for call in left), f"{step} is missing, or too early, in {calls}"
    assert not any("example" in call for call in calls)
    # Whatever cluster kubectl's current context is of, nothing of this goes there.
    assert all("--context kind-foreact" in call for call in calls if call.startswith("kubectl"))
    assert next(call for call in calls if call.startswith("kind")) == "kind get clusters"


def test_a_cluster_that_is_there_is_kept(tmp_path: Path) -> None:
    code, _, calls = make(tmp_path, "local-up", CLUSTERS="other foreact")
    assert code == 0
    assert not any("create cluster" in call for call in calls)


def test_a_step_that_fails_is_the_last(tmp_path: Path) -> None:
    code, _, calls = make(tmp_path, "local-up", FAILS="kind load*")
    assert code != 0
    assert calls[-1].startswith("kind load")


@pytest.mark.parametrize("tool", ["docker", "kind", "kubectl"])
def test_what_is_missing_is_named_before_anything_is_done(tmp_path: Path, tool: str) -> None:
    code, told, calls = make(tmp_path, "local-up", f"{tool.upper()}=/nowhere/{tool}")
    assert code != 0
    assert re.match(rf"install {tool}, which .*https://", told, re.IGNORECASE)
    assert calls == []


def test_it_goes_as_it_came(tmp_path: Path) -> None:
    assert make(tmp_path, "local-down")[2] == ["kind delete cluster --name foreact"]


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("demo_data", ROOT / "overlays/local/demo_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.azurite
def test_made_up_sales_are_where_the_first_run_looks(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = azurite.settings()
    url = place["blob_url"]
    # As the secret has it, for pods.
    inside = azurite.connection_string.replace(azurite.endpoint, "http://azurite.azurite.svc.cluster.local:10000/x")
    monkeypatch.setenv("FOREACT_BLOB_CONNECTION_STRING", inside)
    bring = load_script().main
    bring(url, stores=1, items=2)
    bring(url, stores=1, items=2)
    there = {blob.name for blob in connect(PlaceSettings(**place)).list()}
    plan = subprocess.run(
        ["make", "--dry-run", "first-run", "OVERLAY=local"], cwd=ROOT.parent, capture_output=True, text=True, check=True
    ).stdout
    history = re.findall(r"--history \S*/devstoreaccount1/sales/(\S+)", plan)
    known = re.findall(r"--known \S*/devstoreaccount1/sales/(\S+)", plan)
    assert there == {f"{history[0]}/demo.csv", *known}

    connect(PlaceSettings(**place)).write("history/2026.csv", b"date,store,units\n")
    with pytest.raises(ForeactError, match=r"history/2026.csv is there already"):
        bring(url, stores=1, items=2)
