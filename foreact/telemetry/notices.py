"""Notices by webhook: a failure, and the recovery from it; tried again until one is received, and never sent twice.

telemetry/notices/<run>-<event>.json   a notice that was, or is being, sent
"""

import json
import logging
import re
import time
import urllib.error
import urllib.request
from typing import ClassVar, Literal
from urllib.parse import quote

from foreact.blobs.protocol import BlobConflict, BlobStore
from foreact.blobs.records import StoredRecord
from foreact.blobs.swap import read_if_present
from foreact.naming import encode_id

log = logging.getLogger(__name__)

FOLDER = "telemetry/notices/"
TRIES = 4
TIMEOUT = 10.0
Form = Literal["json", "teams"]
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# What could open something: userinfo in addresses, signatures and keys in queries and connection strings, tokens.
_SECRETS = re.compile(
    r"(?i)(?<=://)[^/\s@]+@|((?:sig|key|accountkey|token|secret|password|pwd|authorization|sharedaccesssignature)"
    r"\s*[=:]\s*)(?:bearer\s+)?[^\s&;,\"']+|\bbearer\s+[\w.~+/=-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)


Event = Literal["failed", "recovered"]


class Notice(StoredRecord):
    """One event that somebody should know of."""

    kind: ClassVar[str] = "notice"

    event: Event
    pipeline: str
    # The one store that was retrained; empty for all.
    store: str = ""
    run: str
    step: str = ""
    sentence: str = ""
    link: str = ""

    @property
    def title(self) -> str:
        """One line that says it."""
        scope = f"store {self.store}" if self.store else "all stores"
        return f"{self.pipeline} of {scope} {'failed' if self.event == 'failed' else 'works again'}"


def clean_sentence(text: str) -> str:
    """Return the first sentence of a message, without colours, traceback or anything that opens something."""
    plain = _ANSI.sub("", text).strip()
    if plain.startswith("Traceback"):
        plain = plain.splitlines()[-1]
    line = plain.splitlines()[0] if plain else ""
    return _SECRETS.sub(lambda match: (match[1] or "") + "***", line)[:500]


def make_body(notice: Notice, form: Form) -> bytes:
    """Write a notice as its receiver takes it: plain JSON, or a Teams workflow's message with an adaptive card."""
    fields = {**notice.model_dump(exclude_defaults=True), "title": notice.title}
    if form == "json":
        return json.dumps(fields).encode()
    facts = [
        {"title": name, "value": value}
        for name, value in (("Step", notice.step), ("Run", notice.run), ("Why", notice.sentence))
        if value
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {
                "type": "TextBlock",
                "text": notice.title,
                "weight": "bolder",
                "wrap": True,
                "color": "attention" if notice.event == "failed" else "good",
            },
            {"type": "FactSet", "facts": facts},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "Open the run", "url": notice.link}] if notice.link else [],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}).encode()


def send_notice(notice: Notice, url: str, form: Form, store: BlobStore, pause: float) -> None:
    """Send a notice unless it was sent; it is claimed first, so that of two processes only one sends it.

    If nobody receives it, the claim is deleted, so that whoever tries the step again can send it.
    """
    name = _name_claim(notice.run, notice.event)
    try:
        store.write(name, notice.model_dump_json().encode(), if_absent=True)
    except BlobConflict:
        log.info("this notice was sent before: %s", notice.title)
        return
    if not _post_notice(url, make_body(notice, form), f"{notice.run}-{notice.event}", pause):
        store.delete(name)


def was_announced(run: str, event: Event, store: BlobStore) -> bool:
    """Return whether a notice of a run was, or is being, sent."""
    return read_if_present(store, _name_claim(run, event)) is not None


def _name_claim(run: str, event: Event) -> str:
    return f"{FOLDER}{encode_id(run)}-{event}.json"


def _post_notice(url: str, data: bytes, key: str, pause: float) -> bool:
    # By the key a receiver recognises a notice that it has received but failed to acknowledge.
    headers = {"Content-Type": "application/json", "Idempotency-Key": quote(key)}
    try:
        request = urllib.request.Request(url, data, headers, method="POST")  # noqa: S310 - the operator's own address
    except ValueError:
        log.warning("no notice was sent: FOREACT_WEBHOOK_URL is not an address")
        return False
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310
                return True
        except urllib.error.HTTPError as error:
            why = f"status {error.code}"
            error.close()
            if error.code < 500 and error.code not in {408, 429}:
                log.warning("the webhook refused the notice: %s", why)
                return False
        except TimeoutError:
            # It may have been received; another try could send it twice.
            log.warning("the webhook did not answer in time; the notice may have been received")
            return True
        except (urllib.error.URLError, OSError) as error:
            # The address itself may hold a token, so it is never logged.
            why = type(error).__name__
        log.warning("the webhook did not receive the notice (try %d of %d): %s", attempt + 1, TRIES, why)
        if attempt + 1 < TRIES:
            time.sleep(pause * 2**attempt)
    return False
