"""The caller of a request: a role, and the stores or regions that it is limited to."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from foreact.errors import ForeactError


class Role(IntEnum):
    """What a caller may do; each includes the one before."""

    viewer = 1
    planner = 2
    admin = 3


@dataclass(frozen=True)
class Scope:
    """Which stores a caller may see: those named, and those of the regions; or all."""

    everything: bool = False
    stores: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()

    def covers(self, store: str, region: str | None) -> bool:
        """Return whether a store is in the scope."""
        return self.everything or store in self.stores or (region is not None and region in self.regions)

    def __or__(self, other: "Scope") -> "Scope":
        return Scope(self.everything or other.everything, self.stores | other.stores, self.regions | other.regions)


EVERYTHING = Scope(everything=True)


@dataclass(frozen=True)
class Principal:
    """A caller who has been authenticated."""

    id: str
    name: str
    role: Role
    scope: Scope
    # The stores that the caller may change, if not all that they may see.
    action_scope: Scope | None = None
    # The token that a page must send with every change; None: the caller uses no cookie.
    csrf: str | None = None

    @property
    def visible_scope(self) -> Scope:
        """Return the stores that the caller may see; an administrator sees all."""
        return EVERYTHING if self.role >= Role.admin else self.scope

    def may_change(self, store: str, region: str | None) -> bool:
        """Return whether the caller may refresh a store, not only see it."""
        scope = self.scope if self.action_scope is None else self.action_scope
        return self.role >= Role.admin or (self.role >= Role.planner and scope.covers(store, region))


class Grant(BaseModel):
    """A role and its scope as settings, keys and cookies store them; without stores and regions, all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str
    stores: list[str] | None = None
    regions: list[str] | None = None

    def check(self) -> None:
        """Raise ForeactError for a role that does not exist, or that has a scope although it sees all."""
        if self.role not in Role.__members__:
            raise ForeactError(f"{self.role!r} is not a role: use {', '.join(Role.__members__)}.")
        if self.to_role() >= Role.admin and not self.to_scope().everything:
            raise ForeactError(
                f"An {self.role} sees and changes all stores: leave the stores and regions out, or grant planner."
            )

    def to_role(self) -> Role:
        """Return the role; raise KeyError for an unknown one."""
        return Role[self.role]

    def to_scope(self) -> Scope:
        """Return the scope."""
        if self.stores is None and self.regions is None:
            return EVERYTHING
        return Scope(False, frozenset(self.stores or ()), frozenset(self.regions or ()))

    @classmethod
    def of(cls, role: Role, scope: Scope) -> "Grant":
        """Return the grant of a role and its scope."""
        if scope.everything:
            return cls(role=role.name)
        return cls(role=role.name, stores=sorted(scope.stores), regions=sorted(scope.regions))

    def to_json(self) -> dict[str, Any]:
        """Return the grant's fields that are set."""
        return self.model_dump(exclude_none=True)
