"""docs/settings.md names every setting, and says what each does."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from foreact.context import VARIABLES
from foreact.kubeflow.settings import KubeflowSettings
from foreact.settings import PipelineSettings
from serving.settings import ServingSettings

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_settings_say() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "settings.py", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("settings", [PipelineSettings, ServingSettings, KubeflowSettings])
def test_every_setting_is_on_the_page(settings: type[BaseSettings]) -> None:
    page = (DOCS / "settings.md").read_text()
    prefix = str(settings.model_config["env_prefix"])
    missing = [name for name in settings.model_fields if f"| `{prefix}{name.upper()}` |" not in page]
    assert missing == []


def test_what_a_run_hands_on_is_on_the_page() -> None:
    page = (DOCS / "settings.md").read_text()
    assert [name for name in VARIABLES.values() if f"| `{name}` |" not in page] == []
