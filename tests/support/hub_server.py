"""A server that speaks the Hugging Face Hub's HTTP protocol, for tests: `python -m tests.support.hub_server --folder DIR`.

It keeps what the unmodified `huggingface_hub`, `transformers` and `datasets` need of the Hub: models, data sets and
Spaces with their commits, branches, tags and pull requests; uploads with git-LFS; downloads with redirects and ranges;
collections; tokens and private repositories; the rules for cards. File contents lie in `--folder`, everything else in
memory. `/_admin/` makes requests fail and tells what was requested. Error codes and messages follow huggingface.co.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import itertools
import json
import mimetypes
import os
import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.support.hub_metadata import check_card, read_metadata

TOKENS = {  # token: (user, role)
    "hf_test_write": ("tester", "write"),
    "hf_test_read": ("tester", "read"),
    "hf_test_other": ("other", "write"),
}
ORGANIZATIONS = {"tester": ["lab"], "other": []}
REGULAR_LIMIT = 10 * 2**20  # larger files must go through LFS

_LFS_LINE = "{} filter=lfs diff=lfs merge=lfs -text\n"
_LFS_PATTERNS = """
*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz *.onnx *.ot
*.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz
*.zip *.zst *tfevents*
""".split()  # noqa: SIM905
_LFS_MEDIA = """
*.bmp *.gif *.png *.tiff *.jpg *.jpeg *.webp *.mp4 *.webm *.aac *.flac *.mp3 *.ogg *.wav *.lz4 *.mds
""".split()  # noqa: SIM905


@dataclass
class File:
    """One version of one file. `oid` is git's name of it (of the pointer, in LFS), `sha256` names the content."""

    oid: str
    sha256: str
    size: int
    lfs: bool


@dataclass
class Commit:
    oid: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    files: dict[str, File]


@dataclass
class Repository:
    kind: str  # model, dataset or space
    id: str
    private: bool
    sdk: str | None
    created: str
    refs: dict[str, str] = field(default_factory=dict)  # refs/heads/main: oid of the commit
    commits: dict[str, Commit] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.id.split("/")[0]

    @property
    def page(self) -> str:
        return {"model": "", "dataset": "datasets/", "space": "spaces/"}[self.kind] + self.id

    def ref(self, revision: str) -> str | None:
        """The full name of a branch, tag or pull request."""
        names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
        return next((name for name in names if name in self.refs), None)

    def commit(self, revision: str) -> Commit:
        oid = self.refs.get(self.ref(revision) or "", revision)
        if oid not in self.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def history(self, commit: Commit) -> Iterator[Commit]:
        yield commit
        while commit.parent is not None:
            commit = self.commits[commit.parent]
            yield commit

    def last_change(self, commit: Commit, path: str) -> Commit:
        """The newest commit in which the file, or anything in the folder, is not as in the one before."""

        def state(commit: Commit) -> list:
            return sorted((p, f.oid) for p, f in commit.files.items() if p == path or p.startswith(f"{path}/"))

        history = list(self.history(commit))
        pairs = itertools.pairwise(history)
        return next((new for new, old in pairs if state(new) != state(old)), history[-1])


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


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def is_binary(content: bytes) -> bool:
    """Whether a file that starts so is not text: a zero byte, or not UTF-8 (a last character may be cut)."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return error.start < len(content) - 3
    return b"\0" in content


class Hub:
    """All repositories, their contents, and the faults to come."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.counter = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.moved: dict[tuple[str, str], str] = {}  # kind and former id: id
        self.collections: dict[str, dict] = {}
        self.faults: list[Fault] = []
        self.requests: list[dict] = []
        for path in self.folder.glob("?" * 64):  # each is named by its sha256
            path.unlink()

    # contents

    def store(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        temporary = self.folder / f"{sha256}.{next(self.counter)}"
        temporary.write_bytes(content)
        os.replace(temporary, self.folder / sha256)
        return sha256

    def has(self, sha256: str, size: int | None = None) -> bool:
        path = self.folder / sha256
        return path.is_file() and size in (None, path.stat().st_size)

    def content(self, file: File) -> bytes:
        return (self.folder / file.sha256).read_bytes()

    def regular(self, content: bytes) -> File:
        return File(git_oid(content), self.store(content), len(content), lfs=False)

    # repositories

    def repository(self, kind: str, id: str, request: Request, write: bool = False) -> Repository:
        """The repository, if whoever asks may see it, or change it.

        Raises:
            Refused: as the Hub does, a private repository is not found by those who may not see it, and a former
                name is redirected.
        """
        found = self.repositories.get((kind, id))
        if found is None and (kind, id) in self.moved:
            path = request.path.replace(id, self.moved[kind, id])
            query = urlencode(request.query, doseq=True)
            raise Refused(307, f"Redirecting to {path}", headers={"Location": f"{path}?{query}" if query else path})
        if found is None or (found.private and not self.member(request, found.namespace)):
            if request.user is None:
                raise Refused(401, "Invalid username or password.", "RepoNotFound")
            raise Refused(404, "Repository not found", "RepoNotFound")
        if write:
            self.check_write(request, found.namespace, "You don't have permission to change this repository")
        return found

    def member(self, request: Request, namespace: str) -> bool:
        return request.user is not None and namespace in (request.user, *ORGANIZATIONS[request.user])

    def check_write(self, request: Request, namespace: str | None, message: str) -> None:
        if request.user is None:
            raise Refused(401, "Invalid username or password.")
        if request.role != "write":
            raise Refused(403, "Forbidden: you must use a write token to upload to a repository.")
        if namespace is not None and not self.member(request, namespace):
            raise Refused(403, message)

    def add_commit(
        self, repo: Repository, ref: str, files: dict[str, File], author: str, title: str, message: str = ""
    ) -> Commit:
        parent = repo.refs.get(ref)
        date = now()
        name = json.dumps([next(self.counter), repo.id, parent, title, date, sorted(files)])
        commit = Commit(hashlib.sha1(name.encode()).hexdigest(), parent, title, message, author, date, files)
        repo.commits[commit.oid] = commit
        repo.refs[ref] = commit.oid
        return commit

    def lfs_patterns(self, commit: Commit) -> list[str]:
        if ".gitattributes" not in commit.files:
            return []
        lines = self.content(commit.files[".gitattributes"]).decode().splitlines()
        return [line.split()[0] for line in lines if "filter=lfs" in line]

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method in ("*", method) and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern of .gitattributes covers the path: without a slash it is about the file's name alone."""
    return fnmatch(path if "/" in pattern else path.rsplit("/", 1)[-1], pattern)


ROUTES: list[tuple[str, re.Pattern, Callable[..., Reply]]] = []
_REPO = r"/api/(?P<kind>model|dataset|space)s/(?P<id>[^/]+/[^/]+)"
_PAGE = r"/(?P<kind>datasets/|spaces/|)(?P<id>[^/]+/[^/]+?)"
_REVISION = r"(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+)"


def route(method: str, pattern: str):
    """Let a function `(hub, request, **groups of the pattern) -> Reply` answer requests for a path."""

    def register(function: Callable[..., Reply]) -> Callable[..., Reply]:
        ROUTES.append((method, re.compile(pattern), function))
        return function

    return register


# who is asking


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


@route("GET", f"{_REPO}/auth-check(?P<write>/write)?")
def auth_check(hub: Hub, request: Request, kind: str, id: str, write: str | None) -> Reply:
    hub.repository(kind, id, request, write=bool(write))
    return Reply(body={})


# repositories


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
    patterns = _LFS_PATTERNS + (_LFS_MEDIA if kind == "dataset" else [])
    starting = {".gitattributes": "".join(map(_LFS_LINE.format, patterns))}
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


@route("PUT", f"{_REPO}/settings")
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


@route("GET", f"{_REPO}(?:/revision/{_REVISION})?")
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


@route("GET", f"{_REPO}/refs")
def list_refs(hub: Hub, request: Request, kind: str, id: str) -> Reply:
    repo = hub.repository(kind, id, request)

    def under(prefix: str) -> list[dict]:
        found = [(ref, oid) for ref, oid in repo.refs.items() if ref.startswith(prefix)]
        return [{"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": oid} for ref, oid in found]

    refs = {"branches": under("refs/heads/"), "converts": under("refs/convert/"), "tags": under("refs/tags/")}
    return Reply(body={**refs, "pullRequests": under("refs/pr/")} if request.flag("include_prs") else refs)


@route("GET", f"{_REPO}/commits/{_REVISION}")
def list_commits(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    repo = hub.repository(kind, id, request)
    return Reply(
        body=[
            {"id": c.oid, "title": c.title, "message": c.message, "date": c.date, "authors": [{"user": c.author}]}
            for c in repo.history(repo.commit(revision))
        ]
    )


@route("POST", f"{_REPO}/branch/(?P<branch>[^/]+)")
def create_branch(hub: Hub, request: Request, kind: str, id: str, branch: str) -> Reply:
    repo = hub.repository(kind, id, request, write=True)
    if f"refs/heads/{branch}" in repo.refs:
        raise Refused(409, f"Reference already exists: refs/heads/{branch}")
    if not re.fullmatch(r"[\w./-]+", branch) or branch.startswith("refs/"):
        raise Refused(400, f"Invalid branch name: {branch}")
    repo.refs[f"refs/heads/{branch}"] = repo.commit(request.json().get("startingPoint") or "main").oid
    return Reply(201, {"ref": f"refs/heads/{branch}"})


@route("DELETE", f"{_REPO}/branch/(?P<branch>[^/]+)")
def delete_branch(hub: Hub, request: Request, kind: str, id: str, branch: str) -> Reply:
    repo = hub.repository(kind, id, request, write=True)
    if branch == "main":
        raise Refused(403, "The main branch cannot be deleted.")
    if repo.refs.pop(f"refs/heads/{branch}", None) is None:
        raise Refused(404, f"Reference does not exist: refs/heads/{branch}", "RevisionNotFound")
    return Reply()


@route("POST", f"{_REPO}/tag/{_REVISION}")
def create_tag(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    repo = hub.repository(kind, id, request, write=True)
    ref = f"refs/tags/{request.json().get('tag')}"
    if ref in repo.refs:
        raise Refused(409, f"Tag reference exists already: {ref}")
    repo.refs[ref] = repo.commit(revision).oid
    return Reply(201, {"ref": ref})


# uploads


@route("POST", "/api/validate-yaml")
def validate_yaml(hub: Hub, request: Request) -> Reply:
    payload = request.json()
    errors, warnings = check_card(payload.get("content", ""), payload.get("repoType") or "model")
    body = {
        name: [{"message": text} for text in found] for name, found in (("errors", errors), ("warnings", warnings))
    }
    return Reply(400 if errors else 200, body)


@route("POST", f"{_REPO}/preupload/{_REVISION}")
def preupload(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    pull = request.flag("create_pr")
    repo = hub.repository(kind, id, request, write=not pull)
    hub.check_write(request, None, "")
    commit = repo.commit(revision)
    patterns = hub.lfs_patterns(commit)
    answers = []
    for entry in request.json().get("files", []):
        path, sample = entry["path"], base64.b64decode(entry.get("sample", ""))
        lfs = any(matches(path, pattern) for pattern in patterns)
        lfs = lfs or is_binary(sample) or entry.get("size", 0) > REGULAR_LIMIT
        answer = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
        if path in commit.files:
            there = commit.files[path]
            answer["oid"] = there.sha256 if there.lfs else there.oid
        answers.append(answer)
    return Reply(body={"files": answers, "commitOid": commit.oid})


@route("POST", rf"{_PAGE}\.git/info/lfs/objects/batch")
def lfs_batch(hub: Hub, request: Request, kind: str, id: str) -> Reply:
    repo = hub.repository(kind.rstrip("s/") or "model", id, request)
    hub.check_write(request, None, "")
    objects = []
    for entry in request.json().get("objects", []):
        oid, size = entry["oid"], entry["size"]
        answer: dict = {"oid": oid, "size": size}
        if not re.fullmatch(r"[0-9a-f]{64}", oid):
            answer["error"] = {"code": 422, "message": "Invalid oid"}
        elif not hub.has(oid, size):
            upload = {"href": f"{request.url}/_lfs/{repo.page}/{oid}"}
            verify = {"href": f"{request.url}/{repo.page}.git/info/lfs/objects/verify"}
            answer["actions"] = {"upload": upload, "verify": verify}
        objects.append(answer)
    return Reply(
        body={"transfer": "basic", "objects": objects}, headers={"Content-Type": "application/vnd.git-lfs+json"}
    )


@route("PUT", "/_lfs/(?P<page>.+)/(?P<oid>[0-9a-f]{64})")
def lfs_upload(hub: Hub, request: Request, page: str, oid: str) -> Reply:
    """What a storage service does, to which the client has been sent: it knows no tokens."""
    if hashlib.sha256(request.body).hexdigest() != oid:
        raise Refused(400, "The content does not have the announced sha256.")
    hub.store(request.body)
    return Reply(headers={"ETag": f'"{oid}"'})


@route("POST", rf"{_PAGE}\.git/info/lfs/objects/verify")
def lfs_verify(hub: Hub, request: Request, kind: str, id: str) -> Reply:
    hub.repository(kind.rstrip("s/") or "model", id, request)
    payload = request.json()
    if not hub.has(payload.get("oid", "-"), payload.get("size")):
        raise Refused(404, "The object was not uploaded, or not whole.")
    return Reply(body={})


@route("POST", f"{_REPO}/commit/{_REVISION}")
def commit(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    pull = request.flag("create_pr")
    repo = hub.repository(kind, id, request, write=not pull)
    hub.check_write(request, None, "")
    try:
        lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
        operations = [(line["key"], line["value"]) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(400, f"Invalid ndjson: {error!r}") from None
    header = operations[0][1] if operations and operations[0][0] == "header" else {}
    if not header.get("summary"):
        raise Refused(400, "The first line must be the header, with a summary.")
    head = repo.commit(revision)
    ref = repo.ref(revision)
    if ref is None or ref.startswith("refs/tags/"):
        raise Refused(400, f"Commits go to a branch or a pull request, and {revision} is neither.")
    expected = header.get("parentCommit")
    if expected is not None and expected != head.oid:
        raise Refused(412, "A commit has happened since. Please refresh and try again.")
    files = dict(head.files)
    for key, value in operations[1:]:
        apply_operation(hub, files, key, value)
    if files.get("README.md") not in (None, head.files.get("README.md")):
        errors, _ = check_card(hub.content(files["README.md"]).decode(), repo.kind)
        if errors:
            raise Refused(400, "Invalid metadata in README.md: " + " ".join(errors))
    track_with_lfs(hub, files)
    if pull:
        number = 1 + sum(ref.startswith("refs/pr/") for ref in repo.refs)
        ref = f"refs/pr/{number}"
        repo.refs[ref] = head.oid
    made = hub.add_commit(repo, ref, files, str(request.user), header["summary"], header.get("description", ""))
    page = f"{request.url}/{repo.page}"
    body = {"success": True, "commitOid": made.oid, "commitUrl": f"{page}/commit/{made.oid}", "hookOutput": ""}
    if pull:
        body["pullRequestUrl"] = f"{page}/discussions/{ref.rsplit('/', 1)[-1]}"
    return Reply(body=body)


def apply_operation(hub: Hub, files: dict[str, File], key: str, value: dict) -> None:
    """Carry out one line of a commit on the files.

    Raises:
        Refused: it cannot be carried out; the commit is not made.
    """
    path = value.get("path", "")
    parts = path.rstrip("/").split("/")
    if any(part in ("", ".", "..", ".git") for part in parts):
        raise Refused(400, f"Invalid path: {path!r}")
    if key == "file":
        try:
            content = base64.b64decode(value["content"], validate=True)
        except (KeyError, binascii.Error):
            raise Refused(400, f"The content of {path} is not base64.") from None
        if len(content) > REGULAR_LIMIT or is_binary(content):
            raise Refused(400, f"Your push was rejected because {path} is binary or large. Use LFS to store it.")
        files[path] = hub.regular(content)
    elif key == "lfsFile":
        oid = value.get("oid", "")
        if not re.fullmatch(r"[0-9a-f]{64}", oid) or not hub.has(oid, value.get("size")):
            raise Refused(400, f"LFS pointer pointed to a file that does not exist: {path}")
        size = (hub.folder / oid).stat().st_size
        files[path] = File(git_oid(lfs_pointer(oid, size)), oid, size, lfs=True)
    elif key == "deletedFile":
        if files.pop(path, None) is None:
            raise Refused(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
    elif key == "deletedFolder":
        inside = [name for name in files if name.startswith("/".join(parts) + "/")]
        if not inside:
            raise Refused(404, f"A folder with this name doesn't exist: {path}", "EntryNotFound")
        for name in inside:
            del files[name]
    else:
        raise Refused(400, f"Unknown operation: {key!r}")


def track_with_lfs(hub: Hub, files: dict[str, File]) -> None:
    """Name each LFS file that no pattern covers in .gitattributes, as the Hub does."""
    attributes = hub.content(files[".gitattributes"]).decode() if ".gitattributes" in files else ""
    patterns = [line.split()[0] for line in attributes.splitlines() if "filter=lfs" in line]
    new = [
        path for path, file in files.items() if file.lfs and not any(matches(path, pattern) for pattern in patterns)
    ]
    if new:
        files[".gitattributes"] = hub.regular((attributes + "".join(map(_LFS_LINE.format, sorted(new)))).encode())


# downloads


@route("GET", f"{_REPO}/tree/{_REVISION}(?:/(?P<path>.+))?")
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


@route("POST", f"{_REPO}/paths-info/{_REVISION}")
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


@route("GET", f"{_PAGE}/(?:resolve|raw)/{_REVISION}/(?P<path>.+)")
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


# collections

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


# for the tests alone


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


@route("GET", f"/_admin/repositories/(?P<kind>[^/]+)/(?P<id>[^/]+/[^/]+)/{_REVISION}")
def dump(hub: Hub, request: Request, kind: str, id: str, revision: str) -> Reply:
    if (kind, id) not in hub.repositories:
        raise Refused(404, f"There is no {kind} {id}.")
    repo = hub.repositories[kind, id]
    commit = repo.commit(revision)
    files = {path: base64.b64encode(hub.content(file)).decode() for path, file in sorted(commit.files.items())}
    return Reply(body={"commits": [each.oid for each in repo.history(commit)], "files": files})


class Dropped(Exception):
    """The connection is to be cut now."""


class Handler(BaseHTTPRequestHandler):
    """Reads a request, lets a fault happen to it if one is due, and finds the function that answers it."""

    protocol_version = "HTTP/1.1"
    server_version = "HubForTests"
    disable_nagle_algorithm = True
    wbufsize = -1
    hub: Hub
    url: str

    def log_message(self, format, *args):
        """Nothing: the requests are kept for `/_admin/requests`."""

    def serve(self) -> None:
        path = urlsplit(self.path).path
        fault, record = None, {}
        if not path.startswith("/_admin/"):
            record |= {"method": self.command, "path": self.path, "status": None, "user": None, "received": 0}
            with self.hub.lock:
                self.hub.requests.append(record)
            fault = self.hub.take_fault(self.command, unquote(self.path))
        try:
            reply = self.answer(path, fault, record)
            record["status"] = reply.status
            self.send(reply, fault)
        except Dropped:
            self.cut()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = serve

    def answer(self, path: str, fault: Fault | None, record: dict) -> Reply:
        body = b""
        for chunk in self.read_body():
            body += chunk
            record["received"] = len(body)
            if fault is not None and fault.drop_after_bytes is not None and len(body) >= fault.drop_after_bytes:
                raise Dropped
        if fault is not None:
            time.sleep(fault.delay)
            if fault.drop_after_bytes is not None:
                raise Dropped
            if fault.status is not None:
                return Reply(fault.status, fault.body.encode(), dict(fault.headers))
        try:
            request = self.request_of(path, body)
            record["user"] = request.user
            method = "GET" if self.command == "HEAD" else self.command
            for allowed, pattern, function in ROUTES:
                match = pattern.fullmatch(path)
                if allowed == method and match is not None:
                    groups = {name: value and unquote(value) for name, value in match.groupdict().items()}
                    with self.hub.lock:
                        return function(self.hub, request, **groups)
            raise Refused(404, f"Sorry, we can't find the page you are looking for: {method} {path}")
        except Refused as refused:
            return refused.reply
        except Exception:
            traceback.print_exc()
            return Reply(500, {"error": "Internal Error - We're working hard to fix this as soon as possible!"})

    def request_of(self, path: str, body: bytes) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        user = role = None
        if (authorization := headers.get("authorization")) is not None:
            if authorization.removeprefix("Bearer ") not in TOKENS:
                raise Refused(401, "Invalid credentials in Authorization header")
            user, role = TOKENS[authorization.removeprefix("Bearer ")]
        query = parse_qs(urlsplit(self.path).query)
        return Request(self.command, path, query, headers, body, user, role, self.url)

    def read_body(self, at_once: int = 4096) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        remaining = int(self.headers.get("Content-Length", 0))
        while remaining > 0:
            chunk = self.rfile.read(min(at_once, remaining))
            if not chunk:
                raise Dropped
            remaining -= len(chunk)
            yield chunk

    def send(self, reply: Reply, fault: Fault | None) -> None:
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", **reply.headers}
        self.send_response(reply.status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            if fault is not None and fault.cut_after_bytes is not None:
                self.wfile.write(content[: fault.cut_after_bytes])
                self.wfile.flush()
                raise Dropped
            self.wfile.write(content)
        self.wfile.flush()

    def cut(self) -> None:
        """End the connection as a failing network does, without a word."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where file contents are kept")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    arguments = parser.parse_args(argv)
    server = Server(("127.0.0.1", arguments.port), Handler)
    Handler.hub = Hub(arguments.folder)
    Handler.url = f"http://127.0.0.1:{server.server_port}"
    print(Handler.url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
