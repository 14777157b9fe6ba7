"""A label keeps its class, in whatever order each file names the classes."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from lgn_training.data import DataError, load_tests, with_classes
from lgn_training.data.class_names import match_labels

from tests.training.data.data_sets import CLASSES, TEST, TRAIN, load, make_table, save_disk, save_parquet, values

BACKWARDS = CLASSES[::-1]


def named(values, names) -> Dataset:
    """Pictures of a cat (even values) or a dog (odd values), with classes that are numbered as `names`."""
    table = make_table(values)
    labels = [names.index(CLASSES[value % 2]) if set(names) == set(CLASSES) else value % 2 for value in values]
    return table.remove_columns("label").add_column("label", labels, feature=ClassLabel(names=names))


def save_arrow(folder, **tables):
    """Arrow files, each with the schema of its own table."""
    folder.mkdir(parents=True)
    for name, table in tables.items():
        table.save_to_disk(str(folder / "saved" / name))
        (path,) = (folder / "saved" / name).glob("*.arrow")
        path.rename(folder / f"{name}-0.arrow")
    for path in (folder / "saved").rglob("*.json"):
        path.unlink()
    return str(folder)


def save_splits(folder, **tables):
    return save_disk(folder, DatasetDict(**tables))


def assert_right(part):
    assert len(part)
    assert part.labels.tolist() == [value % 2 for value in values(part)]


@pytest.mark.parametrize("save", [save_parquet, save_arrow, save_splits])
class TestSplitsThatDisagree:
    def test_labels_are_matched_by_name(self, save, tmp_path, caplog):
        tables = {"train": named(TRAIN, CLASSES), "test": named(TEST, BACKWARDS)}
        loaded = load(save(tmp_path / "set", **tables, validation=named(range(30, 40), BACKWARDS)))
        assert loaded.label_names == CLASSES
        for part in (loaded.train, loaded.validation, loaded.test):
            assert_right(part)
        assert "their labels are matched by name" in caplog.text

    def test_pooled_splits_too(self, save, tmp_path):
        source = save(tmp_path / "set", train=named(TRAIN, CLASSES), test=named(TEST, BACKWARDS))
        loaded = load(f"rot-mnist:{source}")
        for part in (loaded.train, loaded.validation, loaded.test):
            centres = part.images[:, 0, 3, 3].tolist()
            assert part.labels.tolist() == [value % 2 for value in centres]

    def test_other_classes_are_refused(self, save, tmp_path):
        source = save(tmp_path / "set", train=named(TRAIN, CLASSES), test=named(TEST, ["cat", "cow"]))
        with pytest.raises(DataError, match=r"define the classes of column 'label' differently: .*dog.*cow") as caught:
            load(source)
        assert "\n" not in str(caught.value)

    def test_without_labels_nothing_is_said_of_splits_that_agree(self, save, tmp_path, caplog):
        load(save(tmp_path / "set", train=named(TRAIN, CLASSES), test=named(TEST, CLASSES)))
        assert "matched" not in caplog.text


class TestFilesThatDisagree:
    """Several files of one split."""

    def save(self, folder, *names):
        for part, own in enumerate(names):
            table = named(range(10 * part, 10 * part + 10), own)
            folder.mkdir(exist_ok=True)
            table.to_parquet(str(folder / f"train-{part:05}-of-{len(names):05}.parquet"))
        named(TEST, CLASSES).to_parquet(str(folder / "test-00000-of-00001.parquet"))
        return folder

    def test_labels_are_matched_by_name(self, tmp_path):
        loaded = load(self.save(tmp_path / "set", CLASSES, BACKWARDS, CLASSES))
        assert len(loaded.train) == 27
        assert_right(loaded.train)
        assert_right(loaded.test)

    def test_other_classes_are_refused(self, tmp_path):
        source = self.save(tmp_path / "set", CLASSES, ["cat", "cow"])
        with pytest.raises(
            DataError, match=r"files of .* differently: .*\.parquet has .*, train-00001-of-00002\.parquet has .*cow"
        ):
            load(source)

    def test_a_file_without_names_is_believed(self, tmp_path):
        source = self.save(tmp_path / "set", CLASSES, CLASSES)
        path = source / "train-00001-of-00002.parquet"
        pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)
        assert_right(load(source).train)

    def test_the_shards_of_save_to_disk(self, tmp_path):
        source = Path(save_disk(tmp_path / "set", named(TRAIN, CLASSES)))
        backwards = Path(save_disk(tmp_path / "other", named(TEST, BACKWARDS)))
        (path,) = backwards.glob("*.arrow")
        path.rename(source / "data-00001-of-00002.arrow")
        state = json.loads((source / "state.json").read_text())
        state["_data_files"].append({"filename": "data-00001-of-00002.arrow"})
        (source / "state.json").write_text(json.dumps(state))
        loaded = load(source)
        assert len(loaded.train) + len(loaded.validation) + len(loaded.test) == 30
        for part in (loaded.train, loaded.validation, loaded.test):
            assert_right(part)


class TestCards:
    """The card of a data set names classes, too."""

    def save(self, tmp_path, card_names, file_names):
        source = save_parquet(tmp_path / "set", train=named(TRAIN, file_names), test=named(TEST, file_names))
        classes = "".join(f"\n          '{i}': {name}" for i, name in enumerate(card_names))
        (tmp_path / "set" / "README.md").write_text(
            "---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n    dtype:\n"
            f"      class_label:\n        names:{classes}\n---\n"
        )
        return source

    def test_a_card_may_rename_the_classes(self, tmp_path):
        loaded = load(self.save(tmp_path, ["Katze", "Hund"], CLASSES))
        assert loaded.label_names == ["Katze", "Hund"]
        assert_right(loaded.test)

    def test_a_card_in_another_order_does_not_change_what_a_label_means(self, tmp_path):
        loaded = load(self.save(tmp_path, BACKWARDS, CLASSES))
        assert loaded.label_names == BACKWARDS
        assert loaded.test.labels.tolist() == [1 - value % 2 for value in values(loaded.test)]


PUBLISH = """
from huggingface_hub import HfApi
HfApi().create_repo("tester/pets", repo_type="dataset")
HfApi().upload_folder(repo_id="tester/pets", repo_type="dataset", folder_path={folder!r})
"""

READ = """
import json
from lgn_training.data import load_data
loaded = load_data("tester/pets", seed=0, progress=False)
print(json.dumps([loaded.test.images[:, 0, 0, 0].tolist(), loaded.test.labels.tolist()]))
"""


@pytest.mark.slow
def test_data_sets_of_the_hub(hub, tmp_path):
    """Also from the cache, when the Hub does not answer."""
    folder = save_parquet(tmp_path / "set", train=named(TRAIN, CLASSES), test=named(TEST, BACKWARDS))
    done = hub.run(["-c", PUBLISH.format(folder=folder)])
    assert done.returncode == 0, done.stderr
    for setting in ("", "import os; os.environ['HF_HUB_OFFLINE'] = '1'"):
        done = hub.run(["-c", setting + READ])
        assert done.returncode == 0, done.stderr
        pictures, labels = json.loads(done.stdout)
        assert labels == [value % 2 for value in pictures], setting
        assert "matched by name" in done.stderr


class TestOtherDataSets:
    def test_a_further_test_is_matched_by_name(self, parquet, tmp_path, caplog):
        other = save_parquet(tmp_path / "other", train=named(TRAIN, BACKWARDS), test=named(TEST, BACKWARDS))
        [images] = load_tests([other], load(parquet), seed=0, progress=False).values()
        assert_right(images)
        assert f"orders the classes differently than '{parquet}'" in caplog.text

    def test_labels_are_matched_to_a_model(self, parquet):
        data = with_classes(load(parquet), BACKWARDS, "models/backwards")
        assert data.label_names == BACKWARDS
        assert data.test.labels.tolist() == [1 - value % 2 for value in values(data.test)]

    def test_a_model_of_other_classes(self, parquet):
        with pytest.raises(
            DataError, match=r"has the classes \['cat', 'dog'\], and models/cow \['cat', 'cow'\]: a net"
        ):
            with_classes(load(parquet), ["cat", "cow"], "models/cow")


def test_labels_that_cannot_be_matched():
    labels = torch.tensor([0, 1, 2])
    assert match_labels(labels, ["a", "b", "c"], ["c", "a", "b"]).tolist() == [1, 2, 0]
    assert match_labels(labels, ["a", "b", "c"], ["a", "b"]) is None


def test_hidden_labels_stay_hidden(tmp_path):
    hidden = (
        make_table(TEST).remove_columns("label").add_column("label", [-1] * 10, feature=ClassLabel(names=BACKWARDS))
    )
    source = save_parquet(tmp_path / "set", train=named(TRAIN, CLASSES), test=hidden)
    with pytest.raises(DataError, match=r"split 'test' has rows without a label \(-1\)"):
        load(source)
