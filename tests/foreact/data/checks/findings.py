"""The days of the shops that are checked, and what a check found by rule."""

from collections.abc import Callable
from typing import Any

from components.validate.step import Validated
from foreact.data.checks.findings import Finding
from tests.shops import days

DAYS = days(40)
AHEAD = [day for day in days(67, DAYS[-1].replace(month=4, day=27)) if day > DAYS[-1]]
Rows = list[list[Any]]
Check = Callable[..., Validated]


def find(outcome: Validated, rule: str) -> Finding:
    return next(finding for finding in outcome.findings.findings if finding.rule == rule)


def broken(outcome: Validated) -> set[str]:
    return {finding.rule for finding in outcome.findings.findings if not finding.kept}
