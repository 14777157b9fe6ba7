"""Tables of image paths and labels are read like folders of images."""

import csv
import json

import pytest
from lgn_training.data import DataError

from tests.training.data.data_sets import CLASSES, TEST, TRAIN, grey, load, make_table, save_images, values


def rows(numbers, **more):
    return [
        {"image": f"pictures/{CLASSES[n % 2]}/{n:03}.png", "label": CLASSES[n % 2]}
        | {name: value(n) for name, value in more.items()}
        for n in numbers
    ]


def write(path, records):
    with open(path, "w", newline="") as file:
        if path.suffix in (".csv", ".tsv"):
            writer = csv.DictWriter(file, records[0].keys(), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(records)
        else:
            file.write("\n".join(map(json.dumps, records)) if path.suffix != ".json" else json.dumps(records))
    return path


@pytest.fixture
def folder(tmp_path):
    save_images(tmp_path / "set" / "pictures", range(30))
    return tmp_path / "set"


def assert_right(part):
    assert len(part)
    assert part.labels.tolist() == [value % 2 for value in values(part)]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson", "json", "CSV"])
def test_a_table_has_a_fifth_held_out(kind, folder, monkeypatch):
    path = folder / f"all.{kind}"
    write(path.with_suffix(f".{kind.lower()}"), rows(range(30))).rename(path)
    loaded = load(path)
    assert loaded.label_names == CLASSES
    assert sorted(values(loaded.train) + values(loaded.validation) + values(loaded.test)) == list(range(30))
    for part in (loaded.train, loaded.validation, loaded.test):
        assert_right(part)
    monkeypatch.chdir(folder.parent)
    assert load(f"set/all.{kind}").fingerprint == loaded.fingerprint


def test_a_column_may_name_the_splits(folder):
    split = {"split": lambda n: "test" if n in TEST else "val" if n < 4 else "train"}
    loaded = load(write(folder / "all.csv", rows(range(30), **split)))
    assert values(loaded.validation) == list(range(4))
    assert values(loaded.test) == list(TEST)
    assert_right(loaded.train)
    path = write(folder / "wrong.csv", rows(range(30), split=lambda n: "holdout"))
    with pytest.raises(DataError, match="column 'split' holds 'holdout': allowed are train, training, test"):
        load(path)


def test_a_folder_may_have_a_table_for_each_split(folder):
    write(folder / "train.csv", rows(TRAIN))
    write(folder / "test.csv", rows(TEST))
    loaded = load(folder)
    assert sorted(values(loaded.train) + values(loaded.validation)) == list(TRAIN)
    assert values(loaded.test) == list(TEST)
    assert_right(loaded.test)


def test_a_table_of_something_else_is_left_alone(folder):
    write(folder / "pictures" / "train.csv", [{"epoch": 1, "loss": 0.5}])
    assert_right(load(folder / "pictures").train)


def test_columns_may_have_other_names(folder):
    records = [{"where": row["image"], "species": row["label"]} for row in rows(TRAIN)]
    path = write(folder / "all.csv", records)
    with pytest.raises(
        DataError, match=r"no label column: found \['species', 'where'\]; name one with `--label_column`"
    ):
        load(path)
    assert_right(load(path, label_column="species").train)


def test_a_class_may_be_called_na(folder):
    records = [row | {"label": "NA" if row["label"] == "cat" else "null"} for row in rows(TRAIN)]
    assert load(write(folder / "all.csv", records)).label_names == ["NA", "null"]


def test_labels_may_be_numbers(folder):
    records = [row | {"label": 3 + 4 * (row["label"] == "dog")} for row in rows(TRAIN)]
    loaded = load(write(folder / "all.csv", records))
    assert loaded.label_names == ["3", "7"]
    assert_right(loaded.train)


def test_absolute_paths_are_taken_as_they_are(folder, tmp_path):
    records = [row | {"image": str(folder / row["image"])} for row in rows(TRAIN)]
    assert_right(load(write(tmp_path / "all.csv", records)).train)


def test_a_spreadsheet_may_separate_by_semicolons_and_write_paths_as_on_windows(folder):
    path = write(folder / "all.csv", [row | {"image": row["image"].replace("/", "\\")} for row in rows(TRAIN)])
    path.write_text("\ufeff" + path.read_text().replace(",", ";"))
    assert_right(load(path).train)


def test_a_missing_image_is_named_or_skipped(folder):
    path = write(folder / "all.csv", rows([99, *TRAIN]))
    with pytest.raises(
        DataError, match=r"row 0 of split 'train' is not a readable image \(.*099\.png\): FileNotFound"
    ):
        load(path)
    loaded = load(path, skip_unreadable=True)
    assert sorted(values(loaded.train) + values(loaded.validation) + values(loaded.test)) == list(TRAIN)


def test_a_table_without_paths(folder):
    path = write(folder / "all.csv", [{"label": n % 10, "pixel0": n} for n in range(20)])
    with pytest.raises(
        DataError, match=r"no column of '.*' holds the paths of images, relative to .*: found \['label'"
    ):
        load(path)


def test_files_of_other_kinds_say_which_are_read(folder):
    (folder / "all.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"is not a file that can be read: the kinds are \.parquet, \.arrow, \.csv"):
        load(folder / "all.xlsx")


def test_an_arrow_file(tmp_path):
    make_table(TRAIN).save_to_disk(str(tmp_path / "saved"))
    (path,) = (tmp_path / "saved").glob("*.arrow")
    assert_right(load(path).train)


def test_pictures_of_several_columns(folder):
    grey(5).save(folder / "mask.png")
    path = write(folder / "all.csv", rows(TRAIN, mask=lambda n: "mask.png"))
    assert_right(load(path).train)
    assert set(values(load(path, image_column="mask").train)) == {5}
