"""Saving and loading: what a fresh process reads is what was saved, to the bit, or else an error says what is wrong."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, AutoModelForImageToImage

from lgn_hf import LGNForImageClassification, LGNForImageReconstruction, LGNModel
from tests.conftest import ROOT
from tests.support.networks import ANSWER, HEADS, NETWORKS, make_images, make_used_model

FORMATS = {
    "float32": (torch.float32, {}),
    "bfloat16": (torch.bfloat16, {}),
    "sharded": (torch.float32, {"max_shard_size": "1KB"}),
}
SAVED = [
    *((name, "classification") for name in NETWORKS),
    *((name, "reconstruction") for name in ("learned", "learned-tied", "left", "rotation-60", "cyclic-leftover")),
]


def facts(model, images) -> dict[str, torch.Tensor]:
    """Every tensor of a model, every buffer (saved or not), and its answer to some images."""
    outputs = model.eval()(images)
    answer = outputs[next(key for key in ANSWER.values() if key in outputs)]
    tensors = {**model.state_dict(), **dict(model.named_buffers()), "bank": model.filter_bank(), "answer": answer}
    return {key: tensor.detach().clone() for key, tensor in tensors.items() if "auxiliary" not in key}


def assert_same(loaded, saved):
    assert loaded.keys() == saved.keys()
    for key, tensor in saved.items():
        assert loaded[key].dtype == tensor.dtype, key
        assert torch.equal(loaded[key], tensor), key


def run_python(script: str, *arguments, flags=(), **environment) -> None:
    """Run a script in an interpreter of its own; its output is the message if it fails."""
    environment = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "HF_HUB_OFFLINE": "1", **environment}
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(script), *map(str, arguments)],
        env={**os.environ, **environment}, cwd=arguments[0], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


# Exports


@pytest.fixture
def classifier(tmp_path):
    """A used float32 classifier and the folder that it was saved in."""
    model = make_used_model("learned").float()
    model.save_pretrained(tmp_path)
    return model, tmp_path


def tensors_in(folder):
    return {key: tensor for path in folder.glob("*.safetensors") for key, tensor in load_file(path).items()}


@pytest.mark.parametrize("options", [{}, {"max_shard_size": "1KB"}])
@pytest.mark.parametrize("name", NETWORKS)
def test_exports_hold_every_tensor_but_the_auxiliary_inverses(name, options, tmp_path):
    model = make_used_model(name).float()
    model.save_pretrained(tmp_path, **options)
    state = model.state_dict()
    assert tensors_in(tmp_path).keys() == {key for key in state if not key.endswith("auxiliary_inverses")}
    assert ("lgn.auxiliary_inverses" in state) == (model.base_model.auxiliary_inverses is not None)


def test_an_export_is_really_sharded(tmp_path):
    make_used_model("learned").save_pretrained(tmp_path, max_shard_size="1KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert (tmp_path / "model.safetensors.index.json").exists()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    "name", ["learned", "learned-tied", "learned-shared", "learned-layer", "learned-network", "left"]
)
def test_training_goes_on_from_an_export_with_the_true_inverses(name, head, tmp_path):
    make_used_model(name, head).save_pretrained(tmp_path)
    model = HEADS[head].from_pretrained(tmp_path).train()
    actions = model.base_model.action.generators(model.base_model.basis)
    inverses = model.base_model.auxiliary_inverses
    assert inverses.requires_grad
    torch.testing.assert_close(actions @ inverses, torch.eye(9).to(actions).expand_as(actions), rtol=0, atol=1e-8)
    before = inverses.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.no_grad():
        model.base_model.action.weight.mul_(1.1)
    (model(make_images(model.config))[ANSWER[head]].sum() + model.regularization_loss()).backward()
    optimizer.step()
    assert not torch.equal(inverses, before)


def test_a_given_state_is_saved_without_the_auxiliary_inverses_too(tmp_path):
    model = make_used_model("learned").float()
    state = {key: tensor + 1 for key, tensor in model.state_dict().items()}
    model.save_pretrained(tmp_path, state_dict=state)
    saved = tensors_in(tmp_path)
    assert "lgn.auxiliary_inverses" not in saved
    assert torch.equal(saved["lgn.basis"], model.lgn.basis + 1)


def test_a_loaded_model_saves_the_same_files_again(classifier, tmp_path):
    _, folder = classifier
    LGNForImageClassification.from_pretrained(folder).save_pretrained(tmp_path / "again")
    for path in folder.glob("*.*"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_model_is_not_left_on_the_disk(classifier, tmp_path):
    """Its actions would be read before they are there."""
    _, folder = classifier
    with pytest.raises(ValueError, match=r"device_map=\{'': 'disk'\} would leave parts|whole model to the disk"):
        LGNForImageClassification.from_pretrained(
            folder, device_map={"": "disk"}, offload_folder=str(tmp_path / "offload")
        )
    assert LGNForImageClassification.from_pretrained(folder, device_map="auto").device.type != "meta"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", ["learned", "rotation-60", "cyclic"])
def test_loading_in_a_given_dtype_is_casting(name, dtype, tmp_path):
    model = make_used_model(name).float()
    model.save_pretrained(tmp_path)
    loaded = LGNForImageClassification.from_pretrained(tmp_path, dtype=dtype)
    images = make_images(model.config).to(dtype)
    assert_same(facts(loaded, images), facts(model.to(dtype), images))


# Damage


@pytest.mark.parametrize(
    "key",
    ["lgn.basis", "lgn.action.weight", "lgn.threshold", "lgn.norms.1.weight", "lgn.norms.0.running_mean", "classifier.bias"],
)  # fmt: skip
def test_a_missing_tensor_is_an_error_that_names_it(classifier, key):
    _, folder = classifier
    tensors = tensors_in(folder)
    del tensors[key]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OSError, match=key) as error:
        LGNForImageClassification.from_pretrained(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fields", [{"num_groups": 3}, {"filter_size": 4}, {"num_labels": 9}])
def test_a_tensor_of_another_shape_is_an_error(classifier, fields):
    _, folder = classifier
    config = json.loads((folder / "config.json").read_text())
    config.pop("id2label"), config.pop("label2id")
    (folder / "config.json").write_text(json.dumps({**config, **fields}))
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        LGNForImageClassification.from_pretrained(folder)


def test_a_classifier_for_other_labels_is_drawn_anew_when_asked(classifier):
    model, folder = classifier
    labels = {i: f"class {i}" for i in range(9)}
    loaded, info = LGNForImageClassification.from_pretrained(
        folder, id2label=labels, ignore_mismatched_sizes=True, output_loading_info=True
    )
    assert {key for key, *_ in info["mismatched_keys"]} == {"classifier.weight", "classifier.bias"}
    assert loaded.classifier.weight.shape == (9, model.classifier.in_features)
    assert 0 < loaded.classifier.weight.abs().max() <= model.classifier.in_features**-0.5
    for key, tensor in tensors_in(folder).items():
        assert key.startswith("classifier") or torch.equal(loaded.state_dict()[key], tensor), key


@pytest.mark.parametrize("kept", [0, 7, 100, 0.5, -1])
def test_a_truncated_file_is_an_error_of_one_line(classifier, kept):
    _, folder = classifier
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(OSError, match="damaged or incomplete") as error:
        LGNForImageClassification.from_pretrained(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_broken_shard_is_an_error(tmp_path, damage):
    make_used_model("learned").save_pretrained(tmp_path, max_shard_size="1KB")
    shard = sorted(tmp_path.glob("*.safetensors"))[-1]
    content = shard.read_bytes()
    shard.unlink()
    if damage == "truncated":
        shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=str(tmp_path)):
        LGNForImageClassification.from_pretrained(tmp_path)


def test_a_folder_without_weights_is_an_error(classifier):
    _, folder = classifier
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"model\.safetensors"):
        LGNForImageClassification.from_pretrained(folder)


# One checkpoint, several classes


@pytest.mark.parametrize("head", ["classification", "reconstruction"])
@pytest.mark.parametrize("name", ["learned", "learned-tied", "cyclic-leftover", "rotation-60"])
def test_the_base_model_loads_from_every_head(name, head, tmp_path):
    model = make_used_model(name, head).float().eval()
    model.save_pretrained(tmp_path)
    base = LGNModel.from_pretrained(tmp_path)
    images = make_images(model.config).float()
    assert torch.equal(base(images).last_hidden_state, model.lgn(images).last_hidden_state)


@pytest.mark.parametrize("decoder", ["free", "tied"])
def test_no_reconstruction_from_a_classifier(decoder, tmp_path):
    """Its layers were trained with batch normalisation, which reconstruction leaves out."""
    make_used_model("learned", decoder=decoder).save_pretrained(tmp_path)
    with pytest.raises(OSError, match="LGNForImageReconstruction"):
        LGNForImageReconstruction.from_pretrained(tmp_path)


@pytest.mark.parametrize("head", ["base", "reconstruction"])
def test_no_classifier_from_a_checkpoint_without_one(head, tmp_path):
    make_used_model("learned", head).save_pretrained(tmp_path)
    with pytest.raises(OSError, match=r"classifier\.weight \(ignore_mismatched_sizes=True draws them anew"):
        LGNForImageClassification.from_pretrained(tmp_path)


@pytest.mark.parametrize("head", ["base", "reconstruction"])
def test_a_classifier_on_an_encoder_is_drawn_anew_when_asked(head, tmp_path):
    encoder = make_used_model("learned", head).float()
    encoder.save_pretrained(tmp_path)
    options = {"ignore_mismatched_sizes": True, "num_labels": 5, "output_loading_info": True}
    model, info = LGNForImageClassification.from_pretrained(tmp_path, **options)
    assert set(info["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert model.classifier.weight.shape[0] == 5
    kept = getattr(encoder, "lgn", encoder).state_dict()
    assert_same({key: model.lgn.state_dict()[key] for key in kept if "auxiliary" not in key},
                {key: tensor for key, tensor in kept.items() if "auxiliary" not in key})  # fmt: skip


@pytest.mark.parametrize("key", ["basis", "action.weight"])
def test_an_encoder_must_be_whole_even_so(key, tmp_path):
    make_used_model("learned", "base").save_pretrained(tmp_path)
    tensors = tensors_in(tmp_path)
    del tensors[key]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OSError, match=key):
        LGNForImageClassification.from_pretrained(tmp_path, ignore_mismatched_sizes=True)


# Auto classes


@pytest.mark.parametrize(
    ("auto", "expected"),
    [
        (AutoModel, LGNModel),
        (AutoModelForImageClassification, LGNForImageClassification),
        (AutoModelForImageToImage, LGNForImageReconstruction),
    ],
)
def test_auto_classes_build_and_load_their_model(auto, expected, tmp_path):
    config = AutoConfig.for_model("lgn", num_groups=2, num_layers=2, filter_size=3)
    model = auto.from_config(config)
    assert type(model) is expected
    model.save_pretrained(tmp_path)
    assert type(auto.from_pretrained(tmp_path)) is expected


@pytest.mark.slow
def test_the_package_can_be_imported_again_before_transformers_is(tmp_path):
    """As notebooks do, which reload what has changed."""
    script = """
        import importlib, sys
        import lgn_hf
        importlib.reload(lgn_hf)
        for name in [name for name in sys.modules if name.partition(".")[0] == "lgn_hf"]:
            del sys.modules[name]
        import lgn_hf
        from transformers import AutoConfig, AutoModel
        assert type(AutoModel.from_config(AutoConfig.for_model("lgn"))) is lgn_hf.LGNModel
    """
    run_python(script, tmp_path)


# A fresh process

LOAD_EVERYTHING = """
    import logging, sys, warnings
    from pathlib import Path
    import torch
    from transformers import AutoModelForImageClassification, AutoModelForImageToImage
    import lgn_hf
    from tests.model.test_loading import facts

    logged = []
    class Keep(logging.Handler):
        def emit(self, record):
            logged.append(record.getMessage())
    logging.getLogger("transformers").addHandler(Keep())
    logging.getLogger("transformers").setLevel(logging.WARNING)

    results = {}
    for folder in sorted(path.parent for path in Path(sys.argv[1]).rglob("config.json")):
        head = AutoModelForImageToImage if "reconstruction" in folder.name else AutoModelForImageClassification
        logged.clear()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            torch.manual_seed(99)
            model = head.from_pretrained(folder)
        images = torch.load(folder / "images.pt")
        messages = [*logged, *(str(warning.message) for warning in warned)]
        results[folder.name] = {"facts": facts(model, images), "messages": messages, "training": model.training}
    torch.save(results, sys.argv[2])
"""


@pytest.fixture(scope="module")
def fresh_process(tmp_path_factory):
    """Save every network in every format, load all in one fresh process: folder name -> (saved, loaded) facts."""
    folder, results = tmp_path_factory.mktemp("saved"), tmp_path_factory.mktemp("results") / "results.pt"
    saved = {}
    for name, head in SAVED:
        for format_, (dtype, options) in FORMATS.items():
            path = folder / f"{name}.{head}.{format_}"
            model = make_used_model(name, head).to(dtype)
            model.save_pretrained(path, **options)
            images = make_images(model.config).to(dtype)
            torch.save(images, path / "images.pt")
            saved[path.name] = facts(model, images)
    paths = os.pathsep.join([str(ROOT)])
    run_python(LOAD_EVERYTHING, folder, results, PYTHONPATH=paths)
    loaded = torch.load(results)
    assert loaded.keys() == saved.keys()
    return {key: (saved[key], loaded[key]) for key in saved}


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("name", "head"), SAVED)
def test_a_fresh_process_loads_every_bit(fresh_process, name, head, format_):
    saved, loaded = fresh_process[f"{name}.{head}.{format_}"]
    assert_same(loaded["facts"], saved)
    assert loaded["facts"]["answer"].isfinite().all()
    assert not loaded["training"]


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("name", "head"), SAVED)
def test_loading_an_export_gives_no_warning(fresh_process, name, head, format_):
    assert fresh_process[f"{name}.{head}.{format_}"][1]["messages"] == []


# Remote code

LOAD_REMOTELY = """
    import sys
    from pathlib import Path
    import torch
    sys.modules["lgn_hf"] = None  # even where it is installed
    try:
        import lgn_hf
    except ImportError:
        pass
    else:
        raise SystemExit("lgn_hf is importable: this run would show nothing")
    from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, AutoModelForImageToImage

    CLASSES = {
        "base": {"last_hidden_state": AutoModel},
        "classification": {"last_hidden_state": AutoModel, "logits": AutoModelForImageClassification},
        "reconstruction": {"last_hidden_state": AutoModel, "reconstruction": AutoModelForImageToImage},
    }

    def answers(folder, head, images):
        assert AutoConfig.from_pretrained(folder, trust_remote_code=True).model_type == "lgn"
        models = {key: auto.from_pretrained(folder, trust_remote_code=True) for key, auto in CLASSES[head].items()}
        assert all(type(model).__module__.startswith("transformers_modules") for model in models.values())
        return models, {key: model(images)[key].detach() for key, model in models.items()}

    results, root = {}, Path(sys.argv[1])
    for folder in sorted(root.iterdir()):
        head, images = folder.name.split(".")[1], torch.load(folder / "images.pt")
        models, first = answers(folder, head, images)
        again = root / ".." / "again" / folder.name
        list(models.values())[-1].save_pretrained(again)
        results[folder.name] = first, answers(again, head, images)[1]
    torch.save(results, sys.argv[2])
"""

REMOTE = [
    ("learned", "base"),
    ("learned", "classification"),
    ("left", "classification"),
    ("cyclic-leftover", "classification"),
    ("rotation-60", "classification"),
    ("baseline", "classification"),
    ("learned", "reconstruction"),
    ("learned-shared", "reconstruction"),
]


@pytest.fixture(scope="module")
def remote_process(tmp_path_factory):
    """Save some models, load them with remote code where lgn_hf is absent: (root folder, saved, loaded) answers."""
    root = tmp_path_factory.mktemp("remote")
    saved = {}
    for name, head in REMOTE:
        folder = root / "saved" / f"{name}.{head}"
        model = make_used_model(name, head).float().eval()
        model.save_pretrained(folder)
        images = make_images(model.config).float()
        torch.save(images, folder / "images.pt")
        answers = {ANSWER[head]: model(images)[ANSWER[head]].detach()}
        answers["last_hidden_state"] = model.base_model(images).last_hidden_state.detach()
        saved[folder.name] = answers
    cache = {"HF_HOME": str(root / "home"), "HF_MODULES_CACHE": str(root / "modules")}
    run_python(LOAD_REMOTELY, root / "saved", root / "results.pt", flags=["-I"], **cache)
    return root, saved, torch.load(root / "results.pt")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "head"), REMOTE)
def test_remote_code_gives_the_same_answers(remote_process, name, head):
    _, saved, loaded = remote_process
    first, again = loaded[f"{name}.{head}"]
    assert_same(again, first)
    # A repository has no C++: the layers run through torch, and round differently.
    torch.testing.assert_close(first, saved[f"{name}.{head}"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "head"), REMOTE)
def test_a_remote_model_saves_completely(remote_process, name, head):
    root, _, _ = remote_process
    saved, again = root / "saved" / f"{name}.{head}", root / "again" / f"{name}.{head}"
    files = {path.name for path in saved.iterdir()} - {"images.pt"}
    assert {path.name for path in again.iterdir() if path.name != "__pycache__"} == files
    assert {"config.json", "model.safetensors", "modeling_lgn.py", "configuration_lgn.py"} <= files
    for file in files:
        assert (again / file).read_bytes() == (saved / file).read_bytes(), file
