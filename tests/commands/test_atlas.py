"""`lgn-hf atlas`: a page, and a Space."""

from __future__ import annotations

import pytest

from lgn_hf.hub import atlas
from tests.commands.conftest import Result


class TestAtlas:
    def test_is_written(self, lgn, models, tmp_path):
        result = lgn("atlas", models / "classifier", models / "other", "--output_dir", tmp_path / "page")
        assert result == Result(0, f"{tmp_path / 'page' / atlas.PAGE_NAME}\n", "")
        assert "classifier" in (tmp_path / "page" / atlas.PAGE_NAME).read_text()

    def test_has_a_folder_of_its_own_by_default(self, lgn, models, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for _ in range(2):  # the second is written over the first
            assert lgn("atlas", models / "classifier").out == f"atlas/{atlas.PAGE_NAME}\n"
        assert [path.name for path in tmp_path.iterdir()] == ["atlas"]

    @pytest.mark.slow
    def test_is_published_as_a_static_space_and_nothing_else_with_it(self, lgn, models, tmp_path, hub_here):
        (tmp_path / ".private").write_text("mine")
        call = ("atlas", models / "classifier", "--output_dir", tmp_path, "--push", "tester/atlas")
        assert lgn(*call).code == 0
        result = lgn(*call)  # nothing differs
        assert result.out.splitlines()[-1] == f"{hub_here.url}/spaces/tester/atlas"
        files = hub_here.files("tester/atlas", "space")
        assert files["index.html"] == (tmp_path / "index.html").read_bytes()
        assert b"sdk: static" in files["README.md"]
        assert ".private" not in files
        assert len(hub_here.commits("tester/atlas", "space")) == 2
