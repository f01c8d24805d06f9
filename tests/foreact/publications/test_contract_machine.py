"""The contract under random interleavings, and the proof that a broken implementation would be found."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from foreact.publications import CURRENT, BrokenPublication, Publisher, Reader
from foreact.publications.contract import DATA, GROUPS
from foreact.publications.retention import list_object_names
from tests.foreact.publications.contract_machine import PublicationMachine

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
THOROUGH = settings(max_examples=300, stateful_step_count=25, deadline=None, suppress_health_check=CHECKS)
# A mutant has to be found, not made small.
SEEKING = settings(
    max_examples=2000,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=CHECKS,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
)


def test_the_contract_holds_under_any_interleaving():
    run_state_machine_as_test(PublicationMachine, settings=THOROUGH)


class _Wrapped:
    """A store that differs in how it writes."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class _Overwriting(_Wrapped):
    def write(self, name: str, data: bytes, **conditions: Any) -> str:
        return self.store.write(name, data, **({} if name == CURRENT else conditions))


class _Tearing(_Wrapped):
    def write(self, name: str, data: bytes, **conditions: Any) -> str:
        if name == CURRENT:
            self.store.write(name, data[: len(data) // 2], **conditions)
            conditions = {}
        return self.store.write(name, data, **conditions)


class LostUpdate(Publisher):
    """Swaps over whatever is there."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(_Overwriting(store), **options)


class TakesConflictForSuccess(Publisher):
    """Says that it has published whatever came of it."""

    def _was_current(self, data: bytes) -> bool:
        return True


class PieceByPiece(Publisher):
    """Makes a version visible store by store."""

    def publish(self, entries: Any, *, by: str, reason: str = "") -> Any:
        for store, entry in entries.items():
            outcome = super().publish({store: entry}, by=by, reason=reason)
        return outcome


class TornManifest(Publisher):
    """Writes the manifest in two pieces."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(_Tearing(store), **options)


def delete_all_but_current(store: Any, **options: Any) -> list[str]:
    """Keep only what the current version names."""
    publication = Reader(store).find_current()
    needed = list_object_names(publication.manifest) if publication else set()
    return _delete(store, needed, datetime.max.replace(tzinfo=UTC))


def delete_without_grace(store: Any, **options: Any) -> list[str]:
    """Take the objects of a publisher on its way for waste."""
    reader = Reader(store)
    publication = reader.find_current()
    if publication is None:
        return []
    manifest = publication.manifest
    needed = list_object_names(manifest)
    for number in manifest.list_retained()[1:]:
        needed |= list_object_names(reader.read_version(number))
    return _delete(store, needed, options["now"]() + timedelta(seconds=1))


def delete_groups_of_earlier_versions(store: Any, **options: Any) -> list[str]:
    """Keep only the groups of stores that the current version names."""
    publication = Reader(store).find_current()
    named = {group.name for group in publication.manifest.groups} if publication else set()
    waste = [info.name for info in store.list(GROUPS) if info.name not in named]
    store.delete(*waste)
    return waste


def _delete(store: Any, needed: set[str], before: datetime) -> list[str]:
    waste = [info.name for info in store.list(DATA) if info.name not in needed and info.modified < before]
    for name in waste:
        store.delete(name)
    return waste


@pytest.mark.parametrize(
    "mutation",
    [
        {"publisher": LostUpdate},
        {"publisher": TakesConflictForSuccess},
        {"publisher": TornManifest},
        {"publisher": PieceByPiece},
        {"prune": staticmethod(delete_all_but_current)},
        {"prune": staticmethod(delete_without_grace)},
        {"prune": staticmethod(delete_groups_of_earlier_versions)},
    ],
    ids=[
        "lost update",
        "publication that never was",
        "torn manifest",
        "store by store",
        "premature delete of a retained version",
        "premature delete of a new object",
        "premature delete of a group",
    ],
)
def test_the_machine_finds(mutation):
    class Mutant(PublicationMachine):
        TestCase: ClassVar[Any]

    for name, value in mutation.items():
        setattr(Mutant, name, value)
    # Whichever invariant notices first.
    with pytest.raises((AssertionError, BrokenPublication)):
        run_state_machine_as_test(Mutant, settings=SEEKING)
