"""Routes that say who is asking."""

from __future__ import annotations

from tests.support.hub_server.hub import ORGANIZATIONS, Hub
from tests.support.hub_server.routing import REPO, Refused, Reply, Request, route


@route("GET", "/api/whoami-v2")
def whoami(hub: Hub, request: Request) -> Reply:
    if request.user is None:
        raise Refused(401, "Invalid username or password.")
    organizations = [{"type": "org", "name": name, "roleInOrg": "admin"} for name in ORGANIZATIONS[request.user]]
    access = {"displayName": "test", "role": request.role}
    user = {"type": "user", "id": request.user, "name": request.user, "fullname": request.user, "orgs": organizations}
    return Reply(body={**user, "auth": {"type": "access_token", "accessToken": access}})


@route("GET", "/api/agent-harnesses")
def agent_harnesses(hub: Hub, request: Request) -> Reply:
    return Reply(body={"standardEnvVars": [], "harnesses": {}})


@route("GET", f"{REPO}/auth-check(?P<write>/write)?")
def auth_check(hub: Hub, request: Request, kind: str, id: str, write: str | None) -> Reply:
    hub.repository(kind, id, request, write=bool(write))
    return Reply(body={})
