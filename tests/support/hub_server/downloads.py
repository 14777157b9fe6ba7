"""Routes that give files: trees, downloads with redirects and ranges, pages of static Spaces."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
from urllib.parse import parse_qs, quote

from tests.support.hub_server.contents import Commit, Repository, lfs_pointer
from tests.support.hub_server.hub import Hub
from tests.support.hub_server.routing import PAGE, REPO, REVISION, Refused, Reply, Request, route


@route("GET", f"{REPO}/tree/{REVISION}(?:/(?P<path>.+))?")
def tree(hub: Hub, request: Request, kind: str, id: str, revision: str, path: str | None) -> Reply:
    repo = hub.repository(kind, id, request)
    commit = repo.commit(revision)
    prefix = f"{path.rstrip('/')}/" if path else ""
    inside = [name for name in commit.files if name.startswith(prefix)]
    if path and not inside:
        raise Refused(404, f"{path} does not exist on {revision}", "EntryNotFound")
    names = {name for file in inside for name in [file, *_folders(file)] if name.startswith(prefix)}
    if not request.flag("recursive"):
        names = {name for name in names if "/" not in name.removeprefix(prefix)}
    expand = request.flag("expand")
    return Reply(body=[_entry(repo, commit, name, expand) for name in sorted(names - {prefix.rstrip("/")})])


@route("POST", f"{REPO}/paths-info/{REVISION}")
def paths_info(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    repo = hub.repository(kind, id, request)
    commit = repo.commit(revision)
    if request.headers.get("content-type", "").startswith("application/json"):
        payload = request.json()
    else:
        payload = parse_qs(request.body.decode())
    there = {name for file in commit.files for name in [file, *_folders(file)]}
    expand = str(payload.get("expand", "")).lower() in ("true", "['true']")
    wanted = [path.rstrip("/") for path in payload.get("paths", [])]
    return Reply(body=[_entry(repo, commit, path, expand) for path in wanted if path in there])


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _entry(repo: Repository, commit: Commit, path: str, expand: bool) -> dict:
    file = commit.files.get(path)
    if file is None:
        inside = sorted((name, each.oid) for name, each in commit.files.items() if name.startswith(f"{path}/"))
        oid = hashlib.sha1(json.dumps(inside).encode()).hexdigest()
        entry = {"type": "directory", "oid": oid, "size": 0, "path": path}
    else:
        entry = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
        if file.lfs:
            pointer = len(lfs_pointer(file.sha256, file.size))
            entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": pointer}
    if expand:
        last = repo.last_change(commit, path)
        entry["lastCommit"] = {"id": last.oid, "title": last.title, "date": last.date}
    return entry


@route("GET", f"{PAGE}/(?:resolve|raw)/{REVISION}/(?P<path>.+)")
def resolve(hub: Hub, request: Request, kind: str, id: str, revision: str, path: str) -> Reply:
    repo = hub.repository(kind.rstrip("s/") or "model", id, request)
    commit = repo.commit(revision)
    headers = {"X-Repo-Commit": commit.oid}
    file = commit.files.get(path)
    if file is None:
        raise Refused(404, f"Entry not found: {path}", "EntryNotFound", headers)
    if not file.lfs:
        return ranged(request, hub.content(file), file.oid, "text/plain; charset=utf-8", headers)
    storage = request.url.replace("127.0.0.1", "localhost")  # another host, which must not be sent the token
    headers |= {"X-Linked-ETag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    headers["Location"] = f"{storage}/_cdn/{file.sha256}?filename={quote(path.rsplit('/', 1)[-1])}"
    return Reply(302, b"", headers)


@route("GET", "/_cdn/(?P<sha256>[0-9a-f]{64})")
def content_delivery(hub: Hub, request: Request, sha256: str) -> Reply:
    if not hub.has(sha256):
        raise Refused(403, "Access denied")
    return ranged(request, (hub.folder / sha256).read_bytes(), sha256, "application/octet-stream", {})


@route("GET", "/_spaces/(?P<id>[^/]+/[^/]+)/(?P<path>.*)")
def space_page(hub: Hub, request: Request, id: str, path: str) -> Reply:
    """A static Space, as its visitors get it."""
    commit = hub.repository("space", id, request).commit("main")
    file = commit.files.get(path or "index.html")
    if file is None:
        raise Refused(404, "Entry not found", "EntryNotFound")
    kind = mimetypes.guess_type(path or "index.html")[0] or "application/octet-stream"
    return ranged(request, hub.content(file), file.sha256, kind, {})


def ranged(request: Request, content: bytes, etag: str, kind: str, headers: dict[str, str]) -> Reply:
    """The part of the content that the request's Range header asks for."""
    headers = {**headers, "ETag": f'"{etag}"', "Content-Type": kind, "Accept-Ranges": "bytes"}
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if match is None or not any(match.groups()):
        return Reply(200, content, headers)
    first, last = match.groups()
    start = int(first) if first else max(len(content) - int(last), 0)
    stop = min(int(last) + 1, len(content)) if first and last else len(content)
    if start >= stop:
        headers["Content-Range"] = f"bytes */{len(content)}"
        raise Refused(416, "Range not satisfiable", headers={"Content-Range": headers["Content-Range"]})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
    return Reply(206, content[start:stop], headers)
