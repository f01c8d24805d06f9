"""The options of every task: name, retries, size, and its place on the cluster.

kfp's local runner ignores everything that kfp-kubernetes sets; compiled, that is the second document of the YAML.
"""

import os
from typing import Any

from kfp import kubernetes
from pydantic import SecretStr

from foreact.settings import PipelineSettings
from foreact.steps import Step

# Made by kustomize in the namespace of the runs: the settings that vary by place, and the secrets.
CONFIG_MAP = "foreact-pipelines"
SECRET = "foreact-pipelines"  # noqa: S105 - a name, not a value

# The nodes of the tasks have this label and taint; with an empty FOREACT_NODE_POOL at compile time, any node will do.
POOL_KEY = "foreact.io/pool"
POOL = os.environ.get("FOREACT_NODE_POOL", "batch")

# Pods do not use it.
NOT_IN_CONFIG_MAP = {"workspace"}
# Where traces go, and the credentials for it; OpenTelemetry reads them by these names.
TELEMETRY = ("OTEL_EXPORTER_OTLP_ENDPOINT",)
TELEMETRY_KEY = ("OTEL_EXPORTER_OTLP_HEADERS",)


def set_task_options(task: Any, step: Step, *, pipeline: str, retry: bool, cpu: Any, memory: Any) -> None:
    """Set the options of a task that do not depend on what it does."""
    task.set_display_name(step.title)
    # What a step makes depends on more than its inputs: the champion, the publication, the datasets that are kept.
    task.set_caching_options(False)
    task.set_cpu_request(cpu).set_cpu_limit(cpu)
    task.set_memory_request(memory).set_memory_limit(memory)
    if retry and step.retries:
        # Argo counts it from the first try's start, including the wait for a node, and ends the try that runs then.
        longest = (step.retries + 1) * step.timeout_seconds
        task.set_retry(step.retries, backoff_duration="10s", backoff_factor=2.0, backoff_max_duration=f"{longest}s")
    # Names the pipeline from the first step on, because Kubeflow's own labels do not.
    task.set_env_variable("FOREACT_PIPELINE", pipeline)
    _place_pod(task, step)
    _pass_settings(task, step)


def _place_pod(task: Any, step: Step) -> None:
    """Set where its pod runs, as which user, for how long and with how much disk."""
    # The service account is set for the run; the label lets the webhook of workload identity find the pod.
    kubernetes.add_pod_label(task, "azure.workload.identity/use", "true")
    kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "foreact")
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.set_timeout(task, step.timeout_seconds)
    if POOL:
        kubernetes.add_node_selector(task, POOL_KEY, POOL)
        kubernetes.add_toleration(task, key=POOL_KEY, operator="Equal", value=POOL, effect="NoSchedule")
    # An emptyDir, because attaching a disk would take longer than a step runs.
    kubernetes.empty_dir_mount(task, "scratch", "/tmp", size_limit=step.scratch)  # noqa: S108
    if step.name == "train":
        # Ray keeps its objects in shared memory, of which a container has only 64 MB by default.
        kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory", size_limit="4Gi")  # noqa: S108


def _pass_settings(task: Any, step: Step) -> None:
    """Pass it the settings, and its credentials by reference only; what the cluster does not set is left out."""
    settings = [f"FOREACT_{name.upper()}" for name in list_config_map_settings()]
    settings += TELEMETRY
    settings += step.settings
    kubernetes.use_config_map_as_env(task, CONFIG_MAP, {name: name for name in settings}, optional=True)
    # Names the run in every log line and in the record that the service shows.
    kubernetes.use_field_path_as_env(task, "FOREACT_RUN_ID", "metadata.labels['pipeline/runid']")
    secrets = (*step.credentials, *TELEMETRY_KEY)
    kubernetes.use_secret_as_env(task, SECRET, {name: name for name in secrets}, optional=True)


def list_config_map_settings() -> list[str]:
    """Return the names of the settings that the config map may hold: all but the secrets."""
    return [
        name
        for name, field in PipelineSettings.model_fields.items()
        if field.annotation is not SecretStr and name not in NOT_IN_CONFIG_MAP
    ]
