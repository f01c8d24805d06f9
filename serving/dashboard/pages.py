"""Turns templates into answers, and problems into pages that say what to do."""

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
from foreact.naming import encode_store as name_of
from foreact.steps import STEPS
from serving.auth.principal import Principal
from serving.dashboard import formatting
from serving.dashboard.columns import TOTALS
from serving.dependencies import identify, service_of

# The longest address of ours that a login leads back to.
LONGEST_TARGET = 2_000
STATIC = Path(__file__).parent / "static"

# What each state means to a planner: a title, and what they can do about it.
PROBLEMS = {
    "no_publication": ("No forecasts yet", "They appear here by themselves once the first run has published."),
    "store_unavailable": ("The forecast store does not answer", "Try again in a minute; nothing is lost."),
    "store_not_found": ("No such store here", "Begin at the overview, which has all of your stores."),
    "store_damaged": (
        "The numbers of this store are damaged",
        "Update it on the overview; the other stores are not affected.",
    ),
    "item_not_found": ("No such item here", "Look for it among the items on the page of its store."),
    "forbidden": ("You may not do this", "Ask your administrator for the role that this needs."),
    "csrf": ("This page was out of date", "Nothing is changed. Begin at the overview, and do it again there."),
    "invalid_parameter": (
        "This address does not work",
        "A part of it is not what the page takes. Begin at the overview.",
    ),
    "not_found": ("Nothing is here", "The address may be old. Begin at the overview."),
    "too_many_requests": ("Too many tries", "Wait a minute, then try again."),
}


@lru_cache
def static_version() -> str:
    """Name the state of all static files, so that browsers may keep them for ever."""
    digest = sha256()
    for path in sorted(STATIC.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


STEP_TITLES = {step.name: step.planners_title for step in STEPS.values()}


def _encode_json(value: Any) -> Markup:
    """Write data into a page: no character in it can end the element that it stands in."""
    text = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped)  # noqa: S704


@lru_cache
def make_templates() -> Environment:
    """Make the templates' surroundings; everything is escaped, and a name that is not there is an error."""
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
        "less": formatting.format_difference,
        "percent": formatting.format_percent,
        "change": formatting.format_change,
        "points": formatting.format_points,
        "day": formatting.format_day,
        "moment": formatting.format_moment,
        "ago": formatting.format_age,
        "cell": formatting.format_cell,
        "driver": formatting.format_driver,
        "name_of": name_of,
    }
    environment.globals["TOTALS"] = TOTALS
    environment.globals["static"] = lambda name: f"/static/{static_version()}/{name}"
    return environment


def render_page(
    request: Request, template: str, context: Mapping[str, Any], principal: Principal | None, status: int = 200
) -> Response:
    """Make a page for somebody."""
    service = service_of(request)
    view = service.board.view
    shared = {
        "principal": principal,
        "view": view,
        "zone": service.board.promise.zone,
        "now": service.clock(),
        "refused": service.library.refused,
        "unreachable": service.library.unreachable,
        "steps": STEP_TITLES,
    }
    body = make_templates().get_template(template).render({**shared, **context})
    return Response(body, status, {"cache-control": "no-store"}, "text/html; charset=utf-8")


async def problem_page(request: Request, status: int, code: str, message: str) -> Response:
    """Show a person what is wrong; who is not logged in goes to the login and comes back."""
    if status == 401:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if len(target) > LONGEST_TARGET:
            target = request.url.path
        return RedirectResponse(f"/login?target={quote(target)}", 303)
    title, advice = PROBLEMS.get(code, ("This did not work", "Try again, or begin at the overview."))
    principal = await identify(request)
    context = {"title": title, "advice": advice, "message": message, "code": code}
    return await run_in_threadpool(render_page, request, "problem.html", context, principal, status)


def failure_page(request_id: str) -> Response:
    """Show a person that something broke; this asks nothing of the service's parts, as any of them may have broken."""
    context = {"request_id": request_id, "principal": None, "view": None, "steps": STEP_TITLES}
    body = make_templates().get_template("failure.html").render(context)
    return Response(body, 500, {"cache-control": "no-store"}, "text/html; charset=utf-8")
