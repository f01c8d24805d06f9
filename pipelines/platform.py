"""What every task is given: name, caching, retries, size, and its place on the cluster.

kfp's local runner ignores all that kfp-kubernetes sets; compiled, it is the second document of the YAML.
"""

import os
from typing import Any

from kfp import kubernetes
from pydantic import SecretStr

from foreact.settings import PipelineSettings

# Made by kustomize in the namespace of the runs: what varies by place, and what nobody may read.
CONFIG_MAP = "foreact-pipelines"
SECRET = "foreact-pipelines"  # noqa: S105 - a name, not a value

# The nodes that tasks run on carry this label and taint; an empty FOREACT_NODE_POOL at compile time: any node.
POOL_KEY = "foreact.io/pool"
POOL = os.environ.get("FOREACT_NODE_POOL", "batch")

# Seconds until Kubernetes ends a task's pod, for each try.
TIMEOUT = 1800
TIMEOUTS = {"ingest": 3600, "validate": 3600, "train": 3 * 3600}

# Larger than any intermediate file; an emptyDir, for a disk of its own would take longer to attach than a step runs.
SCRATCH = "20Gi"
SCRATCHES = {"ingest": "50Gi", "validate": "50Gi", "train": "100Gi"}

# What reaches a place's own services. Only the step that calls a service is given its credentials.
BLOB = ("FOREACT_BLOB_CONNECTION_STRING",)
MLFLOW = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
RAY = ("RAY_AUTH_TOKEN",)
CREDENTIALS = {
    "locate": BLOB,
    "ingest": BLOB,
    "validate": BLOB,
    "train": (*BLOB, *MLFLOW, *RAY),
    "register": (*BLOB, *MLFLOW),
    "publish": BLOB,
    "report": (*BLOB, "FOREACT_WEBHOOK_URL"),
}
# Known by the image, or no setting of a pod.
NOT_OF_THE_PLACE = {"workspace", "code_version", "run_id", "pipeline", "store"}
# Where traces go, and what lets them in there; OpenTelemetry reads them by these names.
TELEMETRY = ("OTEL_EXPORTER_OTLP_ENDPOINT",)
TELEMETRY_KEY = ("OTEL_EXPORTER_OTLP_HEADERS",)
MORE_OF_THE_PLACE = {"train": ("RAY_AUTH_MODE",)}


def configure_task(
    task: Any, title: str, *, pipeline: str, cache: bool, cpu: Any, memory: Any, retries: int = 0
) -> None:
    """Set on a task all that does not depend on what it does."""
    task.set_display_name(title)
    task.set_caching_options(cache)
    task.set_cpu_request(cpu).set_cpu_limit(cpu)
    task.set_memory_request(memory).set_memory_limit(memory)
    if retries:
        # Argo counts it from the first try's start, the wait for a node included, and ends the try that runs then.
        together = (retries + 1) * TIMEOUTS.get(task.name, TIMEOUT)
        task.set_retry(retries, backoff_duration="10s", backoff_factor=2.0, backoff_max_duration=f"{together}s")
    # Whose the run is, told from its first step on: Kubeflow's own labels do not say.
    task.set_env_variable("FOREACT_PIPELINE", pipeline)
    _place_pod(task)
    _pass_settings(task)


def _place_pod(task: Any) -> None:
    """Say where its pod runs, as whom, for how long and with what room."""
    # The service account is the run's; the label lets the webhook of workload identity find the pod.
    kubernetes.add_pod_label(task, "azure.workload.identity/use", "true")
    kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "foreact")
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.set_timeout(task, TIMEOUTS.get(task.name, TIMEOUT))
    if POOL:
        kubernetes.add_node_selector(task, POOL_KEY, POOL)
        kubernetes.add_toleration(task, key=POOL_KEY, operator="Equal", value=POOL, effect="NoSchedule")
    kubernetes.empty_dir_mount(task, "scratch", "/tmp", size_limit=SCRATCHES.get(task.name, SCRATCH))  # noqa: S108
    if task.name == "train":
        # Ray keeps its objects in shared memory, of which a container has 64 MB otherwise.
        kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory", size_limit="4Gi")  # noqa: S108


def _pass_settings(task: Any) -> None:
    """Hand it the place's settings, and its credentials by reference alone; what the place does not set is left out."""
    settings = [f"FOREACT_{name.upper()}" for name in place_settings()]
    settings += TELEMETRY
    settings += MORE_OF_THE_PLACE.get(task.name, ())
    kubernetes.use_config_map_as_env(task, CONFIG_MAP, {name: name for name in settings}, optional=True)
    # Names the run in every log line and in the record that the service shows.
    kubernetes.use_field_path_as_env(task, "FOREACT_RUN_ID", "metadata.labels['pipeline/runid']")
    secrets = (*CREDENTIALS[task.name], *TELEMETRY_KEY)
    kubernetes.use_secret_as_env(task, SECRET, {name: name for name in secrets}, optional=True)


def place_settings() -> list[str]:
    """Name the settings of the steps that the config map may hold: every one but the secrets."""
    return [
        name
        for name, field in PipelineSettings.model_fields.items()
        if field.annotation is not SecretStr and name not in NOT_OF_THE_PLACE
    ]
