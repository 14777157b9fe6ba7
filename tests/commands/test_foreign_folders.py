"""No command writes into a folder that is not its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.commands.conftest import check_error

pytestmark = pytest.mark.usefixtures("blank_figures")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestNoCommandWritesIntoAForeignFolder:
    """Each of these once replaced files of the user, or put its own among them, with exit code 0."""

    @pytest.fixture
    def foreign(self, models, tmp_path) -> Path:
        """A folder that holds a model with a README of its own, and beside it a project."""
        folder = tmp_path / "project"
        shutil.copytree(models / "classifier", folder / "classifier")
        for path in (folder / "README.md", folder / "classifier" / "README.md"):
            path.write_text("mine")
        return folder

    @pytest.mark.parametrize("place", [".", "classifier"])
    def test_atlas(self, lgn, models, foreign, place):
        before = snapshot(foreign)
        result = lgn("atlas", models / "other", "--output_dir", foreign / place)
        check_error(result, "holds something else than earlier output of this command", "README.md", "new or empty")
        assert snapshot(foreign) == before

    def test_atlas_over_a_page_and_a_card_of_somebody_else(self, lgn, models, tmp_path):
        for name in ("index.html", "README.md"):
            (tmp_path / name).write_text("mine")
        check_error(lgn("atlas", models / "other", "--output_dir", tmp_path), "(README.md, index.html)")
        assert (tmp_path / "index.html").read_text() == "mine"

    def test_atlas_of_which_a_file_was_added(self, lgn, models, tmp_path):
        assert lgn("atlas", models / "other", "--output_dir", tmp_path).code == 0
        (tmp_path / "notes.txt").write_text("mine")
        check_error(lgn("atlas", models / "other", "--output_dir", tmp_path), "(notes.txt)")

    def test_actions(self, lgn, models, foreign):
        before = snapshot(foreign)
        result = lgn("actions", models / "classifier", "--output_dir", foreign)
        check_error(result, "holds something else than earlier output of this command", "README.md")
        assert snapshot(foreign) == before

    def test_actions_in_the_model_s_own_folder(self, lgn, foreign):
        (foreign / "README.md").unlink()
        before = snapshot(foreign)
        check_error(lgn("actions", foreign / "classifier", "--output_dir", foreign), "classifier/README.md")
        assert snapshot(foreign) == before

    @pytest.mark.slow
    def test_actions_over_their_own(self, lgn, models, tmp_path):
        for name in ("classifier", "classifier", "other"):
            result = lgn("actions", models / name, "--output_dir", tmp_path / "out")
            assert result.code == 0, result.error
        (tmp_path / "out" / "other" / "figures" / "notes.txt").write_text("mine")
        check_error(lgn("actions", models / "other", "--output_dir", tmp_path / "out"), "other/figures/notes.txt")

    @pytest.mark.slow
    def test_the_data_set_of_actions(self, lgn, models, tmp_path, hub_here):
        data = tmp_path / "dataset" / "data" / "train-00000-of-00001.parquet"
        data.parent.mkdir(parents=True)
        data.write_text("mine")
        call = ("actions", models / "other", "--output_dir", tmp_path, "--push", "tester/actions")
        check_error(lgn(*call), "holds something else than earlier output of this command")
        assert data.read_text() == "mine"

    def test_card(self, lgn, foreign):
        check_error(lgn("card", foreign / "classifier"), "README.md is not the card of an LGN")
        assert (foreign / "classifier" / "README.md").read_text() == "mine"
