"""Every version that was ever current, and restoring one."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from foreact.errors import ForeactError
from foreact.publications.contract import Manifest
from foreact.publications.publisher import Publisher
from serving.auth.principal import Principal, Role
from serving.dependencies import Admin, Parts, Viewer
from serving.errors import ApiError, error_responses
from serving.parts import Service
from serving.publication.view import FreshnessView

router = APIRouter(prefix="/v1", tags=["publications"])
Version = Annotated[int, Path(ge=1, le=10**9, description="A publication's version")]


class Listed(BaseModel):
    """One version."""

    version: int
    previous: int | None
    created_at: datetime
    created_by: str | None = Field(description="Who asked for it; null: for administrators only")
    action: Literal["publish", "restore", "withdraw"]
    reason: str | None = Field(description="Why, in their words; null: for administrators only")
    restored: int | None = Field(description="Of a restore: the version brought back")
    current: bool
    stores: dict[str, str] = Field(description="Of the stores that you may see, the run behind each")


class Listing(BaseModel):
    """Versions, the newest first."""

    publications: list[Listed]


class Restore(BaseModel):
    """The reason for a restore."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=3, max_length=500)


@router.get("/publications", response_model=Listing, responses=error_responses(503))
def list_publications(
    service: Parts, principal: Viewer, limit: Annotated[int, Query(ge=1, le=200, description="Versions")] = 20
) -> Listing:
    """Return the versions that were published, the newest first."""
    view = service.view
    found = []
    for manifest in service.publications.reader.read_history():
        found.append(_describe_version(manifest, view, principal))
        if len(found) == limit:
            break
    return Listing(publications=found)


@router.get("/publications/{version}", response_model=Listed, responses=error_responses(503))
def show_publication(service: Parts, principal: Viewer, version: Version) -> Listed:
    """Return one version."""
    return _describe_version(_find_version(service, version), service.view, principal)


@router.post("/publications/{version}/restore", response_model=Listed, responses=error_responses(403, 409, 415, 503))
def restore_publication(
    request: Request, service: Parts, principal: Admin, version: Version, restore: Restore
) -> Listed:
    """Make an old version current again, as a new version that records who asked for it and why."""
    _find_version(service, version)
    try:
        manifest = Publisher(service.store).restore(version, by=principal.id, reason=restore.reason)
    except ForeactError as problem:
        raise ApiError(409, "not_restorable", str(problem)) from None
    service.audit.record_or_queue("restore", principal.id, f"version {version}", request.scope["request_id"])
    service.publications.refresh()
    return _describe_version(manifest, service.view, principal)


def _find_version(service: Service, version: int) -> Manifest:
    try:
        return service.publications.reader.read_version(version)
    except ForeactError:
        raise ApiError(404, "publication_not_found", f"publication {version} does not exist") from None


def _describe_version(manifest: Manifest, view: FreshnessView, principal: Principal) -> Listed:
    scope, attribute = principal.visible_scope, view.region_attribute
    is_admin = principal.role >= Role.admin
    return Listed(
        version=manifest.version,
        previous=manifest.previous,
        created_at=manifest.created_at,
        created_by=manifest.created_by if is_admin else None,
        action=manifest.action,
        reason=manifest.reason if is_admin else None,
        restored=manifest.restored,
        current=manifest.version == view.snapshot.version,
        stores={
            store: entry.run
            for store, entry in manifest.stores.items()
            if scope.covers(store, entry.attributes.get(attribute))
        },
    )
