"""The test images of a data set, as a classifier takes them."""

from __future__ import annotations

from torch import Tensor

from .classifier import Classifier


def read_test_images(dataset: str, classifier: Classifier) -> tuple[Tensor, Tensor]:
    """The test images of a data set as uint8 (N, C, H, W), prepared for a classifier, and their classes (N,).

    Args:
        dataset: as `training/run.py` takes it: a folder, a name on the Hub or `digits`. `rotated:` and `rot-mnist:` before it
            rotate the images as in training.
        classifier: whose size of images, number of channels and classes they get.

    Raises:
        ValueError: the data set cannot be read, or has other classes.
        ImportError: a package is missing: `pip install 'lgn-hf[train]'`.
    """
    from lgn_training.data import load_data, with_classes

    channels, side, _ = classifier.image_shape
    data = load_data(
        dataset,
        seed=0,
        train_val_split=0,
        max_train_samples=1,  # one training image, as it needs some
        image_size=side,
        num_channels=channels,
        resize_mode=classifier.processor.resize_mode,
        max_pixel_value=classifier.processor.max_pixel_value,
    )
    test = (data if data.label_names is None else with_classes(data, classifier.labels, classifier.name)).test
    if test.labels is None:
        raise ValueError(f"{dataset} has no labels: an accuracy needs them")
    return test.images, test.labels
