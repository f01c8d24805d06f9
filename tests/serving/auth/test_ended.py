"""Logging out, and keys that are revoked: what was open ends, at every replica."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from foreact.blobs import BlobUnavailable
from foreact.blobs.folder import FolderStore
from serving.auth import ended, keys
from serving.auth.ended import EndedSessions
from serving.auth.local import LocalLogin
from serving.auth.principal import Grant
from tests.serving import shop
from tests.serving.conftest import Serving
from tests.serving.refreshes.runs import runner
from tests.waiting import until


@pytest.fixture
def house(store: FolderStore, start: Callable[..., Serving], tmp_path: Path) -> Serving:
    shop.publish(store)
    return start(runner=runner(store, tmp_path, f"until:{tmp_path / 'gate'}"), local=LocalLogin("right"))


def log_in(house: Serving) -> tuple[dict[str, str], str]:
    """Return the cookie that somebody might copy, and the page's token."""
    house.client.cookies.clear()
    answer = house.client.post("/login", data={"account": "demo", "password": "right"})
    cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    found = re.search(r'name="csrf" content="([^"]+)"', house.client.get("/", headers={"accept": "text/html"}).text)
    assert found
    house.client.cookies.clear()
    return cookie, found[1]


def log_out(house: Serving, cookie: dict[str, str], csrf: str) -> None:
    assert house.client.post("/logout", data={"csrf": csrf}, headers=cookie).status_code == 303


def test_a_copied_cookie_ends_with_its_session_at_every_replica(house: Serving, start: Callable[..., Serving]) -> None:
    other = start()
    (cookie, csrf), (another, _) = log_in(house), log_in(house)
    for one in (house, other):
        assert one.client.get("/v1/stores", headers=cookie).status_code == 200
    log_out(house, cookie, csrf)
    assert house.client.get("/v1/stores", headers=cookie).status_code == 401
    until(lambda: other.client.get("/v1/stores", headers=cookie).status_code == 401)
    # Nobody else is logged out, and who starts later knows it too.
    for one in (house, other, start()):
        assert one.client.get("/v1/stores", headers=another).status_code == 200
    assert start().client.get("/v1/stores", headers=cookie).status_code == 401


def test_a_logout_counts_while_the_store_is_away(house: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> str:
        raise BlobUnavailable("the store does not answer")

    cookie, csrf = log_in(house)
    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "write", away)
        log_out(house, cookie, csrf)
        assert house.client.get("/v1/stores", headers=cookie).status_code == 401
    house.app.state.service.sessions.ended.share()
    later = EndedSessions(house.store, house.clock.now.timestamp)
    later.share()
    assert len(later._ended) == 1


def test_what_ended_is_kept_while_it_matters_and_within_bounds(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, "MOST_ENDED", 3)
    now = [0.0]
    here, there = EndedSessions(store, lambda: now[0]), EndedSessions(store, lambda: now[0])
    for number in range(5):
        (here if number % 2 else there).end_session(f"s{number}", 10.0 + number)
    here.share()
    assert [f"s{number}" in here for number in range(5)] == [False, False, True, True, True]
    now[0] = 13.5
    there.end_session("s9", 20.0)
    here.share()
    assert [session in here for session in ("s2", "s3", "s4", "s9")] == [False, False, True, True]


def test_what_cannot_be_read_is_told_and_a_newer_kind_never_overwritten(
    store: FolderStore, caplog: pytest.LogCaptureFixture
) -> None:
    newer = b'{"schema_version": 2, "sessions": []}'
    store.write(ended.OBJECT, newer)
    sessions = EndedSessions(store, lambda: 0.0)
    sessions.end_session("a", 10.0)
    assert "a" in sessions
    assert store.read(ended.OBJECT).data == newer
    assert "has schema version 2 and this software knows 1: update it." in caplog.text
    store.write(ended.OBJECT, b"{")
    sessions.share()
    assert f"passed over: {ended.OBJECT} is not JSON." in caplog.text
    assert b'"a"' in store.read(ended.OBJECT).data
    # What has ended here stays so, whatever becomes of the object.
    store.write(ended.OBJECT, b"")
    sessions.share()
    assert f"passed over: {ended.OBJECT} is empty." in caplog.text
    assert "a" in sessions


def follow(house: Serving, headers: dict[str, str], path: str) -> tuple[threading.Thread, list[str]]:
    """Follow a refresh in the background, and return what was told once that ended."""
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(house.client.get(path, headers=headers).text))
    thread.start()
    until(lambda: house.app.state.service.streams._held)
    return thread, told


def test_what_is_followed_ends_with_the_key_and_with_the_session(house: Serving, tmp_path: Path) -> None:
    path = house.post("/v1/stores/S1/refreshes").headers["location"] + "/events"
    text, key = keys.create_key(house.store, "warehouse", Grant(role="viewer"), created_by="test")
    house.app.state.service.keys._until = 0
    cookie, csrf = log_in(house)
    ends = [
        ({"authorization": f"Bearer {text}"}, lambda: keys.revoke_key(house.store, key.id)),
        (cookie, lambda: log_out(house, cookie, csrf)),
    ]
    for headers, end in ends:
        thread, told = follow(house, headers, path)
        end()
        thread.join()
        assert told
        assert '"ended_at":"' not in told[0]
        assert house.client.get(path, headers=headers).status_code == 401
    (tmp_path / "gate").touch()


def test_a_caller_follows_so_many_at_once(house: Serving, tmp_path: Path) -> None:
    path = house.post("/v1/stores/S1/refreshes").headers["location"] + "/events"
    house.app.state.service.streams.each = 1
    thread, _ = follow(house, house.bearer("viewer"), path)
    refused = house.get(path, "viewer")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
    assert int(refused.headers["retry-after"]) > 0
    (tmp_path / "gate").touch()
    # Others are not hindered.
    assert house.get(path, "admin").status_code == 200
    thread.join()
