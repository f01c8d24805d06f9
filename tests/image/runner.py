"""A compiled pipeline, every task in a container: python -m tests.image.runner COMPILED FOLDER PARAMETERS ENVIRONMENT.

PARAMETERS and ENVIRONMENT are JSON. The exit code is 0 if the pipeline succeeded.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml
from kfp import components, local
from kfp.local import docker_task_handler

# As a pod has it: nothing writable but scratch, no capability, nobody in particular.
LOCKED = {
    "network_mode": "host",
    "read_only": True,
    "tmpfs": {"/tmp": "exec,mode=1777"},
    "shm_size": "1g",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}


def run_container(client: Any, image: str, command: list[str], volumes: dict[str, Any], **options: Any) -> int:
    """Run a container to its end and give its exit code.

    kfp's own has the engine remove it, and takes one that is gone before it was asked for a success.
    """
    container = client.containers.run(image, command, detach=True, volumes=volumes, **options)
    try:
        for line in container.logs(stream=True):
            sys.stdout.write(line.decode())
        return int(container.wait()["StatusCode"])
    finally:
        container.remove(force=True)


def main() -> None:
    """Run the file named on the command line."""
    compiled, folder = Path(sys.argv[1]), Path(sys.argv[2])
    parameters, environment = json.loads(sys.argv[3]), json.loads(sys.argv[4])
    # Whoever the image runs as writes into folders that kfp makes.
    os.umask(0)
    folder.mkdir(parents=True)
    local.init(runner=local.DockerRunner(**LOCKED), pipeline_root=str(folder), raise_on_error=True)
    docker_task_handler.run_docker_container = run_container
    pipeline = components.load_component_from_text(settle(compiled.read_text(), environment))
    try:
        pipeline(**parameters)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")


def settle(text: str, environment: dict[str, str]) -> str:
    """Return each task the place's settings, as the config map does: the runner's own give way to those of a task."""
    spec, *platform = yaml.safe_load_all(text)
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"].setdefault("env", []).extend(
            {"name": name, "value": value} for name, value in environment.items()
        )
    return yaml.safe_dump_all([spec, *platform])


if __name__ == "__main__":
    main()
