"""Files, commits and repositories, and what git and git-LFS make of a file."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatch

from tests.support.hub_server.routing import Refused


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


REGULAR_LIMIT = 10 * 2**20  # larger files must go through LFS


LFS_LINE = "{} filter=lfs diff=lfs merge=lfs -text\n"
LFS_PATTERNS = """
*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz *.onnx *.ot
*.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz
*.zip *.zst *tfevents*
""".split()  # noqa: SIM905
LFS_MEDIA = """
*.bmp *.gif *.png *.tiff *.jpg *.jpeg *.webp *.mp4 *.webm *.aac *.flac *.mp3 *.ogg *.wav *.lz4 *.mds
""".split()  # noqa: SIM905


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


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern of .gitattributes covers the path: without a slash it is about the file's name alone."""
    return fnmatch(path if "/" in pattern else path.rsplit("/", 1)[-1], pattern)
