"""A command that is run behind a forwarded port, or with a key for the moment, ends as if it were run alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foreact.blobs.folder import FolderStore
from serving.auth.keys import list_keys
from tests.kustomize.manifests import ROOT
from tests.waiting import until

KUBECTL = f"{sys.executable} {Path(__file__).parent / 'fake_kubectl.py'}"
# Says that it runs, and answers Ctrl-C in its own words.
COMMAND = """
import pathlib, signal, sys
def stop(*_):
    print("stopped in its own words")
    sys.exit(3)
signal.signal(signal.SIGINT, stop)
pathlib.Path(sys.argv[1], "runs").write_text(sys.argv[2])
signal.pause()
"""


@pytest.mark.parametrize(("script", "target"), [("forward", ["foreact/foreact-serving:80"]), ("with_key", [])])
def test_ctrl_c_is_answered_by_the_command(tmp_path: Path, script: str, target: list[str]) -> None:
    (tmp_path / "revisions.json").write_text("[]")
    known = {"HELD": str(tmp_path), "PORTS": '{"service/foreact-serving": 12345}', "PYTHONPATH": str(ROOT.parent)}
    command = [sys.executable, "-c", COMMAND, str(tmp_path), "{port}"]
    running = subprocess.Popen(
        [sys.executable, ROOT / f"{script}.py", KUBECTL, *target, *command],
        env={**os.environ, **known},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until((tmp_path / "runs").exists)
    if target:
        # Whatever kubectl tells of connections meanwhile, it does not come to a halt.
        until((tmp_path / "told").exists)
        assert until((tmp_path / "runs").read_text) == "12345"
    os.killpg(running.pid, signal.SIGINT)
    told, problems = running.communicate()
    assert told.strip() == "stopped in its own words"
    assert running.returncode == 3
    assert "Traceback" not in problems
    keys = list_keys(FolderStore(tmp_path / "workspace/blobs"))
    assert [key.state for key in keys] == ([] if target else ["revoked"])
