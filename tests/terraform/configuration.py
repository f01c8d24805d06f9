"""Reads the configuration, and the provider's own documentation of what it takes."""

import functools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

from tests.parts import require

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "terraform"
# azurerm 5.2.0; its tags are no Go versions, so the commit stands for it.
PROVIDER = "github.com/hashicorp/terraform-provider-azurerm@v1.44.1-0.20260824201233-fae580791926"
# What every block takes, whatever its kind.
META = {"for_each", "count", "depends_on", "lifecycle", "provider", "dynamic"}
Block = dict[str, Any]


def clean(value: Any) -> Any:
    """Take away the quotes and marks that the parser leaves."""
    if isinstance(value, dict):
        return {clean(key): clean(inner) for key, inner in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value


@functools.cache
def _parse() -> str:
    merged: dict[str, list[Any]] = {}
    for file in sorted(FOLDER.glob("*.tf")):
        for kind, blocks in clean(hcl2.loads(file.read_text())).items():
            merged.setdefault(kind, []).extend(blocks)
    return json.dumps(merged)


def parse() -> dict[str, list[Any]]:
    """Return a fresh copy of everything that the configuration states, by kind of block."""
    parsed: dict[str, list[Any]] = json.loads(_parse())
    return parsed


def resources(configuration: dict[str, list[Any]]) -> Iterator[tuple[str, str, Block]]:
    """Return every resource: type, name, body."""
    for entry in configuration["resource"]:
        for kind, named in entry.items():
            for name, body in named.items():
                yield kind, name, body


def get(configuration: dict[str, list[Any]], kind: str, name: str = "this") -> Block:
    """Return one resource."""
    return next(body for k, n, body in resources(configuration) if (k, n) == (kind, name))


@functools.cache
def read_documentation(kind: str) -> str:
    """Return the provider's page about a resource, its arguments only."""
    (go,) = require("go", install="Go 1.24 or newer")
    done = subprocess.run([go, "mod", "download", "-json", PROVIDER], capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert "Dir" in answer, answer.get("Error")
    page = Path(answer["Dir"]) / "website/docs/r" / f"{kind.removeprefix('azurerm_')}.html.markdown"
    assert page.is_file(), f"the provider has no resource {kind}"
    text = page.read_text()
    start = re.search(r"^## Arguments? Reference", text, re.MULTILINE)
    end = re.search(r"^## Attributes? Reference", text, re.MULTILINE)
    assert start, kind
    assert end, kind
    return text[start.end() : end.start()]


# Of azuread 3.9.0, of which the module proxy need not have a copy: what its resources of ours take; ! what they need.
DIRECTORY = {
    "azuread_application": "display_name! description sign_in_audience owners prevent_duplicate_names "
    "group_membership_claims web app_role required_resource_access optional_claims notes",
    "web": "homepage_url logout_url redirect_uris implicit_grant",
    "app_role": "id! value display_name! description! allowed_member_types! enabled",
    "required_resource_access": "resource_app_id! resource_access!",
    "resource_access": "id! type!",
    "azuread_service_principal": "client_id! owners app_role_assignment_required description notes",
    "azuread_app_role_assignment": "app_role_id! principal_object_id! resource_object_id!",
    "azuread_application_federated_identity_credential": "application_id! display_name! description audiences! issuer! "
    "subject!",
}


def find_faults(kind: str, body: Block) -> Iterator[str]:
    """Name the arguments that the provider's page does not know or misses."""
    if kind.startswith("azuread_"):
        pages = {
            name: "".join(
                f"* `{word.rstrip('!')}` - ({'Required' if word.endswith('!') else 'Optional'})\n"
                for word in words.split()
            )
            for name, words in DIRECTORY.items()
        }
        yield from _compare("", body, pages[kind], pages)
        return
    text = read_documentation(kind)
    sections = re.split(r"^(?=(?:An?|The|Each) `\w+` block)", text, flags=re.MULTILINE)
    known: dict[str, str] = {}
    for section in sections[1:]:
        if heading := re.match(r"\w+ `(\w+)` block", section):
            known.setdefault(heading.group(1), section)
    yield from _compare("", body, sections[0], known)


def _compare(where: str, body: Block, section: str, known: dict[str, str]) -> Iterator[str]:
    arguments = dict(re.findall(r"^\* `(\w+)` - \((Required|Optional)", section, re.MULTILINE))
    given = {key: value for key, value in body.items() if key not in META}
    for entry in body.get("dynamic", []):
        for name, inner in entry.items():
            given[name] = inner["content"]
    for name, value in given.items():
        if name not in arguments:
            yield f"{where}{name} is unknown"
        if name in known:
            for block in (inner for inner in value if isinstance(inner, dict)):
                yield from _compare(f"{where}{name}.", block, known[name], known)
    for name, need in arguments.items():
        if need == "Required" and name not in given:
            yield f"{where}{name} is missing"


def find_dangling(configuration: dict[str, list[Any]]) -> Iterator[str]:
    """Name the references that lead nowhere."""
    there = {f"{kind}.{name}" for kind, name, _ in resources(configuration)}
    for entry in configuration.get("ephemeral", []) + configuration.get("data", []):
        prefix = "ephemeral." if entry in configuration.get("ephemeral", []) else "data."
        there |= {f"{prefix}{kind}.{name}" for kind, named in entry.items() for name in named}
    there |= {f"var.{name}" for entry in configuration["variable"] for name in entry}
    there |= {f"local.{name}" for entry in configuration["locals"] for name in entry}
    text = json.dumps(configuration)
    pattern = r"\b((?:data\.|ephemeral\.)?(?:azurerm|azuread|random)_\w+\.\w+|var\.\w+|local\.\w+)\b"
    for reference in sorted(set(re.findall(pattern, text))):
        if reference not in there:
            yield reference
