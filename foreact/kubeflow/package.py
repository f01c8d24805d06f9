"""A compiled pipeline: its content, the hash that names it, and what parameters it takes."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from foreact.blobs.connecting import refuse_credentials_among
from foreact.errors import ForeactError, name_examples

COMMIT = re.compile(rb"^# Commit: ([\w.-]+)$", re.MULTILINE)
FOLDER = Path(__file__).resolve().parent.parent.parent / "compiled"

_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "STRING": ("text", (str,)),
    "NUMBER_INTEGER": ("a whole number", (int,)),
    "NUMBER_DOUBLE": ("a number", (int, float)),
    "BOOLEAN": ("true or false", (bool,)),
    "LIST": ("a list", (list,)),
    "STRUCT": ("a mapping", (dict,)),
}


@dataclass(frozen=True)
class Package:
    """A pipeline as it is uploaded."""

    path: Path
    content: bytes

    @classmethod
    def load(cls, path: Path) -> "Package":
        """Read a compiled pipeline."""
        try:
            package = cls(path, path.read_bytes())
            is_compiled = "pipelineInfo" in package.spec and bool(package.titles)
        except OSError as error:
            raise ForeactError(
                f"The compiled pipeline {path} cannot be read ({error.strerror}): run `foreact compile`, "
                "or name another with --package."
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
            is_compiled = False
        if not is_compiled:
            raise ForeactError(f"{path} is not a compiled pipeline: write one with `foreact compile`.")
        return package

    @cached_property
    def documents(self) -> list[dict[str, Any]]:
        """The file's documents: the pipeline's definition, and its platform settings where it has some."""
        return list(yaml.safe_load_all(self.content))

    @property
    def spec(self) -> dict[str, Any]:
        """The pipeline's definition."""
        return self.documents[0]

    @cached_property
    def hash(self) -> str:
        """The hash of the content, platform settings included."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def commit(self) -> str:
        """The commit of the image of its tasks, which the image's build notes; empty: unknown."""
        noted = COMMIT.search(self.content)
        return noted[1].decode() if noted else ""

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def description(self) -> str:
        """The pipeline's purpose."""
        return str(self.spec["pipelineInfo"].get("description", ""))

    @cached_property
    def titles(self) -> dict[str, str]:
        """Each task's title, by the task's name, in the order they run in."""
        titles: dict[str, str] = {}
        for tasks in self._dags:
            after = {name: tasks[name].get("dependentTasks", []) for name in tasks}
            for name in TopologicalSorter(after).static_order():
                if self._is_step(tasks[name]):
                    titles[name] = tasks[name].get("taskInfo", {}).get("name", name)
        return titles

    @cached_property
    def groups(self) -> dict[str, str]:
        """Each group of tasks' title, by the group's name."""
        return {
            name: task.get("taskInfo", {}).get("name", name)
            for tasks in self._dags
            for name, task in tasks.items()
            if not self._is_step(task)
        }

    @property
    def deadline_seconds(self) -> int | None:
        """How long after its start Kubeflow stops a run; None for no limit."""
        platform = self.documents[1] if self.documents[1:] else {}
        kubernetes = platform.get("platforms", {}).get("kubernetes", {})
        seconds = kubernetes.get("pipelineConfig", {}).get("activeDeadlineSeconds")
        return int(seconds) if seconds else None

    @property
    def _dags(self) -> list[dict[str, Any]]:
        dags = [c["dag"] for c in self.spec.get("components", {}).values() if "dag" in c] + [self.spec["root"]["dag"]]
        return [dag["tasks"] for dag in dags]

    def _is_step(self, task: dict[str, Any]) -> bool:
        return "dag" not in self.spec["components"].get(task["componentRef"]["name"], {})

    def check_parameters(self, parameters: dict[str, Any]) -> None:
        """Raise if the pipeline would refuse these parameters, before anything is sent."""
        refuse_credentials_among(parameters)
        definitions = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        unknown = sorted(set(parameters) - set(definitions))
        if unknown:
            raise ForeactError(
                f"{self.name} has no parameter {name_examples(unknown)}: it takes {', '.join(sorted(definitions))}."
            )
        missing = sorted(
            name
            for name, definition in definitions.items()
            if name not in parameters and not definition.get("isOptional") and "defaultValue" not in definition
        )
        if missing:
            raise ForeactError(f"{self.name} needs {name_examples(missing)}.")
        for name, value in parameters.items():
            expected, types = _TYPES.get(definitions[name]["parameterType"], ("", (object,)))
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types and object not in types):
                raise ForeactError(f"{self.name} takes {expected} as {name}, not {value!r}.")
