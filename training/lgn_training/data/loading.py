"""Load a data set by its name."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any

from lgn_hf.model.image_conversion import RESIZE_MODES
from lgn_hf.runs.dataset_name import kind_and_place
from lgn_training.data.class_names import match_labels
from lgn_training.data.columns import check_columns, find_image_column, find_label_column, read_labels
from lgn_training.data.decoding import Decoding, decode
from lgn_training.data.image_sets import Data, DataError, ImageSet
from lgn_training.data.seeds import seeded_generator
from lgn_training.data.splits import division_of, open_splits

logger = logging.getLogger("lgn_hf.training")

MOST_NAMED = 5  # classes in a message


def load_data(
    dataset: str,
    *,
    seed: int,
    train_val_split: float | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    config_name: str | None = None,
    needs_labels: bool = True,
    max_train_samples: int | None = None,
    max_test_samples: int | None = None,
    data_seed: int = 0,
    **decoding: Any,
) -> Data:
    """Load a data set and decode its images into memory.

    `seed` decides what may differ between runs: which training images are kept, and which of them validate. `data_seed`
    decides what defines the data set: a test set that is held out, the angles of rotated images, the split of rot-MNIST,
    and which test images are kept. So runs with different seeds are tested on the same images.

    Args:
        dataset: a local folder (parquet files, class folders of images, `save_to_disk`, or tables of paths such as
            train.csv), a parquet file, a table of paths and labels (CSV or JSON lines), `digits` (scikit-learn's 8 x 8
            digits) or a Hub id; a local path wins. The prefix `rotated:` rotates each image by an
            angle of its own. `rot-mnist:` also pools all images and divides them as the rot-MNIST benchmark does.
        seed: seed of the run.
        train_val_split: fraction of the training images to validate on; 0 for none. The default is the data set's own
            validation split if it also has a test split, else a sixth for rot-MNIST and a tenth for others.
        image_column: by default the only column of images, or the one named `image` or `img`.
        label_column: by default the only column of class labels, or the one named `label`, `labels` or `fine_label`.
        config_name: configuration of a data set that has several.
        needs_labels: look for labels, and refuse a data set without any. If false, only `label_column` is read.
        max_train_samples: training images to keep, at random, before the validation images are taken from them.
        max_test_samples: test images to keep, at random; it limits the data set's own validation split too.
        data_seed: seed of the data set.
        decoding: the fields of `Decoding`, such as `image_size` and `num_channels`.

    Returns:
        `Data` with images of (N, C, H, W), uint8.

    Raises:
        DataError: the data set cannot be found, reached or read, or lacks what was asked for.
    """
    how = Decoding(**decoding)
    _check_options(train_val_split, how, max_train_samples, max_test_samples)
    splits = open_splits(dataset, config_name, data_seed)
    train = splits["train"].limit(max_train_samples, seed)
    test = splits["test"].limit(max_test_samples, data_seed)
    if train_val_split is None and "validation" in splits:
        validation = splits["validation"].limit(max_test_samples, data_seed)
    else:
        fraction = division_of(dataset).validation_fraction if train_val_split is None else train_val_split
        validation, train = train.divide(round(fraction * len(train)), seeded_generator(seed))

    parts = (train, validation, test)
    image_column = find_image_column(dataset, train.table, image_column)
    if needs_labels:
        label_column = find_label_column(dataset, train.table, label_column)
    check_columns(dataset, parts, image_column, label_column)
    _check_sizes(dataset, train, test)
    label_names, labels = read_labels(parts, label_column)
    sets = [
        ImageSet(images, None if label is None else label[positions])
        for (images, positions), label in zip(decode(parts, image_column, how), labels, strict=True)
    ]
    _check_sizes(dataset, sets[0], sets[-1])
    return Data(*sets, label_names=label_names, source=dataset)


def load_test_images(dataset: str, **options: Any) -> ImageSet:
    """The test images of a data set alone; `options` are those of `load_data`."""
    # One training image, as `load_data` needs some.
    return load_data(dataset, train_val_split=0, max_train_samples=1, **options).test


def load_tests(sources: Sequence[str], trained_on: Data, **options: Any) -> dict[str, ImageSet]:
    """The test images of further data sets, for a network that is trained on `trained_on`.

    Args:
        sources: data sets as `load_data` takes them.
        options: those of `load_data` that `trained_on` was loaded with.

    Raises:
        DataError: one cannot be loaded, has other classes or images of another shape, or tests on training images.
    """
    tests = {}
    for source in sources:
        _refuse_training_images(source, trained_on.source)
        other = load_data(source, train_val_split=0, max_train_samples=1, **options)  # the least that it loads
        if trained_on.label_names is not None:
            other = with_classes(other, trained_on.label_names, f"'{trained_on.source}'")
        shape, own_shape = (" x ".join(map(str, data.test.images.shape[1:])) for data in (other, trained_on))
        if shape != own_shape:
            raise DataError(
                f"'{source}' has images of {shape} (channels, height, width), and '{trained_on.source}' of {own_shape}: "
                "read both alike with `--num_channels` and `--image_size`"
            )
        tests[source] = other.test
    return tests


def with_classes(data: Data, names: Sequence[str], owner: str) -> Data:
    """The same data with labels that number `names`, the classes of `owner`: a model, or what it is trained on.

    Raises:
        DataError: the data have other classes.
    """
    if data.label_names == list(names):
        return data
    parts = [
        replace(part, labels=match_labels(part.labels, data.label_names, names))
        for part in (data.train, data.validation, data.test)
        if data.label_names is not None and part.labels is not None
    ]
    if not parts or any(part.labels is None for part in parts):
        raise DataError(
            f"'{data.source}' has the classes {data.label_names!s:.80}, and {owner} {list(names)!s:.80}: "
            "a network can be tested only on the classes that it is trained on"
        )
    logger.warning("'%s' orders the classes differently than %s: their labels are matched by name", data.source, owner)
    return Data(*parts, label_names=list(names), source=data.source)


def warn_of_unseen_classes(data: Data) -> None:
    """Say which classes are tested on, and never trained on."""
    if data.label_names is None or data.train.labels is None or data.test.labels is None:
        return
    unseen = sorted({*data.test.labels.tolist()} - {*data.train.labels.tolist()})
    if unseen:
        names = [data.label_names[label] for label in unseen]
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        logger.warning(
            "'%s' has test images, and no training images, of %d of its %d classes: %s%s",
            data.source,
            len(names),
            len(data.label_names),
            ", ".join(names[:MOST_NAMED]),
            more,
        )


def _refuse_training_images(source: str, trained_on: str) -> None:
    """Refuse a test on images of the same data set that a division which pools them may have put among the training images.

    A network that is trained on SOURCE has seen, upright, most of the images that `rot-mnist:SOURCE` tests on.
    """
    (kind, place), (own_kind, own_place) = map(kind_and_place, (source, trained_on))
    pools = division_of(source).pools or division_of(trained_on).pools
    is_same = Path(place).expanduser().resolve() == Path(own_place).expanduser().resolve()
    if is_same and kind != own_kind and pools:
        raise DataError(
            f"'{source}' tests on images that '{trained_on}' trains on, as they divide the same images "
            f"differently; a network that is trained on '{place}' can be tested on 'rotated:{place}'"
        )


def _check_sizes(dataset: str, train: Sized, test: Sized) -> None:
    if not (len(train) and len(test)):
        raise DataError(f"data set '{dataset}' leaves {len(train)} images to train on and {len(test)} to test on")


def _check_options(
    train_val_split: float | None, how: Decoding, max_train_samples: int | None, max_test_samples: int | None
) -> None:
    if train_val_split is not None and not 0 <= train_val_split < 1:
        raise DataError(f"train_val_split must be a fraction, 0 <= train_val_split < 1, not {train_val_split}")
    if how.num_channels not in (None, 1, 3):
        raise DataError(f"num_channels must be 1 (grey) or 3 (RGB), not {how.num_channels}")
    if how.resize_mode not in RESIZE_MODES:
        raise DataError(f"resize_mode must be one of {', '.join(RESIZE_MODES)}, not {how.resize_mode!r}")
    if how.max_pixel_value is not None and not 0 < how.max_pixel_value < math.inf:
        raise DataError(f"max_pixel_value must be greater than 0, not {how.max_pixel_value}")
    positive = {
        "image_size": how.image_size,
        "max_train_samples": max_train_samples,
        "max_test_samples": max_test_samples,
    }
    for name, value in positive.items():
        if value is not None and value < 1:
            raise DataError(f"{name} must be at least 1, not {value}")
