"""From a model that `transformers.Trainer` trained to a repository of the Hub, by way of `evaluate_model.py --record`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from lgn_training.data import load_data
from sklearn.datasets import load_digits
from transformers import Trainer, TrainingArguments

from lgn_hf import LGNConfig, LGNForImageClassification, LGNForImageReconstruction, LGNImageProcessor
from lgn_hf.cli import app
from lgn_hf.hub.build import build
from lgn_hf.hub.cards import render_card
from lgn_hf.hub.folder import is_built
from lgn_hf.runs.trained_model import open_trained_model
from tests.conftest import figures_are_blank, read_folder
from tests.training.test_evaluate_model import bad, folder_of_images, run

pytestmark = pytest.mark.usefixtures("blank_figures")

NAME, BASE = "tester/tuned", "tester/base"
UNKNOWN = "This model was trained outside of the training program of lgn-hf"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> Path:
    """The folder of a model that `Trainer` trained on digits for a few steps."""
    folder, data = tmp_path_factory.mktemp("trainer") / "tuned", load_data("digits", seed=0, progress=False)
    labels = {i: name for i, name in enumerate(data.label_names or [])}
    network = {"num_groups": 2, "group_order": 2, "num_layers": 1, "filter_size": 3, "batch_norm": False}
    model = LGNForImageClassification(LGNConfig(image_size=8, id2label=labels, **network))
    processor = LGNImageProcessor(image_size=8).fit(data.train.images)
    pixels, digits = processor.pixel_values(data.train.images), data.train.labels
    examples = [{"pixel_values": x, "labels": y} for x, y in zip(pixels, digits, strict=True)]
    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=20, learning_rate=0.03, per_device_train_batch_size=128,
        report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no",
    )  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=examples, processing_class=processor)
    metrics = trainer.train().metrics
    trainer.save_model()
    trainer.save_metrics("train", metrics)  # an all_results.json, as the example scripts of transformers write it
    return folder


@pytest.fixture(scope="module")
def measured(tuned, tmp_path_factory) -> Path:
    """A copy of it, with the record."""
    folder = Path(shutil.copytree(tuned, tmp_path_factory.mktemp("measured") / "tuned"))
    run(folder, "--dataset", "digits", "--record", "--base_model", BASE)
    return folder


@pytest.fixture
def folder(measured, tmp_path) -> Path:
    """A copy of that, to change."""
    return Path(shutil.copytree(measured, tmp_path / "tuned"))


@pytest.mark.slow
def test_the_record_says_what_was_measured_and_nothing_of_the_training(measured, tuned):
    record = json.loads((measured / "evaluation.json").read_text())
    data, model = load_data("digits", seed=0, progress=False), LGNForImageClassification.from_pretrained(measured)
    pixels = LGNImageProcessor.from_pretrained(measured).pixel_values(data.test.images)
    with torch.no_grad():
        hits = (model.eval()(pixels).logits.argmax(1) == data.test.labels).sum().item()
    assert record["test_accuracy"] == hits / 360
    assert sum(record["test_confusion_matrix"][i][i] for i in range(10)) == hits
    assert record["label_names"] == data.label_names
    assert record["trained"] == "elsewhere"
    assert (record["model"]["task"], record["model"]["base_model"]) == ("classification", BASE)
    assert (record["data"]["source"], record["data"]["test"]) == ("digits", 360)
    assert {"machine", "versions", "date", "parameters"} <= record.keys()
    assert not {"epochs", "seed", "recipe", "train_seconds", "best_epoch", "train_loss"} & record.keys()
    others = {name: content for name, content in read_folder(measured).items() if name != "evaluation.json"}
    assert others == read_folder(tuned)


@pytest.mark.slow
def test_a_model_is_published_and_loads_without_the_package(measured, hub_here, tmp_path, monkeypatch):
    """The whole way; a stranger's process is the last step, and tries more than `validate` does."""
    before, hub = read_folder(measured), hub_here
    monkeypatch.setattr("lgn_hf.hub.publication.validate", lambda folder: None)
    command = ["publish", str(measured), NAME, "--folder", str(tmp_path / "built")]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert read_folder(measured) == before
    card = hub.files(NAME)["README.md"].decode()
    assert UNKNOWN in card
    assert "evaluation.json" in hub.files(NAME)
    hub.fresh_home()
    script = f"""
import sys
sys.modules["lgn_hf"] = None
from sklearn.datasets import load_digits
from transformers import AutoImageProcessor, AutoModelForImageClassification
options = dict(trust_remote_code=True)
model = AutoModelForImageClassification.from_pretrained("{NAME}", **options)
processor = AutoImageProcessor.from_pretrained("{NAME}", **options)
images = [(image * 255 / 16).astype("uint8") for image in load_digits().images[:50]]
print(model(**processor(images, return_tensors="pt")).logits.argmax(1).tolist())
"""
    answers = hub.run(["-c", script])
    assert answers.returncode == 0, answers.stderr
    images = [(image * 255 / 16).astype("uint8") for image in load_digits().images[:50]]
    model, processor = (kind.from_pretrained(measured) for kind in (LGNForImageClassification, LGNImageProcessor))
    with torch.no_grad():
        expected = model.eval()(**processor(images, return_tensors="pt")).logits.argmax(1).tolist()
    assert json.loads(answers.stdout.splitlines()[-1]) == expected


@pytest.fixture(scope="module")
def built(measured, tmp_path_factory) -> Path:
    with figures_are_blank():
        return build(measured, tmp_path_factory.mktemp("built") / "folder", repo_id=NAME, dataset_note="a note")


def test_the_card_shows_what_is_known_and_invents_nothing(built, measured):
    card, record = (built / "README.md").read_text(), json.loads((measured / "evaluation.json").read_text())
    assert f"classifies {100 * record['test_accuracy']:.2f} % of 360 test images correctly" in card
    assert f"{UNKNOWN}, so its training images, epochs, optimizer and seed are not known here." in card
    assert f"It started from [{BASE}](https://huggingface.co/{BASE})." in card
    assert "training/evaluate_model.py tester/tuned --dataset digits\n" in card
    assert f"\nbase_model: {BASE}\n" in card
    assert "| date of the test |" in card
    assert "a note" in card
    for word in (
        "Adam",
        "recipe.yaml",
        "training time",
        "(seed",
        "seed 0",
        "learning rate",
        "Trained for",
        "datasets:\n",
    ):
        assert word not in card, word
    assert render_card(built, NAME) == card


def test_the_folder_is_a_model_folder(built, tmp_path):
    assert is_built(built)
    assert not {"recipe.yaml", "all_results.json", "training_args.bin"} & read_folder(built).keys()
    assert read_folder(build(built, tmp_path / "folder", repo_id=NAME)) == read_folder(built)
    model = open_trained_model(built)
    assert (str(model.dataset), model.task, model.data_and_task) == (
        "digits",
        "classification",
        "classification of digits",
    )


@pytest.mark.slow
def test_a_reader_s_own_images(tuned, tmp_path):
    """Without a folder of the machine in what is published."""
    folder, photos = Path(shutil.copytree(tuned, tmp_path / "tuned")), folder_of_images(tmp_path / "photos", size=12)
    run(folder, "--dataset", photos, "--image_size", 8, "--record")
    built = build(folder, tmp_path / "built", repo_id=NAME)
    assert json.loads((built / "evaluation.json").read_text())["data"]["source"] == "photos"
    assert not [path for path, content in read_folder(built).items() if str(tmp_path).encode() in content]
    card = (built / "README.md").read_text()
    assert "training/evaluate_model.py tester/tuned --dataset path/to/photos --image_size 8\n" in card
    assert "It started from" not in card
    named = build(folder, tmp_path / "named", repo_id=NAME, dataset="user/photos")
    assert json.loads((named / "evaluation.json").read_text())["data"]["source"] == "user/photos"


@pytest.mark.slow
def test_a_reconstruction(tmp_path):
    processor = LGNImageProcessor(image_size=8).fit(load_data("digits", seed=0, progress=False).train.images)
    LGNForImageReconstruction(LGNConfig(image_size=8, num_groups=2, num_layers=1)).save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    run(tmp_path / "model", "--dataset", "digits", "--record")
    card = (build(tmp_path / "model", tmp_path / "built", repo_id=NAME) / "README.md").read_text()
    assert "of the energy of 360 test images" in card
    assert UNKNOWN in card


@pytest.mark.parametrize("changed", ["weights", "whitening"])
def test_a_record_of_other_weights_is_refused(folder, tmp_path, changed):
    if changed == "weights":
        model = LGNForImageClassification.from_pretrained(folder)
        with torch.no_grad():
            model.classifier.bias[0] += 1
        model.save_pretrained(folder)
    else:
        images = load_data("digits", seed=0, progress=False).train.images
        LGNImageProcessor(image_size=8, whitening="patch").fit(images).save_pretrained(folder)
    with pytest.raises(ValueError, match=r"was changed after evaluation\.json was measured: .*--record`$"):
        build(folder, tmp_path / "made")


def test_a_model_without_a_record_is_told_what_to_do(tuned, tmp_path):
    with pytest.raises(
        ValueError, match=r"holds no run .*first measured with `training/evaluate_model\.py .* --record`$"
    ):
        build(tuned, tmp_path / "made")


def test_a_baseline_is_not_compared(folder, trained_run, tmp_path):
    with pytest.raises(ValueError, match="trained elsewhere, and only runs"):
        build(folder, tmp_path / "made", baseline=trained_run)


def test_the_results_of_a_run_are_not_touched(trained_run, built, tmp_path):
    for folder, message in ((trained_run, "holds a run of training/run.py"), (built, "was built by lgn-hf publish")):
        before = read_folder(folder)
        assert message in bad(folder, "--dataset", "digits", "--record")
        assert read_folder(folder) == before
    assert "nobody/model is not a folder" in bad("nobody/model", "--dataset", "digits", "--record")
    (tmp_path / "evaluation.json").write_text('{"mine": 1}')
    assert "holds something else than an earlier record" in bad(tmp_path, "--dataset", "digits", "--record")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--record", "--split", "train"], "split='train': --record needs the test images"),
        (["--base_model", BASE], f"base_model='{BASE}': must be given with --record"),
        (["--record", "--base_model", "a b"], "repo_id='a b': must be USER/NAME"),
        (["--record", "--base_model", "model_cards/lgn-mnist"], "is a folder: must be the name of a repository"),
    ],
)
def test_a_wrong_option_is_one_line(options, message, folder):
    assert message in bad(folder, "--dataset", "digits", *options)


def test_classes_without_names_are_one_line(tmp_path):
    LGNForImageClassification(LGNConfig(image_size=8, num_groups=2, num_labels=10)).save_pretrained(tmp_path)
    LGNImageProcessor(image_size=8).save_pretrained(tmp_path)
    assert "does not name its classes: set config.id2label in its training" in bad(tmp_path, "--dataset", "digits")
