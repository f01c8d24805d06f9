"""One fault: what planners saw meanwhile, and what was lost."""

from dataclasses import dataclass

from tests.drills.retailer import Retailer
from tests.drills.serving import Seen


@dataclass(frozen=True)
class Row:
    """A line of the drill's table, and whether the promise held."""

    fault: str
    held: bool
    result: str


def say_seen(seen: Seen) -> str:
    """Say how planners were answered."""
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(seen.statuses.items()))
    return f"planners {statuses}, worst {seen.quantile(1.0):.0f} ms"


def was_served(seen: Seen) -> bool:
    """Return whether planners were answered, and always well."""
    return set(seen.statuses) == {"200"} and not seen.wrong


def short(retailer: Retailer, said: str) -> str:
    """Shorten what a run said last."""
    text = said.removeprefix("foreact: ").replace(str(retailer.workspace.parent), "")
    return text if len(text) < 230 else text[:227] + "..."
