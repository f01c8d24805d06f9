"""The workflow is one that GitHub takes, pins what it uses, asks for little and calls what people call."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parts import require, unavailable

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yaml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """Build the linter; Go's cache makes it quick the second time."""
    (go,) = require("go", install="Go 1.24 or newer")
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "foreact-tools"
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOBIN": str(folder)}
    done = subprocess.run([go, "install", ACTIONLINT], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        unavailable(f"needs actionlint, which the Go module proxy did not give: {done.stderr[-300:]}")
    return folder / "actionlint"


def lint(actionlint: Path, file: Path) -> str:
    options = ("-no-color", "-shellcheck=", "-pyflakes=")
    return subprocess.run([actionlint, *options, file], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_linter_is_content(actionlint: Path, file: Path) -> None:
    assert lint(actionlint, file) == ""


def test_the_linter_bites(actionlint: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(FILES[0].read_text().replace("needs: test", "needs: tset").replace("runs-on", "run-on", 1))
    told = lint(actionlint, broken)
    assert "tset" in told
    assert "run-on" in told


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_actions_are_pinned_and_permissions_are_few(file: Path) -> None:
    text = file.read_text()
    workflow: dict[str, Any] = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for line in re.findall(r"uses: (.*)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", line), line
    for name, job in workflow["jobs"].items():
        few = {("contents", "read"), ("id-token", "write"), ("attestations", "write" if name == "dev" else "read")}
        assert set(job["permissions"].items()) <= few, name
        assert ("id-token" in job["permissions"]) == ("environment" in job), name
        assert job["timeout-minutes"] <= 60, name
    assert "secrets." not in text, "the workflow needs no stored secret"


@pytest.mark.parametrize("place", ["dev", "prod"])
def test_what_is_deployed_is_scheduled_and_called(place: str) -> None:
    steps = yaml.safe_load((ROOT / ".github/workflows/delivery.yaml").read_text())["jobs"][place]["steps"]
    made = re.findall(r"^make ([a-z]+)(?: OVERLAY=(\w+))?$", "\n".join(step.get("run", "") for step in steps), re.M)
    assert made[-3:] == [
        ("deploy", "dev") if place == "dev" else ("promote", ""),
        ("schedule", place),
        ("smoke", place),
    ]


def test_images_are_signed_and_attested_before_they_are_deployed_and_verified_before_prod() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/delivery.yaml").read_text())["jobs"]
    steps = [step.get("run") or step["uses"].partition("@")[0] for step in jobs["dev"]["steps"]]
    attested = [place for place, step in enumerate(steps) if step == "actions/attest-build-provenance"]
    deployed = next(place for place, step in enumerate(steps) if step.startswith("make deploy"))
    signed = next(place for place, step in enumerate(steps) if "make sign" in step)
    assert steps.index("make push") < signed < min(attested) < max(attested) < deployed
    given = [step["with"] for step in jobs["dev"]["steps"] if "attest-build-provenance" in step.get("uses", "")]
    assert {each["subject-name"].rpartition("/")[2]: each["subject-digest"] for each in given} == {
        f"foreact-{name}": f"${{{{ steps.pushed.outputs.{name} }}}}" for name in ("pipeline", "serving")
    }
    assert set(jobs["prod"]["needs"]) == {"dev", "verify"}
    assert "make verify CERTIFICATE=" in jobs["verify"]["steps"][-1]["run"]
    for step, variable in ((steps[signed], "SIGNING_KEY"), (jobs["verify"]["steps"][-1]["run"], "SIGNING_CERTIFICATE")):
        guard = next(line for line in step.splitlines() if "test -n" in line)
        told = subprocess.run(
            ["bash", "-ec", guard], env={**os.environ, variable: ""}, capture_output=True, text=True, check=False
        )
        assert told.returncode == 1
        assert variable in told.stdout


def test_make_verify_asks_for_every_image_and_fails_with_any(tmp_path: Path) -> None:
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\necho "$@"\ncase "$*" in *forged*) exit 1;; esac\n')
    gh.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def verify(*options: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--silent", "verify", *options]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    whose = "REPOSITORY=example/foreact"
    good = verify(whose, "IMAGES=r.example/a@sha256:1 r.example/b@sha256:2")
    assert good.returncode == 0
    asked = "attestation verify oci://r.example/{} --repo example/foreact --source-ref refs/heads/main"
    assert [asked.format(image) in good.stdout for image in ("a@sha256:1", "b@sha256:2")] == [True, True]
    assert good.stdout.count("--signer-workflow example/foreact/.github/workflows/delivery.yaml") == 2
    assert verify(whose, "IMAGES=r.example/forged@sha256:1 r.example/b@sha256:2").returncode != 0
    assert verify("IMAGES=r.example/a@sha256:1").returncode != 0


# What fetches something that runs, and how it says which.
INSTALLS = {
    r"npm install .*?([@\w./-]+) *$": r"[\w-]+@\d+\.\d+\.\d+",
    r"go install (\S+)": r"\S+@v\d+\.\d+\.\d+",
    r"uv tool run(?: --\w+)* (\S+)": r"[\w-]+@\d+\.\d+\.\d+",
    # By lock files and their hashes, or the lowest that pyproject.toml allows, or by version.
    r"pip install (?!.*--require-hashes|.*--no-deps|.*--resolution lowest-direct)(?:--\S+ )+(.*?)(?:;.*)?$": (
        r"(?:\S+/python )?(?:[\w-]+==[\d.]+ ?)+"
    ),
    r"plugin install --url (\S+ --sha256sum [\w$(]+\))": r"\$\(azure_kv\) --sha256sum \$\(azure_kv_sum\)",
    r"aks install-cli(.*)": r" --client-version [\d.]+ --kubelogin-version v[\d.]+",
}


@pytest.mark.parametrize("pattern", INSTALLS)
def test_installers_say_which_version(pattern: str) -> None:
    files = [ROOT / ".ci/run", ROOT / "Makefile", ROOT / "deploy.mk", *FILES]
    found = [each for file in files for each in re.findall(pattern, file.read_text(), re.MULTILINE)]
    assert [each for each in found if not re.fullmatch(INSTALLS[pattern], each)] == []
    assert found


def test_nothing_that_was_downloaded_runs_unseen() -> None:
    shell = re.compile(r"\b(?:curl|wget)\b[^\n|]*\|\s*(?:sudo )?(?:ba)?sh\b")
    assert shell.search("curl -sSL https://example.com/install | bash")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    kinds = {".sh", ".mk", ".tf", ".yaml", ".yml", ".md", ".txt", ""}
    texts = {name: (ROOT / name).read_text() for name in tracked if Path(name).suffix in kinds}
    assert [name for name, text in texts.items() if shell.search(text)] == []


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text() + (ROOT / "deploy.mk").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for file in FILES:
        for target in re.findall(r"^\s*(?:- run: )?make ([a-z-]+)", file.read_text(), re.MULTILINE):
            assert target in targets, f"{file.name} calls make {target}"
