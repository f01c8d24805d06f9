"""Where trained models are kept and which of them is live."""

from foreact.registry.client import RegistryUnavailable
from foreact.registry.pruning import Pruned, prune_registry
from foreact.registry.records import (
    CHAIN,
    Candidate,
    Champion,
    LoadedModel,
    Moment,
    Note,
    RegisteredStore,
    RunNotes,
    Versions,
    model_name,
)
from foreact.registry.registry import Registry

__all__ = [
    "CHAIN",
    "Candidate",
    "Champion",
    "LoadedModel",
    "Moment",
    "Note",
    "Pruned",
    "RegisteredStore",
    "Registry",
    "RegistryUnavailable",
    "RunNotes",
    "Versions",
    "model_name",
    "prune_registry",
]
