"""Renders templates, and errors as pages that say what to do."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from foreact.errors import count_noun
from foreact.naming import encode_id
from foreact.steps import STEPS
from serving.auth.principal import Principal
from serving.dashboard import formatting
from serving.dependencies import service_of

# The longest address that a login returns to.
LONGEST_TARGET = 2_000
STATIC = Path(__file__).parent / "static"
# How many alerts a page shows before it is asked for more.
ALERTS_SHOWN = 6

# What each state means to a planner: a title, and what they can do about it.
PROBLEMS = {
    "no_publication": ("No forecasts yet", "They appear here by themselves once the first run has published."),
    "store_unavailable": ("The forecast store does not answer", "Try again in a minute; nothing is lost."),
    "store_not_found": ("No such store here", "Go to the overview, which has all your stores."),
    "store_damaged": (
        "The numbers of this store are damaged",
        "Update it on the overview; the other stores are not affected.",
    ),
    "item_not_found": ("No such item here", "Look for it on the page of its store."),
    "forbidden": ("You may not do this", "Ask your administrator for the role that this requires."),
    "csrf": ("This page was out of date", "Nothing has changed. Go to the overview and try again there."),
    "invalid_parameter": (
        "This address does not work",
        "Part of it is not valid. Go to the overview.",
    ),
    "not_found": ("Nothing is here", "The address may be out of date. Go to the overview."),
    "too_many_requests": ("Too many tries", "Wait a minute, then try again."),
}


@lru_cache
def static_version() -> str:
    """Return a hash of all static files, which is part of their address, so that browsers may cache them for ever."""
    digest = sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


STEP_TITLES = {step.name: step.planners_title for step in STEPS.values()}


def _encode_json(value: Any) -> Markup:
    """Return data as JSON for a script element; no character in it can end the element."""
    text = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped)  # noqa: S704


@lru_cache
def make_templates() -> Environment:
    """Return the templates' environment; everything is escaped, and an undefined name is an error."""
    environment = Environment(
        loader=PackageLoader("serving.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "json": _encode_json,
        "units": formatting.format_units,
        "count": formatting.format_count,
        "things": count_noun,
        "name_experts": formatting.format_experts,
        "less": formatting.format_difference,
        "percent": formatting.format_percent,
        "change": formatting.format_change,
        "points": formatting.format_points,
        "day": formatting.format_day,
        "moment": formatting.format_moment,
        "cell": formatting.format_cell,
        "driver": formatting.format_driver,
        "encode_id": encode_id,
    }
    environment.globals |= {"ALERTS_SHOWN": ALERTS_SHOWN}
    environment.globals["static"] = lambda name: f"/static/{static_version()}/{name}"
    return environment


def render_page(
    request: Request, template: str, context: Mapping[str, Any], principal: Principal | None, status: int = 200
) -> Response:
    """Return a page as an answer."""
    service = service_of(request)
    view = service.views.current
    shared = {
        "principal": principal,
        "view": view,
        "zone": service.views.promise.zone,
        "now": service.clock(),
        "refused": service.publications.refused,
        "unreachable": service.publications.unreachable,
        "steps": STEP_TITLES,
    }
    body = make_templates().get_template(template).render({**shared, **context})
    return Response(body, status, {"cache-control": "no-store"}, "text/html; charset=utf-8")


async def problem_page(request: Request, status: int, code: str, message: str) -> Response:
    """Return the page of an error, or a redirect to the login for a person who is not logged in."""
    if status == 401:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if len(target) > LONGEST_TARGET:
            target = request.url.path
        return RedirectResponse(f"/login?target={quote(target)}", 303)
    title, advice = PROBLEMS.get(code, ("This did not work", "Try again, or go to the overview."))
    # As was found out at the door; keys that cannot be read now could not be then.
    principal = request.scope.get("principal")
    context = {"title": title, "advice": advice, "message": message, "code": code}
    return await run_in_threadpool(render_page, request, "problem.html", context, principal, status)


def failure_page(request_id: str) -> Response:
    """Return the page of an unexpected error; it uses no part of the service, because any of them may be broken."""
    context = {"request_id": request_id, "principal": None, "view": None, "steps": STEP_TITLES}
    body = make_templates().get_template("failure.html").render(context)
    return Response(body, 500, {"cache-control": "no-store"}, "text/html; charset=utf-8")
