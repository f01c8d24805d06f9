"""Run a command with a viewer's key of a place's service in FOREACT_API_KEY, made for it and revoked after it."""

import os
import re
import shlex
import signal
import subprocess
import sys


def main(kubectl: str, *command: str) -> int:
    """Make a key in a pod of the service, run the command, revoke the key, and return the command's exit code."""
    foreact = [*shlex.split(kubectl), "--namespace", "foreact", "exec", "deployment/foreact-serving", "--", "foreact"]
    # Should nobody come to revoke it, it ends by itself.
    create = ["keys", "create", "--name", "smoke", "--role", "viewer", "--days", "1"]
    try:
        made = subprocess.run([*foreact, *create], capture_output=True, text=True, check=False)
    except OSError as error:
        raise SystemExit(f"no key can be made: {error}") from None
    named = re.search(r"^Key ([0-9a-f]+) for ", made.stderr, re.MULTILINE)
    if made.returncode or named is None:
        raise SystemExit(
            f"no key can be made in a pod of foreact-serving ({made.stderr.strip()}): deploy first, or give one in "
            "FOREACT_API_KEY"
        )
    # Ctrl-C is the command's to answer, which gets it too; the key is revoked then as well.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        environment = {**os.environ, "FOREACT_API_KEY": made.stdout.strip()}
        code = subprocess.run(command, env=environment, check=False).returncode
    finally:
        revoked = subprocess.run([*foreact, "keys", "revoke", named[1]], capture_output=True, text=True, check=False)
        if revoked.returncode:
            sys.stderr.write(f"key {named[1]} could not be revoked and ends in a day: {revoked.stderr.strip()}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
