"""The API's reference as a page, made from the OpenAPI description without files of other sites."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.dashboard.pages import render_page
from serving.dependencies import identify

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def show_reference(request: Request) -> Response:
    """Show every operation with its parameters and answers."""
    description = request.app.openapi()
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation.get("description", "").strip(),
                    "parameters": [_describe_parameter(parameter) for parameter in operation.get("parameters", [])],
                    "statuses": sorted(operation.get("responses", {})),
                }
            )
    context = {"info": description["info"], "groups": groups}
    return render_page(request, "reference.html", context, await identify(request))


def _describe_parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    schema = parameter.get("schema", {})
    kinds = [schema, *schema.get("anyOf", [])]
    kind = next((found["type"] for found in kinds if found.get("type") not in {None, "null"}), "")
    return {
        "name": parameter["name"],
        "place": parameter["in"],
        "kind": kind,
        "required": parameter.get("required", False),
        "description": parameter.get("description") or schema.get("description", ""),
    }
