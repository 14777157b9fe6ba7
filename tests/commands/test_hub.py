"""Repositories of the Hub as arguments of the commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from huggingface_hub import HfApi, constants

from lgn_hf import LGNForImageClassification
from tests.commands.conftest import check_error


def load(folder: Path) -> LGNForImageClassification:
    return cast(LGNForImageClassification, LGNForImageClassification.from_pretrained(folder))


class TestTheHub:
    """What people report of programs that use `huggingface_hub`, tried with this one."""

    @pytest.fixture
    def repository(self, models, hub_here) -> str:
        api = HfApi(endpoint=hub_here.url)
        api.create_repo("tester/classifier")
        api.upload_folder(repo_id="tester/classifier", folder_path=models / "classifier")
        load(models / "classifier").actions().save(models / "saved")
        for name in ("actions.json", "actions.safetensors"):
            api.upload_file(path_or_fileobj=models / "saved" / name, path_in_repo=name, repo_id="tester/classifier")
        return "tester/classifier"

    @pytest.fixture
    def offline(self, monkeypatch) -> Callable[[], None]:
        return lambda: monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def test_knows_a_repository_by_its_former_name(self, lgn, models, images, repository, hub_here):
        """huggingface_hub#981"""
        HfApi(endpoint=hub_here.url).move_repo(repository, "lab/renamed")
        assert lgn("predict", repository, images[0]).out == lgn("predict", models / "classifier", images[0]).out
        result = lgn("compare", repository, "lab/renamed", "--top", 1)
        assert re.search(r"all +│ 0\.000", result.out), result.error

    def test_need_not_answer_for_what_was_downloaded(self, lgn, models, images, repository, offline):
        """huggingface_hub#4487; `actions` finds other files in the cache than it downloads."""
        online = lgn("predict", repository, images[0]).out
        offline()
        assert lgn("predict", repository, images[0]).out == online
        assert lgn("actions", repository, "--top", 1).code == 0
        result = lgn("predict", "tester/other", images[0])
        check_error(
            result, "tester/other is neither a folder nor a repository that can be read", "unset HF_HUB_OFFLINE"
        )

    def test_says_in_a_few_words_what_cannot_be_read(self, lgn, images, repository, hub_here, monkeypatch):
        HfApi(endpoint=hub_here.url).update_repo_settings(repository, private=True)
        check_error(lgn("predict", f"{repository}@v2", images[0]), "tester/classifier has no such revision (404)")
        monkeypatch.setenv("HF_TOKEN", hub_here.other_token)
        check_error(lgn("predict", repository, images[0]), "the Hub knows no tester/classifier (404): check the name")
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
        check_error(lgn("predict", repository, images[0]), "the Hub does not accept your token (401)")
