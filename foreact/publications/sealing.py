"""A manifest as bytes: JSON closed with the checksum of itself, so that damage is noticed."""

import hashlib
import json
import re

from pydantic import ValidationError

from foreact.errors import ForeactError
from foreact.publications.contract import SCHEMA_VERSION, Manifest

_SEALED = re.compile(rb'\{"sha256":"([0-9a-f]{64})","manifest":(.*)\}\n', re.DOTALL)


class BrokenPublication(ForeactError):
    """Something published is not what was written."""


class NewerPublication(ForeactError):
    """Something published was written by a later version of this software."""


def seal_manifest(manifest: Manifest) -> bytes:
    """Write a manifest with its checksum."""
    body = manifest.model_dump_json().encode()
    return b'{"sha256":"%s","manifest":%s}\n' % (hashlib.sha256(body).hexdigest().encode(), body)


def unseal_manifest(data: bytes, name: str) -> Manifest:
    """Read a manifest; raise if it is damaged or too new."""
    sealed = _SEALED.fullmatch(data)
    if sealed is None or hashlib.sha256(sealed[2]).hexdigest().encode() != sealed[1]:
        raise BrokenPublication(f"{name} is damaged: its {len(data):,} bytes do not match their checksum.")
    try:
        return Manifest.model_validate_json(sealed[2])
    except ValidationError as error:
        schema = json.loads(sealed[2]).get("schema_version")
        if isinstance(schema, int) and schema > SCHEMA_VERSION:
            raise NewerPublication(
                f"{name} has schema version {schema} and this software knows {SCHEMA_VERSION}: update it."
            ) from None
        first = error.errors(include_url=False, include_input=False)[0]
        raise BrokenPublication(f"{name} is not a manifest: {first['loc']}: {first['msg']}.") from None
