"""Trained models on data sets: what their runs measured, and one line for what does not fit."""

import contextlib
import io
import json
import subprocess
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from datasets import ClassLabel
from lgn_training import evaluate_model
from lgn_training.data import fingerprint, load_data
from lgn_training.data.readers import read_tables
from PIL import Image

from lgn_hf import LGNConfig, LGNForImageReconstruction, LGNImageProcessor, LGNModel


def run(*arguments: object, check: bool = True) -> subprocess.CompletedProcess:
    """The program without a launcher, in this process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = evaluate_model.main([str(argument) for argument in arguments])
    done = subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


def folder_of_images(folder: Path, names: str = "0123456789", mode: str = "L", size: int = 8) -> Path:
    """A data set of five images a class."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(5):
            Image.new(mode, (size, size)).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.slow
def test_a_run_and_what_is_published_of_it_have_the_run_s_accuracy(trained_run, published, tmp_path):
    measured = json.loads((trained_run / "all_results.json").read_text())
    images = load_data("digits", seed=3, progress=False).test
    for model in (trained_run, published):
        output = tmp_path / model.name / "result.json"
        done = run(model, "--dataset", "digits", "--batch_size", 77, "--output", output)
        result = json.loads(output.read_text())
        assert result["accuracy"] == measured["test_accuracy"]
        assert result["loss"] == pytest.approx(measured["test_loss"], rel=1e-5)
        assert (result["images"], result["fingerprint"]) == (360, fingerprint(images))
        assert {"machine", "versions", "commit", "date"} <= result.keys()
        assert (result["model"], result["dataset"], result["split"]) == (str(model), "digits", "test")
        assert f"accuracy │ {result['accuracy']:.4f}" in done.stdout


def test_data_that_number_the_classes_differently_are_matched_by_name(trained_run, tmp_path):
    measured = json.loads((trained_run / "all_results.json").read_text())
    names = [str(digit) for digit in reversed(range(10))]
    for split, table in read_tables("digits", None, 0).items():
        labels = [9 - label for label in table["label"]]
        table = table.remove_columns("label").add_column("label", labels, feature=ClassLabel(names=names))
        table.to_parquet(str(tmp_path / "set" / f"{split}.parquet"))
    run(trained_run, "--dataset", tmp_path / "set", "--output", tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text())["accuracy"] == measured["test_accuracy"]


def test_training_images(trained_run, tmp_path):
    run(trained_run, "--dataset", "digits", "--split", "train", "--output", tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text())["images"] == 1437


@pytest.mark.slow
def test_the_error_of_a_reconstruction(tmp_path):
    images = load_data("digits", seed=0, progress=False).test
    processor = LGNImageProcessor(image_size=8).fit(images.images)
    model = LGNForImageReconstruction(LGNConfig(image_size=8, num_groups=2, num_layers=2)).eval()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    run(tmp_path, "--dataset", "digits", "--output", tmp_path / "result.json")
    result = json.loads((tmp_path / "result.json").read_text())
    with torch.no_grad():
        assert result["mse"] == pytest.approx(model(processor.pixel_values(images.images)).task_loss.item(), rel=1e-4)
    assert 0 < result["relative_error"] < 2
    assert "accuracy" not in result


def bad(*arguments: object) -> str:
    """The one line that an evaluation which cannot be made prints."""
    done = run(*arguments, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("evaluate_model.py: ")]
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "/no/such/data"], "/no/such/data"),
        (["--dataset", "digits", "--split", "all"], "argument --split: invalid choice: 'all'"),
        (["--dataset", "digits", "--batch_size", "0"], "batch_size=0: must be at least 1"),
        (["--dataset", "digits", "--batchsize", "1"], "unrecognized arguments: --batchsize 1"),
        ([], "the following arguments are required: --dataset"),
        (["--dataset", "digits", "--num_channels", "3"], "3 x 8 x 8 (channels, height, width)"),
        (["--dataset", "digits", "--image_size", "9"], "takes 1 x 8 x 8: read them as it does"),
    ],
)
def test_a_wrong_option_is_one_line(options, message, trained_run):
    assert message in bad(trained_run, *options)


def test_the_result_replaces_nothing_but_an_earlier_one(trained_run, tmp_path):
    for name, complaint in (
        ("", "is a folder: choose a file"),
        ("notes.json", "holds something else than earlier out"),
    ):
        (tmp_path / "notes.json").write_text('{"mine": 1}')
        assert complaint in bad(trained_run, "--dataset", "digits", "--output", tmp_path / name)
        assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


def test_data_that_do_not_fit_the_model_are_one_line(trained_run, tmp_path):
    colour = folder_of_images(tmp_path / "colour", mode="RGB")
    assert "has images of 3 x 8 x 8" in bad(trained_run, "--dataset", colour)
    run(trained_run, "--dataset", colour, "--num_channels", 1)
    others = folder_of_images(tmp_path / "others", names="ab")
    assert "has the classes ['a', 'b'], and" in bad(trained_run, "--dataset", others)


def test_what_is_no_trained_model_is_one_line(tmp_path):
    for name in (tmp_path / "no-such-model", "user/no-such-model"):
        assert f"{name} is neither a folder nor " in bad(name, "--dataset", "digits")
    assert f"{tmp_path} holds no model: only LGNForImageC" in bad(tmp_path, "--dataset", "digits")
    LGNModel(LGNConfig(image_size=8, num_groups=2)).save_pretrained(tmp_path)
    assert "holds LGNModel: only LGNForImageClassification and" in bad(tmp_path, "--dataset", "digits")
