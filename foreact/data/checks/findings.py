"""What checking the rules found."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["critical", "warning"]
# How many broken rows are shown of each rule.
SHOWN = 20


class Sample(BaseModel):
    """One row, or one thing, that breaks a rule."""

    model_config = ConfigDict(frozen=True)

    store: str = ""
    item: str = ""
    date: str = ""
    found: str = ""

    def __str__(self) -> str:
        """Describe it as a person would."""
        named = [f"{name} {value!r}" for name, value in (("store", self.store), ("item", self.item)) if value]
        return ", ".join(
            [*named, *([self.date] if self.date else []), *([f"found {self.found!r}"] if self.found else [])]
        )


class Finding(BaseModel):
    """One rule: whether it is kept, and how many of how many break it."""

    model_config = ConfigDict(frozen=True)

    rule: str
    severity: Severity
    kept: bool
    checked: int = 0
    broken: int = 0
    # What became of the broken rows, or what the rule means.
    detail: str = ""
    samples: list[Sample] = Field(default_factory=list)

    def describe(self) -> str:
        """Return what is broken, how often, and one case of it."""
        count = f" ({self.broken:,} of {self.checked:,})" if self.broken and self.checked > 1 else ""
        detail = f": {self.detail}" if self.detail else ""
        example = f", such as {self.samples[0]}" if self.samples else ""
        return f'"{self.rule}"{count}{detail}{example}'


class Findings(BaseModel):
    """All rules, and whether the data may be used."""

    model_config = ConfigDict(frozen=True)

    findings: list[Finding]
    rows: int
    rejected: int
    notes: list[str] = Field(default_factory=list)

    @property
    def broken(self) -> list[Finding]:
        """The rules that are not kept and must be."""
        return [each for each in self.findings if not each.kept and each.severity == "critical"]

    @property
    def warnings(self) -> list[Finding]:
        """The rules that are not kept and need not be."""
        return [each for each in self.findings if not each.kept and each.severity == "warning"]

    @property
    def problem(self) -> str:
        """Why the data may not be used, in a sentence; empty if it may."""
        if not self.broken:
            return ""
        described = "; ".join(finding.describe() for finding in self.broken[:3])
        more = f"; and {len(self.broken) - 3} more" if len(self.broken) > 3 else ""
        return f"The data is refused because it breaks a rule: {described}{more}. The validation report lists the rows."
