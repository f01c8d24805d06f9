"""Earlier forecasts are found among the versions as if each had been read, and few are."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.train.earlier import SCORED_AGES, find_earlier
from foreact.publications import Manifest, Publisher, Reader
from foreact.publications.contract import manifest_name
from tests.foreact.publications.stores import MemoryStore, put

FIRST = date(2024, 1, 1)


def publish(days: list[int], stores: tuple[str, ...] = ("1",)) -> tuple[MemoryStore, list[Manifest]]:
    """Publish a version for each of these last days of data."""
    store = MemoryStore()
    manifests = []
    for number, day in enumerate(days, start=1):
        at = datetime(2024, 1, 2, 5, tzinfo=UTC) + timedelta(days=day)
        entries = {name: put(store, name, f"r{number}", number, as_of=FIRST + timedelta(days=day)) for name in stores}
        publisher = Publisher(store, keep_versions=50, now=lambda at=at: at)
        manifests.append(publisher.publish(entries, by="x").manifest)
    return store, manifests


def read_all(manifests: list[Manifest], as_of: date) -> set[date]:
    """Return the last days that are found by looking at every version."""
    known = [manifest.stores["1"].as_of for manifest in manifests]
    return {max(old) for age in SCORED_AGES if (old := [day for day in known if day <= as_of - timedelta(days=age)])}


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.sampled_from([0, 1, 1, 1, 3, 7]), min_size=1, max_size=40), late=st.integers(0, 9))
def test_what_is_found_is_what_reading_every_version_finds(steps: list[int], late: int) -> None:
    days = [sum(steps[: place + 1]) for place in range(len(steps))]
    store, manifests = publish(days)
    as_of = FIRST + timedelta(days=days[-1] + late)
    found = find_earlier(Reader(store), ["1"], as_of)["1"]
    assert set(found) == read_all(manifests, as_of)
    for day, published in found.items():
        assert published in [
            each.stores["1"].objects["forecasts"] for each in manifests if each.stores["1"].as_of == day
        ]


def test_a_night_reads_one_manifest_an_age(monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = publish(list(range(40)))
    names: list[str] = []
    read = store.read
    monkeypatch.setattr(store, "read", lambda name: names.append(name) or read(name))
    found = find_earlier(Reader(store), ["1"], FIRST + timedelta(days=40))["1"]
    assert sorted(found) == [FIRST + timedelta(days=40 - age) for age in reversed(SCORED_AGES)]
    # What is current is a day old.
    assert sum(name.startswith("forecasts/manifests/") for name in names) == len(SCORED_AGES) - 1


def test_a_damaged_version_is_passed_over() -> None:
    store, _ = publish(list(range(20)), ("1", "2"))
    reader = Reader(store)
    as_of = FIRST + timedelta(days=20)
    store.write(manifest_name(14), b"torn")
    found = find_earlier(reader, ["1", "2"], as_of)
    ages = {name: sorted((as_of - day).days for day in days) for name, days in found.items()}
    assert ages == {"1": [1, 8, 14], "2": [1, 8, 14]}


def test_a_store_that_opened_since_has_what_it_was_published_with() -> None:
    store, _ = publish([0, 1, 2])
    at = datetime(2024, 1, 6, 5, tzinfo=UTC)
    for day in (3, 4):
        entry = put(store, "new", f"n{day}", day, as_of=FIRST + timedelta(days=day))
        Publisher(store, now=lambda: at).publish({"new": entry}, by="x")
    found = find_earlier(Reader(store), ["new", "never"], FIRST + timedelta(days=5))
    assert [list(found["new"]), found["never"]] == [[FIRST + timedelta(days=4)], {}]
