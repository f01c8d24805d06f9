"""The rules as Great Expectations suites, one for each kind of frame, run by a checkpoint."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foreact.data.checks.coverage import ENDED, GONE, LEFT_OUT, NO, YES
from foreact.data.checks.findings import SHOWN, Finding, Sample, Severity
from foreact.spacing import Spacing
from foreact.vocabulary import DATE, ITEM, STORE, UNITS

# A forecast for today should not rest on sales older than this.
FRESH_DAYS = 3
# A history must hold the periods of one forecast, to check it on, and so many before them, to learn from.
LEAST_BEFORE = {Spacing.DAILY: 14, Spacing.WEEKLY: 8, Spacing.MONTHLY: 6}
# Rows further apart than this are no history; a store that has rows in a smaller share of its periods gets a warning.
MOST_APART, LEAST_SHARE_OF_DAYS = 7, 0.5
# A day is implausible if it sold this many times the mean of the series' other selling days, and not just a few units.
SPIKE_TIMES, SPIKE_UNITS, SPIKE_DAYS = 30.0, 100.0, 10


UNIQUE, SPIKES = "one row a store, item and date", "no day sells implausibly much"
POSSIBLE, CLOSED = "units are possible", "closed days sell nothing"
SOLD, LAST_UNITS = "something was sold", "the last day has units"
FEW_REJECTED, FRESH, LONG_ENOUGH = "few rows are rejected", "the history is fresh", "the history is long enough"
NO_DOUBTS = "fast items do not stop selling for some days"
MORE_SOLD = "more is sold than returned"
DENSE, MOST_DAYS = "dates follow each other", "stores have rows on most dates"
LAGS = "no store lags behind"


@dataclass(frozen=True)
class Rule:
    """One rule: what it demands in words, how much it matters, and the expectation that checks it."""

    name: str
    severity: Severity
    expectation: str
    arguments: dict[str, Any]
    detail: str = ""


ROWS = (
    Rule(
        "each row has an item, a date and units",
        "critical",
        "ExpectTableColumnsToMatchSet",
        {"column_set": [STORE, ITEM, DATE, UNITS], "exact_match": True},
    ),
    Rule("units are numbers", "critical", "ExpectColumnValuesToBeOfType", {"column": UNITS, "type_": "float32"}),
    Rule("dates are days", "critical", "ExpectColumnValuesToBeOfType", {"column": DATE, "type_": "int32"}),
    Rule(
        UNIQUE,
        "warning",
        "ExpectCompoundColumnsToBeUnique",
        {"column_list": [STORE, ITEM, DATE]},
        "one of the rows that agree is kept; where they differ the day is unknown",
    ),
    Rule(
        POSSIBLE,
        "warning",
        "ExpectColumnToExist",
        {"column": UNITS},
        "many times what the item sells and more than a whole day of the store, or than the store's best days; set "
        "aside as unknown",
    ),
)
SERIES = (
    Rule("no date is after as_of", "critical", "ExpectColumnValuesToBeBetween", {"column": "days_old", "min_value": 0}),
    Rule(
        SPIKES,
        "warning",
        "ExpectColumnValuesToBeBetween",
        {"column": "spike", "max_value": SPIKE_TIMES},
        f"more than {SPIKE_TIMES:.0f} times the mean of other selling days",
    ),
    Rule(
        "every item has sold at least once",
        "warning",
        "ExpectColumnValuesToBeBetween",
        {"column": "sold", "min_value": 0, "strict_min": True},
        "it is forecast from its zeros",
    ),
    Rule(
        "every item has more than one row",
        "warning",
        "ExpectColumnValuesToBeBetween",
        {"column": "rows", "min_value": 2},
        "there is next to nothing to learn from",
    ),
)
STORES = (
    Rule(
        LAGS,
        "warning",
        "ExpectColumnValuesToBeBetween",
        {"column": "lag"},
        "its last row is long before as_of",
    ),
    Rule(
        MOST_DAYS,
        "warning",
        "ExpectColumnValuesToBeBetween",
        {"column": "share_of_days", "min_value": LEAST_SHARE_OF_DAYS},
        "dates without any are unknown, and weekdays that never have one are forecast as closed; --missing zero "
        "takes them for dates without sales",
    ),
)
KNOWN = (
    Rule(
        "known tables reach the horizon",
        "critical",
        "ExpectColumnValuesToBeInSet",
        {"column": "covered", "value_set": [YES, NO, GONE, LEFT_OUT]},
        "bring the table's rows of the days ahead, or leave the table out of --known",
    ),
    Rule(
        "known tables cover the horizon",
        "warning",
        "ExpectColumnValuesToBeInSet",
        {"column": "covered", "value_set": [YES, GONE, LEFT_OUT, ENDED]},
        "what the table holds for these days is unknown to the forecast; those that were closed before stay closed",
    ),
    Rule(
        "items stay in known tables",
        "warning",
        "ExpectColumnValuesToBeInSet",
        {"column": "covered", "value_set": [YES, NO, LEFT_OUT, ENDED]},
        "treated as discontinued",
    ),
    Rule(
        "stores stay in known tables",
        "warning",
        "ExpectColumnValuesToBeInSet",
        {"column": "covered", "value_set": [YES, NO, GONE, ENDED]},
        "the table says nothing of any of the days ahead; the store is forecast without the table",
    ),
)
PREVIOUS = (
    Rule(
        "published stores are still there",
        "warning",
        "ExpectColumnValuesToBeInSet",
        {"column": "store_is", "value_set": ["there"]},
        "their last forecasts stay published and grow old",
    ),
    Rule(
        "published items are still there",
        "warning",
        "ExpectColumnValuesToBeInSet",
        {"column": "item_is", "value_set": ["there"]},
        "they are no longer forecast",
    ),
)
TOTAL = (
    Rule(
        "there are rows that can be used", "critical", "ExpectColumnMinToBeBetween", {"column": "rows", "min_value": 1}
    ),
    Rule(LONG_ENOUGH, "critical", "ExpectColumnMinToBeBetween", {"column": "days"}),
    Rule(DENSE, "critical", "ExpectColumnMaxToBeBetween", {"column": "apart", "max_value": MOST_APART}),
    Rule(FEW_REJECTED, "critical", "ExpectColumnMaxToBeBetween", {"column": "share"}),
    Rule(MORE_SOLD, "critical", "ExpectColumnMaxToBeBetween", {"column": "returned", "max_value": 1.0}),
    Rule(SOLD, "critical", "ExpectColumnMinToBeBetween", {"column": "sold", "min_value": 0, "strict_min": True}),
    Rule(LAST_UNITS, "critical", "ExpectColumnMaxToBeBetween", {"column": "blank", "max_value": 0}),
    Rule(FRESH, "warning", "ExpectColumnMaxToBeBetween", {"column": "age", "max_value": FRESH_DAYS}),
)


class Checkpoint:
    """One suite and the checkpoint that runs it over frames of its kind."""

    def __init__(
        self, context: Any, name: str, rules: tuple[Rule, ...], bounds: dict[str, dict[str, Any]] | None = None
    ) -> None:
        import great_expectations as gx
        import great_expectations.expectations as gxe

        self.rules = {rule.name: rule for rule in rules}
        source = context.data_sources.add_pandas(name)
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        suite = gx.ExpectationSuite(name)
        for rule in rules:
            arguments = {**rule.arguments, **(bounds or {}).get(rule.name, {})}
            suite.add_expectation(
                getattr(gxe, rule.expectation)(**arguments, severity=rule.severity, meta={"rule": rule.name})
            )
        definition = gx.ValidationDefinition(name=name, data=batch, suite=context.suites.add(suite))
        self._definition = context.validation_definitions.add(definition)
        self._context, self._name = context, name
        self._checkpoints: dict[bool, Any] = {}

    def run(self, frame: Any, sample: Callable[[str, dict[str, Any]], Sample] | None = None) -> list[Finding]:
        """Check a frame; with `sample`, name what breaks a rule."""
        outcome = self._make_checkpoint(sample is not None).run(batch_parameters={"dataframe": frame})
        (results,) = outcome.run_results.values()
        findings = {}
        for result in results.results:
            rule = self.rules[result.expectation_config.meta["rule"]]
            if result.exception_info.get("raised_exception"):
                raise RuntimeError(
                    f"rule {rule.name!r} could not be checked: {result.exception_info['exception_message']}"
                )
            counts = result.result
            bad = counts.get("partial_unexpected_index_list") or []
            findings[rule.name] = Finding(
                rule=rule.name,
                severity=rule.severity,
                kept=bool(result.success),
                checked=int(counts.get("element_count", len(frame))),
                broken=0 if result.success else int(counts.get("unexpected_count", 1)),
                detail=rule.detail,
                samples=[] if sample is None or result.success else [sample(rule.name, row) for row in bad[:SHOWN]],
            )
        return [findings[name] for name in self.rules]

    def _make_checkpoint(self, sampled: bool) -> Any:
        import great_expectations as gx

        if sampled not in self._checkpoints:
            form: dict[str, Any] = {"result_format": "BASIC", "partial_unexpected_count": 0}
            if sampled:
                columns = [STORE, ITEM, DATE, "found"]
                form = {
                    "result_format": "SUMMARY",
                    "partial_unexpected_count": SHOWN,
                    "unexpected_index_column_names": columns,
                }
            self._checkpoints[sampled] = self._context.checkpoints.add(
                gx.Checkpoint(
                    name=f"{self._name}-{sampled}", validation_definitions=[self._definition], result_format=form
                )
            )
        return self._checkpoints[sampled]


def open_context() -> Any:
    """Start Great Expectations in memory: it writes nothing, shows nothing and sends nothing."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return context
