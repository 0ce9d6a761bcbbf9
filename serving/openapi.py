"""What /docs.json says: BentoML's description of the two POST routes, completed and corrected.

BentoML knows neither the GET routes nor the form of the service's errors.
"""

from typing import Any

from serving.access import OPEN_ROUTES
from serving.guard import GETS, POSTS, PROBES
from serving.messages import MAX_NAME

_ERROR = {
    "description": "An error; `code` is for programs, `message` says where, what and what to do instead. "
    "429 and 503 carry Retry-After, in seconds.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "object"},
            },
        }
    },
}
_KEY_SCHEME = {"type": "http", "scheme": "bearer", "description": "The key that the service was started with."}
_GET_DESCRIPTIONS = {
    "/": "The routes of the service.",
    "/v1/topics": "The topics of the model in use: id, name, definition, threshold, uncertain band.",
    "/v1/model": "The model in use: version, base, data, metrics; and the limits of the service.",
    "/docs.json": "This description.",
    "/livez": "200 while the service runs.",
    "/readyz": "200 once a model is loaded, 503 before.",
    "/metrics": "Prometheus metrics.",
}


def complete(spec: dict[str, Any], with_key: bool = False) -> dict[str, Any]:
    """Return BentoML's OpenAPI description with all routes, errors as they are, and the key if one is asked for."""
    paths: dict[str, Any] = {path: _with_errors(spec["paths"][path]) for path in POSTS}
    paths |= {path: {"get": _get(path)} for path in GETS}
    schemas = {"Record": spec["components"]["schemas"]["Record"], "Error": _ERROR_SCHEMA}
    about = f"Tags paragraphs of Chinese news by topic. Limits: see /v1/model; a name has up to {MAX_NAME} characters."
    info = {"title": "duanbiao", "version": "1", "description": about}
    # BentoML says 3.0.2, which has no `prefixItems`, and then uses it.
    whole = {**spec, "openapi": "3.1.0", "info": info, "tags": [], "paths": paths}
    described = {**whole, "components": {"schemas": schemas}}
    return _with_key(described) if with_key else described


def _with_key(described: dict[str, Any]) -> dict[str, Any]:
    components = {**described["components"], "securitySchemes": {"key": _KEY_SCHEME}}
    unlocked = {path: {"get": {**described["paths"][path]["get"], "security": []}} for path in OPEN_ROUTES}
    paths = {**described["paths"], **unlocked}
    return {**described, "paths": paths, "components": components, "security": [{"key": []}]}


def _with_errors(path: dict[str, Any]) -> dict[str, Any]:
    # BentoML keys the answers by numbers.
    post = {key: value for key, value in path["post"].items() if key != "tags"}
    body = {**post["requestBody"], "required": True}
    responses = {"200": path["post"]["responses"][200], "4XX": _ERROR, "5XX": _ERROR}
    return {"post": {**post, "requestBody": body, "responses": responses}}


def _get(path: str) -> dict[str, Any]:
    media, kind = ("text/plain", "string") if path in PROBES else ("application/json", "object")
    answer = {"description": "The answer.", "content": {media: {"schema": {"type": kind}}}}
    return {"description": _GET_DESCRIPTIONS[path], "responses": {"200": answer, "4XX": _ERROR, "5XX": _ERROR}}
