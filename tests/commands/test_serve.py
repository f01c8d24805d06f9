"""`foreact serve` where it cannot start."""

import os
import subprocess
import sys
from pathlib import Path

from tests.parts import require, unavailable

FULL = "mount -t tmpfs -o size=64k none {0} && {{ cat /dev/zero > {0}/fill 2> /dev/null; {1} -m commands {2}; }}"


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    require("unshare", install="apt-get install util-linux")
    alone = ["unshare", "--mount"]
    if os.geteuid():
        alone.insert(1, "--map-root-user")
    if subprocess.run([*alone, "mount", "-t", "tmpfs", "none", tmp_path], check=False, capture_output=True).returncode:
        unavailable("needs a disk of its own: run as root, or allow unprivileged user namespaces")
    for command in (f"serve --workspace {tmp_path}", f"keys create --name x --workspace {tmp_path}"):
        shell = FULL.format(tmp_path, sys.executable, command)
        done = subprocess.run([*alone, "sh", "-c", shell], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("foreact: ")
        assert "disk is full: free space and run again." in done.stderr
        assert "Traceback" not in done.stderr
