"""Requests, replies, errors, and the table of functions that answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str, code: str | None = None, headers: dict | None = None, **body):
        super().__init__(message)
        self.reply = Reply(status, {"error": message, **body}, dict(headers or {}))
        self.reply.headers["X-Error-Message"] = message.encode("ascii", "replace").decode().replace("\n", " ")
        if code:
            self.reply.headers["X-Error-Code"] = code


@dataclass
class Reply:
    status: int = 200
    body: object = b""  # bytes, or what is sent as JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]  # names in lower case
    body: bytes
    user: str | None
    role: str | None
    url: str  # of the server

    def json(self) -> dict:
        try:
            content = json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refused(400, f"Invalid JSON: {error}") from None
        if not isinstance(content, dict):
            raise Refused(400, "The body must be a JSON object.")
        return content

    def flag(self, name: str) -> bool:
        return self.query.get(name, [""])[0].lower() in ("1", "true")


@dataclass
class Fault:
    """What happens to the next `times` requests of this method whose path matches."""

    method: str
    path: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    drop_after_bytes: int | None = None  # of the request's body
    cut_after_bytes: int | None = None  # of the answer's body
    delay: float = 0.0


ROUTES: list[tuple[str, re.Pattern, Callable[..., Reply]]] = []
REPO = r"/api/(?P<kind>model|dataset|space)s/(?P<id>[^/]+/[^/]+)"
PAGE = r"/(?P<kind>datasets/|spaces/|)(?P<id>[^/]+/[^/]+?)"
REVISION = r"(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+)"


def route(method: str, pattern: str):
    """Let a function `(hub, request, **groups of the pattern) -> Reply` answer requests for a path."""

    def register(function: Callable[..., Reply]) -> Callable[..., Reply]:
        ROUTES.append((method, re.compile(pattern), function))
        return function

    return register
