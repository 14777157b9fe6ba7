"""All that the server knows: repositories, their contents, who may change them, and the faults to come."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import threading
from pathlib import Path
from urllib.parse import urlencode

from tests.support.hub_server.contents import Commit, File, Repository, git_oid, now
from tests.support.hub_server.routing import Fault, Refused, Request

TOKENS = {  # token: (user, role)
    "hf_test_write": ("tester", "write"),
    "hf_test_read": ("tester", "read"),
    "hf_test_other": ("other", "write"),
}
ORGANIZATIONS = {"tester": ["lab"], "other": []}


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
