"""What may be read in two ways, told and never guessed: names that look alike, and points that may be thousands."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from foreact.data.reading.cells import literal, quote
from foreact.data.reading.engine import Engine
from foreact.data.reading.history import History
from foreact.data.reading.known import Known
from foreact.data.reading.schema import FILE_COLUMN, SERIES
from foreact.errors import count_noun
from foreact.vocabulary import ITEM, STORE, UNITS

ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
# Groups of three digits after points: 7.000, which may be seven or seven thousand.
GROUPED = r"[+-]?\d{1,3}(\.\d{3})+"


def describe_lookalikes(engine: Engine, history: History, tables: Iterable[Known]) -> list[str]:
    """Say which names differ only in case, blanks, leading zeros or Unicode form, in the history or between tables."""
    notes = []
    for key in (STORE, ITEM) if history.with_items else (STORE,):
        ours = _list_names(engine, SERIES.name, key)
        groups = _group_names(ours)
        alike = [names for names in groups.values() if len(names) > 1]
        if alike:
            notes.append(_describe_names(key, alike, "they are taken for different ones; write each in one way"))
        for known in tables:
            if key in known.keys:
                theirs = _list_names(engine, known.name, key) - ours
                near = [[groups[same][0], name] for name in sorted(theirs) if (same := _fold_name(name)) in groups]
                if near:
                    means = f"rows of {known.table.label} do not join those of the history; write both alike"
                    notes.append(_describe_names(key, near, means))
    return notes


class Thousands(BaseModel):
    """How many units have a point that may be one of thousands, the first such text, and how many have another."""

    model_config = ConfigDict(frozen=True)

    grouped: int = 0
    example: str = ""
    others: int = 0

    def describe(self, label: str) -> list[str]:
        """Say that units are read with a decimal point where a comma may be the file's decimal sign."""
        if not self.grouped or self.others:
            return []
        return [
            f"{count_noun(self.grouped, 'row')} of {label} have units such as {self.example!r}, whose point is taken "
            "for a decimal one; if thousands are meant, write them without a point."
        ]

    def __add__(self, other: "Thousands") -> "Thousands":
        """Return the same of both."""
        examples = [text for text in (self.example, other.example) if text]
        grouped, others = self.grouped + other.grouped, self.others + other.others
        return Thousands(grouped=grouped, example=min(examples, default=""), others=others)


def count_thousands(engine: Engine, history: History) -> dict[int, Thousands]:
    """Count by file the units whose point may be one of thousands."""
    table, name = history.table, history.roles[UNITS]
    if not table.decimal_comma or table.kinds[name] != "VARCHAR":
        return {}
    cell = f"trim({quote(name)})"
    grouped = f"regexp_full_match({cell}, {literal(GROUPED)})"
    rows = engine.execute(
        f"SELECT {FILE_COLUMN}, count(*) FILTER ({grouped}), coalesce(min({cell}) FILTER ({grouped}), ''), "
        f"count(*) FILTER (contains({cell}, '.') AND NOT {grouped}) FROM {quote(table.view)} GROUP BY ALL"
    )
    return {file: Thousands(grouped=count, example=example, others=others) for file, count, example, others in rows}


def _list_names(engine: Engine, view: str, key: str) -> set[str]:
    rows = engine.execute(f"SELECT DISTINCT {key} FROM {view} WHERE {key} IS NOT NULL")
    return {str(row[0]) for row in rows}


def _group_names(names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups[_fold_name(name)].append(name)
    return groups


def _fold_name(name: str) -> str:
    text = "".join(unicodedata.normalize("NFKC", name).casefold().split())
    return ZEROS.sub("", text)


def _describe_names(key: str, alike: list[list[str]], means: str) -> str:
    shown = ", ".join(" and ".join(repr(name) for name in names[:3]) for names in alike[:3])
    return (
        f"Names of {key}s differ only in case, blanks, leading zeros or Unicode form in "
        f"{count_noun(len(alike), 'case')}, such as {shown}: {means}."
    )
