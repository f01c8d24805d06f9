"""API keys: shown once, stored as hashes, revocable; all in one object of the blob store."""

import hashlib
import json
import math
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from foreact.blobs import Blob, BlobStore, BlobUnavailable
from foreact.blobs.records import (
    EACH_ALONE,
    BadRecord,
    Keep,
    NewerRecord,
    StoredRecord,
    parse_record,
    skipped_records,
)
from foreact.blobs.swap import read_if_present, swap_object
from foreact.errors import ForeactError
from foreact.settings import KEEP_DAYS
from serving.auth.principal import Grant, Principal, Role

OBJECT = "serving/keys.json"
PREFIX = "fa_"
# How long keys are good; a revoked one may be accepted for twice as long by a process that has loaded it.
REMEMBERED_SECONDS = 2.0
# What a process that has read no keys yet raises while it cannot.
UNREADABLE = (BlobUnavailable, BadRecord, NewerRecord)


class Key(BaseModel):
    """One key as it is stored."""

    model_config = ConfigDict(frozen=True)

    id: str
    sha256: str
    name: str
    grant: Grant
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @field_validator("grant")
    @classmethod
    def _refuse_unknown_role(cls, grant: Grant) -> Grant:
        if grant.role not in Role.__members__:
            raise ValueError("no such role")
        return grant

    @property
    def state(self) -> Literal["active", "revoked", "expired"]:
        """Return whether the key is accepted, or why not."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= datetime.now(UTC):
            return "expired"
        return "active"

    def ended_before(self, moment: datetime) -> bool:
        """Return whether it was revoked, or expired, before a moment."""
        return any(end is not None and end < moment for end in (self.revoked_at, self.expires_at))


class _Keys(StoredRecord):
    kind: ClassVar[str] = "key"

    keys: list[Annotated[Key, EACH_ALONE]] = Field(default_factory=list)


def create_key(
    store: BlobStore,
    name: str,
    grant: Grant,
    *,
    created_by: str,
    expires_at: datetime | None = None,
    keep_days: int = KEEP_DAYS,
) -> tuple[str, Key]:
    """Create a key, and return its text, which cannot be read again, with its record.

    Records of keys that ended longer ago than `keep_days` go.
    """
    grant.check()
    # 256 random bits need no salt and no slow hash.
    text = PREFIX + secrets.token_urlsafe(32)
    key = Key(
        id=secrets.token_hex(4),
        sha256=_hash_text(text),
        name=name,
        grant=grant,
        created_at=datetime.now(UTC),
        created_by=created_by,
        expires_at=expires_at,
    )
    since = key.created_at - timedelta(days=keep_days)
    _change_keys(store, lambda keys: [*(each for each in keys if not each.ended_before(since)), key])
    return text, key


def revoke_key(store: BlobStore, key_id: str) -> Key:
    """Revoke a key; within seconds it is no longer accepted."""
    revoked: list[Key] = []

    def mark_revoked(keys: list[Key]) -> list[Key]:
        revoked.clear()
        changed = []
        for key in keys:
            if key.id != key_id:
                changed.append(key)
                continue
            revoked.append(key.model_copy(update={"revoked_at": key.revoked_at or datetime.now(UTC)}))
            changed.append(revoked[-1])
        if not revoked:
            raise ForeactError(f"No key has the id {key_id!r}: `foreact keys list` shows them.")
        return changed

    _change_keys(store, mark_revoked)
    return revoked[0]


def list_keys(store: BlobStore) -> list[Key]:
    """Return all keys that can be read, the oldest first."""
    return _parse_keys(read_if_present(store, OBJECT))


class KeyRing:
    """The keys in memory, loaded again every few seconds, so that no request waits for the store."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._until = self._looked = -math.inf
        self._keys: dict[str, Key] = {}
        self._principals: dict[str, Principal] = {}

    @property
    def is_late(self) -> bool:
        """Return whether a request has to load the keys, because nobody else has."""
        return time.monotonic() >= self._until + REMEMBERED_SECONDS

    @property
    def may_be_behind(self) -> bool:
        """Return whether to look for a key that is not known; guesses of strangers cost a look now and then."""
        return time.monotonic() >= self._looked + REMEMBERED_SECONDS

    def renew_keys(self) -> None:
        """Load the keys, if they can be."""
        with suppress(*UNREADABLE):
            self.load_keys()

    def load_keys(self, *, anew: bool = False) -> None:
        """Load the keys if it is time; those known stay valid while the store is away, or another thread loads them."""
        if not self._lock.acquire(blocking=self._until < 0):
            return
        try:
            if anew:
                self._looked = time.monotonic()
            elif time.monotonic() < self._until:
                return
            try:
                keys = list_keys(self._store)
            except UNREADABLE as problem:
                if self._until < 0:
                    raise
                if not isinstance(problem, BlobUnavailable):
                    skipped_records.note(_Keys.kind, str(problem))
            else:
                self._keys = {key.sha256: key for key in keys}
                self._principals = {
                    key.sha256: Principal(f"key:{key.id}", key.name, key.grant.to_role(), key.grant.to_scope())
                    for key in keys
                }
            self._until = time.monotonic() + REMEMBERED_SECONDS
        finally:
            self._lock.release()

    def find_principal(self, text: str) -> Principal | None:
        """Return the caller whose key this is; None for a key that is not accepted.

        The look-up is by hash, so its time reveals nothing about keys that are nearly right.
        """
        digest = _hash_text(text)
        key = self._keys.get(digest)
        if key is None or key.state != "active":
            return None
        return self._principals[digest]


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _parse_keys(blob: Blob | None, keep: Keep = lambda value: None) -> list[Key]:
    return parse_record(_Keys, blob.data, OBJECT, keep).keys if blob else []


def _change_keys(store: BlobStore, change: Callable[[list[Key]], list[Key]]) -> None:
    """Change the keys that can be read; the others stay as they are, for whoever can mend them."""

    def make_successor(blob: Blob | None) -> bytes:
        unread: list[Any] = []
        record = _Keys(keys=change(_parse_keys(blob, unread.append))).model_dump(mode="json")
        return json.dumps({**record, "keys": [*unread, *record["keys"]]}, indent=1).encode()

    swap_object(store, OBJECT, make_successor)
