"""The publication contract as a state machine: random interleavings of everything that happens to a store.

Publishers, restorers and pruners run as threads that stop before every call to the store and go on when the machine
lets them, so an interleaving is drawn call by call; a crash is a thread that is never let on. The model beside it is
the list of what each swap made current.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from foreact.errors import ForeactError
from foreact.publications import CURRENT, Manifest, Outcome, Publisher, Reader, groups, prune_archive, prune_objects
from foreact.publications.contract import MANIFESTS, manifest_name
from foreact.publications.sealing import seal_manifest
from tests.foreact.publications.stores import MemoryStore, put, table_bytes

STORES = ["1", "10", "a/b"]
KEEP = 2
GRACE = timedelta(hours=6)
KEEP_ARCHIVE = timedelta(hours=10)


class Crash(BaseException):
    """The process is gone."""


class SteppedStore:
    """A store whose every call waits to be let on."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.may_go, self.waits = threading.Semaphore(0), threading.Semaphore(0)
        self.crashed = False

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.store, name)

        def stepped(*arguments: Any, **options: Any) -> Any:
            self.waits.release()
            self.may_go.acquire()
            if self.crashed:
                raise Crash
            answer = call(*arguments, **options)
            # A listing is taken when it is asked for.
            return iter(list(answer)) if name == "list" else answer

        return stepped


class Actor:
    """One process at work on the store."""

    def __init__(self, store: MemoryStore, work: Callable[[Any], Any], began: datetime) -> None:
        self.began = began
        self.stepped = SteppedStore(store)
        self.result: Any = None
        self.refusal: ForeactError | None = None
        self.failure: BaseException | None = None
        self.done = False

        def run() -> None:
            try:
                self.result = work(self.stepped)
            except ForeactError as error:
                self.refusal = error
            except Crash:
                pass
            except BaseException as error:
                self.failure = error
            self.done = True
            self.stepped.waits.release()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        self.stepped.waits.acquire()

    def step(self) -> None:
        """Let it make one call."""
        self.stepped.may_go.release()
        self.stepped.waits.acquire()
        if self.done:
            self.thread.join()
        if self.failure is not None:
            raise self.failure

    def crash(self) -> None:
        """Let it make no further call."""
        self.stepped.crashed = True
        self.step()


class PublicationMachine(RuleBasedStateMachine):
    """Readers see whole versions, in order, and lose nothing, whatever the interleaving."""

    # What the mutants replace.
    publisher: type[Publisher] = Publisher
    prune: Callable[..., list[str]] = staticmethod(prune_objects)

    def __init__(self) -> None:
        super().__init__()
        self.time = datetime(2024, 1, 1, tzinfo=UTC)
        self.store = MemoryStore(now=lambda: self.time)
        self.actors: list[Actor] = []
        self.runs = 0
        # What was current, one after the other, as the store itself saw it.
        self.current: list[Manifest] = []
        self.sealed: list[bytes] = []
        self.values: dict[tuple[str, str], float] = {}
        self.asked: dict[str, tuple[set[str], date]] = {}
        self.patch = pytest.MonkeyPatch()
        self.wrote = self.store.write
        self.store.write = self.observe  # type: ignore[method-assign]

    def observe(self, name: str, data: Any, **options: Any) -> str:
        etag = self.wrote(name, data, **options)
        if name == CURRENT:
            # A torn one is for the readers to notice.
            with suppress(ForeactError):
                manifest = Reader(self.store, mends=False).unseal_manifest(data, name)
                # All that it names is there by now.
                list(manifest.stores)
                self.current.append(manifest)
                self.sealed.append(data)
        return etag

    def make(self, store: Any, keep: int = KEEP) -> Publisher:
        return self.publisher(store, keep_versions=keep, now=lambda: self.time, pause=lambda seconds: None)

    @initialize(versions=st.integers(0, 3), inline=st.sampled_from([1, len(STORES)]))
    def begin(self, versions: int, inline: int) -> None:
        """Begin with nothing, or with a past, where manifests have so many stores in themselves, and more in groups."""
        self.patch.setattr(groups, "INLINE_MOST", inline)
        # An actor makes one call at a time.
        self.patch.setattr(groups, "map_side_by_side", lambda work, given: [work(each) for each in given])
        for _ in range(versions):
            self.publish(set(STORES), 0, KEEP)
            self.finish_all()

    @rule(
        stores=st.sets(st.sampled_from(STORES), min_size=1),
        day=st.integers(0, 2),
        keep=st.sampled_from([KEEP, KEEP + 2]),
    )
    def publish(self, stores: set[str], day: int, keep: int) -> None:
        self.runs += 1
        run, value = f"r{self.runs}", float(self.runs)
        as_of = date(2024, 1, 1) + timedelta(days=day)
        self.asked[run] = (stores, as_of)
        for name in stores:
            self.values[run, name] = value

        def work(store: Any) -> Any:
            entries = {name: put(store, name, run, value, as_of=as_of) for name in sorted(stores)}
            return self.make(store, keep).publish(entries, by=run)

        self.actors.append(Actor(self.store, work, self.time))

    @rule(back=st.integers(0, 4))
    def restore(self, back: int) -> None:
        def work(store: Any) -> Any:
            newest = Reader(store).find_current()
            version = newest.manifest.version - back if newest else 0
            return self.make(store).restore(version, by="ada", reason="test")

        self.actors.append(Actor(self.store, work, self.time))

    @rule()
    def retain(self) -> None:
        def work(store: Any) -> None:
            type(self).prune(store, grace=GRACE, now=lambda: self.time)
            prune_archive(store, keep=KEEP_ARCHIVE, grace=GRACE, now=lambda: self.time)

        self.actors.append(Actor(self.store, work, self.time))

    @rule(turns=st.lists(st.integers(0, 2), min_size=1, max_size=30))
    def go_on(self, turns: list[int]) -> None:
        """Let the latest few make their calls, in the order drawn."""
        for turn in turns:
            waiting = [actor for actor in self.actors if not actor.done]
            if not waiting:
                return
            waiting[-1 - turn % len(waiting)].step()

    @rule()
    def finish_all(self) -> None:
        while waiting := [actor for actor in self.actors if not actor.done]:
            waiting[0].step()

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        waiting = [actor for actor in self.actors if not actor.done]
        if waiting:
            data.draw(st.sampled_from(waiting)).crash()

    # Within the grace period, or beyond it.
    @rule(hours=st.sampled_from([1, 7]))
    def time_passes(self, hours: int) -> None:
        # No publication takes longer than the grace period: whatever is under way by then is dead.
        self.time += timedelta(hours=hours)
        for actor in self.actors:
            if not actor.done and self.time - actor.began >= GRACE:
                actor.crash()

    @invariant()
    def versions_have_no_gap_and_say_what_they_follow(self) -> None:
        assert [manifest.version for manifest in self.current] == list(range(1, len(self.current) + 1))

    @invariant()
    def what_was_said_to_be_published_was(self) -> None:
        for actor in self.actors:
            said = actor.result.manifest if isinstance(actor.result, Outcome) else actor.result
            if isinstance(said, Manifest):
                assert seal_manifest(said) == self.sealed[said.version - 1]

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each version differs from the one before by its own stores only, and by none that is older."""
        before: dict[str, Any] = {}
        for manifest in self.current:
            if manifest.action == "restore":
                assert manifest.restored is not None
                assert manifest.stores == self.current[manifest.restored - 1].stores
            else:
                stores, as_of = self.asked[manifest.created_by]
                for name in stores:
                    newer = name in before and before[name].as_of > as_of
                    published = name in manifest.stores and manifest.stores[name].run == manifest.created_by
                    assert newer or published, "published by halves"
                changed = {n for n in {*before, *manifest.stores} if before.get(n) != manifest.stores.get(n)}
                for name in changed:
                    assert name in manifest.stores, f"{name} was lost in version {manifest.version}"
                    assert manifest.stores[name].run == manifest.created_by
                    assert name not in before or before[name].as_of <= manifest.stores[name].as_of
            before = manifest.stores

    @invariant()
    def readers_see_one_whole_version(self) -> None:
        publication = Reader(self.store, mends=False).find_current()
        if not self.current:
            assert publication is None
            return
        assert publication is not None
        assert publication.problem == ""
        assert publication.manifest == self.current[-1]

    @invariant()
    def retained_versions_are_whole(self) -> None:
        reader = Reader(self.store)
        promised = self.current[-1].list_retained() if self.current else []
        newest = {manifest.created_at.date(): manifest.version for manifest in self.current}
        assert set(promised) >= {*range(max(1, len(self.current) - KEEP + 1), len(self.current) + 1)}
        assert set(promised) >= {*list(newest.values())[-KEEP:]}
        for number in promised:
            manifest = self.current[number - 1]
            for name, entry in manifest.stores.items():
                value = self.values[entry.run, name]
                assert reader.read_object(entry.objects["forecasts"]) == table_bytes(name, value)

    @invariant()
    def the_archive_holds_what_was_current(self) -> None:
        retained = self.current[-1].list_retained() if self.current else []
        for manifest, sealed in zip(self.current[:-1], self.sealed, strict=False):
            name = manifest_name(manifest.version)
            if name in self.store.objects:
                assert self.store.objects[name][0] == sealed
                assert self.store.objects.keys() >= {group.name for group in manifest.groups}
            else:
                assert manifest.version not in retained
                assert manifest.created_at < self.time - KEEP_ARCHIVE
        assert sum(name.startswith(MANIFESTS) for name in self.store.objects) <= len(self.current)

    def teardown(self) -> None:
        self.patch.undo()
        for actor in self.actors:
            if not actor.done:
                actor.crash()
