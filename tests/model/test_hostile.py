"""A repository from anywhere is read, or refused at once by one error that says why: its files are data, and nothing more.

Every folder is opened in a process that has 2 GiB of address space to lose and ten seconds to answer.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import pytest
import torch
from safetensors.torch import load_file, save_file

from lgn_hf import LGNImageProcessor, load_actions
from lgn_hf.hub.action_dataset import build_actions_dataset
from lgn_hf.runs.trained_model import open_trained_model
from tests.conftest import ROOT
from tests.support.networks import make_used_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does"),
]

DEEP = "[" * 10**5
DEEP_OBJECT = '{"a":' * 10**5
SCRIPT = "<script>alert(1)</script>"

# Reads folder names, answers each with what every reader made of it: a kind of error, or null, and its message.
JUDGE = """
import json, os, resource, signal, sys, warnings
import torch
from transformers.utils import logging
from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor, load_actions
from lgn_hf.prediction import predict
from lgn_hf.runs.trained_model import open_trained_model

def size():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()

def judge(folder):
    found = {}
    readers = {
        "config": LGNConfig.from_pretrained, "model": LGNForImageClassification.from_pretrained,
        "processor": LGNImageProcessor.from_pretrained, "actions": load_actions, "source": open_trained_model,
        "predict": lambda folder: predict(folder, [folder + "/image.png"]),
    }
    for name, read in readers.items():
        signal.setitimer(signal.ITIMER_PROF, 10)  # seconds of its own time, whatever else the machine does
        try:
            read(folder)
            found[name] = [None, ""]
        except BaseException as error:
            kind = next((k.__name__ for k in (ValueError, OSError) if isinstance(error, k)), type(error).__name__)
            found[name] = [kind, str(error)]
    return found

torch.set_num_threads(1)
logging.set_verbosity(100)
logging.disable_progress_bar()
signal.signal(signal.SIGPROF, lambda *_: os._exit(9))
print("ready", flush=True)
for line in sys.stdin:
    out, into = os.pipe()
    if (child := os.fork()) == 0:
        os.close(out)
        limit = size() + 2 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        answer = json.dumps(judge(line.strip()))
        with os.fdopen(into, "w") as file:
            file.write(answer)
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as file:
        answer = file.read()
    status = os.waitpid(child, 0)[1]
    print(answer if status == 0 else json.dumps({"died": [str(status), ""]}), flush=True)
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[Callable[[Path], dict[str, list]]]:
    command = [sys.executable, "-W", "ignore", "-c", JUDGE]
    environment = {**os.environ, "LGN_HF_COMPILE": "0"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        to, answers = cast(TextIO, process.stdin), cast(TextIO, process.stdout)
        assert answers.readline() == "ready\n"

        def ask(folder: Path) -> dict[str, list]:
            to.write(f"{folder}\n")
            to.flush()
            return json.loads(answers.readline())

        yield ask
        to.close()


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """A published classifier: weights, processor, actions, results."""
    folder = tmp_path_factory.mktemp("good") / "model"
    model = make_used_model("learned").float()
    model.save_pretrained(folder)
    images = torch.randint(0, 256, (60, 1, 7, 7), dtype=torch.uint8)
    LGNImageProcessor(image_size=7, whitening="zca").fit(images).save_pretrained(folder)
    model.actions().save(folder)
    (folder / "all_results.json").write_text('{"recipe": {"task": "classification", "dataset": "digits"}}')
    LGNImageProcessor(image_size=7).post_process_reconstruction(torch.zeros(1, 1, 7, 7))[0].save(folder / "image.png")
    return folder


@pytest.fixture
def folder(good, tmp_path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def change(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def poison(path: Path, value: float, key: str | None = None) -> None:
    """A tensor of the file has one such number."""
    tensors = load_file(path)
    tensors[key or sorted(tensors)[0]].view(-1)[-1] = value
    save_file(tensors, path, metadata={"format": "pt"})


def check_refused(found: dict[str, list], reader: str, message: str) -> None:
    for name, (kind, said) in found.items():
        assert kind in (None, "ValueError", "OSError"), (name, kind, said)
    kind, said = found[reader]
    assert kind is not None
    assert message in said
    assert len(said) < 1000


def test_what_is_not_hostile_is_read(judge, folder):
    assert set(judge(folder)) == {"config", "model", "processor", "actions", "source", "predict"}
    assert all(kind is None for kind, _ in judge(folder).values()), judge(folder)


SIZES = {
    "num_groups": 10**9,
    "group_order": 10**9,
    "num_layers": 10**9,
    "filter_size": 100_000,
    "image_size": 10**9,
    "num_labels": 10**9,
    "pool_size": 10**9,
    "padding": 10**9,
}
TOGETHER = {  # each within its limit
    "actions": {"image_size": 4096, "filter_size": 3000},
    "rotations": {
        "image_size": 512,
        "filter_size": 200,
        "action": "rotation",
        "group_order": 4096,
        "rotation_angle": None,
    },
    "filters": {"num_groups": 4096, "group_order": 4096, "num_layers": 256},
    "code": {"image_size": 4096, "num_groups": 64},
    "classifier": {"num_labels": 100_000, "id2label": None, "image_size": 64, "pool_size": 60},
}


@pytest.mark.parametrize("name", SIZES)
def test_a_huge_size_in_the_configuration(judge, folder, name):
    change(folder / "config.json", {name: SIZES[name], "id2label": None})
    check_refused(judge(folder), "model", f"{name}={SIZES[name]}")


@pytest.mark.parametrize("name", TOGETHER)
def test_sizes_that_are_huge_together(judge, folder, name):
    change(folder / "config.json", TOGETHER[name])
    check_refused(judge(folder), "model", "must be at most 268,435,456")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_groups": "5"}, "num_groups='5'"),
        ({"step_size": float("nan")}, "step_size=nan"),
        ({"action": {"a": 1}}, "action={'a': 1}"),
        ({"id2label": ["a", "b"]}, "id2label=['a', 'b']"),
        ({"id2label": {"x": "y"}}, "'x'"),
        ({"dtype": "evil"}, "evil"),
        ({"save_pretrained": "x"}, "'save_pretrained'"),
        ({"__class__": "x"}, "'__class__'"),
        ({"num_filters": 3}, "num_filters"),
        ({"quantization_config": 3}, "config.json"),
    ],
)
def test_a_field_of_a_wrong_type(judge, folder, fields, message):
    change(folder / "config.json", fields)
    check_refused(judge(folder), "model", message)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"', "", "\xff", DEEP, DEEP_OBJECT], ids=lambda c: c[:4])
@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("config.json", "model"),
        ("config.json", "config"),
        ("preprocessor_config.json", "processor"),
        ("actions.json", "actions"),
        ("all_results.json", "source"),
    ],
)
def test_json_of_another_form(judge, folder, name, reader, content):
    (folder / name).write_bytes(content.encode("latin-1"))
    check_refused(judge(folder), reader, str(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("name", "reader", "message"),
    [
        ("model.safetensors", "model", "classifier.bias"),
        ("model.safetensors", "predict", "NaN or infinity"),
        ("actions.safetensors", "source", "not finite"),
        ("whitening.safetensors", "processor", "NaN or infinity"),
    ],
)
def test_numbers_that_are_none(judge, folder, name, reader, message, value):
    poison(folder / name, value)
    check_refused(judge(folder), reader, message)


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
@pytest.mark.parametrize(
    ("name", "reader"),
    [("model.safetensors", "model"), ("actions.safetensors", "actions"), ("whitening.safetensors", "processor")],
)
def test_a_truncated_file(judge, folder, name, reader, kept):
    path = folder / name
    path.write_bytes(path.read_bytes()[:kept])
    check_refused(judge(folder), reader, str(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "actions.safetensors", "whitening.safetensors"])
def test_a_header_that_promises_a_terabyte(judge, folder, name):
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}).encode()
    for length in (len(header), 2**62):
        (folder / name).write_bytes(length.to_bytes(8, "little") + header)
        check_refused(judge(folder), "predict" if name != "actions.safetensors" else "source", str(folder))


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 10**9},
        {"size": {"height": 10**9, "width": 10**9}},
        {"size": [1]},
        {"num_channels": [1]},
        {"image_mean": "x"},
        {"image_mean": [float("nan")]},
        {"image_std": {"a": 1}},
        {"whitening": ["zca"]},
    ],
    ids=str,
)
def test_a_processor_of_another_kind(judge, folder, fields):
    change(folder / "preprocessor_config.json", fields)
    check_refused(judge(folder), "processor", f"{next(iter(fields))}=")


def change_records(folder: Path, edit: Callable[[dict], Any]) -> None:
    document = json.loads((folder / "actions.json").read_text())
    edit(document)
    (folder / "actions.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["actions"][0].update(key="../../x"), "one record for each action"),
        (lambda d: d["actions"][0].update(layer="../../x"), "actions[0].layer"),
        (lambda d: d["actions"][0].update(label=["x"]), "actions[0].label"),
        (lambda d: d["actions"][0]["scores"]["toeplitz"].update(value=None), "scores.toeplitz.value"),
        (lambda d: d["actions"][0].update(cyclic_order="x"), "cyclic_order"),
        (lambda d: d["model"]["config"].update(group_order=10**9), "order=1000000000"),
        (lambda d: d["model"]["config"].update(action="rotation", rotation_angle="x"), "rotation_angle"),
        (lambda d: d["model"]["config"].update(filter_size=10**9), "filter_size 1000000000"),
    ],
)
def test_records_that_are_none(judge, folder, edit, message):
    change_records(folder, edit)
    check_refused(judge(folder), "source", message)


def test_matrices_that_are_called_like_paths(judge, folder):
    tensors = load_file(folder / "actions.safetensors")
    save_file({"../../x": torch.zeros(9, 9), **tensors}, folder / "actions.safetensors")
    check_refused(judge(folder), "actions", "'../../x'")


@pytest.mark.parametrize("shape", [(), (1,), (3, 2, 1, 3), (2, 2, 1, 3, 3), (3, 2, 1, 4, 4)])
def test_basis_filters_of_another_shape(judge, folder, shape):
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "lgn.basis": torch.zeros(shape)}, folder / "model.safetensors", metadata={"format": "pt"})
    check = judge(folder)
    assert check.pop("model")[0] == "RuntimeError"  # as transformers has it
    check_refused(check, "source", "does not belong to its actions.safetensors")


def test_few_weights_that_would_be_many_actions(judge, folder):
    """Tied layers share what they have."""
    shutil.rmtree(folder)
    model = make_used_model("learned-tied", num_layers=256, image_size=32, filter_size=32, num_groups=2, pool_size=1)
    model.float().save_pretrained(folder)
    check_refused(judge(folder), "source", "must be at most 268,435,456 numbers")


class Payload:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("alone", [False, True])
def test_a_pickle_is_never_read(judge, folder, tmp_path, alone):
    for name in ("pytorch_model.bin", "whitening.pkl", "actions.pkl"):
        (folder / name).write_bytes(pickle.dumps(Payload(tmp_path / "executed")))
    if alone:
        (folder / "model.safetensors").unlink()
        check_refused(judge(folder), "model", "safetensors")
    else:
        assert all(kind is None for kind, _ in judge(folder).values())
    assert not (tmp_path / "executed").exists()


def test_code_is_never_run_without_being_trusted(judge, folder, tmp_path):
    code = f"open({str(tmp_path / 'executed')!r}, 'w')\n"
    for path in [*folder.glob("*.py"), folder / "evil.py"]:
        path.write_text(code)
    change(folder / "config.json", {"auto_map": {"AutoConfig": "evil.X", "AutoModel": "evil.Y"}})
    change(folder / "preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "evil.Z"}})
    assert all(kind is None for kind, _ in judge(folder).values())
    assert not (tmp_path / "executed").exists()


def test_script_tags_are_text(folder, tmp_path):
    """Read as what they are, and escaped where a page is made of them."""

    def edit(document: dict) -> None:
        document["model"]["name"] = SCRIPT
        document["actions"][0].update(label=SCRIPT)
        document["actions"][0]["nearest"][0].update(operation=SCRIPT, parameters={SCRIPT: SCRIPT})

    change_records(folder, edit)
    (folder / "all_results.json").write_text(json.dumps({"recipe": {"task": SCRIPT, "dataset": SCRIPT}}))
    assert load_actions(folder).diagnose()[0]["label"] == SCRIPT
    source = open_trained_model(folder)
    built = build_actions_dataset([source], tmp_path / "data set")
    assert "<script" not in (built / "README.md").read_text()
