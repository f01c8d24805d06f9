"""Where Kubeflow Pipelines is and how to call it: the FOREACT_KFP_* settings."""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from foreact.errors import ForeactError


class KubeflowSettings(BaseSettings):
    """A Kubeflow Pipelines installation as this machine reaches it."""

    model_config = SettingsConfigDict(env_prefix="FOREACT_KFP_", env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("", description="Address of the API, http://localhost:8888 behind `kubectl port-forward`")
    namespace: str = Field("", description="Namespace of the runs, where the installation has several users")
    experiment: str = Field("foreact", description="Experiment that runs and schedules belong to; made if missing")
    service_account: str = Field("foreact-pipelines", description="Kubernetes service account of the runs' pods")
    token_file: Path | None = Field(None, description="File with the bearer token; read again for every call")
    ca_file: Path | None = Field(None, description="Certificate authority of the API's own TLS certificate")
    connect_seconds: float = Field(5, gt=0, description="How long to wait for a connection")
    answer_seconds: float = Field(60, gt=0, description="How long to wait for an answer")
    timezone: str = Field(
        "UTC",
        description="Time zone in which the installation reads cron expressions, an IANA name: the "
        "CRON_SCHEDULE_TIMEZONE of its controller ml-pipeline-scheduledworkflow",
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            raise ForeactError(f"FOREACT_KFP_{str(first['loc'][0]).upper()}: {first['msg']}.") from None
