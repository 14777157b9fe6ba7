"""Routes for the tests alone: `/_admin/` makes requests fail and tells what was requested."""

from __future__ import annotations

import base64

from tests.support.hub_server.hub import Hub
from tests.support.hub_server.routing import REVISION, Fault, Refused, Reply, Request, route


@route("POST", "/_admin/faults")
def add_fault(hub: Hub, request: Request) -> Reply:
    hub.faults.append(Fault(**request.json()))
    return Reply()


@route("DELETE", "/_admin/faults")
def reset_faults(hub: Hub, request: Request) -> Reply:
    hub.faults.clear()
    return Reply()


@route("GET", "/_admin/requests")
def list_requests(hub: Hub, request: Request) -> Reply:
    return Reply(body=hub.requests)


@route("DELETE", "/_admin/requests")
def forget_requests(hub: Hub, request: Request) -> Reply:
    hub.requests.clear()
    return Reply()


@route("POST", "/_admin/reset")
def reset(hub: Hub, request: Request) -> Reply:
    hub.reset()
    return Reply()


@route("GET", f"/_admin/repositories/(?P<kind>[^/]+)/(?P<id>[^/]+/[^/]+)/{REVISION}")
def dump(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    if (kind, id) not in hub.repositories:
        raise Refused(404, f"There is no {kind} {id}.")
    repo = hub.repositories[kind, id]
    commit = repo.commit(revision)
    files = {path: base64.b64encode(hub.content(file)).decode() for path, file in sorted(commit.files.items())}
    return Reply(body={"commits": [each.oid for each in repo.history(commit)], "files": files})
