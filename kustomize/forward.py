"""Run a command while a service of the cluster is reachable from this machine.

forward.py KUBECTL NAMESPACE/SERVICE:PORT COMMAND...: in the command, {port} is the port of this machine.
"""

import re
import shlex
import signal
import subprocess
import sys
import threading
from typing import IO, cast


def main(kubectl: str, target: str, *command: str) -> int:
    """Forward a free port of this machine, run the command, and return its exit code."""
    namespace, service, port = re.split("[/:]", target)
    arguments = ["--namespace", namespace, "port-forward", f"service/{service}", f":{port}"]
    try:
        forwarding = subprocess.Popen([*shlex.split(kubectl), *arguments], stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise SystemExit(f"{service} of {namespace} cannot be reached: {error}") from None
    # Ctrl-C is the command's to answer, which gets it too.
    signal.signal(signal.SIGINT, lambda *_: None)
    with forwarding, cast("IO[str]", forwarding.stdout) as stdout:
        try:
            # kubectl's first line names the port that it chose, once it listens there.
            chosen = re.search(r":(\d+) -> ", stdout.readline())
            if chosen is None:
                raise SystemExit(
                    f"{service} of {namespace} cannot be reached: install it first, or reach the cluster as in step 2 "
                    "of kustomize/README.md"
                )
            # It tells of every connection, and would wait for somebody to listen.
            threading.Thread(target=lambda: [*stdout], daemon=True).start()
            return subprocess.run([word.replace("{port}", chosen[1]) for word in command], check=False).returncode
        finally:
            forwarding.terminate()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
