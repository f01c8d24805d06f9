"""Run a command while a service of the cluster is reachable from this machine.

forward.py KUBECTL NAMESPACE/SERVICE:PORT COMMAND...: in the command, {port} is the port of this machine.
"""

import re
import shlex
import subprocess
import sys


def main(kubectl: str, target: str, *command: str) -> int:
    """Forward a free port of this machine, run the command, and return its exit code."""
    namespace, service, port = re.split("[/:]", target)
    arguments = ["--namespace", namespace, "port-forward", f"service/{service}", f":{port}"]
    try:
        forwarding = subprocess.Popen([*shlex.split(kubectl), *arguments], stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise SystemExit(f"{service} of {namespace} cannot be reached: {error}") from None
    with forwarding:
        try:
            # kubectl's first line names the port that it chose, once it listens there.
            line = forwarding.stdout.readline() if forwarding.stdout else ""
            chosen = re.search(r":(\d+) -> ", line)
            if chosen is None:
                raise SystemExit(
                    f"{service} of {namespace} cannot be reached: install it first, or reach the cluster as in step 2 "
                    "of kustomize/README.md"
                )
            return subprocess.run([word.replace("{port}", chosen[1]) for word in command], check=False).returncode
        finally:
            forwarding.terminate()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
