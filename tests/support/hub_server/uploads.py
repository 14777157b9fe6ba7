"""Routes that take files: checks of cards, git-LFS, commits."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re

from tests.support.hub_metadata import check_card
from tests.support.hub_server.contents import LFS_LINE, REGULAR_LIMIT, File, git_oid, is_binary, lfs_pointer, matches
from tests.support.hub_server.hub import Hub
from tests.support.hub_server.routing import PAGE, REPO, REVISION, Refused, Reply, Request, route


@route("POST", "/api/validate-yaml")
def validate_yaml(hub: Hub, request: Request) -> Reply:
    payload = request.json()
    errors, warnings = check_card(payload.get("content", ""), payload.get("repoType") or "model")
    body = {
        name: [{"message": text} for text in found] for name, found in (("errors", errors), ("warnings", warnings))
    }
    return Reply(400 if errors else 200, body)


@route("POST", f"{REPO}/preupload/{REVISION}")
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


@route("POST", rf"{PAGE}\.git/info/lfs/objects/batch")
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


@route("POST", rf"{PAGE}\.git/info/lfs/objects/verify")
def lfs_verify(hub: Hub, request: Request, kind: str, id: str) -> Reply:
    hub.repository(kind.rstrip("s/") or "model", id, request)
    payload = request.json()
    if not hub.has(payload.get("oid", "-"), payload.get("size")):
        raise Refused(404, "The object was not uploaded, or not whole.")
    return Reply(body={})


@route("POST", f"{REPO}/commit/{REVISION}")
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
        files[".gitattributes"] = hub.regular((attributes + "".join(map(LFS_LINE.format, sorted(new)))).encode())
