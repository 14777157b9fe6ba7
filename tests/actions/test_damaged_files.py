"""Files that are damaged, hostile or do not belong together are refused by one line that names the folder."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lgn_hf import load_actions


def assert_refused(folder, message: str, error: type[Exception] = ValueError) -> None:
    with pytest.raises(error, match=message) as caught:
        load_actions(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["actions.safetensors", "actions.json"])
def test_a_missing_file_is_an_error(folder, name):
    (folder / name).unlink()
    assert_refused(folder, name, FileNotFoundError)


@pytest.mark.parametrize("name", ["actions.safetensors", "actions.json"])
@pytest.mark.parametrize("kept", [0, 7, 100, -1000])
def test_a_truncated_file_is_an_error(folder, name, kept):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:kept])
    assert_refused(folder, f"{name} is damaged or incomplete")


KEY = "layers.0.groups.1.channels.2"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda tensors: tensors.pop(KEY), f"lacks {KEY}"),
        (lambda tensors: tensors.clear(), "holds no actions"),
        (lambda tensors: [tensors.pop(key) for key in [*tensors] if "layers.1" in key], "one record for each"),
        (lambda tensors: tensors.update({KEY: torch.zeros(4, 4)}), r"\(4, 4\)"),
        (lambda tensors: tensors.update({KEY: tensors[KEY].half()}), "float16"),
        (lambda tensors: tensors.update({key: tensors[key][:4] for key in tensors}), r"\(2, 2, 3, 4, 9\)"),
        (lambda tensors: tensors.update({key: torch.eye(4) for key in tensors}), "filter_size 3"),
        (lambda tensors: tensors[KEY].__setitem__((0, 0), torch.nan), "not finite"),
        (lambda tensors: tensors.update({"lgn.basis": torch.zeros(9, 9)}), "'lgn.basis'"),
        (lambda tensors: tensors.update({"../../../etc/passwd": torch.zeros(9, 9)}), "etc/passwd"),
        (lambda tensors: tensors.update({"layers.00.groups.1.channels.2": torch.zeros(9, 9)}), r"layers\.00"),
        (lambda tensors: tensors.update({KEY + "\n": torch.zeros(9, 9)}), r"channels\.2\\n"),
        (lambda tensors: tensors.update({f"layers.{'9' * 5000}.groups.0.channels.0": torch.zeros(9, 9)}), "99"),
        (lambda tensors: tensors.update({"layers.2.groups.0.channels.0": torch.zeros(9, 9)}), r"lacks layers\.2"),
    ],
)
def test_wrong_tensors_are_an_error(folder, damage, message):
    tensors = load_file(folder / "actions.safetensors")
    damage(tensors)
    tensors = {key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(tensors, folder / "actions.safetensors")
    assert_refused(folder, message)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["format_version"], 2, "format_version 2"),
        (["model"], None, r"actions\.json\.model is None: must be dict"),
        (["model", "name"], ["a"], r"model\.name"),
        (["model", "config", "group_order"], "4", "group_order is '4': must be int"),
        (["model", "config", "group_order"], True, "group_order"),
        (["model", "config", "group_order"], -4, "order=-4"),
        (["model", "config", "filter_size"], 4, "filter_size 4"),
        (["model", "config", "image_size"], {"height": {}}, "image_size"),
        (["model", "config", "action"], "rotation", "rotation_angle is None"),
        (["actions"], {}, "must be list"),
        (["actions", 0], "layers.0", r"actions\[0\]"),
        (["actions", 0, "layer"], 0.0, r"actions\[0\]\.layer is 0\.0"),
        (["actions", 0, "layer"], 1, "one record for each"),
        (["actions", 0, "key"], "../../passwd", "one record for each"),
        (["actions", 0, "label"], 3, r"label is 3: must be str \| None"),
        (["actions", 0, "scores", "toeplitz"], 0.5, "toeplitz"),
        (["actions", 0, "scores", "toeplitz"], {"value": 0.5}, "toeplitz lacks z"),
        (["actions", 0, "eigenvalues", 3], [1.0], r"eigenvalues\[3\] has 1 items"),
        (["actions", 0, "singular_values"], ["a"], r"singular_values\[0\]"),
        (["actions", 0, "condition_number"], float("nan"), "NaN"),
        (["actions", 0, "condition_number"], float("inf"), "Infinity"),
        (["actions", 0, "condition_number"], 10**400, "not a finite number"),
        (["actions", 0, "nearest", 0, "operation"], None, "operation"),
    ],
)
def test_wrong_records_are_an_error(folder, where, value, message):
    document = json.loads((folder / "actions.json").read_text())
    *path, last = where
    part = document
    for key in path:
        part = part[key]
    part[last] = value
    (folder / "actions.json").write_text(json.dumps(document))
    assert_refused(folder, message)


@pytest.mark.parametrize("change", [lambda records: records.pop(), lambda records: records.append(records[0])])
def test_records_that_are_missing_or_twice_are_an_error(folder, change):
    document = json.loads((folder / "actions.json").read_text())
    change(document["actions"])
    (folder / "actions.json").write_text(json.dumps(document))
    assert_refused(folder, "one record for each action")


@pytest.mark.parametrize("content", [b"[" * 10**6, b"\xff\xfe{}", b"[]", b"3", b'{"format_version": 1}', b"\x80\x04K\x01."])  # fmt: skip
def test_another_file_is_an_error(folder, content):
    (folder / "actions.json").write_bytes(content)
    assert_refused(folder, r"actions\.json")


def test_records_may_come_in_any_order_and_say_more(folder):
    whole = load_actions(folder).diagnose()
    document = json.loads((folder / "actions.json").read_text())
    document["actions"] = [{**record, "note": ["new"]} for record in reversed(document["actions"])]
    (folder / "actions.json").write_text(json.dumps({**document, "more": None}))
    assert load_actions(folder).diagnose() == [{**record, "note": ["new"]} for record in whole]
