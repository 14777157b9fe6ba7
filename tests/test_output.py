"""The output folder: whose run it holds, what is installed in it, what is uploaded."""

from pathlib import Path

import output
import pytest
import yaml
from arguments import parse_arguments
from huggingface_hub.utils import filter_repo_objects


def test_a_new_or_empty_folder_is_free(tmp_path):
    recipe = parse_arguments(["--resume"])
    assert not output.resumes(recipe, tmp_path / "new")
    assert not output.resumes(recipe, tmp_path)


def test_a_run_is_continued_only_when_asked_and_with_its_own_fields(tmp_path):
    recipe = parse_arguments([])
    (tmp_path / output.RECIPE_FILE).write_text(yaml.safe_dump(recipe.fields()))
    assert output.resumes(parse_arguments(["--resume", "--logging_steps", "3"]), tmp_path)
    with pytest.raises(ValueError, match="not empty"):
        output.resumes(recipe, tmp_path)
    with pytest.raises(ValueError, match=r"learning_rate was 0\.01 and is 0\.02"):
        output.resumes(parse_arguments(["--resume", "--learning_rate", "0.02"]), tmp_path)


def test_a_folder_of_something_else_is_never_a_run(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match=r"holds no run to resume \(no recipe.yaml\)"):
        output.resumes(parse_arguments(["--resume"]), tmp_path)


def test_a_file_is_no_output_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file: choose a folder"):
        output.resumes(parse_arguments([]), tmp_path / "file")


def test_files_are_installed_whole_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("old")

    def save(folder: Path) -> None:
        folder.mkdir()
        (folder / "a").write_text("new")

    output.install(tmp_path, save)
    assert (tmp_path / "a").read_text() == "new"

    def fail(folder: Path) -> None:
        folder.mkdir()
        (folder / "a").write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        output.install(tmp_path, fail)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "new")]


def test_an_upload_leaves_checkpoints_and_hidden_files_behind(tmp_path, monkeypatch):
    """The client's own selection of files; the calls to the Hub are recorded."""
    for name in ("config.json", "recipe.yaml", ".hidden", "checkpoint-00000001/model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    calls = {}

    class Recorder(output.HfApi):
        def create_repo(self, repo_id, **options):
            calls["create"] = (repo_id, options)
            return type("Repo", (), {"repo_id": "user/" + repo_id})()

        def upload_folder(self, *, repo_id, folder_path, ignore_patterns):
            files = [str(path.relative_to(folder_path)) for path in folder_path.rglob("*") if path.is_file()]
            calls["upload"] = (repo_id, sorted(filter_repo_objects(files, ignore_patterns=ignore_patterns)))
            return type("Commit", (), {"repo_url": "url"})()

    monkeypatch.setattr(output, "HfApi", Recorder)
    output.push(tmp_path, parse_arguments(["--hub_model_id", "digits", "--hub_private_repo"]).run)
    assert calls["create"] == ("digits", {"private": True, "exist_ok": True})
    assert calls["upload"] == ("user/digits", ["config.json", "recipe.yaml"])
