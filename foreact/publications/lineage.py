"""Where published numbers come from, and what changed from version to version."""

from collections.abc import Iterator
from dataclasses import dataclass

from foreact.errors import ForeactError, count_noun
from foreact.publications.contract import Manifest, StoreEntry
from foreact.publications.reader import Reader

CHANGES = {
    "as_of": "data as of",
    "run": "run",
    "data_hash": "data",
    "code_version": "code",
    "fallback": "fallback",
    "held": "held",
    "horizon": "horizon",
    "spacing": "spacing",
    "items": "items",
}


@dataclass(frozen=True)
class Change:
    """How one store differs from the version before; without a `before` it is new, without an `after` gone."""

    store: str
    before: StoreEntry | None
    after: StoreEntry | None

    def __str__(self) -> str:
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        parts = []
        if str(self.before.model) != str(self.after.model):
            parts.append(f"model {self.before.model} -> {self.after.model}")
        for field, label in CHANGES.items():
            old, new = getattr(self.before, field), getattr(self.after, field)
            if old != new:
                parts.append(f"{label} {_shorten_hash(old)} -> {_shorten_hash(new)}")
        return ", ".join(parts) or "figures"


def list_changes(before: Manifest | None, after: Manifest) -> list[Change]:
    """List the stores that differ between two versions."""
    old = before.stores if before else {}
    stores = sorted(set(old) | set(after.stores))
    return [
        Change(store, old.get(store), after.stores.get(store))
        for store in stores
        if old.get(store) != after.stores.get(store)
    ]


def find_versions_with_model(reader: Reader, name: str, version: str) -> Iterator[Manifest]:
    """Return the publications that carry a model's forecasts, newest first; its run will do for its version."""
    for manifest in reader.read_history():
        models = [entry.model for entry in manifest.stores.values() if entry.model.name == name]
        if any(version in (model.version, model.run) for model in models):
            yield manifest


def describe_version(reader: Reader, version: int) -> str:
    """Describe one version: who made it and why, each store's origin, and what changed since the version before."""
    manifest = reader.read_version(version)
    before, problem = None, ""
    if manifest.previous:
        try:
            before = reader.read_version(manifest.previous)
        except ForeactError as error:
            problem = f"What changed since version {manifest.previous} is unknown: {error}"
    lines = [summarize_version(manifest), ""]
    for store, entry in sorted(manifest.stores.items()):
        chain = f" beside {entry.chain}" if entry.chain else ""
        lines.append(
            f"{store}: model {entry.model}{chain}, run {entry.run}, data as of {entry.as_of} "
            f"({_shorten_hash(entry.data_hash)}), {count_noun(entry.horizon, entry.spacing.period)} ahead, "
            f"code {_shorten_hash(entry.code_version) or 'unknown'}, generated {entry.generated_at:%Y-%m-%d %H:%M} UTC"
            + (f", backtest wape {entry.accuracy['wape']:.3f}" if "wape" in entry.accuracy else "")
            + (f", fallback: {entry.fallback}" if entry.fallback else "")
            + (f", {entry.held}" if entry.held else "")
        )
    since = f"Changed since version {before.version}:" if before else problem or "The first version."
    lines += ["", since]
    lines += [f"  {change.store}: {change}" for change in list_changes(before, manifest)] if before else []
    return "\n".join(lines)


def summarize_version(manifest: Manifest) -> str:
    """Describe a version in one line."""
    action = {
        "publish": "published",
        "restore": f"restored version {manifest.restored}",
        "withdraw": "stores withdrawn",
    }[manifest.action]
    why = f" ({manifest.reason})" if manifest.reason else ""
    return (
        f"Version {manifest.version}: {action} on {manifest.created_at:%Y-%m-%d %H:%M} UTC by {manifest.created_by}"
        f"{why}, {count_noun(len(manifest.stores), 'store')}"
    )


def _shorten_hash(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) > 40 else text
