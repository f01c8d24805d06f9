"""Refuses parameters that the OpenAPI description does not have: a misspelt filter must not answer with everything."""

from collections import Counter
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from foreact.errors import suggest_name

MOST_NAMED = 5
Known = dict[str, bool]


async def check_parameters(request: Request) -> None:
    """Raise RequestValidationError for unknown query parameters, and for several values of one that takes one."""
    if not request.scope["query_string"]:
        return
    known = _read_description(request)[request.scope["route"].path, request.method]
    counts = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [name for name, count in counts.items() if name not in known or (count > 1 and not known[name])]
    if wrong:
        raise RequestValidationError(
            [{"loc": ("query", name[:100]), "msg": _describe_problem(name, known)} for name in wrong[:MOST_NAMED]]
        )


def _describe_problem(name: str, known: Known) -> str:
    if name in known:
        return "it may be given only once"
    return f"there is no such parameter{_suggest_parameter(name, known)}"


def _suggest_parameter(name: str, known: Known) -> str:
    if hint := suggest_name(name[:100], known):
        return hint
    return f"; there are {', '.join(sorted(known))}" if known else "; there are none"


def _read_description(request: Request) -> dict[tuple[str, str], Known]:
    """Return each route's query parameters, and whether each may be given several times, as the description says."""
    state = request.app.state
    if not hasattr(state, "parameters"):
        state.parameters = {
            (path, method.upper()): {
                each["name"]: _is_list(each["schema"])
                for each in operation.get("parameters", ())
                if each["in"] == "query"
            }
            for path, methods in request.app.openapi()["paths"].items()
            for method, operation in methods.items()
        }
    found: dict[tuple[str, str], Known] = state.parameters
    return found


def _is_list(schema: dict[str, Any]) -> bool:
    return any(kind.get("type") == "array" for kind in (schema, *schema.get("anyOf", ())))
