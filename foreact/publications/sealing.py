"""A manifest as bytes: JSON closed with the checksum of itself, so that damage is noticed."""

import hashlib
import re

from foreact.blobs.records import BadRecord, Record, parse_record
from foreact.errors import ForeactError
from foreact.publications.contract import INLINE_SCHEMA, Manifest

_SEALED = re.compile(rb'\{"sha256":"([0-9a-f]{64})","manifest":(.*)\}\n', re.DOTALL)


class BrokenPublication(ForeactError):
    """Something published is not what was written."""


def seal_manifest(manifest: Manifest) -> bytes:
    """Write a manifest with its checksum; one of an older schema without the fields that it did not know."""
    left_out = {"stores"} if manifest.groups else {"groups", "chain"}
    body = manifest.model_dump_json(exclude=left_out, exclude_unset=manifest.schema_version < INLINE_SCHEMA).encode()
    return b'{"sha256":"%s","manifest":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)


def unseal_part(model: type[Record], data: bytes, name: str) -> Record:
    """Read what a model wants of a manifest; raise BrokenPublication if it is damaged, NewerRecord if it is too new."""
    sealed = _SEALED.fullmatch(data)
    if sealed is None or hashlib.sha256(sealed[2]).hexdigest().encode() != sealed[1]:
        raise BrokenPublication(f"{name} is damaged: its {len(data):,} bytes do not match their checksum.")
    try:
        return parse_record(model, sealed[2], name)
    except BadRecord as problem:
        raise BrokenPublication(str(problem)) from None
