"""The command `lgn-hf` in this process, and models and images for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image

from lgn_hf import LGNImageProcessor, cli
from tests.support.networks import make_used_model

LABELS = {0: "zero", 1: "one", 2: "[red]two", 3: "three\x1b[2J"}


class Result(NamedTuple):
    code: int
    out: str
    error: str


@pytest.fixture
def lgn(monkeypatch, capsys) -> Callable[..., Result]:
    """The command, as the console script calls it."""
    for name in (*cli.QUIET, "LGN_HF_TRACEBACK"):  # what the command sets ends with the test
        monkeypatch.setenv(name, cli.QUIET.get(name, ""))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: Any) -> Result:
        monkeypatch.setattr(sys, "argv", ["lgn-hf", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, error = capsys.readouterr()
        if isinstance(end.value.code, str):  # what Python prints when it ends
            return Result(1, out, f"{error}{end.value.code}\n")
        return Result(int(end.value.code or 0), out, error)

    return call


def check_error(result: Result, *fragments: str) -> None:
    assert result.code == 1
    assert result.error.startswith("lgn-hf: ")
    assert result.error.count("\n") == 1
    assert "Traceback" not in result.error
    for fragment in fragments:
        assert fragment in result.error


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """Folders of tiny models: classifier, other, reconstruction, backbone."""
    folder = tmp_path_factory.mktemp("models")
    heads = {
        "classifier": "classification",
        "other": "classification",
        "decoder": "reconstruction",
        "backbone": "base",
    }
    for seed, (name, head) in enumerate(heads.items()):
        make_used_model("learned", head, seed, id2label=LABELS).float().save_pretrained(folder / name)
        LGNImageProcessor(image_size=7).save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{i}.png" for i in range(3)]
    for path in paths:
        Image.fromarray(torch.randint(0, 256, (9, 9), dtype=torch.uint8).numpy()).save(path)
    return paths
