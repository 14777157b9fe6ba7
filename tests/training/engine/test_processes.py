"""Processes end alike: an error of one is an error of all, told once on each machine."""

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lgn_training.engine import processes
from lgn_training.engine.processes import SharedError, check_shared, fail, jointly


def process(rank: int = 0, count: int = 1) -> Any:
    """What is asked of an `Accelerator`."""
    return SimpleNamespace(
        is_main_process=rank == 0, num_processes=count, main_process_first=lambda: contextlib.nullcontext()
    )


def wrong() -> None:
    raise OSError("no such folder")


def test_what_succeeds_everywhere_is_returned():
    assert jointly(process(), lambda: 3) == 3


def test_an_error_of_one_process_is_raised_by_all(monkeypatch):
    with pytest.raises(SharedError, match=r"^no such folder$"):
        jointly(process(), wrong)
    monkeypatch.setattr(processes, "gather_object", lambda own: [None, *own])
    with pytest.raises(SharedError, match=r"^process 1: no such folder$"):
        jointly(process(1, 2), wrong)
    monkeypatch.setattr(processes, "gather_object", lambda own: [*own, "no such data set"])
    with pytest.raises(SharedError, match=r"^process 1: no such data set$"):
        jointly(process(0, 2), lambda: None)


def test_the_marker_of_a_common_folder_is_removed(tmp_path):
    check_shared(process(0, 2), tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_one_process_needs_no_marker(tmp_path):
    check_shared(process(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_common_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LATE", 0)
    monkeypatch.setattr(processes, "_common_name", lambda _: "name")
    with pytest.raises(SharedError, match=rf"output_dir {tmp_path} does not hold here what the main process writes"):
        check_shared(process(1, 2), tmp_path)
    (tmp_path / ".shared-name").touch()
    check_shared(process(1, 2), tmp_path)
    assert Path(tmp_path / ".shared-name").exists()  # the main process removes it


@pytest.mark.parametrize(
    ("rank", "local_rank", "kind", "line"),
    [
        ("0", "0", ValueError, "run.py: a b\n"),
        ("3", "3", ValueError, "run.py: process 3: a b\n"),
        ("0", "0", SharedError, "run.py: a b\n"),
        ("3", "3", SharedError, ""),
        ("8", "0", SharedError, "run.py: a b\n"),  # the first of another machine
    ],
)
def test_who_tells_of_an_error(rank, local_rank, kind, line, monkeypatch, capsys):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("LOCAL_RANK", local_rank)
    assert fail("run.py", kind("a\n b"), 3) == 3
    assert capsys.readouterr().err == line
