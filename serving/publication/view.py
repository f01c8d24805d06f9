"""The snapshot as answers need it: what is published, who may see it, and how fresh it is."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any

import orjson

from foreact.publications.contract import StoreEntry
from foreact.publications.freshness import Freshness, Promise, judge_freshness
from serving.auth.principal import Scope
from serving.publication import PublicationCache, Snapshot, StoreData

# What answers carry of a store's freshness; the rest they have beside it.
FRESHNESS_KEYS = ("state", "reasons", "deadline", "next_deadline")


@dataclass(frozen=True)
class FreshnessView:
    """A snapshot and how fresh its stores are; replaced when either changes."""

    snapshot: Snapshot
    freshness: dict[str, Freshness]
    timezone: str
    region_attribute: str
    refused: str | None
    # Judged at the first of these moments; before it, as after a clock was set back, it says nothing.
    valid_from: float
    valid_until: float
    _visible: dict[Scope, dict[str, StoreData]] = field(default_factory=dict)

    @cached_property
    def tag(self) -> str:
        """Return a text that changes with anything that answers depend on."""
        states = ",".join(f"{store}={fresh.state}{fresh.deadline}" for store, fresh in self.freshness.items())
        text = f"{self.snapshot.fingerprint}|{self.refused}|{states}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()

    def region_of(self, store: str) -> str | None:
        """Return the region that a store is published in, whether or not its numbers are those of that version."""
        return self.snapshot.manifest.stores[store].attributes.get(self.region_attribute)

    def covers(self, scope: Scope, store: str) -> bool:
        """Return whether a store is published, and in a scope."""
        return store in self.snapshot.manifest.stores and scope.covers(store, self.region_of(store))

    def lost_stores(self, scope: Scope) -> list[str]:
        """Return the stores of a scope that are damaged and cannot be shown."""
        return sorted(store for store in self.snapshot.lost_stores if self.covers(scope, store))

    def visible_stores(self, scope: Scope) -> dict[str, StoreData]:
        """Return the stores that a scope covers."""
        found = self._visible.get(scope)
        if found is None:
            found = {store: arrays for store, arrays in self.snapshot.stores.items() if self.covers(scope, store)}
            self._visible[scope] = found
        return found

    def explain_held(self, store: str) -> str | None:
        """Return why a store shows its last good numbers, if it does."""
        if store not in self.snapshot.held_stores:
            return self.snapshot.stores[store].entry.held
        return f"publication {self.snapshot.version} is damaged in this store; these are its last good numbers"

    def judged_stores(self) -> Iterator[tuple[str, StoreData, Freshness]]:
        """Return every store with its arrays and its freshness."""
        for store, arrays in self.snapshot.stores.items():
            yield store, arrays, self.freshness[store]

    @cached_property
    def publication(self) -> dict[str, Any]:
        """Describe the version."""
        manifest = self.snapshot.manifest
        return {
            "version": manifest.version,
            "created_at": manifest.created_at.astimezone(UTC).isoformat(),
            "action": manifest.action,
            "timezone": self.timezone,
            "refused": self.refused,
        }

    @cached_property
    def publication_json(self) -> bytes:
        """Return the description of the version as JSON."""
        return orjson.dumps(self.publication)

    @cached_property
    def _store_json(self) -> dict[str, bytes]:
        return {}

    def store_json(self, store: str) -> bytes:
        """Return the JSON that every answer carries for each of its stores."""
        found = self._store_json.get(store)
        if found is None:
            found = self._store_json[store] = orjson.dumps(self.describe_source(store))
        return found

    def describe_source(self, store: str) -> dict[str, Any]:
        """Describe where a store's numbers come from, and whether they are fresh."""
        entry = self.snapshot.stores[store].entry
        freshness = self.freshness[store].to_json()
        return {
            "model": {"name": entry.model.name, "version": entry.model.version, "run": entry.model.run},
            "run": entry.run,
            "spacing": entry.spacing,
            "as_of": entry.as_of.isoformat(),
            "generated_at": entry.generated_at.astimezone(UTC).isoformat(),
            "fallback": entry.fallback,
            "held": self.explain_held(store),
            "freshness": {key: freshness[key] for key in FRESHNESS_KEYS},
        }


class ViewSource:
    """Makes the view of the current publication, and a new one when publication or freshness changes."""

    def __init__(
        self, cache: PublicationCache, promise: Promise, region_attribute: str, clock: Callable[[], datetime]
    ) -> None:
        self.publications = cache
        self.promise = promise
        self._region_attribute = region_attribute
        self._clock = clock
        self._view: FreshnessView | None = None

    @property
    def current(self) -> FreshnessView | None:
        """Return the current view; None while there are no numbers to serve."""
        snapshot, refused, now = self.publications.current, self.publications.refused, self._clock()
        view = self._view
        if snapshot is None or not snapshot.stores:
            return None
        if (
            view is None
            or view.snapshot is not snapshot
            or view.refused != refused
            or not view.valid_from <= now.timestamp() < view.valid_until
        ):
            view = self._view = self._make_view(snapshot, refused, now)
        return view

    def current_time(self) -> datetime:
        """Return the time."""
        return self._clock()

    def _make_view(self, snapshot: Snapshot, refused: str | None, now: datetime) -> FreshnessView:
        entries: dict[str, StoreEntry] = {store: arrays.entry for store, arrays in snapshot.stores.items()}
        clocks = [
            moment
            for own in {self.promise.for_store(entry) for entry in entries.values()}
            for moment in (_next_midnight(own, now), own.next_deadline(now))
        ]
        changes = [*clocks, *(entry.generated_at for entry in entries.values())]
        until = min(moment.timestamp() for moment in changes if moment > now)
        return FreshnessView(
            snapshot,
            {store: judge_freshness(entry, self.promise, now) for store, entry in entries.items()},
            self.promise.zone.key,
            self._region_attribute,
            refused,
            now.timestamp(),
            until,
        )


def _next_midnight(promise: Promise, now: datetime) -> datetime:
    return datetime.combine(now.astimezone(promise.zone).date() + timedelta(days=1), time(), promise.zone)
