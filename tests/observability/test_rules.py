"""Alerts, dashboard and runbook, held to each other and to the metrics that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from foreact.objective import OBJECTIVE, WINDOW_DAYS
from serving.metrics.objective import WINDOWS
from serving.metrics.service import METRICS
from tests.parts import require

FOLDER = Path(__file__).parents[2] / "observability"
SPEC = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]
RULES = [rule for group in SPEC["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
TESTS = yaml.safe_load((FOLDER / "rules_test.yaml").read_text())["tests"]
INSTALL = "go build -C observability/promtool, as in .ci/run"


def expressions() -> list[str]:
    panels = json.loads((FOLDER / "dashboard/dashboard.json").read_text())["panels"]
    return [rule["expr"] for rule in RULES] + [target["expr"] for panel in panels for target in panel["targets"]]


@pytest.mark.slow
def test_rules_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    [promtool] = require("promtool", install=INSTALL)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(SPEC))
    tests = shutil.copy(FOLDER / "rules_test.yaml", tmp_path)
    done = subprocess.run([promtool, "test", "rules", tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_both_ways() -> None:
    alerts = {rule["alert"] for rule in ALERTS}
    fire = {t["alert_rule_test"][0]["alertname"] for t in TESTS if t["alert_rule_test"][0]["exp_alerts"]}
    silent = {t["alert_rule_test"][0]["alertname"] for t in TESTS if not t["alert_rule_test"][0]["exp_alerts"]}
    assert fire == silent == alerts


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_an_entry_in_the_runbook(rule: dict[str, Any]) -> None:
    entries = re.findall(r"^## (\w+)$", (FOLDER / "runbook.md").read_text(), re.MULTILINE)
    assert rule["alert"] in entries
    assert rule["annotations"]["runbook"] == f"runbook.md#{rule['alert'].lower()}"
    assert rule["labels"]["severity"] in {"warning", "critical"}


def test_no_entry_of_the_runbook_is_about_an_alert_that_is_gone() -> None:
    entries = set(re.findall(r"^## (\w+)$", (FOLDER / "runbook.md").read_text(), re.MULTILINE))
    assert entries == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("expression", expressions())
def test_alerts_and_panels_ask_for_metrics_and_labels_that_there_are(expression: str) -> None:
    for name, selector in re.findall(r"\b(foreact_\w+?)(?:_bucket|_sum|_count)?(?![a-z_])(?:\{([^}]*)\})?", expression):
        assert name in METRICS
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector)) <= set(METRICS[name][0])


def test_what_is_recorded_is_what_is_asked_for() -> None:
    assert {name for expression in expressions() for name in re.findall(r"foreact:\w+:\w+", expression)} == set(
        RECORDED
    )


def test_the_budget_is_that_of_the_objective() -> None:
    assert RECORDED["foreact:error_budget:burn_rate"].endswith(f" / {1 - OBJECTIVE:.3f}")
    assert f'{{days="{WINDOW_DAYS}"}}' in RECORDED["foreact:error_budget:left"]
    asked = {days for expression in expressions() for days in re.findall(r'days="(\d+)"', expression)}
    assert asked == {str(days) for days in WINDOWS}


def test_the_page_of_metrics_says_what_the_service_says() -> None:
    page = (FOLDER / "README.md").read_text()
    for name, (labels, meaning) in METRICS.items():
        shown = ", ".join(f"`{label}`" for label in labels) or "-"
        assert f"| `{name}` | {shown} | {meaning} |" in page


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    asked = " ".join(expressions())
    unseen = {name for name in METRICS if name not in asked}
    assert unseen <= {"foreact_run_kept", "foreact_run_step_failed"}
