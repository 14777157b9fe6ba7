"""The output folder: whose run it holds, what is installed in it, what is uploaded."""

from pathlib import Path

import pytest
import torch
import yaml
from lgn_training.arguments import parse_arguments
from lgn_training.engine import output_folder as output

from lgn_hf import LGNImageProcessor


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


def test_a_run_from_before_a_field_was_added_is_continued(tmp_path):
    fields = parse_arguments([]).fields()
    del fields["random_flip"]
    (tmp_path / output.RECIPE_FILE).write_text(yaml.safe_dump(fields))
    assert output.resumes(parse_arguments(["--resume"]), tmp_path)
    with pytest.raises(ValueError, match="random_flip was False and is True"):
        output.resumes(parse_arguments(["--resume", "--random_flip"]), tmp_path)


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


@pytest.mark.parametrize("moves", [0, 1])
def test_a_processor_that_is_there_has_its_whitening(tmp_path, monkeypatch, moves):
    """Also where the run is killed while it is installed: a continuation then fits it again."""
    processor = LGNImageProcessor(image_size=8, whitening="patch").fit(torch.randint(256, (50, 1, 8, 8)).byte())
    left, replace = [None] * moves, output.os.replace

    def replace_or_die(*paths):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        replace(*paths)

    def save(folder: Path) -> None:
        processor.save_pretrained(folder)
        monkeypatch.setattr("lgn_training.engine.output_folder.os.replace", replace_or_die)

    with pytest.raises(KeyboardInterrupt):
        output.install(tmp_path, save)
    monkeypatch.undo()
    assert not (tmp_path / output.PROCESSOR_FILE).exists()
    output.install(tmp_path, processor.save_pretrained)
    assert LGNImageProcessor.from_pretrained(tmp_path).whitening == "patch"
