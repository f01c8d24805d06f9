"""The run that this process works for, as the environment hands it from process to process."""

import os
from dataclasses import asdict, dataclass, fields

VARIABLES = {
    "run": "FOREACT_RUN_ID",
    "pipeline": "FOREACT_PIPELINE",
    "store": "FOREACT_STORE",
    "request_id": "FOREACT_REQUEST_ID",
    "traceparent": "TRACEPARENT",
    "events": "FOREACT_EVENTS",
    "code_version": "FOREACT_CODE_VERSION",
    "mlflow_run": "MLFLOW_RUN_ID",
    "mlflow_uri": "MLFLOW_TRACKING_URI",
}
# What every log line of the run carries.
LOGGED = ("run", "pipeline", "store", "request_id")


@dataclass(frozen=True)
class RunContext:
    """Which run it is and what asked for it; what is not known is empty."""

    run: str = ""
    pipeline: str = ""
    # The one store of the run; empty: all.
    store: str = ""
    # The planner's request that the run serves, and the span that it belongs to.
    request_id: str = ""
    traceparent: str = ""
    # The file that the process which started the run is reading.
    events: str = ""
    # The commit of the code that runs; images know theirs.
    code_version: str = ""
    # The MLflow run within which this work was begun.
    mlflow_run: str = ""
    # The tracking server of that run.
    mlflow_uri: str = ""

    @classmethod
    def read(cls) -> "RunContext":
        """Return the context of this process."""
        return cls(**{field.name: os.environ.get(VARIABLES[field.name], "") for field in fields(cls)})

    def to_environment(self) -> dict[str, str]:
        """Return the variables that hand the context to another process."""
        return {VARIABLES[name]: value for name, value in asdict(self).items() if value}

    def enter(self) -> None:
        """Make this the context of this process and of those that it starts."""
        for variable in VARIABLES.values():
            os.environ.pop(variable, None)
        os.environ.update(self.to_environment())

    def to_log_fields(self) -> dict[str, str]:
        """Return what every log line of the run carries."""
        return {name: value for name in LOGGED if (value := getattr(self, name))}
