"""`lgn-hf actions`: files, a table, and a data set."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import pytest
import torch

from lgn_hf import LGNForImageClassification, LGNForImageReconstruction, load_actions
from tests.commands.conftest import check_error
from tests.support.networks import make_used_model


class TestActions:
    @pytest.mark.slow
    def test_are_extracted(self, lgn, models, tmp_path):
        result = lgn(
            "actions", models / "classifier", models / "decoder", "--output-dir", tmp_path / "out", "--top", 3
        )
        assert result.code == 0, result.error
        for name in ("classifier", "decoder"):
            folder = tmp_path / "out" / name
            kind = LGNForImageClassification if name == "classifier" else LGNForImageReconstruction
            model: Any = kind.from_pretrained(models / name)
            assert torch.equal(load_actions(folder).matrices, model.actions().matrices)
            assert (folder / "actions.csv").is_file()
            assert (folder / "figures" / "gallery.png").is_file()
        assert len(re.findall(r"^│ (classifier|decoder) ", result.out, re.M)) == 3

    def test_are_shown_without_being_written(self, lgn, models, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "the most structured actions" in lgn("actions", models / "classifier").out
        assert not list(tmp_path.iterdir())

    def test_cannot_write_to_the_terminal(self, lgn, models, tmp_path):
        actions = make_used_model("learned").actions()
        actions.save(tmp_path / "evil")
        path = tmp_path / "evil" / "actions.json"
        document = json.loads(path.read_text())
        document["actions"][0]["label"] = "[red]\x1b[2J\x1b]0;owned\x07"
        path.write_text(json.dumps(document))
        result = lgn("actions", tmp_path / "evil", "--top", 1)
        assert result.code == 0
        assert "\x1b" not in result.out
        assert "[red] [2J ]0;owned" in result.out

    def test_are_of_models_with_different_names(self, lgn, models, tmp_path):
        again = tmp_path / "classifier"
        make_used_model("learned").actions().save(again)
        check_error(
            lgn("actions", models / "classifier", again, "--output_dir", tmp_path / "out"), "the name of two models"
        )

    def test_are_published(self, lgn, models, hub_here, tmp_path):
        classifier = shutil.copytree(models / "classifier", tmp_path / "classifier")
        (classifier / "all_results.json").write_text('{"recipe": {"dataset": "digits", "task": "classification"}}')
        result = lgn("actions", classifier, models / "other", "--push", "tester/actions", "--lab", "tester/atlas")
        assert result.code == 0, result.error
        assert result.out.splitlines()[-1] == f"{hub_here.url}/datasets/tester/actions"
        files = hub_here.files("tester/actions", "dataset")
        assert b'load_dataset("tester/actions"' in files["README.md"]
        assert b"(https://tester-atlas.static.hf.space/lab.html#model=classifier)" in files["README.md"]
        assert "data/train-00000-of-00001.parquet" in files
