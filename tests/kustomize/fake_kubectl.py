"""A kubectl whose cluster is a folder: the service's revisions, and what was applied.

Manifests are built for real, and commands in the service's pods run for real, with a workspace in that folder.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HELD = Path(os.environ["HELD"])
PORTS = json.loads(os.environ.get("PORTS", "{}"))


def make_pods(revisions: list[str]) -> list[dict[str, Any]]:
    """Return the pods of a rollout that has just ended: those of the revision before are not gone yet."""
    return [
        {
            "metadata": {"name": f"pod-{number}"} | ({"deletionTimestamp": "2026-11-25T08:21:00Z"} if number else {}),
            "spec": {"containers": [{"name": "serving", "image": image}]},
            "status": {"phase": "Pending" if "STUCK" in os.environ else "Running"},
        }
        for number, image in reversed(list(enumerate(revisions)))
    ]


def answer(arguments: list[str]) -> None:
    """Do what one command says."""
    revisions: list[str] = json.loads((HELD / "revisions.json").read_text())
    match arguments:
        case ["kustomize", folder]:
            build(folder)
        case ["get", "deployment", "foreact-serving", *_]:
            if not revisions:
                sys.exit('Error from server (NotFound): deployments.apps "foreact-serving" not found')
            spec = {"containers": [{"name": "serving", "image": revisions[0]}]}
            sys.stdout.write(json.dumps({"spec": {"template": {"spec": spec}}}))
        case ["get", "pods", *_]:
            sys.stdout.write(json.dumps({"items": make_pods(revisions)}))
        case ["exec", pod, "--", "cat", path]:
            carried = HELD / revisions[int(pod.removeprefix("pod-"))].replace("/", "_") / Path(path).name
            sys.stdout.write(carried.read_text())
        case ["exec", "deployment/foreact-serving", "--", "foreact", *command]:
            place = ["--workspace", str(HELD / "workspace")]
            sys.exit(subprocess.run([sys.executable, "-m", "commands", *command, *place], check=False).returncode)
        case ["port-forward", service, _]:
            forward(service)
        case ["rollout", "undo", *_]:
            (HELD / "revisions.json").write_text(json.dumps([revisions[1], revisions[0]]))
        case ["apply", *options]:
            note(options, build(options[options.index("--kustomize") + 1], echo=False))
        case ["create", *options]:
            manifests = sys.stdin.read()
            note(options, manifests)
            sys.stdout.write(f"job.batch/{yaml.safe_load(manifests)['metadata']['name']}\n")
        case ["wait" | "logs", *_, job] if job.startswith("job"):
            if not any(job.removeprefix("job.batch/") in path.read_text() for path in HELD.glob("sent-*")):
                sys.exit(f'Error from server (NotFound): jobs.batch "{job}" not found')
        case ["rollout", "status", *_]:
            pass
        case _:
            sys.exit(f"unknown command: {arguments}")


def build(folder: str, *, echo: bool = True) -> str:
    """Build a kustomization by the real kubectl."""
    real = shutil.which("kubectl", path=os.environ["REAL_PATH"])
    done = subprocess.run([str(real), "kustomize", folder], capture_output=True, text=True, check=True)
    if echo:
        sys.stdout.write(done.stdout)
    return done.stdout


def forward(service: str) -> None:
    """Say at which port a service is, as the real one does, and stay until told to end."""
    if service not in PORTS:
        sys.exit(f'Error from server (NotFound): services "{service}" not found')
    sys.stdout.write(f"Forwarding from 127.0.0.1:{PORTS[service]} -> 80\n")
    sys.stdout.flush()
    # One line a connection, more than a pipe holds.
    sys.stdout.writelines(f"Handling connection for {PORTS[service]}\n" for _ in range(3_000))
    sys.stdout.flush()
    (HELD / "told").touch()
    # Ended by Ctrl-C without a word, as the real one.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pause()


def note(options: list[str], manifests: str) -> None:
    """Keep what was sent to the cluster, one file a command."""
    number = len(list(HELD.glob("sent-*")))
    (HELD / f"sent-{number}.json").write_text(json.dumps({"options": options, "manifests": manifests}))


def strip_place(arguments: list[str]) -> list[str]:
    """Leave out context and namespace; a context that is not this cluster's is unknown, as to the real one."""
    while arguments[:1] in (["--context"], ["--namespace"]):
        if arguments[0] == "--context" and arguments[1] not in os.environ["CONTEXTS"].split():
            sys.exit(f'error: context "{arguments[1]}" does not exist')
        arguments = arguments[2:]
    return arguments


if __name__ == "__main__":
    answer(strip_place(sys.argv[1:]))
