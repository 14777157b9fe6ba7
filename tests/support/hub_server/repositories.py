"""Routes that make, change, list and describe repositories, branches and tags."""

from __future__ import annotations

import hashlib
import json
import re

from tests.support.hub_metadata import read_metadata
from tests.support.hub_server.contents import (
    LFS_LINE,
    LFS_MEDIA,
    LFS_PATTERNS,
    Commit,
    Repository,
    lfs_pointer,
    now,
)
from tests.support.hub_server.hub import Hub
from tests.support.hub_server.routing import REPO, REVISION, Refused, Reply, Request, route


@route("POST", "/api/repos/create")
def create_repository(hub: Hub, request: Request) -> Reply:
    payload = request.json()
    kind = payload.get("type") or "model"
    hub.check_write(request, None, "")
    namespace = payload.get("organization") or request.user
    hub.check_write(
        request, namespace, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"'
    )
    if kind not in ("model", "dataset", "space"):
        raise Refused(400, f'"type" must be one of [model, dataset, space], not {kind!r}')
    if not re.fullmatch(r"(?!.*(--|\.\.))[A-Za-z0-9_][\w.-]{0,95}", payload.get("name") or "", re.ASCII):
        raise Refused(400, f"Invalid repository name: {payload.get('name')!r}")
    sdk = payload.get("sdk")
    if kind == "space" and sdk not in ("static", "gradio", "docker"):
        raise Refused(400, '"sdk" must be one of [static, gradio, docker]')
    visibility = payload.get("visibility") or ("private" if payload.get("private") else "public")
    repo = Repository(kind, f"{namespace}/{payload['name']}", visibility == "private", sdk, now())
    url = f"{request.url}/{repo.page}"
    if (kind, repo.id) in hub.repositories:
        raise Refused(409, f"You already created this {kind} repo: {repo.id}", url=url)
    patterns = LFS_PATTERNS + (LFS_MEDIA if kind == "dataset" else [])
    starting = {".gitattributes": "".join(map(LFS_LINE.format, patterns))}
    if kind == "space":
        starting["README.md"] = f"---\ntitle: {payload['name']}\nemoji: 🐨\nsdk: {sdk}\npinned: false\n---\n"
    if sdk == "static":
        starting["index.html"] = "<!doctype html>\n<p>Welcome to your static Space!</p>\n"
        starting["style.css"] = "body {\n\tpadding: 2rem;\n}\n"
    files = {path: hub.regular(text.encode()) for path, text in starting.items()}
    hub.repositories[kind, repo.id] = repo
    hub.add_commit(repo, "refs/heads/main", files, str(request.user), "initial commit")
    return Reply(body={"url": url, "name": repo.id, "id": repo.id})


@route("POST", "/api/repos/move")
def move_repository(hub: Hub, request: Request) -> Reply:
    payload = request.json()
    kind, new = payload.get("type") or "model", payload["toRepo"]
    repo = hub.repository(kind, payload["fromRepo"], request, write=True)
    hub.check_write(request, new.split("/")[0], "You don't have the rights to use this namespace")
    if (kind, new) in hub.repositories:
        raise Refused(409, f"You already created this {kind} repo: {new}")
    del hub.repositories[kind, repo.id]
    hub.moved[kind, repo.id] = repo.id = new
    hub.repositories[kind, new] = repo
    return Reply()


@route("DELETE", "/api/repos/delete")
def delete_repository(hub: Hub, request: Request) -> Reply:
    payload = request.json()
    id = f"{payload.get('organization') or request.user}/{payload.get('name')}"
    repo = hub.repository(payload.get("type") or "model", id, request, write=True)
    del hub.repositories[repo.kind, repo.id]
    return Reply()


@route("PUT", f"{REPO}/settings")
def change_settings(hub: Hub, request: Request, kind: str, id: str) -> Reply:
    repo = hub.repository(kind, id, request, write=True)
    payload = request.json()
    repo.private = payload.get("visibility") == "private" if "visibility" in payload else bool(payload.get("private"))
    return Reply(body={"private": repo.private})


@route("GET", "/api/(?P<kind>model|dataset|space)s")
def list_repositories(hub: Hub, request: Request, kind: str) -> Reply:
    author, search = (request.query.get(name, [""])[0] for name in ("author", "search"))
    seen = [
        repo
        for repo in hub.repositories.values()
        if repo.kind == kind and (not repo.private or hub.member(request, repo.namespace))
    ]
    found = [repo for repo in seen if author in ("", repo.namespace) and search.lower() in repo.id.lower()]
    return Reply(body=[info(hub, request, repo, repo.commit("main")) for repo in found])


@route("GET", f"{REPO}(?:/revision/{REVISION})?")
def repository_info(hub: Hub, request: Request, kind: str, id: str, revision: str | None) -> Reply:
    repo = hub.repository(kind, id, request)
    return Reply(body=info(hub, request, repo, repo.commit(revision or "main")))


def info(hub: Hub, request: Request, repo: Repository, commit: Commit) -> dict:
    """What the Hub tells about a repository, from its files."""
    card = read_metadata(hub.content(commit.files["README.md"]).decode()) if "README.md" in commit.files else {}
    siblings: list[dict] = [{"rfilename": path} for path in sorted(commit.files)]
    if request.flag("blobs"):
        for sibling in siblings:
            file = commit.files[sibling["rfilename"]]
            sibling |= {"size": file.size, "blobId": file.oid}
            if file.lfs:
                pointer = len(lfs_pointer(file.sha256, file.size))
                sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": pointer}
    about = {
        "_id": hashlib.sha1(repo.page.encode()).hexdigest()[:24],
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.oid,
        "lastModified": commit.date,
        "createdAt": repo.created,
        "private": repo.private,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [*card.get("tags", []), *[f"license:{card[name]}" for name in ("license",) if name in card]],
        "cardData": json.loads(json.dumps(card, default=str)),
        "siblings": siblings,
        "usedStorage": sum(file.size for file in commit.files.values()),
    }
    if repo.kind == "model":
        config = {}
        if "config.json" in commit.files:
            try:
                config = json.loads(hub.content(commit.files["config.json"]))
            except ValueError:
                config = {}
        shown = ("architectures", "model_type", "auto_map")
        about |= {
            "modelId": repo.id,
            "library_name": card.get("library_name"),
            "pipeline_tag": card.get("pipeline_tag"),
            "model-index": about["cardData"].get("model-index"),
            "config": {name: config[name] for name in shown if name in config},
        }
    if repo.kind == "space":
        runtime = {"stage": "RUNNING", "hardware": {"current": None, "requested": None}, "gcTimeout": None}
        about |= {"sdk": card.get("sdk", repo.sdk), "runtime": runtime}
        about |= {"subdomain": repo.id.replace("/", "-"), "host": f"{request.url}/_spaces/{repo.id}/"}
    return about


@route("GET", f"{REPO}/refs")
def list_refs(hub: Hub, request: Request, kind: str, id: str) -> Reply:
    repo = hub.repository(kind, id, request)

    def under(prefix: str) -> list[dict]:
        found = [(ref, oid) for ref, oid in repo.refs.items() if ref.startswith(prefix)]
        return [{"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": oid} for ref, oid in found]

    refs = {"branches": under("refs/heads/"), "converts": under("refs/convert/"), "tags": under("refs/tags/")}
    return Reply(body={**refs, "pullRequests": under("refs/pr/")} if request.flag("include_prs") else refs)


@route("GET", f"{REPO}/commits/{REVISION}")
def list_commits(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    repo = hub.repository(kind, id, request)
    return Reply(
        body=[
            {"id": c.oid, "title": c.title, "message": c.message, "date": c.date, "authors": [{"user": c.author}]}
            for c in repo.history(repo.commit(revision))
        ]
    )


@route("POST", f"{REPO}/branch/(?P<branch>[^/]+)")
def create_branch(hub: Hub, request: Request, kind: str, id: str, branch: str) -> Reply:
    repo = hub.repository(kind, id, request, write=True)
    if f"refs/heads/{branch}" in repo.refs:
        raise Refused(409, f"Reference already exists: refs/heads/{branch}")
    if not re.fullmatch(r"[\w./-]+", branch) or branch.startswith("refs/"):
        raise Refused(400, f"Invalid branch name: {branch}")
    repo.refs[f"refs/heads/{branch}"] = repo.commit(request.json().get("startingPoint") or "main").oid
    return Reply(201, {"ref": f"refs/heads/{branch}"})


@route("DELETE", f"{REPO}/branch/(?P<branch>[^/]+)")
def delete_branch(hub: Hub, request: Request, kind: str, id: str, branch: str) -> Reply:
    repo = hub.repository(kind, id, request, write=True)
    if branch == "main":
        raise Refused(403, "The main branch cannot be deleted.")
    if repo.refs.pop(f"refs/heads/{branch}", None) is None:
        raise Refused(404, f"Reference does not exist: refs/heads/{branch}", "RevisionNotFound")
    return Reply()


@route("POST", f"{REPO}/tag/{REVISION}")
def create_tag(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    repo = hub.repository(kind, id, request, write=True)
    ref = f"refs/tags/{request.json().get('tag')}"
    if ref in repo.refs:
        raise Refused(409, f"Tag reference exists already: {ref}")
    repo.refs[ref] = repo.commit(revision).oid
    return Reply(201, {"ref": ref})
