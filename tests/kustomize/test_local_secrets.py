"""What a laptop's cluster keeps secret is made whole, whatever was left of an earlier one."""

import os
import subprocess
from pathlib import Path

from tests.kustomize.manifests import ROOT

# Keeps secrets as files named by namespace and name, and refuses what kubectl refuses.
KUBECTL = """#!/bin/sh
case "$*" in
  "get namespace "*) exit 0;;
  "--namespace "*" get secret "*) test -e "$HELD/$2.$5";;
  "--namespace "*" delete secret "*) rm -f "$HELD/$2.$5";;
  "--namespace "*" create secret generic "*)
    test ! -e "$HELD/$2.$6" || { echo "secrets $6 already exists" >&2; exit 1; }
    printf '%s\n' "$@" > "$HELD/$2.$6";;
  *) exit 2;;
esac
"""


def make(folder: Path) -> dict[str, str]:
    """Run the script against what the folder holds, and read what it holds then."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "held").mkdir(exist_ok=True)
    (folder / "bin/kubectl").write_text(KUBECTL)
    (folder / "bin/kubectl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HELD": str(folder / "held")}
    subprocess.run(["sh", ROOT / "overlays/local/secrets.sh"], env=environment, check=True, capture_output=True)
    return {file.name: file.read_text() for file in (folder / "held").iterdir()}


def token(secret: str, name: str = "auth_token") -> str:
    return next(line.split("=", 2)[2] for line in secret.splitlines() if line.lower().find(f"{name}=") > 0)


def test_a_cluster_taken_down_leaves_kubeflows_secret(tmp_path: Path) -> None:
    before = make(tmp_path)
    for name in before:
        if not name.startswith("kubeflow."):
            (tmp_path / "held" / name).unlink()
    after = make(tmp_path)
    assert after.keys() == before.keys()
    assert token(after["kubeflow.foreact-pipelines"]) == token(after["ray.ray"]) != token(before["ray.ray"])


def test_the_people_of_dex_log_in_by_passwords_that_are_theirs_alone(tmp_path: Path) -> None:
    lines = make(tmp_path)["foreact.dex"].splitlines()
    kept = dict(line.removeprefix("--from-literal=").split("=", 1) for line in lines if line.startswith("--from-"))
    for person in ("admin", "planner"):
        password, hashed = kept[f"{person}-password"], kept[f"{person}-hash"]
        assert len(password) == 32
        check = subprocess.run(
            ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, hashed], capture_output=True, check=True
        )
        assert check.stdout.decode() == hashed
    assert kept["admin-password"] != kept["planner-password"]


def test_a_cluster_from_before_dex_gets_its_secret(tmp_path: Path) -> None:
    before = make(tmp_path)
    (tmp_path / "held/foreact.dex").unlink()
    after = make(tmp_path)
    assert after.keys() == before.keys()
    assert {**after, "foreact.dex": ""} == {**before, "foreact.dex": ""}


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    assert make(tmp_path) == make(tmp_path)


def test_prometheus_holds_the_token_that_the_service_asks_for(tmp_path: Path) -> None:
    made = make(tmp_path)
    asked = token(made["foreact.foreact-serving"], "foreact_metrics_token")
    assert token(made["monitoring.prometheus"], "metrics-token") == asked
