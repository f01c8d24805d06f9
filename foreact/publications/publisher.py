"""The write side: new versions by compare-and-swap on the one mutable object.

A version is created in one operation, the swap of the manifest. Its copy in the archive is written after that, by
the publisher that swapped or, if it died, by the next one: so the archive holds what was current and nothing else, and
its numbers have no gap.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from foreact.blobs.protocol import Blob, BlobConflict, BlobNotFound, BlobStore, BlobUnavailable
from foreact.blobs.swap import read_if_present, swap_object
from foreact.errors import ForeactError, end_sentence, name_examples, suggest_name
from foreact.publications.contract import (
    CURRENT,
    INLINE_SCHEMA,
    Manifest,
    StoreEntry,
    find_last_chain,
    manifest_name,
    run_prefix,
)
from foreact.publications.freshness import SKEW
from foreact.publications.groups import GroupedStores, change_stores, pick_stores, write_groups
from foreact.publications.reader import Reader, read_manifest
from foreact.publications.retention import list_object_names
from foreact.publications.sealing import seal_manifest, unseal_part

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The result of a publication."""

    manifest: Manifest
    published: list[str]
    # Stores left as they were, each with the reason.
    unchanged: dict[str, str] = field(default_factory=dict)
    # Stores that keep their last good numbers, or have none yet, each with the reason.
    held: dict[str, str] = field(default_factory=dict)


class Publisher:
    """Makes versions in a blob store."""

    def __init__(
        self,
        store: BlobStore,
        *,
        keep_versions: int = 30,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self.keep_versions = keep_versions
        self.now = now
        self.pause = pause

    def publish(
        self,
        entries: Mapping[str, StoreEntry],
        *,
        by: str,
        reason: str = "",
        held: Mapping[str, str] | None = None,
        unless_since: datetime | None = None,
    ) -> Outcome:
        """Replace what is published for the stores of the entries; all of them become visible at once.

        Other stores stay as they are, and so does a store whose published data is newer, or whose numbers were made
        since the moment given; those that are held are marked with the reason. The objects must exist.
        """
        unchanged: dict[str, str] = {}
        reasons = dict(held or {})

        def next_version(current: Manifest | None) -> Manifest | None:
            unchanged.clear()
            stores = current.stores if current else {}
            before = pick_stores(stores, {*entries, *reasons})
            unchanged.update(_find_newer(entries, before))
            if unless_since is not None:
                unchanged.update(_find_made_since(unless_since, entries, before))
            after = {store: entry for store, entry in entries.items() if store not in unchanged}
            for store in reasons.keys() & before.keys():
                after[store] = before[store].model_copy(update={"held": reasons[store]})
            changes = {store: entry for store, entry in after.items() if before.get(store) != entry}
            if current is not None and not changes:
                return None
            fields = {
                "stores": change_stores(stores, changes),
                "chain": find_last_chain(changes.values()) or (current and current.find_chain()),
                **self._choose_retained(current),
            }
            return self._make_successor(current, by=by, reason=reason, **fields)

        manifest = self._swap_manifest(next_version)
        return Outcome(manifest, sorted(set(entries) - set(unchanged)), dict(unchanged), reasons)

    def restore(self, version: int, *, by: str, reason: str) -> Manifest:
        """Make a retained version's stores current again, as a new version that says who did it and why."""

        def next_version(current: Manifest | None) -> Manifest:
            if current is None:
                raise ForeactError(f"Nothing is published in {self.store}: there is no version to restore.")
            if version == current.version:
                raise ForeactError(f"Version {version} is the current one: there is nothing to restore.")
            retained = current.list_retained()
            if version not in retained:
                raise ForeactError(
                    f"Version {version} cannot be restored: {self.store} retains {describe_versions(retained)}."
                )
            old = Reader(self.store, mends=False).read_version(version)
            self._check_objects_exist(old)
            fields = {
                "stores": change_stores({}, old.stores) if old.groups else old.stores,
                "chain": old.find_chain(),
                "action": "restore",
                "restored": version,
                **self._keep_retained(current),
            }
            # The release that wrote it can read it when it is put back; the first one knew nothing of single days.
            if old.schema_version < INLINE_SCHEMA:
                del fields["retained_days"]
                fields["schema_version"] = old.schema_version
            return self._make_successor(current, by=by, reason=reason, **fields)

        return self._swap_manifest(next_version)

    def withdraw(self, stores: Collection[str], *, by: str, reason: str) -> Manifest:
        """Take stores out of what is published, as a new version that says who did it and why."""

        def next_version(current: Manifest | None) -> Manifest:
            published = {} if current is None else current.stores
            unknown = sorted(set(stores) - pick_stores(published, stores).keys())
            if current is None or unknown:
                hint = suggest_name(unknown[0], published) if unknown else ""
                raise ForeactError(end_sentence(f"Nothing is published of {name_examples(unknown)}{hint}"))
            left = change_stores(published, dict.fromkeys(stores))
            if not left:
                raise ForeactError("These are all stores that are published: none would be left to serve.")
            fields = {
                "stores": left,
                "chain": current.find_chain(),
                "action": "withdraw",
                **self._keep_retained(current),
            }
            return self._make_successor(current, by=by, reason=reason, **fields)

        return self._swap_manifest(next_version)

    def _make_successor(
        self, current: Manifest | None, *, by: str, stores: Mapping[str, StoreEntry], **fields: object
    ) -> Manifest:
        if current is not None and current.created_at - self.now() > SKEW:
            log.warning(
                "The clock says %s, but version %d was made at %s: it is set back, or was ahead then; correct it, "
                "for freshness is judged by it.",
                *(self.now(), current.version, current.created_at),
            )
        fields |= {
            "version": current.version + 1 if current else 1,
            "previous": current.version if current else None,
            "created_at": self.now(),
            "created_by": by,
        }
        if isinstance(stores, GroupedStores):
            return Manifest.model_validate({**fields, "groups": stores.groups}).model_copy(update={"stores": stores})
        return Manifest.model_validate({"schema_version": INLINE_SCHEMA, **fields, "chain": None, "stores": stores})

    def _choose_retained(self, current: Manifest | None) -> dict[str, Any]:
        """Keep the last so many versions, all of today, and the last of each of so many days, today among them."""
        if current is None:
            return {}
        days = self._list_days(current)
        # None known: today began before what is retained anyway.
        first_of_today = days[-1] + 1 if days else 1
        wanted = min(first_of_today, current.version + 2 - self.keep_versions)
        return {
            "retained_from": max(current.retained_from, wanted),
            "retained_days": days[max(0, len(days) - self.keep_versions + 1) :],
        }

    def _keep_retained(self, current: Manifest) -> dict[str, Any]:
        """Keep all that is retained: only publishing gives up versions."""
        return {"retained_from": current.retained_from, "retained_days": self._list_days(current)}

    def _list_days(self, current: Manifest) -> list[int]:
        """Return the last version of each day gone by, the current one among them if it is of another day."""
        ended = current.created_at.date() != self.now().date()
        return [*current.retained_days, *([current.version] if ended else [])]

    def _swap_manifest(self, next_version: Callable[[Manifest | None], Manifest | None]) -> Manifest:
        """Replace the current manifest by its successor, and return what is current then."""
        outcome: Manifest | None = None
        swapped = False
        written: set[str] = set()

        def seal_successor(blob: Blob | None) -> bytes | None:
            nonlocal outcome, swapped
            current = read_manifest(self.store, blob)
            if current is not None:
                self._archive_manifest(current)
            following = next_version(current)
            outcome, swapped = following or current, following is not None
            if following is None:
                return None
            if isinstance(following.stores, GroupedStores):
                there = {group.name for group in current.groups} if current else set()
                written.update(write_groups(self.store, following.stores, there | written))
            return seal_manifest(following)

        swap_object(
            self.store,
            CURRENT,
            seal_successor,
            was_written=self._was_current,
            pause=self.pause,
        )
        if outcome is None:
            raise ForeactError(f"There is nothing to publish in {self.store}.")
        if swapped:
            self._archive_new(outcome)
        return outcome

    def _archive_new(self, manifest: Manifest) -> None:
        try:
            self._archive_manifest(manifest, known_absent=True)
        except BlobUnavailable as error:
            log.warning("version %d is published; the next one will archive it: %s", manifest.version, error)

    def _was_current(self, data: bytes) -> bool:
        """Return whether a manifest is or was current: the publisher that swapped after it has archived it."""
        names = (CURRENT, manifest_name(unseal_part(Manifest, data, CURRENT).version))
        return any(blob is not None and blob.data == data for blob in (read_if_present(self.store, n) for n in names))

    def _archive_manifest(self, manifest: Manifest, *, known_absent: bool = False) -> None:
        name = manifest_name(manifest.version)
        if not known_absent and any(info.name == name for info in self.store.list(name)):
            return
        try:
            self.store.write(name, seal_manifest(manifest), if_absent=True)
        except BlobConflict:
            log.debug("another publisher has archived %s", name)

    def _check_objects_exist(self, manifest: Manifest) -> None:
        """Raise if an object of the version is gone."""
        sizes: dict[str, int] = {}
        for run in {entry.run for entry in manifest.stores.values()}:
            sizes |= {info.name: info.size for info in self.store.list(run_prefix(run))}
        missing = sorted(list_object_names(manifest) - set(sizes))
        if missing:
            raise BlobNotFound(
                f"Version {manifest.version} cannot be restored: {name_examples(missing)} are gone from {self.store}."
            )


def describe_versions(numbers: list[int]) -> str:
    """Name versions, given the newest first, with those in a row as a range."""
    ranges: list[list[int]] = []
    for number in reversed(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in ranges]
    return f"version{'s' * (len(numbers) > 1)} {', '.join(texts)}"


def _find_made_since(
    moment: datetime, entries: Mapping[str, StoreEntry], published: Mapping[str, StoreEntry]
) -> dict[str, str]:
    """Return the stores whose published numbers were made since that moment, each with a sentence."""
    return {
        store: f"published numbers were made at {published[store].generated_at:%H:%M} UTC, while these were"
        for store, entry in entries.items()
        if store in published and published[store] != entry and published[store].generated_at > moment
    }


def _find_newer(entries: Mapping[str, StoreEntry], published: Mapping[str, StoreEntry]) -> dict[str, str]:
    """Return the stores whose published data is newer than what would replace it, each with a sentence."""
    return {
        store: f"published data as of {published[store].as_of} is newer than {entry.as_of}"
        for store, entry in entries.items()
        if store in published and published[store].as_of > entry.as_of
    }
