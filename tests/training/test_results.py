"""The circumstances of a result."""

import shutil
import subprocess
from pathlib import Path

import pytest
from lgn_training import results


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A repository with this module, a result, and one commit."""
    source = tmp_path / "training" / "results.py"
    source.parent.mkdir()
    shutil.copy(results.__file__, source)
    (tmp_path / "result.json").write_text("{}")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(results, "__file__", str(source))
    return tmp_path


def test_a_commit_has_a_plus_if_code_was_changed_since(checkout):
    clean = results.commit()
    assert clean
    assert not clean.endswith("+")
    (checkout / "result.json").write_text('{"accuracy": 1}')
    assert results.commit() == clean
    with (checkout / "training" / "results.py").open("a") as source:
        source.write("# changed")
    assert results.commit() == f"{clean}+"


def test_outside_of_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "__file__", str(tmp_path / "results.py"))
    assert results.commit() is None
