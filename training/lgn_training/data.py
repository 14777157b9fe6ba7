"""Image data sets, decoded once: from a name to training, validation and test tensors."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import datasets.config
import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import get_session, validate_repo_id
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from lgn_hf.runs.dataset_name import kind_and_place
from lgn_training.transforms import rotate, rotation_angles, seeded_generator

logger = logging.getLogger("lgn_hf.training")

ROT_MNIST, ROTATED = "rot-mnist:", "rotated:"  # what may precede the name of a data set
ROT_MNIST_TRAIN, ROT_MNIST_TEST = 12_000, 50_000
ROT_MNIST_VALIDATION = 2_000  # of the training images
TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.1
HUB_TIMEOUT = 10  # seconds
PROGRESS_DELAY = 2  # seconds
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
GREY_MODES = ("1", "L", "LA")
DEEP_MODES = ("I", "F")  # Pillow clips these to 8 bits instead of scaling them
ALTERNATIVES = (
    "use a local folder (parquet files, class folders of images, or save_to_disk), 'digits', "
    f"or '{ROT_MNIST}<one of these>' or '{ROTATED}<one of these>'"
)


class DataError(ValueError):
    """A data set that cannot be used as asked; the message says why and what to do."""


@dataclass
class ImageSet:
    """Decoded images with their labels.

    images: (N, C, H, W), uint8.
    labels: (N,), int64, or None.
    """

    images: torch.Tensor
    labels: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: torch.Tensor) -> "ImageSet":
        """The images that `index` (positions or a mask) selects."""
        return ImageSet(self.images[index], None if self.labels is None else self.labels[index])


def fingerprint(*parts: ImageSet) -> str:
    """The SHA-256 of images and labels, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        for tensor in (part.images, part.labels):
            if tensor is not None:
                digest.update(tensor.numpy().data)
    return digest.hexdigest()


@dataclass
class Data:
    """The three parts of a data set; `fingerprint` is that of all three."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    label_names: list[str] | None
    source: str
    fingerprint: str = field(init=False)

    def __post_init__(self):
        self.fingerprint = fingerprint(self.train, self.validation, self.test)


@dataclass
class _Rows:
    """Rows of one split that are still to be decoded, with the angle that each is then to be rotated by."""

    split: str
    table: Dataset
    index: torch.Tensor
    angles: torch.Tensor | None = None

    @classmethod
    def all(cls, split: str, table: Dataset) -> "_Rows":
        return cls(split, table, torch.arange(len(table)))

    def __len__(self) -> int:
        return len(self.index)

    def select(self, positions: torch.Tensor) -> "_Rows":
        positions = positions.sort().values  # a table is read fastest in order
        angles = None if self.angles is None else self.angles[positions]
        return replace(self, index=self.index[positions], angles=angles)

    def divide(self, size: int, generator: torch.Generator) -> tuple["_Rows", "_Rows"]:
        """`size` rows at random, and the rest."""
        order = torch.randperm(len(self), generator=generator)
        return self.select(order[:size]), self.select(order[size:])

    def limit(self, size: int | None, seed: int) -> "_Rows":
        return self if size is None else self.divide(size, seeded_generator(seed))[0]


def load_data(
    dataset: str,
    *,
    seed: int,
    train_val_split: float | None = None,
    image_size: int | None = None,
    num_channels: int | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    config_name: str | None = None,
    needs_labels: bool = True,
    max_train_samples: int | None = None,
    max_test_samples: int | None = None,
    data_seed: int = 0,
    progress: bool = True,
) -> Data:
    """Load a data set and decode every image that is asked for into memory.

    What a run may vary follows `seed`: which training images are kept, and which of them validate. What defines the
    data set follows `data_seed`, so that runs with different seeds are tested on the same images: a test set that has
    to be held out, the angles of rotated images, rot-MNIST's split, and which test images are kept.

    Args:
        dataset: a local folder (parquet files, class folders of images, or `save_to_disk`) or parquet file, else
            `digits` (scikit-learn's 8 x 8 digits) or a Hub id; a local path wins. `rot-mnist:<one of these>` pools and
            divides its images as the benchmark does, `rotated:<one of these>` leaves each in its split; both rotate
            each by an angle of its own.
        seed: of the run.
        train_val_split: fraction of the training images to validate on; 0 for none. By default the data set's own
            validation split, where it has a test split as well; else a sixth for rot-MNIST and a tenth for others.
        image_size: side that images are resized to (bilinear); by default they must be square and of one size.
        num_channels: 1 or 3; by default 1 if every image is grey, else 3.
        image_column: by default the only column of images, or the one named `image` or `img`.
        label_column: by default the only column of class labels, or the one named `label`, `labels` or `fine_label`.
        config_name: of a data set that has several configurations.
        needs_labels: whether to look for labels, and refuse a data set without; if not, only `label_column` is read.
        max_train_samples: training images to keep, at random, before the validation images are taken from them.
        max_test_samples: test images to keep, at random; it limits the data set's own validation split too.
        data_seed: of the data set.
        progress: show the progress of a long decoding.

    Returns:
        `Data` whose images are (N, C, H, W), uint8.

    Raises:
        DataError: the data set cannot be found, reached or read, or lacks what was asked for.
    """
    _check_options(train_val_split, image_size, num_channels, max_train_samples, max_test_samples)
    splits = _open(dataset, config_name, data_seed)
    train = splits["train"].limit(max_train_samples, seed)
    test = splits["test"].limit(max_test_samples, data_seed)
    if train_val_split is None and "validation" in splits:
        validation = splits["validation"].limit(max_test_samples, data_seed)
    else:
        fraction = _default_fraction(dataset) if train_val_split is None else train_val_split
        validation, train = train.divide(round(fraction * len(train)), seeded_generator(seed))

    parts = (train, validation, test)
    image_column = _image_column(dataset, train.table, image_column)
    if needs_labels:
        label_column = _label_column(dataset, train.table, label_column)
    _check_columns(dataset, parts, image_column, label_column)
    if not (len(train) and len(test)):
        raise DataError(f"data set '{dataset}' leaves {len(train)} images to train on and {len(test)} to test on")
    label_names, labels = _labels(parts, label_column)
    images = _decode(parts, image_column, image_size, num_channels, progress)
    return Data(*map(ImageSet, images, labels), label_names=label_names, source=dataset)


def load_test_images(dataset: str, **options: Any) -> ImageSet:
    """The test images of a data set alone; `options` are those of `load_data`."""
    return load_data(dataset, train_val_split=0, max_train_samples=1, **options).test  # one, as there must be some


def load_tests(sources: Sequence[str], trained_on: Data, **options: Any) -> dict[str, ImageSet]:
    """The test images of further data sets, for a network that is trained on `trained_on`.

    `rot-mnist:SOURCE` divides all images of SOURCE anew. A network that was trained on SOURCE has seen most of those that
    it tests on, upright, which is why the two are not allowed together; `rotated:SOURCE` rotates SOURCE's own test images.

    Args:
        sources: data sets as `load_data` takes them.
        options: of `load_data`, as `trained_on` was loaded with.

    Raises:
        DataError: one cannot be loaded, has other classes or images of another shape, or tests on training images.
    """
    tests = {}
    for source in sources:
        (kind, place), (own_kind, own_place) = map(kind_and_place, (source, trained_on.source))
        if _is_same(place, own_place) and (kind == ROT_MNIST) != (own_kind == ROT_MNIST):
            raise DataError(
                f"'{source}' tests on images that '{trained_on.source}' trains on, as they divide the same images "
                f"differently; a network that is trained on '{place}' can be tested on '{ROTATED}{place}'"
            )
        other = load_data(source, train_val_split=0, max_train_samples=1, **options)  # one, as there must be some
        if other.label_names != trained_on.label_names:
            raise DataError(
                f"'{source}' has the classes {other.label_names!s:.80}, and '{trained_on.source}' "
                f"{trained_on.label_names!s:.80}: a network can be tested only on the classes that it is trained on"
            )
        shape, own_shape = (" x ".join(map(str, data.test.images.shape[1:])) for data in (other, trained_on))
        if shape != own_shape:
            raise DataError(
                f"'{source}' has images of {shape} (channels, height, width), and '{trained_on.source}' of {own_shape}: "
                "read both alike with `--num_channels` and `--image_size`"
            )
        tests[source] = other.test
    return tests


def _is_same(place: str, other: str) -> bool:
    return Path(place).expanduser().resolve() == Path(other).expanduser().resolve()


def _check_options(train_val_split, image_size, num_channels, max_train_samples, max_test_samples):
    if train_val_split is not None and not 0 <= train_val_split < 1:
        raise DataError(f"train_val_split must be a fraction, 0 <= train_val_split < 1, not {train_val_split}")
    if num_channels not in (None, 1, 3):
        raise DataError(f"num_channels must be 1 (grey) or 3 (RGB), not {num_channels}")
    positive = {
        "image_size": image_size,
        "max_train_samples": max_train_samples,
        "max_test_samples": max_test_samples,
    }
    for name, value in positive.items():
        if value is not None and value < 1:
            raise DataError(f"{name} must be at least 1, not {value}")


def _default_fraction(dataset: str) -> float:
    return ROT_MNIST_VALIDATION / ROT_MNIST_TRAIN if dataset.startswith(ROT_MNIST) else VALIDATION_FRACTION


def _open(dataset: str, config_name: str | None, data_seed: int) -> dict[str, _Rows]:
    """The splits `train` and `test`, and `validation` where the data set has all three."""
    kind, place = kind_and_place(dataset)
    tables = _load_tables(place, config_name, data_seed)
    if kind == ROT_MNIST:
        return _rot_mnist(tables, data_seed)
    splits = _held_out(tables, dataset, data_seed) if len(tables) == 1 else _named(tables, dataset)
    return _rotated(splits, data_seed) if kind == ROTATED else splits


def _named(tables: dict[str, Dataset], dataset: str) -> dict[str, _Rows]:
    """The splits as the data set names them."""
    splits = {name: _Rows.all(name, table) for name, table in tables.items()}
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    if not {"train", "test"} <= splits.keys():
        raise DataError(f"data set '{dataset}' needs a split named train and one named test: found {list(tables)}")
    return splits


def _held_out(tables: dict[str, Dataset], dataset: str, data_seed: int) -> dict[str, _Rows]:
    """Hold a test set out of the only split."""
    rows = _Rows.all(*next(iter(tables.items())))
    test, train = rows.divide(round(TEST_FRACTION * len(rows)), seeded_generator(data_seed))
    logger.info("'%s' has no test split: %d of its %d images are held out as one", dataset, len(test), len(rows))
    return {"train": train, "test": test}


def _rotated(splits: dict[str, _Rows], data_seed: int) -> dict[str, _Rows]:
    """Give each image its angle and leave it in its split."""
    sizes = [len(rows) for rows in splits.values()]
    angles = rotation_angles(sum(sizes), data_seed).split(sizes)
    return {name: replace(rows, angles=own) for (name, rows), own in zip(splits.items(), angles, strict=True)}


def _rot_mnist(tables: dict[str, Dataset], data_seed: int) -> dict[str, _Rows]:
    """Pool all images, give each its angle, and divide them as rot-MNIST does, in proportion where they are fewer."""
    pool = _Rows.all("+".join(tables), datasets.concatenate_datasets(list(tables.values())))
    pool.angles = rotation_angles(len(pool), data_seed)
    scale = min(1, len(pool) / (ROT_MNIST_TRAIN + ROT_MNIST_TEST))
    train, rest = pool.divide(round(scale * ROT_MNIST_TRAIN), seeded_generator(data_seed))
    return {"train": train, "test": rest.limit(round(scale * ROT_MNIST_TEST), data_seed)}


def _load_tables(dataset: str, config_name: str | None, data_seed: int) -> dict[str, Dataset]:
    if not dataset:
        raise DataError(f"the data set has no name; {ALTERNATIVES}")
    path = Path(dataset).expanduser()
    if dataset == "digits" and not path.exists():
        return _digits(data_seed)
    try:
        loaded = _load_local(path, config_name) if path.exists() else _load_from_hub(dataset, config_name)
    except HFValidationError as error:
        raise DataError(f"there is no file or folder '{dataset}'; {ALTERNATIVES}") from error
    except DatasetNotFoundError as error:
        raise DataError(f"there is no local path '{dataset}', and on the Hub: {error} Else {ALTERNATIVES}") from error
    except ConnectionError as error:
        problem = "the Hub cannot be reached for a data set of that name"
        raise DataError(f"there is no local path '{dataset}', and {problem}; {ALTERNATIVES}") from error
    except Exception as error:  # `datasets` lets through the errors of every file format that it reads
        raise DataError(f"cannot read data set '{dataset}': {_one_line(error.__cause__ or error)}") from error
    tables = loaded if isinstance(loaded, DatasetDict) else {"train": loaded}
    return {str(split): table for split, table in tables.items()}


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _load_local(path: Path, config_name: str | None):
    """Read what is at `path`; `datasets` locks its cache, so that several processes may do so at once."""
    if path.is_file():
        return datasets.load_dataset("parquet", data_files=str(path))
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return datasets.load_from_disk(str(path))
    return datasets.load_dataset(str(path.resolve()), config_name)


def _load_from_hub(dataset: str, config_name: str | None):
    """Load a Hub data set; where the Hub does not answer, look in the local cache at once instead of retrying."""
    validate_repo_id(dataset)
    offline = datasets.config.HF_HUB_OFFLINE
    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_TIMEOUT)
    except Exception:  # whatever keeps the Hub from answering
        datasets.config.HF_HUB_OFFLINE = True
    try:
        return datasets.load_dataset(dataset, config_name)
    finally:
        datasets.config.HF_HUB_OFFLINE = offline


def _digits(data_seed: int) -> dict[str, Dataset]:
    """Scikit-learn's 1,797 digits; a fifth, stratified by class, is the test set."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    parts = train_test_split(images, labels, test_size=TEST_FRACTION, stratify=labels, random_state=data_seed)
    features = datasets.Features(image=datasets.Image(), label=ClassLabel(names=[str(digit) for digit in range(10)]))
    return {
        name: Dataset.from_dict({"image": [Image.fromarray(x) for x in xs], "label": ys}, features=features)
        for name, xs, ys in (("train", parts[0], parts[2]), ("test", parts[1], parts[3]))
    }


def _candidates(table: Dataset, feature_type: type, names: Sequence[str]) -> list[str]:
    """The columns of that type, or the well-known name among them, or among all if none has the type."""
    typed = [column for column, feature in table.features.items() if isinstance(feature, feature_type)]
    known = [name for name in names if name in (typed or table.column_names)]
    return known[:1] if known and len(typed) != 1 else typed


def _image_column(dataset: str, table: Dataset, given: str | None) -> str:
    columns = [given] if given else _candidates(table, datasets.Image, IMAGE_COLUMNS)
    if len(columns) == 1:
        return columns[0]
    problem = f"several image columns: {columns}" if columns else f"no image column: found {table.column_names}"
    raise DataError(f"data set '{dataset}' has {problem}; name one with `--image_column`")


def _label_column(dataset: str, table: Dataset, given: str | None) -> str:
    columns = [given] if given else _candidates(table, ClassLabel, LABEL_COLUMNS)
    if len(columns) == 1:
        return columns[0]
    problem = f"several label columns: {columns}" if columns else f"no label column: found {table.column_names}"
    raise DataError(
        f"data set '{dataset}' has {problem}; name one with `--label_column`; "
        "reconstruction (`--task reconstruction`) needs none"
    )


def _check_columns(dataset: str, parts: Sequence[_Rows], image_column: str, label_column: str | None):
    for part in parts:
        for column in filter(None, (image_column, label_column)):
            if column not in part.table.column_names:
                found = part.table.column_names
                raise DataError(f"split '{part.split}' of '{dataset}' has no column '{column}': found {found}")
        if label_column and part.table.features[label_column] != parts[0].table.features[label_column]:
            raise DataError(f"the splits of '{dataset}' define the classes of column '{label_column}' differently")


def _labels(parts: Sequence[_Rows], column: str | None) -> tuple[list[str] | None, Sequence[torch.Tensor | None]]:
    """The names of the classes, and the labels of each part as positions among them."""
    if column is None:
        return None, [None] * len(parts)
    feature = parts[0].table.features[column]
    values = [np.asarray(part.table.with_format("numpy", columns=[column])[column][:]) for part in parts]
    if any(value.ndim > 1 or value.dtype.kind not in "biuU" for value in values):
        raise DataError(f"label column '{column}' ({feature}) must hold one integer or string in every row")
    if isinstance(feature, ClassLabel):
        names = feature.names
    else:
        classes = np.unique(np.concatenate(values))
        names = [str(name) for name in classes]
        values = [np.searchsorted(classes, value) for value in values]
    labels = [torch.from_numpy(value.astype(np.int64))[part.index] for value, part in zip(values, parts, strict=True)]
    for part, label in zip(parts, labels, strict=True):
        if (label < 0).any():
            raise DataError(f"split '{part.split}' has rows without a label (-1) in column '{column}'")
    return names, labels


def _decode(
    parts: Sequence[_Rows], column: str, image_size: int | None, num_channels: int | None, progress: bool
) -> list[torch.Tensor]:
    """Decode, and where asked for rotate, the images of each part: (N, C, S, S), uint8."""
    counts = [len(part) for part in parts]
    total = sum(counts)
    cells = tqdm(
        _cells(parts, column), "Decoding", total=total, unit="image", delay=PROGRESS_DELAY, disable=not progress
    )
    pixels = np.empty((0, 0, 0, 0), np.uint8)  # allocated when the first image tells its shape
    for i, (place, cell) in enumerate(cells):
        image = _to_array(_read_image(cell, place), image_size, num_channels)
        channels, height, width = image.shape
        if i == 0:
            pixels = np.empty((total, channels, height, width), np.uint8)
        if not height == width == pixels.shape[-1]:
            raise DataError(
                f"the images must be square and of one size: the first is {pixels.shape[-1]} wide, "
                f"{place} is {width} x {height}; resize them all with `--image_size`"
            )
        if channels > pixels.shape[1]:  # the first colour image after grey ones
            pixels = pixels.repeat(channels, axis=1)
        pixels[i] = image
    images = torch.from_numpy(pixels).split(counts)
    return [x if part.angles is None else rotate(x, part.angles) for x, part in zip(images, parts, strict=True)]


def _cells(parts: Sequence[_Rows], column: str) -> Iterator[tuple[str, dict]]:
    """Where each image is, and its `bytes` or `path`."""
    for part in parts:
        table = part.table.select_columns(column)
        try:
            table = table.cast_column(column, datasets.Image(decode=False))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise DataError(f"column '{column}' ({table.features[column]}) holds no images") from error
        batches = table.select(part.index.numpy()).iter(batch_size=1000)
        cells = (cell for batch in batches for cell in cast(dict, batch)[column])
        for row, cell in zip(part.index.tolist(), cells, strict=True):
            yield f"row {row} of split '{part.split}'", cell


def _read_image(cell: dict | None, place: str) -> Image.Image:
    if cell is None:
        raise DataError(f"{place} has no image")
    content = cell["bytes"]
    try:
        image = Image.open(cell["path"] if content is None else BytesIO(content))
        image.load()
    except Exception as error:  # Pillow's decoders raise many kinds
        what = cell["path"] if content is None else f"{len(content)} bytes"
        raise DataError(f"{place} is not a readable image ({what}): {_one_line(error)}") from error
    if image.mode.startswith(DEEP_MODES):
        raise DataError(f"{place} has more than 8 bits a channel (Pillow's mode {image.mode}); convert it to 8 bits")
    return ImageOps.exif_transpose(image) if "exif" in image.info else image


def _to_array(image: Image.Image, image_size: int | None, num_channels: int | None) -> np.ndarray:
    """(C, H, W), uint8."""
    grey = num_channels == 1 or (num_channels is None and image.mode in GREY_MODES)
    image = image.convert("L" if grey else "RGB")
    if image_size:
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)
