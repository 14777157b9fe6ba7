"""The fields of a training run. Each says what it is, which values it takes, and how two runs are compared by it.

A recipe file holds these fields and those of the network, `LGNConfig` or `LGNConvNetConfig`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .task import TASKS

# Why the comparison of two runs leaves a field out.
THE_GROUPS = "the groups are what the comparison is about"
DATA_SAY_IT = "the fingerprint of the data says it"
RESULTS_SAY_IT = "the results, or the machine that they name, say it"
NO_EFFECT = "the weights depend on it by rounding at most"


@dataclass(frozen=True)
class Allowed:
    """The values that a field takes: a test, and what an error says after "must be"."""

    words: str
    test: Callable[[Any], bool]


POSITIVE = Allowed("greater than 0", lambda value: value > 0)
NOT_NEGATIVE = Allowed("at least 0", lambda value: value >= 0)
SHARE = Allowed("at least 0 and less than 1", lambda value: 0 <= (value or 0) < 1)
SEED = Allowed("at least 0 and less than 2**32", lambda value: 0 <= value < 2**32)
SEEDS = Allowed(
    "different seeds of at least 0 and less than 2**32",
    lambda values: values is None or (all(map(SEED.test, values)) and len({*values}) == len(values) > 0),
)
STEPS = Allowed("greater than 0, or -1 for as many as the epochs have", lambda value: value > 0 or value == -1)
SHARES_OF_THE_RUN = Allowed("shares of the run between 0 and 1", lambda values: all(0 < share < 1 for share in values))


def one_of(*names: str) -> Allowed:
    return Allowed("one of " + ", ".join(names), lambda value: value in names)


def _option(
    default: Any,
    help: str,
    *,
    allowed: Allowed | None = None,
    compared_as: str | None = None,
    not_compared: str | None = None,
    free_on_resume: bool = False,
) -> Any:
    """A field of a run.

    Args:
        default: a value, or a function that makes one.
        help: what `--help` says.
        allowed: the values that it takes; every value of its type by default.
        compared_as: what the comparison of two runs calls the field; by default its name, with spaces.
        not_compared: why the comparison of two runs leaves the field out; by default it does not.
        free_on_resume: whether a run and its continuation may differ in it, see `FREE_ON_RESUME`.
    """
    metadata = {
        "help": help,
        "allowed": allowed,
        "compared_as": compared_as,
        "not_compared": not_compared,
        "free_on_resume": free_on_resume,
    }
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass
class RunArguments:
    """All fields of a run except those of the network. They have the names of `transformers.TrainingArguments`, where
    it has such a field.

    Raises:
        ValueError: a field has a wrong value; the message names the field, the value and what is allowed.
    """

    dataset: str = _option(
        "digits",
        "Hub id (ylecun/mnist, uoft-cs/cifar10, ...), parquet folder, image folder, save_to_disk folder, CSV file or "
        "JSON lines with paths of images and labels, digits (inside scikit-learn, no download), rot-mnist:SOURCE (its images pooled, rotated and split as in the benchmark) or "
        "rotated:SOURCE (its images, each rotated by an angle of its own)",
        not_compared=DATA_SAY_IT,
    )
    task: str = _option(
        "classification", "classification or reconstruction", allowed=one_of(*TASKS), not_compared=RESULTS_SAY_IT
    )
    image_column: str | None = _option(
        None, "column of the images; not needed if only one fits", not_compared=DATA_SAY_IT
    )
    label_column: str | None = _option(
        None, "column of the labels; not needed if only one fits", not_compared=DATA_SAY_IT
    )
    dataset_config_name: str | None = _option(
        None, "configuration of a data set that has several", not_compared=DATA_SAY_IT
    )
    train_val_split: float | None = _option(
        None,
        "share of the training images that is held out for model selection; 0: none; default: the data set's own "
        "validation split, else a tenth (rot-MNIST: a sixth, as in its benchmark)",
        allowed=SHARE,
        not_compared=DATA_SAY_IT,
    )
    also_test_on: list[str] | None = _option(  # noqa: RUF009  (it makes a field)
        None,
        "more data sets, given like `dataset`, on whose test images the trained model is tested",
        not_compared=NO_EFFECT,
    )
    max_train_samples: int | None = _option(
        None, "train on at most this many images (a seeded choice)", not_compared=DATA_SAY_IT
    )
    max_test_samples: int | None = _option(
        None, "test on at most this many images (a seeded choice)", not_compared=DATA_SAY_IT
    )
    resize_mode: str = _option(
        "squash",
        "how images that are not square become square: squash (both sides are resized), crop (the middle) or pad (with "
        "black); crop and pad also work without image_size, on images of one size",
        allowed=one_of("squash", "crop", "pad"),
        not_compared=DATA_SAY_IT,
    )
    max_pixel_value: float | None = _option(
        None,
        "value that becomes 255 in images of more than 8 bits, such as 4095 for a camera of 12 bits; default: 65535 for "
        "16 bits, 255 for other whole numbers, 1 for floating-point numbers",
        allowed=Allowed("greater than 0", lambda value: value is None or value > 0),
        not_compared=DATA_SAY_IT,
    )
    skip_unreadable: bool = _option(
        False,
        "leave out images that are missing or damaged, and name them, instead of stopping",
        not_compared=DATA_SAY_IT,
    )
    whitening: str = _option(
        "none",
        "none, zca (over all pixels, as in the papers) or patch (a small ZCA convolution)",
        allowed=one_of("none", "zca", "patch"),
    )
    random_crop: int = _option(
        0, "shift training images by up to this many pixels", allowed=NOT_NEGATIVE, compared_as="shifts (pixels)"
    )
    random_flip: bool = _option(
        False, "mirror training images left to right, half of the time", compared_as="mirror images"
    )
    cutout: int = _option(
        0,
        "cut a square of this side, in pixels, out of each training image, at a random place; 0: none",
        allowed=NOT_NEGATIVE,
        compared_as="squares cut out (pixels)",
    )

    output_dir: str = _option(
        "runs/lgn", "folder of the trained model, its checkpoints and results", not_compared=NO_EFFECT
    )
    model_name_or_path: str | None = _option(
        None,
        "start from the weights of this trained model, a folder or a repository of the Hub; its network, image size and "
        "whitening are taken over, and its classifier too if the classes are the same",
        compared_as="initial weights",
    )
    group_from: str | None = _option(
        None,
        "folder of actions that `lgn-hf discover` found; the group that they generate is the network's, if its field "
        "group is given",
        not_compared=THE_GROUPS,
    )
    group_actions: list[int] | None = _option(  # noqa: RUF009  (it makes a field)
        None,
        "rows of the table of group_from, from 1, whose actions generate the group (default: all)",
        not_compared=THE_GROUPS,
    )
    action_init: str = _option(
        "random",
        "where the actions of a network of the papers start: random, or discovered (the best action of order group_order "
        "in the folder group_from)",
        not_compared=THE_GROUPS,
    )
    snap_group: bool = _option(
        False,
        "move the elements of the group of group_from to the nearest symmetries of the pixel grid, which exist for every "
        "filter size",
        not_compared=THE_GROUPS,
    )
    resume: bool = _option(False, "continue the run in output_dir from its newest checkpoint", not_compared=NO_EFFECT)
    seed: int = _option(
        0,
        "seed of initial weights, validation split, order of batches and augmentation",
        allowed=SEED,
        not_compared=RESULTS_SAY_IT,
    )
    seeds: list[int] | None = _option(  # noqa: RUF009  (it makes a field)
        None,
        "train once with each of these seeds, one after the other, in output_dir/seed-N, and print mean and spread",
        allowed=SEEDS,
        not_compared=RESULTS_SAY_IT,
        free_on_resume=True,
    )
    seeds_at_once: bool = _option(
        False,
        "train the networks of all seeds as one, on one device; faster where they are small, and on GPUs, and slower on CPUs "
        "otherwise",
        not_compared=NO_EFFECT,
        free_on_resume=True,
    )
    num_train_epochs: float = _option(
        10.0, "passes over the training images", allowed=POSITIVE, not_compared=RESULTS_SAY_IT
    )
    max_steps: int = _option(
        -1,
        "stop after this many optimiser steps, whatever num_train_epochs says",
        allowed=STEPS,
        compared_as="limit of steps",
    )
    per_device_train_batch_size: int = _option(
        128,
        "images per process, accumulation step and training step",
        allowed=POSITIVE,
        compared_as="images that are normalised together",
        free_on_resume=True,  # a step must have as many images as before; that is checked
    )
    per_device_eval_batch_size: int = _option(
        500,
        "images per process and evaluation step",
        allowed=POSITIVE,
        not_compared=NO_EFFECT,
        free_on_resume=True,
    )
    gradient_accumulation_steps: int = _option(
        1,
        "backward passes per optimiser step",
        allowed=POSITIVE,
        not_compared=RESULTS_SAY_IT,
        free_on_resume=True,
    )
    learning_rate: float = _option(0.01, "peak learning rate of Adam", allowed=POSITIVE)
    lr_scheduler_type: str = _option(
        "multistep",
        "multistep (lr_milestones, lr_decay), cosine, linear or constant",
        allowed=one_of("multistep", "cosine", "linear", "constant"),
        compared_as="schedule",
    )
    lr_milestones: list[float] = _option(  # noqa: RUF009  (it makes a field)
        lambda: [0.5, 0.75, 0.875],
        "shares of the run after which multistep decays; the papers' LGN: 0.5 0.75 0.875",
        allowed=SHARES_OF_THE_RUN,
        compared_as="milestones of the schedule",
    )
    lr_decay: float = _option(
        0.5, "factor of each multistep decay", allowed=POSITIVE, compared_as="decay of the schedule"
    )
    warmup_ratio: float = _option(
        0.0,
        "share of the run in which the learning rate rises linearly from 0",
        allowed=SHARE,
        compared_as="warm-up",
    )
    weight_decay: float = _option(
        0.0, "decoupled weight decay of everything but thresholds, norms and biases", allowed=NOT_NEGATIVE
    )
    adam_beta1: float = _option(0.9, "Adam's decay of the mean gradient", allowed=SHARE)
    adam_beta2: float = _option(0.999, "Adam's decay of the mean squared gradient", allowed=SHARE)
    adam_epsilon: float = _option(1e-8, "Adam's epsilon", allowed=POSITIVE)
    max_grad_norm: float = _option(
        2.0,
        "clip the norm of the gradient; 0 does not clip",
        allowed=NOT_NEGATIVE,
        compared_as="gradient clipping",
    )
    label_smoothing_factor: float = _option(
        0.0, "share of the target that all classes get alike", allowed=SHARE, compared_as="label smoothing"
    )
    class_weight: str = _option(
        "none",
        "none, or balanced: classes with few training images weigh as much in the loss as those with many",
        allowed=one_of("none", "balanced"),
    )
    early_stopping_patience: int = _option(
        0,
        "stop after this many validations without a better metric; 0: never",
        allowed=NOT_NEGATIVE,
        compared_as="early stopping",
    )
    load_best_model_at_end: bool = _option(
        True,
        "export the weights of the best validated epoch, not of the last",
        compared_as="choice of the best epoch",
    )

    bf16: bool = _option(False, "bfloat16 mixed precision", not_compared=RESULTS_SAY_IT)
    fp16: bool = _option(False, "float16 mixed precision (GPU)", not_compared=RESULTS_SAY_IT)
    torch_compile: bool = _option(False, "compile the network", not_compared=NO_EFFECT)
    torch_compile_backend: str = _option(
        "inductor",
        "what compiles it: inductor, which needs a compiler, or cudagraphs, which records the kernels of a step on a GPU as "
        "they are",
        allowed=one_of("inductor", "cudagraphs"),
        not_compared=NO_EFFECT,
    )
    channels_last: bool = _option(False, "keep images and codes in channels-last memory order", not_compared=NO_EFFECT)
    use_cpu: bool = _option(
        False, "stay on the CPU even if there is a GPU", not_compared=NO_EFFECT, free_on_resume=True
    )

    logging_steps: int = _option(
        10,
        "steps between updates of the progress bar and the trackers",
        allowed=POSITIVE,
        not_compared=NO_EFFECT,
        free_on_resume=True,
    )
    save_steps: int = _option(
        0,
        "steps between checkpoints within an epoch; 0: only after each epoch",
        allowed=NOT_NEGATIVE,
        not_compared=NO_EFFECT,
        free_on_resume=True,
    )
    eval_steps: int = _option(
        0,
        "steps between validations within an epoch, each of which may be the best; 0: only after each epoch",
        allowed=NOT_NEGATIVE,
        compared_as="steps between validations",
    )
    report_to: str = _option(
        "none",
        "tracker: none, trackio or tensorboard",
        allowed=one_of("none", "trackio", "tensorboard"),
        not_compared=NO_EFFECT,
        free_on_resume=True,
    )
    disable_tqdm: bool = _option(False, "no progress bars", not_compared=NO_EFFECT, free_on_resume=True)
    push_to_hub: bool = _option(
        False, "upload the trained model to the Hub", not_compared=NO_EFFECT, free_on_resume=True
    )
    hub_model_id: str | None = _option(
        None,
        "Hub repository, USER/NAME; default: the name of output_dir",
        not_compared=NO_EFFECT,
        free_on_resume=True,
    )
    hub_private_repo: bool = _option(
        False, "make a new Hub repository private", not_compared=NO_EFFECT, free_on_resume=True
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, allowed = getattr(self, field.name), field.metadata["allowed"]
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{field.name}={value!r}: must be finite")
            if allowed is not None and not allowed.test(value):
                raise ValueError(f"{field.name}={value!r}: must be {allowed.words}")
        if self.bf16 and self.fp16:
            raise ValueError("bf16 and fp16 exclude each other: choose one")
        if self.class_weight != "none" and not TASKS[self.task].needs_labels:
            raise ValueError(f"class_weight={self.class_weight!r} needs labels: task is {self.task}")
        if self.seeds and self.push_to_hub:
            raise ValueError(
                "seeds and push_to_hub exclude each other: publish the run of one seed with `lgn-hf publish`"
            )
        if self.seeds_at_once and not self.seeds:
            raise ValueError("seeds_at_once needs seeds: give some, as in --seeds 0 1 2")
        if self.seeds_at_once and self.fp16:
            raise ValueError(
                "seeds_at_once and fp16 exclude each other, as networks scale their losses apart: use bf16"
            )
        if self.early_stopping_patience and self.train_val_split == 0:
            raise ValueError("early_stopping_patience needs a validation split: train_val_split is 0")


_FIELDS = {field.name: field.metadata for field in dataclasses.fields(RunArguments)}

# The fields in which a run and its continuation may differ. They do not change what is trained, but they can change the
# weights that come out: BatchNorm and augmentation look at the parts into which processes and accumulation steps divide
# a batch, and another division or device rounds differently.
FREE_ON_RESUME = frozenset(name for name, metadata in _FIELDS.items() if metadata["free_on_resume"])

# The fields of the network, which its configuration declares: why the comparison of two runs leaves some of them out, and what it
# calls others.
_NETWORK_NOT_COMPARED = {
    "num_groups": THE_GROUPS,
    "num_orbits": THE_GROUPS,
    "group": THE_GROUPS,
    "group_order": THE_GROUPS,
    "action": THE_GROUPS,
    "action_sharing": THE_GROUPS,
    "rotation_angle": THE_GROUPS,
    "projection": THE_GROUPS,
    "regularizer": THE_GROUPS,
    "regularizer_weight": THE_GROUPS,
    "image_size": DATA_SAY_IT,
    "num_channels": DATA_SAY_IT,
}
_NETWORK_COMPARED_AS = {"num_layers": "layers", "tied": "tied layers"}


def compared_fields(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe that the comparison of two runs looks at, by what it calls them.

    Fields that this version does not know are compared, too.

    Args:
        recipe: the fields of a run and of its network, flat.

    Example:
        >>> compared_fields({"random_crop": 2, "num_layers": 4, "num_groups": 5, "output_dir": "runs/a"})
        {'shifts (pixels)': 2, 'layers': 4}
    """
    found = {}
    for name, value in recipe.items():
        metadata = _FIELDS.get(name, {})
        if metadata.get("not_compared") or name in _NETWORK_NOT_COMPARED:
            continue
        words = metadata.get("compared_as") or _NETWORK_COMPARED_AS.get(name) or name.replace("_", " ")
        found[words] = value
    return found
