"""Write docs/settings.md from the settings classes: `python docs/settings.py [--check]`."""

import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from foreact.context import VARIABLES
from foreact.kubeflow.settings import KubeflowSettings
from foreact.settings import PipelineSettings, PlaceSettings
from serving.settings import ServingSettings

PAGE = Path(__file__).with_suffix(".md")
# What a run's own processes hand on, by its place in the context.
FOR_A_RUN = {
    "run": "The run's id; log lines carry it",
    "pipeline": "The pipeline that the run is of",
    "store": "The one store of the run",
    "request_id": "Request of the service that the run answers; log lines carry it",
    "traceparent": "The span that the run belongs to",
    "events": "File that the steps of a local run append their progress to",
    "code_version": "Commit that the image was built from; images set it",
    "mlflow_uri": "Tracking server of that MLflow run; `mlflow run` sets it",
    "mlflow_run": "MLflow run that `mlflow run` began; the run's models and figures belong to it",
}
# Variables that no settings class reads.
ELSEWHERE = (
    (
        "FOREACT_API_KEY",
        "",
        "API key that `foreact smoke` and `foreact probe` present",
        "`foreact smoke`, `foreact probe`",
    ),
    ("FOREACT_IMAGE", "foreact-pipeline:dev", "Image of all steps", "`foreact compile`"),
    (
        "FOREACT_NODE_POOL",
        "batch",
        "Pool of nodes that tasks are bound to (label and taint `foreact.io/pool`); empty: any node",
        "`foreact compile`",
    ),
)
Row = tuple[str, str, str, str]


def list_settings(settings: type[BaseSettings], reader: str, *, leave_out: tuple[str, ...] = ()) -> list[Row]:
    """Return name, default, meaning and reader of each field of a settings class."""
    prefix = settings.model_config["env_prefix"]
    return [
        (f"{prefix}{name.upper()}", write_default(field), describe_field(field), reader)
        for name, field in settings.model_fields.items()
        if name not in leave_out
    ]


def write_default(field: FieldInfo) -> str:
    """Return a field's default as it would stand in the environment."""
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if default is None:
        return ""
    return str(int(default)) if isinstance(default, float) and default.is_integer() else str(default)


def describe_field(field: FieldInfo) -> str:
    """Return what a field means, with its choices and whether it is a secret; raise ValueError if nobody said."""
    if not field.description:
        raise ValueError("a setting has no description")
    notes = []
    if field.annotation is SecretStr:
        notes.append("a secret")
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    if choices:
        notes.append(" or ".join(f"`{choice}`" for choice in choices))
    return field.description + (f" ({'; '.join(notes)})" if notes else "")


def list_sections() -> list[tuple[str, str, list[Row]]]:
    """Return every section: its title, what it says first, and its rows."""
    shared = tuple(PlaceSettings.model_fields)
    steps = list_settings(PipelineSettings, "steps", leave_out=shared)
    return [
        (
            "A place",
            "Where this installation keeps things. The steps and the service must agree on them.",
            list_settings(PlaceSettings, "steps, service, `foreact`"),
        ),
        ("Steps", "", steps),
        ("Service", "", list_settings(ServingSettings, "service", leave_out=shared)),
        (
            "Kubeflow Pipelines",
            "Read by `foreact submit` and `foreact schedule`, and by the service where `FOREACT_RUNNER` is `kubeflow`.",
            list_settings(KubeflowSettings, "`foreact`, service"),
        ),
        ("Commands", "", list(ELSEWHERE)),
        (
            "A run",
            "Set by whatever starts a run; nobody sets them by hand.",
            [(variable, "", FOR_A_RUN[name], "steps") for name, variable in VARIABLES.items()],
        ),
    ]


def write_page() -> str:
    """Return the whole page."""
    lines = [
        "# Settings",
        "",
        "Written by `make settings` from the settings classes; a test fails while it is out of date.",
        "",
        "What varies from run to run is a pipeline parameter; what varies from place to place is an environment",
        "variable here. Secrets belong in the vault or in a Kubernetes secret, never in a file that git keeps.",
        "Variables of OpenTelemetry, MLflow and Ray keep their own names: see",
        "[observability/](../observability/README.md) and [kustomize/README.md](../kustomize/README.md).",
    ]
    for title, sentence, rows in list_sections():
        lines += ["", f"## {title}", ""] + ([sentence, ""] if sentence else [])
        lines += ["| name | default | what it does | read by |", "| --- | --- | --- | --- |"]
        lines += [f"| `{name}` | {code(default)} | {escape(text)} | {reader} |" for name, default, text, reader in rows]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Return a text as code, or nothing for none."""
    return f"`{text}`" if text else ""


def escape(text: str) -> str:
    """Return a text that ends no cell of a table."""
    return text.replace("|", "\\|")


def main(*arguments: Any) -> None:
    """Write the page, or with --check fail if it is out of date."""
    page = write_page()
    if "--check" not in arguments:
        PAGE.write_text(page, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page:
        sys.exit("docs/settings.md is out of date. Run `make settings`.")


if __name__ == "__main__":
    main(*sys.argv[1:])
