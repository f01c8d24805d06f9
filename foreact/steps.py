"""What there is to know of each step but its work: the one table of them, in the order they run in."""

from dataclasses import dataclass

HOUR = 3600

# What reaches a place's own services. Only the step that calls a service is given its credentials.
BLOB = ("FOREACT_BLOB_CONNECTION_STRING",)
MLFLOW = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
RAY = ("RAY_AUTH_TOKEN",)
WEBHOOK = ("FOREACT_WEBHOOK_URL",)


@dataclass(frozen=True)
class Step:
    """The facts of one step."""

    name: str
    # What data scientists read in Kubeflow Pipelines, and what planners read on the dashboard.
    title: str
    planners_title: str
    # Names of the environment variables that hold its credentials, and of settings that only it needs.
    credentials: tuple[str, ...]
    settings: tuple[str, ...] = ()
    retries: int = 3
    # Until Kubernetes ends its pod, for each try.
    timeout_seconds: int = HOUR // 2
    # Larger than any intermediate file.
    scratch: str = "20Gi"


STEPS = {
    step.name: step
    for step in (
        Step("ingest", "Ingest", "Read the sales", BLOB, timeout_seconds=HOUR, scratch="50Gi"),
        Step("validate", "Validate", "Check them", BLOB, retries=1, timeout_seconds=HOUR, scratch="50Gi"),
        Step(
            "train",
            "Train",
            "Learn and forecast",
            (*BLOB, *MLFLOW, *RAY),
            settings=("RAY_AUTH_MODE",),
            retries=1,
            timeout_seconds=3 * HOUR,
            scratch="100Gi",
        ),
        Step("register", "Register", "Keep the model", (*BLOB, *MLFLOW)),
        Step("publish", "Publish", "Publish", BLOB),
    )
}

# The exit handler: it runs when the others have succeeded or failed, and is no step to a planner.
REPORT = Step("report", "Report how the run ended", "", (*BLOB, *WEBHOOK), retries=0)

# All steps of one store in one pod, for a planner waits. They are tried again where a service did not answer; no retry
# of the pod, for data that was refused would be refused again.
ONE_POD = Step("retrain", "Retrain one store", "", (*BLOB, *MLFLOW, *WEBHOOK), retries=0, scratch="50Gi")
