"""The training program with networks of the second family: trained, resumed, tested, and started from."""

import json

import pytest
import torch
import yaml
from lgn_training import evaluate_model
from lgn_training import run as program
from lgn_training.engine.step import TrainingStep

from lgn_hf import Actions, LGNConvNetForImageClassification
from lgn_hf.actions import save_actions
from lgn_hf.nn import LinearGroup
from tests.conftest import ROOT

TINY = ["--dataset", "digits", "--model_type", "lgn_convnet", "--num_orbits", "2", "3", "--depths", "1", "1"]
TINY += ["--max_train_samples", "300", "--per_device_train_batch_size", "50", "--disable_tqdm", "--use_cpu"]


def run(*arguments):
    assert program.main([*arguments]) == 0


def weights(folder):
    return LGNConvNetForImageClassification.from_pretrained(folder).state_dict()


@pytest.mark.slow
def test_a_run_is_resumed_to_the_same_weights_and_tested_again(tmp_path, capsys):
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")
    run(*TINY, "--num_train_epochs", "2", "--output_dir", whole)
    recipe = yaml.safe_load((tmp_path / "whole" / "recipe.yaml").read_text())
    assert (recipe["model_type"], recipe["group"], recipe["depths"]) == ("lgn_convnet", "rotation", [1, 1])

    class Stop(Exception):
        pass

    original = TrainingStep.__call__

    def stopping(self, micro_batches, number):
        if number == 7:
            raise Stop
        return original(self, micro_batches, number)

    TrainingStep.__call__ = stopping
    try:
        with pytest.raises(Stop):
            program.main([*TINY, "--num_train_epochs", "2", "--output_dir", parts])
    finally:
        TrainingStep.__call__ = original
    run(*TINY, "--num_train_epochs", "2", "--output_dir", parts, "--resume")
    for key, value in weights(whole).items():
        torch.testing.assert_close(weights(parts)[key], value, rtol=0, atol=0)

    results = json.loads((tmp_path / "whole" / "all_results.json").read_text())
    assert results["parameters"] == sum(
        p.numel() for p in LGNConvNetForImageClassification.from_pretrained(whole).parameters()
    )
    capsys.readouterr()
    assert evaluate_model.main([whole, "--dataset", "digits"]) == 0
    assert f"{results['test_accuracy']:.4f}" in capsys.readouterr().out

    run(
        *TINY,
        "--max_steps",
        "1",
        "--output_dir",
        str(tmp_path / "warm"),
        "--model_name_or_path",
        whole,
        "--learning_rate",
        "1e-9",
    )
    stem = "lgn_convnet.stem.weight"
    torch.testing.assert_close(weights(tmp_path / "warm")[stem], weights(whole)[stem], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_network_over_a_group_that_was_found(tmp_path):
    generators = LinearGroup.dihedral(3).generators + 1e-3 * torch.randn(2, 9, 9, dtype=torch.float64)
    save_actions(Actions(generators.float()[None, :, None], 4), tmp_path / "found")
    folder = str(tmp_path / "run")
    run(*TINY, "--max_steps", "2", "--group", "given", "--group_from", str(tmp_path / "found"), "--output_dir", folder)
    group = LGNConvNetForImageClassification.from_pretrained(folder).group
    assert group.name == "D_4"
    rotations = [*TINY, "--max_steps", "1", "--group", "given", "--group_from", str(tmp_path / "found")]
    run(*rotations, "--group_actions", "1", "--output_dir", str(tmp_path / "one"))
    assert LGNConvNetForImageClassification.from_pretrained(tmp_path / "one").group.name == "C_4"
    assert program.main([*rotations, "--group_actions", "3", "--output_dir", str(tmp_path / "three")]) == 1
    warm = str(tmp_path / "warm")
    run(*TINY, "--max_steps", "1", "--model_name_or_path", folder, "--output_dir", warm)
    started = LGNConvNetForImageClassification.from_pretrained(warm).group
    torch.testing.assert_close(started.elements, group.elements)
    snapped = str(tmp_path / "snapped")
    options = ["--group", "given", "--group_from", str(tmp_path / "found"), "--snap_group", "--filter_size", "5"]
    run(*TINY, "--max_steps", "1", *options, "--output_dir", snapped)
    expected = LinearGroup.dihedral(5).generators
    assert torch.equal(LGNConvNetForImageClassification.from_pretrained(snapped).group.generators, expected)
    torch.testing.assert_close(group.generators, LinearGroup.dihedral(3).generators, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--group_from", "nowhere"], "group_from='nowhere' needs --model_type lgn_convnet and --group given"),
        (["--group", "given"], "group_generators: must be a list of matrices for group='given'"),
        (["--task", "reconstruction"], "task='reconstruction': must be classification for model_type='lgn_convnet'"),
        (["--filter_size", "4"], "filter_size=4: must be odd"),
    ],
)
def test_a_mistake_ends_in_one_line(arguments, message, tmp_path, capsys):
    assert program.main([*TINY, *arguments, "--output_dir", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_recipe_on_digits_is_of_this_family():
    recipe = yaml.safe_load((ROOT / "training" / "recipes" / "convnet-digits.yaml").read_text())
    assert recipe["model_type"] == "lgn_convnet"
