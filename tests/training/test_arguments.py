"""Recipes and the command line: one vocabulary, checked alike, with the nearest name for a wrong one."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from lgn_training import network_fields
from lgn_training.arguments import NAMES_ELSEWHERE, NetworkArguments, RunArguments, parse_arguments

from lgn_hf import LGNConfig
from lgn_hf.remote_code import ENTRIES
from lgn_hf.runs.family import FAMILIES
from tests.conftest import ROOT

RECIPES = sorted((ROOT / "training" / "recipes").glob("*.yaml"))


def write(folder: Path, **fields) -> str:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(fields))
    return str(path)


def test_without_a_recipe_every_field_has_its_default():
    recipe = parse_arguments([])
    assert recipe.run == RunArguments()
    assert recipe.network["num_groups"] == LGNConfig().num_groups
    assert recipe.network["image_size"] is None  # as the data


def test_the_command_line_overrides_the_recipe(tmp_path):
    recipe = parse_arguments([write(tmp_path, seed=3, num_groups=2), "--seed", "4"])
    assert (recipe.run.seed, recipe.network["num_groups"]) == (4, 2)
    assert recipe.name == "recipe"


def test_a_saved_recipe_reads_back_to_the_same_run(tmp_path):
    recipe = parse_arguments(["--lr_milestones", "0.2", "0.4", "--tied", "--rotation_angle", "90", "--bf16", "true"])
    assert recipe.run.also_test_on is None
    again = parse_arguments([write(tmp_path, **recipe.fields())])
    assert again.fields() == recipe.fields()


def test_a_list_of_data_sets_reads_back_too(tmp_path):
    recipe = parse_arguments(["--also_test_on", "rotated:digits", "digits", "--seed", "1"])
    assert recipe.run.also_test_on == ["rotated:digits", "digits"]
    assert parse_arguments([write(tmp_path, **recipe.fields())]).fields() == recipe.fields()


def test_numbers_in_yaml_may_be_written_without_a_point(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("learning_rate: 1e-2\n")  # YAML 1.1 reads a string
    assert parse_arguments([str(path)]).run.learning_rate == 0.01


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_parses_and_makes_a_network(path):
    recipe = parse_arguments([str(path)])
    side = 8 if "digits" in path.stem else 28 if "mnist" in path.stem else 32
    fields = {**recipe.network, "image_size": side, "num_channels": 3 if side == 32 else 1}
    assert FAMILIES[recipe.model_type].config_class(**fields).own_fields()
    assert recipe.run.output_dir == f"runs/{path.stem}"


def test_every_network_of_the_papers_has_a_recipe():
    names = {path.stem for path in RECIPES}
    table1 = {f"{n}-{d}" for n in ("baseline", "r90", "r60") for d in ("mnist", "rotmnist", "cifar10")}
    table2 = {f"dense-{n}-mnist" for n in ("baseline", "r90", "r60", "left")}
    learned = {f"lgn-{d}{task}" for d in ("mnist", "cifar10", "digits") for task in ("", "-reconstruction")}
    assert table1 | table2 | learned <= names
    for name in table2:
        run = parse_arguments([str(ROOT / "training" / "recipes" / f"{name}.yaml")]).run
        assert run.also_test_on == [f"rotated:{run.dataset}"]


def test_help_explains_every_field(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_arguments(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for kind in (NetworkArguments, RunArguments):
        for f in dataclasses.fields(kind):
            assert f"--{f.name}" in text
            assert f.metadata["help"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_options_of_the_network_are_the_fields_of_its_configuration(family):
    """`network_fields.py` is a copy that is fast to import: change it with the configurations."""
    arguments, config = network_fields.FAMILIES[family], FAMILIES[family].config_class
    types = get_type_hints(arguments)
    elsewhere = ("group_generators",)  # they come from `group_from`
    defined = [f for f in dataclasses.fields(config) if "help" in f.metadata and f.name not in elsewhere]
    assert [f.name for f in dataclasses.fields(arguments)] == [f.name for f in defined]
    for copy, original in zip(dataclasses.fields(arguments), defined, strict=True):
        by_the_data = original.name in ("image_size", "num_channels")
        help = original.metadata["help"] + (" (default: as the data)" if by_the_data else "")
        assert copy.metadata["help"] == help
        if isinstance(copy.default_factory, type(dataclasses.MISSING)):
            assert copy.default == (None if by_the_data else original.default)
        else:
            assert copy.default_factory() == original.default_factory()
        kind: Any = str if original.name == "group" else original.type  # a configuration takes a LinearGroup, too
        assert types[copy.name] == (kind | None if by_the_data else kind)


def test_the_families_are_the_same_everywhere():
    assert network_fields.FAMILIES.keys() == FAMILIES.keys() == ENTRIES.keys()


def test_a_family_has_fields_of_its_own(tmp_path, capsys):
    recipe = parse_arguments(
        [write(tmp_path, model_type="lgn_convnet", group="dihedral", depths=[1, 2, 1]), "--seed", "3"]
    )
    assert recipe.model_type == "lgn_convnet"
    assert (recipe.network["group"], recipe.network["depths"], recipe.run.seed) == ("dihedral", [1, 2, 1], 3)
    assert parse_arguments([write(tmp_path, **recipe.fields())]).fields() == recipe.fields()
    assert "model_type" not in parse_arguments([]).fields()
    with pytest.raises(ValueError, match="unknown field 'depths' in the command line"):
        parse_arguments(["--depths", "1"])
    with pytest.raises(ValueError, match="model_type='resnet': must be one of lgn, lgn_convnet"):
        parse_arguments(["--model_type", "resnet"])
    with pytest.raises(SystemExit):
        parse_arguments(["--model_type", "lgn_convnet", "--help"])
    assert "--num_orbits" in capsys.readouterr().out


@pytest.mark.parametrize("program", ["run", "evaluate_model"])
@pytest.mark.parametrize(
    "argv", [["--help"], ["--num_grups", "3"], ["no/such.yaml", "--seed"]], ids=lambda argv: argv[0]
)
def test_help_and_mistakes_do_not_wait_for_torch(program, argv):
    code = f"""
import sys
from lgn_training import programs
try:
    programs.{program}({argv})
except SystemExit:
    pass
slow = {{"torch", "transformers", "datasets", "accelerate", "evaluate", "numpy"}} & sys.modules.keys()
assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if argv == ["--help"]:
        assert done.stdout.startswith("usage:")
    else:
        assert re.fullmatch(rf"{program}\.py: .*\n", done.stderr)


def test_a_dashed_option_is_the_same_field():
    assert parse_arguments(["--num-groups", "3"]).network["num_groups"] == 3


def test_what_is_on_by_default_can_be_switched_off():
    for argv in (["--no_batch_norm"], ["--no-batch-norm"], ["--batch_norm", "false"]):
        assert parse_arguments(argv).network["batch_norm"] is False


def test_a_recipe_knows_what_it_was_given(tmp_path):
    assert parse_arguments([write(tmp_path, num_groups=5), "--seed", "0"]).given == {"num_groups", "seed"}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--num_group", "3"], "unknown field 'num_group' in the command line: did you mean 'num_groups'?"),
        (["--learning-rat=3"], "did you mean 'learning_rate'?"),
        (["--batch_size", "3"], "did you mean 'per_device_train_batch_size'?"),  # and not: step_size
        (["--num-epochs", "3"], "did you mean 'num_train_epochs'?"),
        (["--num_labels", "3"], "unknown field 'num_labels' in the command line: the classes come from the data"),
        (["--momentum", "3"], "unknown field 'momentum' in the command line; --help lists all"),  # and not: resume
        (["nope.yaml"], "no recipe nope.yaml; training/recipes has those of the zoo"),  # and not: lgn-none-mnist
        (["training/recipes/lgn-mnst.yaml"], "did you mean training/recipes/lgn-mnist.yaml?"),
        (["--task", "segmentation"], "task='segmentation': must be one of classification, reconstruction"),
        (["--learning_rate", "0"], "learning_rate=0.0: must be greater than 0"),
        (["--train_val_split", "1"], "train_val_split=1.0: must be at least 0 and less than 1"),
        (["--lr_milestones", "2"], "must be shares of the run"),
        (["--bf16", "--fp16"], "exclude each other"),
        (["--early_stopping_patience", "2", "--train_val_split", "0"], "needs a validation split"),
        (["--seed", "-1"], "seed=-1: must be at least 0 and less than 2**32"),
        (["--seed", str(2**32)], "seed=4294967296: must be at least 0 and less than 2**32"),
        (["--seeds", "1", "1"], "seeds=[1, 1]: must be different seeds of at least 0"),
        (["--seeds", "0", "1", "--push_to_hub"], "seeds and push_to_hub exclude each other"),
        (["--seeds_at_once"], "seeds_at_once needs seeds: give some"),
        (["--seeds", "0", "1", "--seeds_at_once", "--fp16"], "seeds_at_once and fp16 exclude each other"),
        (["--lr_decay", "-3"], "lr_decay=-3.0: must be greater than 0"),
        (["--lr_decay", "nan"], "lr_decay=nan: must be finite"),
        (["--weight_decay", "nan"], "weight_decay=nan: must be finite"),
        (["--learning_rate", "inf"], "learning_rate=inf: must be finite"),
        (["--num_train_epochs", "inf"], "num_train_epochs=inf: must be finite"),
        (["--lr_milestones", "0.5", "nan"], "must be shares of the run"),
        (["--max_steps", "-7"], "max_steps=-7: must be greater than 0, or -1"),
        (["--max_steps", "0"], "max_steps=0: must be greater than 0, or -1"),
        (["--seed", "1", "extra"], "unexpected argument 'extra': a recipe comes first"),
        (["-seed", "1"], "unexpected argument '-seed'"),
        (["--seed"], "argument --seed: expected one argument"),
        (["--bf16", "maybe"], "argument --bf16: must be true or false, not 'maybe'"),
    ],
)
def test_a_wrong_argument_is_named(argv, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_arguments(argv)


def test_the_names_of_other_programs_lead_to_fields():
    fields = {field.name for kind in (NetworkArguments, RunArguments) for field in dataclasses.fields(kind)}
    assert set(NAMES_ELSEWHERE.values()) <= fields
    assert not NAMES_ELSEWHERE.keys() & fields


def test_an_unknown_recipe_key_is_named_with_its_file(tmp_path):
    with pytest.raises(ValueError, match=r"unknown field 'batchsize' in .*recipe.yaml"):
        parse_arguments([write(tmp_path, batchsize=3)])


@pytest.mark.parametrize("value", [[1, 2], [1], {"a": 1}], ids=str)
def test_a_recipe_has_lists_only_where_they_belong(tmp_path, value):
    with pytest.raises(ValueError, match=re.escape(f"seed={value!r} in ") + r".*recipe.yaml: must be one value"):
        parse_arguments([write(tmp_path, seed=value)])


@pytest.mark.parametrize("text", [b"- a\n- b\n", b"a: [1,\n", b"dataset: M\xfcnchen\n", b"seed: 2026-13-01\n"])
def test_a_recipe_must_be_a_yaml_mapping(tmp_path, text):
    path = tmp_path / "r.yaml"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"r\.yaml (must be a mapping|is not YAML)"):
        parse_arguments([str(path)])


def test_a_value_of_the_wrong_type_is_an_error_from_recipe_and_command_line(tmp_path, capsys):
    for argv in ([write(tmp_path, num_groups="five")], ["--num_groups", "five"]):
        with pytest.raises(ValueError, match=r"argument --num_groups\S*: invalid int value: 'five'"):
            parse_arguments(argv)
        assert capsys.readouterr().err == ""  # the program prints the one line
