"""Stored records: JSON objects that know the version of their schema, which is compared before anything else is read.

What an older version of this software wrote is read. What a newer one wrote is refused by name and never replaced. One
record that cannot be read is passed over, logged and counted, so that it takes nothing from the others.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_core import PydanticOmit

from foreact.errors import ForeactError

log = logging.getLogger(__name__)
# How long, and how many, records that could not be read are remembered, so that each is told once.
REMEMBERED_SECONDS = 3_600.0
MOST_REMEMBERED = 10_000


class BadRecord(ForeactError):
    """A stored record is not what this software writes."""


class NewerRecord(ForeactError):
    """A stored record was written by a later version of this software."""


class StoredRecord(BaseModel):
    """What every stored kind has in common; a record without a schema version has version 1."""

    model_config = ConfigDict(frozen=True)
    # What operators call the kind, in logs and metrics.
    kind: ClassVar[str]

    # A kind whose fields change their meaning, or whose readers need a new one, says a higher version.
    schema_version: int = 1

    @field_validator("schema_version")
    @classmethod
    def _refuse_newer(cls, found: int) -> int:
        if found > known_schema(cls):
            raise ValueError(f"version {found} is newer than {known_schema(cls)}")
        return found


Record = TypeVar("Record", bound=StoredRecord)
# Gets the value that was passed over.
Keep = Callable[[Any], None]


class _Schema(BaseModel):
    schema_version: int = 1


class SkippedRecords:
    """The records that this process could not read in the last hour; each is logged once in it."""

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks = ticks
        self._lock = threading.Lock()
        self._met: dict[tuple[str, str], float] = {}

    def note(self, kind: str, problem: str) -> None:
        """Count a record by its problem, which names it, and log it unless that was done in the last hour."""
        with self._lock:
            if len(self._met) >= MOST_REMEMBERED:
                self._met.clear()
            now, before = self._ticks(), self._met.get((kind, problem))
            self._met[kind, problem] = now
        if before is None or now - before > REMEMBERED_SECONDS:
            log.error("passed over: %s", problem, extra={"kind": kind})

    def count(self) -> dict[str, int]:
        """Return how many there are of each kind."""
        with self._lock:
            since = self._ticks() - REMEMBERED_SECONDS
            self._met = {key: at for key, at in self._met.items() if at >= since}
            return dict(Counter(kind for kind, _ in self._met))


skipped_records = SkippedRecords()


def known_schema(model: type[StoredRecord]) -> int:
    """Return the newest schema version of a kind that this software reads, which it writes."""
    return int(model.model_fields["schema_version"].default)


def check_schema(model: type[StoredRecord], data: bytes, name: str) -> None:
    """Raise NewerRecord if a later version wrote these bytes, or BadRecord if they are no JSON object."""
    try:
        found = _Schema.model_validate_json(data).schema_version
    except ValidationError as error:
        raise BadRecord(f"{name} {_describe_fault(data, error)}.") from None
    if found > known_schema(model):
        raise NewerRecord(
            f"{name} has schema version {found} and this software knows {known_schema(model)}: update it."
        )


def parse_record(model: type[Record], data: bytes, name: str, keep: Keep = lambda value: None) -> Record:
    """Read a record; raise NewerRecord or BadRecord, which name it.

    `keep` gets each entry that was passed over, for who writes the record again.
    """
    check_schema(model, data, name)
    try:
        return model.model_validate_json(data, context=(model.kind, name, keep))
    except ValidationError as error:
        raise BadRecord(f"{name} {_describe_fault(data, error)}.") from None


def parse_or_skip(
    model: type[Record], data: bytes, name: str, *, skip_newer: bool = False, keep: Keep = lambda value: None
) -> Record | None:
    """Read a record; pass over one that is bad, and with `skip_newer`, for who never replaces it, one that is newer."""
    try:
        return parse_record(model, data, name, keep)
    except (BadRecord, NewerRecord) as problem:
        skipped_records.note(model.kind, str(problem))
        if isinstance(problem, NewerRecord) and not skip_newer:
            raise
        return None


def _omit_bad_entry(value: Any, parse: ValidatorFunctionWrapHandler, info: Any) -> Any:
    try:
        return parse(value)
    except ValidationError as error:
        if info.context is None:
            raise
        kind, name, keep = info.context
        label = f"{value['id']} in {name}" if isinstance(value, dict) and value.get("id") else f"an entry of {name}"
        skipped_records.note(kind, f"{label} {_describe_fault(b'{}', error)}.")
        keep(value)
        raise PydanticOmit from None


# Marks the entries of a record's list or dict that are passed over one by one: list[Annotated[Key, EACH_ALONE]].
EACH_ALONE = WrapValidator(_omit_bad_entry)


def _describe_fault(data: bytes, error: ValidationError) -> str:
    """Say what is wrong without repeating values, which may be secret."""
    if not data.strip():
        return "is empty"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "is not JSON"
    where = ".".join(str(part) for part in first["loc"])
    return f"cannot be read ({where}: {first['msg']})" if where else f"cannot be read ({first['msg']})"
