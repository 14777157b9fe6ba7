"""The Hub server of `hub_server/` in a process of its own, and what a test wants of it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from huggingface_hub import constants, hf_api

ROOT = Path(__file__).parent.parent.parent


class Hub:
    """A running server. Its user `tester`, of the organization `lab`, holds `token`."""

    token = "hf_test_write"
    read_token = "hf_test_read"  # of the same user, who cannot change anything with it
    other_token = "hf_test_other"  # of somebody else

    def __init__(self, url: str, folder: Path):
        self.url = url
        self.folder = folder
        self.environment: dict[str, str] = {}
        self.fresh_home()

    def fresh_home(self) -> Path:
        """Give the processes to come an empty cache."""
        home = Path(tempfile.mkdtemp(prefix="home-", dir=self.folder))
        self.environment = {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TQDM_DISABLE": "1",
            "RES_OPTIONS": "timeout:1 attempts:1",  # `datasets` asks the name service for datasets-server.<endpoint>
        }
        return home

    def start(self, argv: Sequence[str], **environment: str) -> subprocess.Popen[str]:
        """Start a fresh Python process that sees this Hub; `argv` is what follows `python`."""
        return subprocess.Popen(
            [sys.executable, *map(str, argv)],
            env={**os.environ, **self.environment, **environment},
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(
        self, argv: Sequence[str], *, timeout: float = 300, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a fresh Python process that sees this Hub to its end; `argv` is what follows `python`."""
        with self.start(argv, **environment) as process:
            try:
                out, error = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    def show_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let `huggingface_hub` in this process see this Hub, although it was imported without it."""
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, self.url)
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(hf_api.api, "endpoint", self.url)
        monkeypatch.setattr("transformers.utils.hub._hf_api", None)  # which would remember the one of before
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", f"{self.environment['HF_HOME']}/hub")
        monkeypatch.setenv("HF_TOKEN", self.token)

    def commits(self, repo_id: str, repo_type: str = "model", revision: str = "main") -> list[str]:
        """The ids of the commits, newest first; the last one is the initial commit, which the Hub makes."""
        return self._dump(repo_id, repo_type, revision)["commits"]

    def files(self, repo_id: str, repo_type: str = "model", revision: str = "main") -> dict[str, bytes]:
        """The content of each file."""
        files = self._dump(repo_id, repo_type, revision)["files"]
        return {path: base64.b64decode(content) for path, content in files.items()}

    def requests(self) -> list[dict]:
        """Each request since the start or the last `forget`: method, path (with the query), status (None while it is
        not answered, or was cut), user (None without a token), received (bytes of its body)."""
        return self._ask("GET", "/_admin/requests")

    def forget(self) -> None:
        """Start the list of requests anew."""
        self._ask("DELETE", "/_admin/requests")

    def fail(self, method: str, path_pattern: str, times: int = 1, **fault) -> None:
        """Let something happen to the next `times` requests of the method ("*": any) whose path has the pattern.

        Args:
            status, headers, body: the answer, in place of the right one.
            drop_after_bytes: cut the connection when this much of the request's body has come.
            cut_after_bytes: cut it when this much of the answer's body is sent; what was asked for is done.
            delay: seconds to wait, after the body has come.
        """
        self._ask("POST", "/_admin/faults", {"method": method, "path": path_pattern, "times": times, **fault})

    def reset_faults(self) -> None:
        """Let nothing happen any more."""
        self._ask("DELETE", "/_admin/faults")

    def reset(self) -> None:
        """Empty the server, and start with an empty cache."""
        self._ask("POST", "/_admin/reset")
        self.fresh_home()

    def _dump(self, repo_id: str, repo_type: str, revision: str) -> dict:
        return self._ask("GET", f"/_admin/repositories/{repo_type}/{repo_id}/{quote(revision, safe='')}")

    def _ask(self, method: str, path: str, content: dict | None = None):
        body = None if content is None else json.dumps(content).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body, method=method)) as answer:
            return json.loads(answer.read() or "null")


@contextmanager
def running_hub(folder: Path) -> Iterator[Hub]:
    """Start a server that keeps its contents in the folder, and end it."""
    command = [sys.executable, "-m", "tests.support.hub_server", "--folder", str(folder / "contents")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            yield Hub(server.stdout.readline().strip(), folder)
        finally:
            server.terminate()
