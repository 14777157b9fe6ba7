"""Routes of collections."""

from __future__ import annotations

import hashlib
import re

from tests.support.hub_server.contents import now
from tests.support.hub_server.hub import Hub
from tests.support.hub_server.routing import Refused, Reply, Request, route

_COLLECTION = r"/api/collections/(?P<slug>[^/]+/[^/]+)"


@route("POST", "/api/collections")
def create_collection(hub: Hub, request: Request) -> Reply:
    payload = request.json()
    title, owner = payload.get("title") or "", payload.get("namespace") or request.user
    hub.check_write(request, owner, f'You don\'t have the rights to create a collection under "{owner}"')
    if not 0 < len(title) < 60 or len(payload.get("description") or "") > 150:
        raise Refused(400, "A title has 1 to 59 characters, a description at most 150.")
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    slug = f"{owner}/{words}-{hashlib.sha1(f'{owner}/{title}'.encode()).hexdigest()[:24]}"
    if slug in hub.collections:
        raise Refused(409, "This collection already exists", slug=slug)
    hub.collections[slug] = {
        "slug": slug,
        "title": title,
        "description": payload.get("description"),
        "owner": {"name": owner, "type": "user" if owner == request.user else "org"},
        "items": [],
        "lastUpdated": now(),
        "position": 0,
        "private": bool(payload.get("private")),
        "theme": "orange",
        "upvotes": 0,
    }
    return Reply(body=hub.collections[slug])


@route("GET", _COLLECTION)
def get_collection(hub: Hub, request: Request, slug: str) -> Reply:
    return Reply(body=find_collection(hub, request, slug))


@route("DELETE", _COLLECTION)
def delete_collection(hub: Hub, request: Request, slug: str) -> Reply:
    del hub.collections[find_collection(hub, request, slug, write=True)["slug"]]
    return Reply()


@route("POST", f"{_COLLECTION}/items")
def add_collection_item(hub: Hub, request: Request, slug: str) -> Reply:
    collection = find_collection(hub, request, slug, write=True)
    payload = request.json()
    item = payload.get("item") or {}
    if item.get("type") not in ("model", "dataset", "space", "paper"):
        raise Refused(400, f'"item.type" must be one of [model, dataset, space, paper], not {item.get("type")!r}')
    if item["type"] != "paper":
        hub.repository(item["type"], item.get("id", ""), request)
    if any((each["type"], each["id"]) == (item["type"], item["id"]) for each in collection["items"]):
        raise Refused(409, "Item already exists in this collection")
    note = {"text": payload["note"], "html": payload["note"]} if payload.get("note") else None
    name = f"{next(hub.counter):024x}"
    entry = {"_id": name, "id": item["id"], "type": item["type"], "position": len(collection["items"])}
    collection["items"].append({**entry, "note": note} if note else entry)
    collection["lastUpdated"] = now()
    return Reply(body=collection)


def find_collection(hub: Hub, request: Request, slug: str, write: bool = False) -> dict:
    ending = slug.rsplit("-", 1)[-1]  # the words before it may be anything
    owner = slug.split("/")[0]
    named = (
        each for name, each in hub.collections.items() if name.split("/")[0] == owner and name.endswith(f"-{ending}")
    )
    collection = next(named, None)
    if collection is None or (collection["private"] and not hub.member(request, owner)):
        raise Refused(404, "Collection not found")
    if write:
        hub.check_write(request, owner, "You don't have permission to change this collection")
    return collection
