"""Read from a cluster which images it runs, and the pipelines that its service submits.

The service's Deployment names its image, and that image holds the compiled pipelines with the image of their tasks.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

COMPILED = "/opt/foreact/compiled"
PIPELINES = ("retrain-all", "retrain-store")
TASK_IMAGE = re.compile(r"^ *image: (\S*foreact-pipeline[:@]\S+)$", re.MULTILINE)


class Cluster:
    """A place's cluster, asked through kubectl."""

    def __init__(self, overlay: str, kubectl: str) -> None:
        self.overlay = overlay
        self._command = [*shlex.split(kubectl), "--namespace", "foreact"]

    def read_serving_image(self) -> str:
        """Return the image of the service's Deployment."""
        deployment = self._read_json("get", "deployment", "foreact-serving")
        return _find_image(deployment["spec"]["template"]["spec"])

    def read_pipelines(self, image: str) -> dict[str, bytes]:
        """Return the compiled pipelines that a pod with this image carries, by name."""
        pods = self._read_json("get", "pods", "--selector", "app.kubernetes.io/name=foreact-serving")["items"]
        # While a rollout ends, pods of the version before are still there.
        names = [pod["metadata"]["name"] for pod in pods if _is_running(pod) and _find_image(pod["spec"]) == image]
        if not names:
            raise SystemExit(
                f"no pod of {self.overlay} runs {image} yet: wait for the rollout, or deploy one that starts"
            )
        return {name: self._run("exec", names[0], "--", "cat", f"{COMPILED}/{name}.yaml") for name in PIPELINES}

    def _read_json(self, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._run(*arguments, "--output", "json"))
        return answer

    def _run(self, *arguments: str) -> bytes:
        try:
            done = subprocess.run([*self._command, *arguments], capture_output=True, check=False)
            problem = done.stderr.decode().strip() if done.returncode else None
        except OSError as error:
            problem = str(error)
        if problem is not None:
            raise SystemExit(
                f"what {self.overlay} runs cannot be read ({problem}): reach its cluster as in step 2 of "
                f"kustomize/README.md, or deploy there first, by make image push deploy OVERLAY={self.overlay}"
            )
        return done.stdout


def _find_image(spec: dict[str, Any]) -> str:
    return next(str(container["image"]) for container in spec["containers"] if container["name"] == "serving")


def _is_running(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") == "Running"


def find_task_image(pipelines: dict[str, bytes]) -> str:
    """Return the one image that all tasks of the pipelines run."""
    images = {image for content in pipelines.values() for image in TASK_IMAGE.findall(content.decode())}
    if len(images) != 1:
        raise SystemExit(f"the pipelines of the service name {len(images)} images, not one: deploy an image that does")
    return images.pop()


def main(overlay: str, kubectl: str, folder: str = "") -> None:
    """Print the tasks' and the service's image, or write the pipelines into a folder."""
    cluster = Cluster(overlay, kubectl)
    serving = cluster.read_serving_image()
    pipelines = cluster.read_pipelines(serving)
    tasks = find_task_image(pipelines)
    if not folder:
        sys.stdout.write(f"{tasks} {serving}\n")
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in pipelines.items():
        file = Path(folder) / f"{name}.yaml"
        file.write_bytes(content)
        sys.stdout.write(f"{file}: {tasks}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
