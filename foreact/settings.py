"""What varies by place: the FOREACT_* settings, read once where a process begins."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from foreact.errors import ForeactError

# A year and a month, so that last season can be looked at.
KEEP_DAYS = 400


class PlaceSettings(BaseSettings):
    """Where this installation keeps things; shared by pipelines and serving."""

    # A vault stores no empty secret: a blank stands for one that is not set.
    model_config = SettingsConfigDict(env_prefix="FOREACT_", extra="ignore", frozen=True, str_strip_whitespace=True)

    workspace: Path = Field(Path(".foreact"), description="Folder for everything that has no other place")
    blob_url: str = Field(
        "",
        description="Container of publications, https://ACCOUNT.blob.core.windows.net/CONTAINER; empty: the workspace",
    )
    blob_connection_string: SecretStr = Field(
        SecretStr(""), description="For the Azurite emulator only; elsewhere identities are used"
    )
    timezone: str = Field("UTC", description="The retailer's time zone, an IANA name")
    publish_deadline: str = Field("08:30", description="By when today's forecasts must be published, in that time zone")
    webhook_url: SecretStr = Field(
        SecretStr(""), description="Where runs that fail and recover are announced; empty: nowhere"
    )
    webhook_form: Literal["json", "teams"] = Field(
        "json", description="What the webhook receives: plain JSON, or a Teams message"
    )
    dashboard_url: str = Field("", description="Where planners open the dashboard; a run's first page links to it")
    mlflow_url: str = Field("", description="Where people open MLflow; a run's first page links to its models")
    run_url: str = Field(
        "",
        description="Where a run can be looked at, {run} being its id; notices and `submit` link to it. "
        "Empty: notices have no link, `submit` takes the host of FOREACT_KFP_HOST, and port 8080 for 8888",
    )

    keep_days: int = Field(
        KEEP_DAYS,
        ge=60,
        description="Days that what people only look back at stays: manifests, scorecards, notices, audit, outcomes of "
        "deadlines, keys that are no longer accepted",
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            # The values are left out: a secret may be among them.
            wrong = [f"FOREACT_{fault['loc'][0]}".upper() + f" ({fault['msg']})" for fault in error.errors()]
            raise ForeactError(f"Settings cannot be used as they are: {'; '.join(wrong)}.") from None


class PipelineSettings(PlaceSettings):
    """What the steps need to know of their place."""

    mlflow_uri: str = Field("", description="MLflow tracking server; empty: SQLite in the workspace")
    ray_address: str = Field("", description="Ray cluster as ray://HOST:PORT; empty: Ray inside the task")
    keep_versions: int = Field(
        30,
        ge=1,
        description="Past versions that keep all their objects, and days whose last version does; all of today do",
    )
    keep_registered_days: int = Field(
        30,
        ge=1,
        description="Days that registered versions, their runs and files, and figures stay in MLflow; those that an "
        "alias or a retained manifest names stay longer",
    )

    @property
    def registered_since(self) -> datetime:
        """Return since when everything registered stays."""
        return datetime.now(UTC) - timedelta(days=self.keep_registered_days)
