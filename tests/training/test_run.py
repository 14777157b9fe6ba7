"""The program as a user runs it: on real digits, interrupted, resumed, on two processes, and misused.

Most tests call it in this process, which spares the seconds that its imports take. Launches are for what needs several
processes, or the end of one.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from lgn_training import run as program
from lgn_training.data import fingerprint, load_data
from lgn_training.engine import loop, output_folder
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, pipeline

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor, LGNModel
from tests.conftest import ROOT

pytestmark = pytest.mark.slow  # whole trainings

RUN = str(ROOT / "training" / "run.py")
COLD = sys.executable  # what ends when it is killed; a warm one ends a moment later
LAUNCH = ["-m", "accelerate.commands.launch"]
TINY = ["--dataset", "digits", "--num_groups", "2", "--num_layers", "2", "--filter_size", "4", "--disable_tqdm"]
TINY += ["--num_train_epochs", "6", "--per_device_train_batch_size", "32", "--max_train_samples", "600"]


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", **extra}


def launch(*arguments: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess:
    """`accelerate launch training/run.py ...` in a process of its own."""
    config = ROOT / "training" / "accelerate" / "cpu.yaml"
    done = subprocess.run(
        [sys.executable, *LAUNCH, "--quiet", "--config_file", str(config), RUN, *arguments],
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """The program without a launcher, in this process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = program.main(list(arguments))
    done = subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


def in_another_process(*arguments: str) -> str:
    """What the program prints as its errors when it runs in a process of its own."""
    command = [sys.executable, RUN, *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120).stderr


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "straight"
    run(*TINY, "--output_dir", str(folder))
    return folder


def test_a_launch_in_a_checkout_trains_what_a_call_trains(trained, tmp_path):
    launch(*TINY, "--output_dir", str(tmp_path / "run"))
    assert all(torch.equal(tensor, weights(tmp_path / "run")[name]) for name, tensor in weights(trained).items())


def test_so_does_a_launch_as_a_module_which_says_that_one_process_runs(trained, tmp_path):
    """`accelerate` starts one process on a CPU, although it is asked for two, unless its configuration says multi-CPU."""
    command = [sys.executable, *LAUNCH, "--cpu", "--num_processes", "2", "-m", "lgn_training.run", *TINY]
    done = subprocess.run(
        [*command, "--output_dir", str(tmp_path / "run")], env=environment(), capture_output=True, text=True
    )
    assert "asked for several processes and started ONE" in done.stderr
    assert all(torch.equal(tensor, weights(tmp_path / "run")[name]) for name, tensor in weights(trained).items())


def test_a_recipe_is_found_by_its_name(tmp_path):
    run("lgn-digits", *TINY, "--max_steps", "1", "--output_dir", str(tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "all_results.json").read_text())["recipe_name"] == "lgn-digits"


def test_a_run_leaves_a_complete_model_folder(trained):
    names = {path.name for path in trained.iterdir()}
    assert {
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "all_results.json",
        "recipe.yaml",
        "learning_curve.png",
        "modeling_lgn.py",
        "image_processing_lgn.py",
    } <= names
    assert not [name for name in names if name.startswith(".")]
    assert not [name for name in weights(trained) if "auxiliary" in name]


def test_results_say_what_was_run_on_what(trained):
    results = json.loads((trained / "all_results.json").read_text())
    assert results["test_accuracy"] > 0.5
    assert results["recipe"]["num_groups"] == 2
    assert results["data"]["train"] + results["data"]["validation"] == 600
    assert len(results["data"]["fingerprint"]) == 64
    assert results["parameters"] == sum(
        tensor.numel() for name, tensor in weights(trained).items() if "running" not in name and "num_" not in name
    )
    assert {"seed", "versions", "machine", "train_seconds", "images_per_second", "date"} <= results.keys()
    assert len(results["history"]) == 6
    assert (results["epochs"], type(results["epochs"])) == (6, int)
    matrix = torch.tensor(results["test_confusion_matrix"])
    assert results["label_names"] == [str(digit) for digit in range(10)]
    assert matrix.trace().item() / matrix.sum().item() == pytest.approx(results["test_accuracy"])
    assert torch.allclose(matrix.diagonal() / matrix.sum(1), torch.tensor(results["test_class_accuracy"]))


def test_a_part_of_an_epoch_counts_as_a_part(tmp_path):
    run(*TINY, "--num_train_epochs", "1.5", "--output_dir", str(tmp_path / "run"))
    results = json.loads((tmp_path / "run" / "all_results.json").read_text())
    assert results["steps"] == 26  # of 17 in an epoch
    assert [record["epoch"] for record in results["history"]] == [1, 1.5294]
    assert results["epochs"] == 1.5294
    assert results["best_epoch"] in (1, 1.5294)
    done = run(*TINY, "--num_train_epochs", "1.5", "--output_dir", str(tmp_path / "run"), "--resume")
    assert "this run is complete" in done.stderr


def test_the_model_reads_an_image_with_nothing_else_installed(trained, tmp_path):
    """In an interpreter that cannot import lgn_hf, from the folder alone, without being asked anything."""
    Image.new("RGB", (20, 30), (200, 200, 200)).save(tmp_path / "image.png")
    script = f"""
import importlib.util
assert importlib.util.find_spec("lgn_hf") is None
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline
folder = {str(trained)!r}
classify = pipeline("image-classification", model=folder, trust_remote_code=True)
answer = classify({str(tmp_path / "image.png")!r})
processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForImageClassification.from_pretrained(folder, trust_remote_code=True)
from PIL import Image
logits = model(**processor(Image.open({str(tmp_path / "image.png")!r}), return_tensors="pt")).logits
assert abs(logits.softmax(-1).max().item() - answer[0]["score"]) < 1e-6
print(answer[0]["label"])
"""
    without_package = [path for path in sys.path if path.endswith("site-packages")]
    (tmp_path / "lgn_hf_hidden").mkdir()
    for site in without_package:  # everything installed but this project, whose editable install is a finder
        for entry in Path(site).iterdir():
            if not entry.name.startswith(("__editable__", "lgn_hf")):
                target = tmp_path / "lgn_hf_hidden" / entry.name
                if not target.exists():
                    target.symlink_to(entry)
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=tmp_path,
        env={**environment(HF_HOME=str(tmp_path / "home")), "PYTHONPATH": str(tmp_path / "lgn_hf_hidden")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() in [str(digit) for digit in range(10)]


def test_the_auto_classes_and_the_pipeline_work_with_the_package(trained):
    folder = str(trained)
    assert type(AutoConfig.from_pretrained(folder)) is LGNConfig
    assert type(AutoModel.from_pretrained(folder)) is LGNModel
    assert type(AutoModelForImageClassification.from_pretrained(folder)) is LGNForImageClassification
    assert type(AutoImageProcessor.from_pretrained(folder)) is LGNImageProcessor
    classify = pipeline("image-classification", model=folder)
    assert classify(Image.new("P", (9, 9)))[0]["label"] in [str(digit) for digit in range(10)]


def test_a_killed_run_resumes_to_the_same_weights(trained, tmp_path):
    """kill -9 after the first mid-epoch checkpoint."""
    folder = tmp_path / "killed"
    arguments = [*TINY, "--save_steps", "2", "--output_dir", str(folder)]
    process = subprocess.Popen([COLD, RUN, *arguments], env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(folder.glob("checkpoint-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "all_results.json").exists()
    assert "continuing from" in run(*arguments, "--resume").stderr
    for name, tensor in weights(trained).items():
        assert torch.equal(tensor, weights(folder)[name]), name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_which_resumes_to_the_same_weights(trained, tmp_path, number, monkeypatch):
    """It comes while the first checkpoint is saved, within the first epoch."""
    arguments = [*TINY, "--save_steps", "2", "--output_dir", str(tmp_path / "stopped")]
    save, sent = loop.save_checkpoint, []

    def save_and_signal(*what):
        saved = save(*what)
        if not sent:
            sent.append(number)
            signal.raise_signal(number)
        return saved

    monkeypatch.setattr(loop, "save_checkpoint", save_and_signal)
    done = run(*arguments, check=False)
    assert done.returncode == 128 + number
    assert f"{signal.Signals(number).name} at step" in done.stderr
    assert "--resume continues" in done.stderr
    assert "continuing from" in run(*arguments, "--resume").stderr
    for name, tensor in weights(trained).items():
        assert torch.equal(tensor, weights(tmp_path / "stopped")[name]), name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_from_outside_saves_and_leaves(tmp_path, number):
    folder = tmp_path / "stopped"
    arguments = [*TINY, "--output_dir", str(folder)]
    process = subprocess.Popen(
        [sys.executable, RUN, *arguments, "--num_train_epochs", "300"],
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(folder.glob("checkpoint-*")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"{signal.Signals(number).name} at step" in errors
    assert "--resume continues" in errors
    assert "Traceback" not in errors
    state = json.loads((max(folder.glob("checkpoint-*")) / "trainer_state.json").read_text())
    assert f"at step {state['step']} of" in errors


def test_resuming_a_complete_run_shows_its_table(trained):
    before = (trained / "all_results.json").read_text()
    done = run(*TINY, "--output_dir", str(trained), "--resume")
    assert "this run is complete" in done.stderr
    assert "test accuracy" in done.stdout
    assert (trained / "all_results.json").read_text() == before


def test_real_images(mnist, tmp_path):
    """The papers' whitening and filters; MNIST where it is, else the digits."""
    options = ["--dataset", mnist, "--whitening", "zca", "--image_size", "14", "--max_test_samples", "300"]
    run(*TINY, *options, "--output_dir", str(tmp_path / "run"))
    results = json.loads((tmp_path / "run" / "all_results.json").read_text())
    assert results["test_accuracy"] > 0.5
    assert results["data"]["test"] == 300


def test_the_trained_model_is_tested_on_further_data_sets_too(tmp_path):
    """With the preprocessing that was fitted on the training images, in full precision, the same after a resumption."""
    folder, source = tmp_path / "run", "rotated:digits"
    arguments = [*TINY, "--bf16", "--whitening", "zca", "--also_test_on", source, "--output_dir", str(folder)]
    done = run(*arguments)
    results = json.loads((folder / "all_results.json").read_text())
    images = load_data(source, seed=7, progress=False).test
    processor = LGNImageProcessor.from_pretrained(folder)
    model = LGNForImageClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        outputs = model(processor.pixel_values(images.images), labels=images.labels)
    found = results["also_tested_on"][source]
    assert (found["images"], found["fingerprint"]) == (360, fingerprint(images))
    assert found["loss"] == pytest.approx(outputs.loss.item(), rel=1e-4)
    assert found["accuracy"] == (outputs.logits.argmax(1) == images.labels).double().mean().item()
    assert found["accuracy"] < results["test_accuracy"] - 0.2
    assert f"accuracy on {source} │ {found['accuracy']:.4f}" in done.stdout

    (folder / "all_results.json").unlink()
    run(*arguments, "--resume")
    assert json.loads((folder / "all_results.json").read_text())["also_tested_on"] == results["also_tested_on"]
    assert f"accuracy on {source}" in run(*arguments, "--resume").stdout


def test_reconstruction(tmp_path):
    run(*TINY, "--task", "reconstruction", "--also_test_on", "rotated:digits", "--output_dir", str(tmp_path / "run"))
    results = json.loads((tmp_path / "run" / "all_results.json").read_text())
    assert results["also_tested_on"]["rotated:digits"].keys() == {"mse", "relative_error", "images", "fingerprint"}
    assert 0 < results["test_relative_error"] < 1
    assert not [name for name in weights(tmp_path / "run") if "norms" in name]
    assert "test_confusion_matrix" not in results


@pytest.mark.parametrize(
    "options",
    [
        ["--bf16"],
        ["--channels_last", "--gradient_accumulation_steps", "2"],
        ["--random_crop", "1", "--random_flip", "--label_smoothing_factor", "0.1", "--whitening", "patch"],
        ["--action", "cyclic", "--tied", "--weight_decay", "0.01", "--lr_scheduler_type", "cosine"],
        ["--action", "rotation", "--whitening", "zca", "--warmup_ratio", "0.3", "--early_stopping_patience", "4"],
        ["--skip_unreadable", "--resize_mode", "pad", "--class_weight", "balanced"],
    ],
    ids=lambda options: options[0].lstrip("-") + "-" + options[-1].lstrip("-"),
)
def test_options_train(options, tmp_path):
    run(*TINY, *options, "--output_dir", str(tmp_path / "run"))
    results = json.loads((tmp_path / "run" / "all_results.json").read_text())
    assert results["test_accuracy"] > 0.2
    assert results["history"][-1]["train_loss"] < results["history"][0]["train_loss"]


def test_a_photograph_is_read_in_prediction_as_in_training(tmp_path):
    """Uneven classes of oblong pictures, a camera of 12 bits, a damaged file."""
    for name, count, level in (("dark", 40, 500), ("bright", 8, 4000)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(np.full((8, 12), level + i, np.uint16)).save(tmp_path / "set" / name / f"{i}.png")
    (tmp_path / "set" / "dark" / "0.png").write_bytes(b"no picture")
    options = ["--resize_mode", "crop", "--max_pixel_value", "4095", "--skip_unreadable", "--class_weight", "balanced"]
    done = run(*TINY, "--dataset", str(tmp_path / "set"), *options, "--output_dir", str(tmp_path / "run"))
    assert "1 of 48 images are skipped" in done.stderr
    assert json.loads((tmp_path / "run" / "all_results.json").read_text())["test_accuracy"] == 1
    processor = LGNImageProcessor.from_pretrained(tmp_path / "run")
    assert (processor.resize_mode, processor.max_pixel_value, processor.image_size) == ("crop", 4095, 8)
    run(*TINY, "--dataset", str(tmp_path / "set"), *options[:-2], "--output_dir", str(tmp_path / "unbalanced"))
    balanced, unbalanced = (
        json.loads((tmp_path / name / "all_results.json").read_text())["history"] for name in ("run", "unbalanced")
    )
    assert balanced[0]["train_loss"] != pytest.approx(unbalanced[0]["train_loss"], rel=1e-3)


def bad(tmp_path, *options: str) -> str:
    """The one line that a run which cannot start prints."""
    done = run(*TINY, "--output_dir", str(tmp_path / "run"), *options, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("run.py: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--filter_size", "20"], "filter_size=20: must be at most image_size + 2*padding = 10"),
        (["--action", "rotation", "--rotation_angle", "60"], "group_order=4 does not match rotation_angle=60.0"),
        (["--num_channels", "2"], "num_channels"),
        (
            ["--task", "reconstruction", "--class_weight", "balanced"],
            "class_weight='balanced' needs labels: task is rec",
        ),
        (["--dataset", "/no/such/folder"], "/no/such/folder"),
        (["--dataset", "ylecun/mnist"], "digits"),
        (["--also_test_on", "rotated:/no/such/folder"], "/no/such/folder"),
        (["--also_test_on", "rot-mnist:digits"], "can be tested on 'rotated:digits'"),
        (["--num_grups", "3"], "did you mean 'num_groups'?"),
        (["--num_groups", "five"], "invalid int value: 'five'"),
        (["--num_train_epochs", "inf"], "num_train_epochs=inf: must be finite"),
        (["extra", "--seed", "1"], "unexpected argument 'extra'"),
        (["--learning_rate", "1e20", "--num_train_epochs", "20"], "is not a number at step"),
    ],
    ids=lambda value: value[-2].lstrip("-") if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(options, message, tmp_path):
    assert message in bad(tmp_path, *options)


def test_the_traceback_can_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv("LGN_HF_TRACEBACK", "1")
    with pytest.raises(SystemExit, match=r"Traceback[\s\S]*ValueError: .*filter_size=20"):
        run(*TINY, "--filter_size", "20", "--output_dir", str(tmp_path / "run"))


def test_an_output_folder_with_another_run_is_left_alone(trained, tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    assert "is not empty: continue the run in it with --resume" in bad(tmp_path, "--output_dir", str(trained))
    message = bad(tmp_path, "--output_dir", str(trained), "--resume", "--num_groups", "3")
    assert "num_groups was 2 and is 3" in message
    assert {path.name: path.stat().st_mtime_ns for path in trained.iterdir()} == before


def test_a_data_set_without_labels(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(5):
        Image.new("L", (8, 8), i).save(tmp_path / "images" / f"{i}.png")
    message = bad(tmp_path, "--dataset", str(tmp_path / "images"))
    assert "label" in message
    assert "reconstruction" in message


def test_an_unreadable_image(tmp_path):
    for name in "ab":
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "images" / name / "1.png")
    (tmp_path / "images" / "a" / "2.png").write_bytes(b"no image")
    assert "2.png" in bad(tmp_path, "--dataset", str(tmp_path / "images"))


@pytest.mark.parametrize("how_many", [1, 2])
def test_damaged_checkpoints_are_passed_over(trained, tmp_path, how_many, monkeypatch):
    """The newest alone, or also the best, which leaves none. The run then starts again; both end with the same weights."""
    folder = tmp_path / "run"
    arguments = [*TINY, "--save_steps", "4", "--output_dir", str(folder)]
    save = loop.save_checkpoint

    def save_and_stop(*what):
        save(*what)
        if what[-1].step == 20:  # in the second epoch of 17 steps
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(loop, "save_checkpoint", save_and_stop)
    assert run(*arguments, check=False).returncode == 128 + signal.SIGTERM
    monkeypatch.undo()
    newest, best = sorted(folder.glob("checkpoint-*"), reverse=True)
    for checkpoint in (newest, best)[:how_many]:
        (checkpoint / "trainer_state.json").unlink()
    done = run(*arguments, "--resume")
    assert f"not continuing from {newest}: trainer_state.json is missing" in done.stderr
    assert (f"\ncontinuing from {best}" in done.stderr) == (how_many == 1)
    assert ("can be used: starting from the beginning" in done.stderr) == (how_many == 2)
    assert all(torch.equal(tensor, weights(folder)[name]) for name, tensor in weights(trained).items())


def image_folder(folder: Path, per_class: int = 20) -> Path:
    """Random 8 x 8 images of two classes."""
    generator = torch.Generator().manual_seed(0)
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            pixels = torch.randint(256, (8, 8), generator=generator).byte().numpy()
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")
    return folder


def test_a_run_is_not_continued_on_other_data(tmp_path):
    """Another split could validate on images that were trained on."""
    photos = image_folder(tmp_path / "photos")
    options = ["--dataset", str(photos), "--max_steps", "2", "--per_device_train_batch_size", "8"]
    run(*TINY, *options, "--output_dir", str(tmp_path / "run"))
    (tmp_path / "run" / "all_results.json").unlink()
    (photos / "cats" / "03.png").unlink()
    message = bad(tmp_path, *options, "--resume")
    assert "its data were 29+3+8 images, fingerprint" in message
    assert "and are 28+3+8 images" in message


def test_a_folder_has_one_run_at_a_time(tmp_path):
    """Without --resume and with it; the message names the run that is there."""
    folder = tmp_path / "run"
    messages, save = [], loop.save_checkpoint

    def save_and_start_another(*what):
        messages.append(in_another_process(*TINY, "--output_dir", str(folder), "--resume"))
        return save(*what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save_and_start_another)
        run(*TINY, "--num_train_epochs", "1", "--output_dir", str(folder))
    assert f"another run is using output_dir {folder} (process {os.getpid()} on " in messages[0]
    assert not list(folder.glob(".*"))


def test_a_run_that_cannot_start_leaves_no_folder(tmp_path):
    bad(tmp_path, "--dataset", "/no/such/folder")
    assert not (tmp_path / "run").exists()


def test_a_cache_that_cannot_be_written_ends_a_run_before_it_trains(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", tmp_path / "file" / "metrics")
    message = bad(tmp_path)
    assert (
        f"the cache folder {tmp_path / 'file' / 'metrics'} cannot be written (Not a directory): set HF_HOME" in message
    )
    assert not (tmp_path / "run").exists()


def test_a_run_starts_from_the_weights_of_another(trained, tmp_path):
    """Its network and its classes are the same, so the classifier is kept, too."""
    done = run(
        *["--dataset", "digits", "--max_train_samples", "600", "--model_name_or_path", str(trained), "--disable_tqdm"],
        *["--learning_rate", "0.0001", "--max_steps", "1", "--output_dir", str(tmp_path / "run")],
    )
    assert f"starting from the weights of {trained}\n" in done.stderr
    before, after = (json.loads((folder / "all_results.json").read_text()) for folder in (trained, tmp_path / "run"))
    assert after["recipe"]["num_groups"] == 2
    assert after["recipe"]["model_name_or_path"] == str(trained)
    assert after["train_loss"] < 1  # 2.3 from the start
    assert after["test_accuracy"] == pytest.approx(before["test_accuracy"], abs=0.05)
    message = bad(tmp_path, "--output_dir", str(trained), "--resume", "--num_train_epochs", "8")
    assert "num_train_epochs was 6.0 and is 8.0; give the fields of the run, or choose another folder" in message
    assert f"and start from this model with --model_name_or_path {trained}" in message


def test_other_classes_get_a_new_classifier(tmp_path):
    """Photos of another size and with other classes, on a model that whitens."""
    source, options = tmp_path / "source", ["--whitening", "patch", "--max_steps", "2"]
    run(*TINY, *options, "--output_dir", str(source))
    photos = ["--dataset", str(image_folder(tmp_path / "photos")), "--model_name_or_path", str(source)]
    options = [*photos, "--max_steps", "1", "--learning_rate", "1e-9", "--per_device_train_batch_size", "8"]
    done = run(*options, "--disable_tqdm", "--output_dir", str(tmp_path / "run"))
    assert "drawn anew: classifier.bias, classifier.weight" in done.stderr
    assert LGNConfig.from_pretrained(tmp_path / "run").id2label == {0: "cats", 1: "dogs"}
    assert torch.allclose(weights(tmp_path / "run")["lgn.basis"], weights(source)["lgn.basis"], atol=1e-6)
    whitening = [load_file(folder / "whitening.safetensors") for folder in (source, tmp_path / "run")]
    assert all(torch.equal(tensor, whitening[1][name]) for name, tensor in whitening[0].items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--whitening", "zca"], "whitening='zca': {model} was trained with 'none'"),
        (["--image_size", "16"], "image_size=16: {model} was trained with 8"),
        (["--filter_size", "5"], "{model} has lgn.basis of shape (2, 2, 1, 4, 4), and this network (2, 2, 1, 5, 5)"),
        (["--model_name_or_path", "/no/such"], "model_name_or_path='/no/such' is neither a folder nor"),
    ],
    ids=lambda value: value[0].lstrip("-") if isinstance(value, list) else "",
)
def test_a_model_that_does_not_fit_is_not_started_from(trained, options, message, tmp_path):
    arguments = ["--dataset", "digits", "--model_name_or_path", str(trained), *options]
    done = run(*arguments, "--output_dir", str(tmp_path / "run"), check=False)
    assert done.returncode == 1
    assert f"run.py: {message.format(model=trained)}" in done.stderr


def test_validation_within_an_epoch_does_not_disturb_training(trained, tmp_path):
    """The weights after the last step are the same; the best may be of any validation; a stop in between changes nothing."""
    folder, save = tmp_path / "often", loop.save_checkpoint
    arguments = [*TINY, "--eval_steps", "7", "--output_dir", str(folder)]

    def save_and_stop(*what):
        save(*what)
        if what[-1].step == 21:
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save_and_stop)
        assert run(*arguments, check=False).returncode == 128 + signal.SIGTERM
    run(*arguments, "--resume")
    results = json.loads((folder / "all_results.json").read_text())
    assert [record["step"] for record in results["history"]][:6] == [7, 14, 17, 21, 28, 34]
    assert results["history"][0]["epoch"] == 0.4118
    undisturbed = json.loads((trained / "all_results.json").read_text())["history"]
    of_epochs = [record for record in results["history"] if record["epoch"] == int(record["epoch"])]
    for name in ("step", "validation_accuracy", "validation_loss"):
        assert [record[name] for record in of_epochs] == [record[name] for record in undisturbed]
    best = max(results["history"], key=lambda record: record["validation_accuracy"])
    assert results["validation_accuracy"] == best["validation_accuracy"]
    straight = tmp_path / "straight"
    run(*TINY, "--eval_steps", "7", "--output_dir", str(straight))
    assert all(torch.equal(tensor, weights(folder)[name]) for name, tensor in weights(straight).items())


def test_a_short_run_is_validated_with_statistics_of_today_s_filters(tmp_path):
    """Running averages lag behind: 0.17 instead of 0.89 after 20 steps."""
    run("lgn-digits", "--max_steps", "40", "--disable_tqdm", "--output_dir", str(tmp_path / "run"))
    results = json.loads((tmp_path / "run" / "all_results.json").read_text())
    assert [record["step"] for record in results["history"]] == [21, 40]
    assert min(record["validation_accuracy"] for record in results["history"]) > 0.75
    assert results["test_accuracy"] > 0.85


def test_a_long_run_says_that_its_first_validation_is_pessimistic(tmp_path):
    options = ["--dataset", "digits", "--num_groups", "2", "--num_layers", "2", "--filter_size", "4", "--disable_tqdm"]
    done = run(
        *options, "--max_steps", "160", "--per_device_train_batch_size", "32", "--output_dir", str(tmp_path / "run")
    )
    assert done.stderr.count("Note: the running averages of batch normalisation lag behind") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny file system needs root")
def test_a_full_disk_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        done = run(*TINY, "--num_groups", "8", "--output_dir", str(disk / "run"), check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "space" in done.stderr.splitlines()[-1]
        assert not list((disk / "run").glob(".*"))  # no half-written file
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--hub_model_id", "a/b/c"], "repo_id='a/b/c': must be USER/NAME"), ([], "not logged in to the Hub")],
    ids=["name", "login"],
)
def test_a_run_that_cannot_be_pushed_ends_before_the_training(options, message, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("lgn_hf.hub.permission.get_token", lambda: None)
    assert message in bad(tmp_path, "--push_to_hub", *options)
    assert not (tmp_path / "run").exists()


def test_a_run_ends_on_the_hub_or_says_how_to_get_there(tmp_path, hub_here, monkeypatch):
    hub, tried = hub_here, []
    monkeypatch.setattr(output_folder, "validate", tried.append)  # the command below tries it in earnest
    options = [*TINY, "--num_train_epochs", "1", "--output_dir", str(tmp_path / "lgn-digits"), "--push_to_hub"]
    hub.fail("POST", "/api/repos/create", times=9, status=403)
    failed = run(*options, check=False)
    assert tried == [tmp_path / "lgn-digits" / "hub"]
    assert failed.returncode == 1
    message = failed.stderr.strip().splitlines()[-1]
    assert "may not write to lgn-digits (403)" in message

    hub.reset_faults()
    command = message.partition("to continue: lgn-hf ")[2].split()
    done = hub.run(["-c", "from lgn_hf.cli import main; main()", *command])
    assert done.returncode == 0, done.stderr
    files = hub.files("tester/lgn-digits")
    assert {"README.md", "model.safetensors", "actions.json", "figures/gallery.png", "recipe.yaml"} <= files.keys()
    assert not any(name.startswith(("checkpoint-", "hub/")) for name in files)
    assert hub.token.encode() not in b"".join(files.values())
