"""Where trained models are kept and which of them is live."""

from foreact.registry.client import RegistryUnavailable
from foreact.registry.records import Candidate, Champion, RegisteredStore, TamperedModel, Versions, model_name
from foreact.registry.registry import Registry

__all__ = [
    "Candidate",
    "Champion",
    "RegisteredStore",
    "Registry",
    "RegistryUnavailable",
    "TamperedModel",
    "Versions",
    "model_name",
]
