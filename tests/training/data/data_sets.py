"""Small data sets whose pictures tell which they are, for tests."""

from io import BytesIO

import datasets
from datasets import ClassLabel, Dataset, DatasetDict, Features
from lgn_training.data import load_data
from PIL import Image

CLASSES = ["cat", "dog"]


def grey(value, size=(6, 6)):
    return Image.new("L", size, value)


def png(image):
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def make_table(values=range(20), image="image", label="label", pictures=None):
    """One picture per value, filled with it unless `pictures` are given; the label is its parity."""
    features = Features({image: datasets.Image(), label: ClassLabel(names=CLASSES)})
    pictures = pictures or [grey(value) for value in values]
    return Dataset.from_dict({image: pictures, label: [value % 2 for value in values]}, features=features)


def save_parquet(folder, **tables):
    for split, table in tables.items():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        table.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return str(folder)


def save_images(folder, values):
    for value in values:
        path = folder / CLASSES[value % 2] / f"{value:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey(value).save(path)
    return str(folder)


def save_image_splits(folder, train, test):
    save_images(folder / "train", train)
    save_images(folder / "test", test)
    return str(folder)


def save_disk(folder, table):
    table.save_to_disk(str(folder))
    return str(folder)


def load(source, seed=0, **options):
    return load_data(str(source), seed=seed, progress=False, **options)


def values(part):
    """Which pictures a part holds, where each is filled with its own value."""
    return part.images[:, 0, 0, 0].tolist()


TRAIN, TEST = range(20), range(20, 30)
WITH_TEST = {
    "parquet folder": lambda folder: save_parquet(folder, train=make_table(TRAIN), test=make_table(TEST)),
    "image folder": lambda folder: save_image_splits(folder, TRAIN, TEST),
    "save_to_disk": lambda folder: save_disk(folder, DatasetDict(train=make_table(TRAIN), test=make_table(TEST))),
}
WITHOUT_TEST = {
    "parquet folder": lambda folder: save_parquet(folder, train=make_table(TRAIN)),
    "parquet file": lambda folder: (
        save_parquet(folder, train=make_table(TRAIN)) + "/data/train-00000-of-00001.parquet"
    ),
    "image folder": lambda folder: save_images(folder, TRAIN),
    "save_to_disk": lambda folder: save_disk(folder, make_table(TRAIN)),
}
