"""`lgn-hf publish`: it checks, builds, tries and uploads, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgn_hf.hub import permission, publication, upload
from lgn_hf.hub.errors import PublishError
from tests.commands.conftest import Result, check_error


class TestPublish:
    @pytest.fixture
    def calls(self, monkeypatch, tmp_path) -> list[tuple]:
        """The calls of the functions behind the command; the first makes a folder of three files."""
        calls: list[tuple] = []

        def prepare(folder, repo_id, target, **options):
            calls.append(("prepare", folder, repo_id, target, options))
            (tmp_path / "built" / "figures").mkdir(parents=True)
            for name, size in {"README.md": 10, "config.json": 2000, "figures/gallery.png": 30}.items():
                (tmp_path / "built" / name).write_bytes(b"x" * size)
            return tmp_path / "built"

        def publish(folder, repo_id, **options):
            calls.append(("publish", folder, repo_id, options))
            return "https://hub/commit"

        def check_can_publish(repo_id, repo_type, **options):
            calls.append(("check", repo_id, repo_type, options))

        monkeypatch.setattr(permission, "check_can_publish", check_can_publish)
        monkeypatch.setattr(publication, "prepare", prepare)
        monkeypatch.setattr(publication, "validate", lambda folder: calls.append(("validate", folder)))
        monkeypatch.setattr(upload, "publish", publish)
        return calls

    def test_builds_validates_and_uploads(self, lgn, calls, images, tmp_path):
        result = lgn(
            "publish", tmp_path, "me/model", "--private", "--revision", "v1", "--collection", "me/lgn", "--create_pr",
            "--onnx", "--quantize", "float16", "--test-data", "digits", "--lab", "me/atlas", "--dataset", "ylecun/mnist", "--dataset-note", "a copy", "--baseline", "runs/free", "--example", images[0], "--example", images[1],
        )  # fmt: skip
        assert result == Result(0, "https://hub/commit\n", "")
        built = tmp_path / "built"
        about = {"dataset": "ylecun/mnist", "dataset_note": "a copy", "baseline": Path("runs/free")}
        about |= {"examples": (str(images[0]), str(images[1])), "onnx": True, "lab": "me/atlas"}
        about |= {"quantize": ("float16",), "test_data": "digits"}
        where = {"private": True, "revision": "v1", "collection": "me/lgn", "create_pr": True}
        assert calls == [
            ("check", "me/model", "model", {"private": True}),
            ("prepare", tmp_path, "me/model", None, about),
            ("validate", built),
            ("publish", built, "me/model", where),
        ]

    @pytest.mark.parametrize("option", ["--dry-run", "--dry_run"])
    def test_shows_the_folder_and_stops(self, lgn, calls, tmp_path, option):
        result = lgn("publish", tmp_path, "me/model", option, "--folder", tmp_path / "elsewhere")
        assert [name for name, *_ in calls] == ["prepare", "validate"]
        about = dict.fromkeys(
            ("dataset", "dataset_note", "baseline", "examples", "onnx", "quantize", "test_data", "lab")
        )
        assert calls[0][1:] == (tmp_path, "me/model", tmp_path / "elsewhere", about)
        assert [line.split() for line in result.out.splitlines()] == [
            [f"{tmp_path / 'built'}/"],
            ["README.md", "10"],
            ["config.json", "2,000"],
            ["figures/"],
            ["gallery.png", "30"],
            ["total", "2,040", "bytes"],
        ]

    def test_says_what_is_no_run(self, lgn, tmp_path):
        check_error(lgn("publish", tmp_path, "me/model", "--dry-run"), f"{tmp_path} holds no run of training/run.py")

    def test_asks_for_the_login_before_it_builds(self, lgn, calls, tmp_path, monkeypatch):
        def refuse(*_, **__):
            raise PublishError("not logged in")

        monkeypatch.setattr(permission, "check_can_publish", refuse)
        check_error(lgn("publish", tmp_path, "me/model"), "not logged in")
        assert not calls
