"""Which of a file's columns plays which part."""

import json
from collections.abc import Iterable, Mapping

from foreact.errors import ForeactError, end_sentence, name_examples, suggest_name
from foreact.vocabulary import ROLES


def parse_columns(text: str) -> dict[str, str]:
    """Read `date=Day,store=Shop` (or a JSON object) as a mapping from our names to the file's."""
    text = text.strip()
    if text.startswith("{"):
        try:
            mapping = json.loads(text)
        except ValueError:
            mapping = None
        if not isinstance(mapping, dict) or not all(isinstance(name, str) for name in mapping.values()):
            raise ForeactError(f"The column mapping {text!r} is not a JSON object of texts.")
        pairs = list(mapping.items())
    else:
        parts = [part.partition("=") for part in text.split(",") if part.strip()]
        wrong = [name for name, sign, value in parts if not sign or not value.strip()]
        if wrong:
            raise ForeactError(f"The column mapping {text!r} (--columns) should read like date=Day,store=Shop.")
        pairs = [(name.strip(), value.strip()) for name, _, value in parts]
    unknown = [name for name, _ in pairs if name not in ROLES]
    if unknown:
        raise ForeactError(
            f"A column mapping (--columns) names {name_examples(unknown)}{suggest_name(unknown[0], ROLES)}; "
            f"the names are {', '.join(ROLES)}."
        )
    if len(dict(pairs)) < len(pairs):
        raise ForeactError(f"The column mapping {text!r} has a name twice.")
    return dict(pairs)


def find_roles(names: Iterable[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return the column of each role, by the mapping or else by our own names."""
    present = set(names)
    roles: dict[str, str] = {}
    for role in ROLES:
        for candidate in (columns.get(role, role), role):
            if candidate in present and candidate not in roles.values():
                roles[role] = candidate
                break
    return roles


def missing_column(role: str, names: Iterable[str], columns: Mapping[str, str], table: str) -> ForeactError:
    """Return the error that a column is absent, naming the one that may be meant."""
    wanted, present = columns.get(role, role), list(names)
    # In the words of the user: a mapping that names an absent column, or no mapping at all.
    missing = f"column {wanted!r}" + (f" (for {role})" if wanted != role else "")
    hint = suggest_name(wanted, present) or f"; it has {name_examples(present, 8)}"
    return ForeactError(f"{end_sentence(f'{table} has no {missing}{hint}')} Map it with --columns {role}=NAME.")
