"""What every task is given: name, caching, retries, size, and its place on the cluster.

kfp's local runner ignores all that kfp-kubernetes sets; compiled, it is the second document of the YAML.
"""

import os
from typing import Any

from kfp import kubernetes
from pydantic import SecretStr

from foreact.settings import PipelineSettings
from foreact.steps import Step

# Made by kustomize in the namespace of the runs: what varies by place, and what nobody may read.
CONFIG_MAP = "foreact-pipelines"
SECRET = "foreact-pipelines"  # noqa: S105 - a name, not a value

# The nodes that tasks run on carry this label and taint; an empty FOREACT_NODE_POOL at compile time: any node.
POOL_KEY = "foreact.io/pool"
POOL = os.environ.get("FOREACT_NODE_POOL", "batch")

# Known by the image, or no setting of a pod.
NOT_IN_CONFIG_MAP = {"workspace", "code_version"}
# Where traces go, and what lets them in there; OpenTelemetry reads them by these names.
TELEMETRY = ("OTEL_EXPORTER_OTLP_ENDPOINT",)
TELEMETRY_KEY = ("OTEL_EXPORTER_OTLP_HEADERS",)


def configure_task(task: Any, step: Step, *, pipeline: str, retry: bool, cpu: Any, memory: Any) -> None:
    """Set on a task all that does not depend on what it does."""
    task.set_display_name(step.title)
    task.set_caching_options(step.is_cached)
    task.set_cpu_request(cpu).set_cpu_limit(cpu)
    task.set_memory_request(memory).set_memory_limit(memory)
    if retry and step.retries:
        # Argo counts it from the first try's start, the wait for a node included, and ends the try that runs then.
        longest = (step.retries + 1) * step.timeout_seconds
        task.set_retry(step.retries, backoff_duration="10s", backoff_factor=2.0, backoff_max_duration=f"{longest}s")
    # Whose the run is, told from its first step on: Kubeflow's own labels do not say.
    task.set_env_variable("FOREACT_PIPELINE", pipeline)
    _place_pod(task, step)
    _pass_settings(task, step)


def _place_pod(task: Any, step: Step) -> None:
    """Say where its pod runs, as whom, for how long and with what room."""
    # The service account is the run's; the label lets the webhook of workload identity find the pod.
    kubernetes.add_pod_label(task, "azure.workload.identity/use", "true")
    kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "foreact")
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.set_timeout(task, step.timeout_seconds)
    if POOL:
        kubernetes.add_node_selector(task, POOL_KEY, POOL)
        kubernetes.add_toleration(task, key=POOL_KEY, operator="Equal", value=POOL, effect="NoSchedule")
    # An emptyDir: a disk of its own would take longer to attach than a step runs.
    kubernetes.empty_dir_mount(task, "scratch", "/tmp", size_limit=step.scratch)  # noqa: S108
    if step.name == "train":
        # Ray keeps its objects in shared memory, of which a container has 64 MB otherwise.
        kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory", size_limit="4Gi")  # noqa: S108


def _pass_settings(task: Any, step: Step) -> None:
    """Hand it the place's settings, and its credentials by reference alone; what the place does not set is left out."""
    settings = [f"FOREACT_{name.upper()}" for name in place_settings()]
    settings += TELEMETRY
    settings += step.settings
    kubernetes.use_config_map_as_env(task, CONFIG_MAP, {name: name for name in settings}, optional=True)
    # Names the run in every log line and in the record that the service shows.
    kubernetes.use_field_path_as_env(task, "FOREACT_RUN_ID", "metadata.labels['pipeline/runid']")
    secrets = (*step.credentials, *TELEMETRY_KEY)
    kubernetes.use_secret_as_env(task, SECRET, {name: name for name in secrets}, optional=True)


def place_settings() -> list[str]:
    """Name the settings of the steps that the config map may hold: every one but the secrets."""
    return [
        name
        for name, field in PipelineSettings.model_fields.items()
        if field.annotation is not SecretStr and name not in NOT_IN_CONFIG_MAP
    ]
