"""Every place gives the same tensors, and every refusal says what to do."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import datasets
import pytest
import torch
from datasets import DatasetDict
from lgn_training.data import DataError, readers

from tests.training.data.data_sets import (
    CLASSES,
    TEST,
    TRAIN,
    WITH_TEST,
    WITHOUT_TEST,
    load,
    make_table,
    save_disk,
    save_images,
    save_parquet,
    values,
)

TRAINING = Path(readers.__file__).parents[2]


class TestSources:
    @pytest.mark.parametrize("form", WITH_TEST)
    def test_every_form_gives_the_same_tensors(self, form, tmp_path):
        loaded = load(WITH_TEST[form](tmp_path / "set"))
        assert loaded.label_names == CLASSES
        assert sorted(values(loaded.train) + values(loaded.validation)) == list(TRAIN)
        assert sorted(values(loaded.test)) == list(TEST)
        for part, count in ((loaded.train, 18), (loaded.validation, 2), (loaded.test, 10)):
            assert part.images.dtype == torch.uint8
            assert part.images.shape == (count, 1, 6, 6)
            assert part.labels.dtype == torch.int64
            assert part.labels.tolist() == [value % 2 for value in values(part)]
            assert torch.equal(part.images, part.images[:, :, :1, :1].expand_as(part.images))

    @pytest.mark.parametrize("form", WITHOUT_TEST)
    def test_a_single_split_has_a_fifth_held_out(self, form, tmp_path, caplog):
        source = WITHOUT_TEST[form](tmp_path / "set")
        with caplog.at_level(logging.INFO):
            loaded = load(source)
        assert "has no test split: 4 of its 20 images are held out" in caplog.text
        assert sorted(values(loaded.train) + values(loaded.validation) + values(loaded.test)) == list(TRAIN)
        assert values(load(source, seed=1).test) == values(loaded.test)

    @pytest.mark.slow
    def test_digits(self):
        first, second = load("digits"), load("digits", seed=1)
        assert [len(part) for part in (first.train, first.validation, first.test)] == [1293, 144, 360]
        assert first.train.images.shape[1:] == (1, 8, 8)
        assert first.train.images.max() == 255
        assert first.label_names == [str(digit) for digit in range(10)]
        assert first.test.labels.bincount().min() >= 34
        assert torch.equal(first.test.images, second.test.images)
        assert not torch.equal(first.validation.images, second.validation.images)

    def test_a_local_path_wins(self, tmp_path, monkeypatch):
        save_images(tmp_path / "digits", TRAIN)
        monkeypatch.chdir(tmp_path)
        assert load("digits").label_names == CLASSES

    @pytest.mark.slow
    def test_two_processes_may_load_at_once(self, parquet, tmp_path):
        script = "import sys; from lgn_training.data import load_data; print(load_data(sys.argv[1], seed=0, progress=False).fingerprint)"
        environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(TRAINING)}
        command = [sys.executable, "-c", script, parquet]
        processes = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        outputs = [process.communicate(timeout=120) for process in processes]
        assert [out.strip() for out, _ in outputs] == [load(parquet).fingerprint] * 2, outputs

    def test_the_fingerprint_tells_contents_apart(self, parquet, tmp_path):
        moved = save_disk(tmp_path / "disk", DatasetDict(train=make_table(TRAIN), test=make_table(TEST)))
        changed = save_parquet(tmp_path / "changed", train=make_table(TRAIN), test=make_table(range(21, 31)))
        loaded = load(parquet)
        assert loaded.source == parquet
        assert loaded.fingerprint == load(moved).fingerprint
        assert loaded.fingerprint != load(changed).fingerprint
        assert loaded.fingerprint != load(parquet, seed=1).fingerprint

    def test_a_set_is_indexed_by_a_tensor(self, parquet):
        test = load(parquet).test
        assert values(test[torch.tensor([3, 1])]) == [23, 21]
        assert len(test[test.labels == 0]) == 5


class TestMissingSources:
    @pytest.fixture
    def unreachable(self, monkeypatch):
        def refuse():
            raise OSError("no route to host")

        monkeypatch.setattr(readers, "get_session", refuse)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)

    def test_an_unreachable_hub(self, unreachable):
        with pytest.raises(DataError, match=r"no local path 'ylecun/mnist', and the Hub cannot be reached.*'digits'"):
            load("ylecun/mnist")
        assert not datasets.config.HF_HUB_OFFLINE

    def test_a_set_that_the_hub_does_not_have(self, monkeypatch):
        def not_found(*_):
            raise datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub.")

        monkeypatch.setattr(datasets, "load_dataset_builder", not_found)
        monkeypatch.setattr(readers, "get_session", Mock())
        with pytest.raises(DataError, match=r"no local path 'a/b', and on the Hub: .*doesn't exist.*a local folder"):
            load("a/b")

    @pytest.mark.parametrize("path", ["./missing", "../missing", "/missing/set", "a/b/c", "rot-mnist:/missing/set"])
    def test_a_path_that_does_not_exist(self, path):
        with pytest.raises(DataError, match=r"there is no file or folder '.*(missing|a/b/c).*'rot-mnist:<"):
            load(path)

    @pytest.mark.parametrize("name", ["", "rot-mnist:"])
    def test_no_name(self, name):
        with pytest.raises(DataError, match="the data set has no name; use a local folder"):
            load(name)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(DataError, match=r"cannot read data set .*doesn't contain any data files"):
            load(tmp_path)

    def test_a_damaged_file(self, tmp_path):
        (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
        with pytest.raises(DataError, match=r"cannot read data set .*Parquet magic bytes not found") as caught:
            load(tmp_path)
        assert "\n" not in str(caught.value)

    def test_a_choice_of_configurations(self, tmp_path):
        for name in ("small", "large"):
            make_table().to_parquet(str(tmp_path / f"{name}.parquet"))
        configs = [f"- {{config_name: {name}, data_files: {name}.parquet}}" for name in ("small", "large")]
        (tmp_path / "README.md").write_text("\n".join(["---", "configs:", *configs, "---"]))
        with pytest.raises(DataError, match=r"Config name is missing.*\['small', 'large'\]"):
            load(tmp_path)
        assert load(tmp_path, config_name="large").label_names == CLASSES

    def test_a_split_that_is_missing(self, tmp_path):
        source = save_disk(tmp_path / "set", DatasetDict(fold1=make_table(), fold2=make_table()))
        with pytest.raises(DataError, match=r"one named test: found \['fold1', 'fold2'\]"):
            load(source)
