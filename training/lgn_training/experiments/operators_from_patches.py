"""Experiment `patches`: known operators, learned from image patches (section 5.2, figures 3 to 5)."""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from lgn_hf.actions import average_pooling
from lgn_hf.model.filters import rotation_matrix, unit_norm, vec
from lgn_hf.plotting import action_gallery
from lgn_training.arguments import RunArguments
from lgn_training.data import load_data
from lgn_training.data.seeds import epoch_indices, seeded_generator
from lgn_training.engine.optimization import learning_rate
from lgn_training.experiments.linear_maps import SIZE, least_squares, relative_error
from lgn_training.experiments.registry import data_facts, experiment, save
from lgn_training.texts import Row

RADII, ANGLES, COMPOSED_RADII, COMPOSED_ANGLE = (3, 4, 5, 6), (30, 45, 60, 90), (4, 5, 6), 60


@experiment(
    "patches",
    "Can known operators be learned from patches (section 5.2)? Relative errors of gradient descent and of least squares",
    options=("dataset",),
)
def operators_from_patches(args: argparse.Namespace) -> Row:
    data = load_data(args.dataset, seed=args.seed, train_val_split=0, num_channels=1, needs_labels=False)
    raw = random_patches(data.train.images, SIZE, args.seed)
    inputs = (raw - raw.mean()) / raw.std()
    operators = patch_operators()
    true = torch.stack([matrix for _, matrix in operators.values()])
    targets = inputs @ true.mT
    solved, rank = least_squares(inputs, targets)
    learned, losses = descend(inputs, true, epochs=5 if args.quick else 100, seed=args.seed)
    missed = (targets - inputs @ learned.mT).square().sum((1, 2)) / targets.square().sum((1, 2))
    rows = [
        {
            "operator": name,
            "gradient descent": descended,
            "least squares": exact,
            "unexplained by gradient descent": share,
        }
        for name, descended, exact, share in zip(
            operators,
            relative_error(learned, true).tolist(),
            relative_error(solved, true).tolist(),
            missed.tolist(),
            strict=True,
        )
    ]
    drawn = []
    for paper in ("figure 3", "figure 4", "figure 5"):
        chosen = [i for i, (figure, _) in enumerate(operators.values()) if figure == paper]
        captions = [f"error {rows[i]['gradient descent']:.2g}" for i in chosen]
        figure = action_gallery(learned[chosen], [rows[i]["operator"] for i in chosen], captions, SIZE)
        drawn.append(save(args, paper.replace(" ", "-"), figure))
    return {
        "rows": rows,
        "patches": len(inputs),
        "rank": rank,
        "least squares": "unique" if rank == SIZE**2 else "of least norm: the patches do not span all directions",
        "epochs": len(losses),
        "loss": losses,
        "data": data_facts(data),
        "figures": drawn,
    }


def patch_operators() -> dict[str, tuple[str, Tensor]]:
    """The operators of section 5.2 on SIZE x SIZE patches: name -> (the paper's figure, (d, d) float64)."""
    pooling = {radius: average_pooling(SIZE, radius) for radius in {*RADII, *COMPOSED_RADII}}
    rotation = rotation_matrix(SIZE, COMPOSED_ANGLE)
    return {
        **{f"average pooling r={r}": ("figure 3", pooling[r]) for r in RADII},
        **{f"rotation by {angle}": ("figure 4", rotation_matrix(SIZE, angle)) for angle in ANGLES},
        **{
            f"pooling r={r}, then rotation by {COMPOSED_ANGLE}": ("figure 5", rotation @ pooling[r])
            for r in COMPOSED_RADII
        },
    }


def random_patches(images: Tensor, size: int, seed: int) -> Tensor:
    """One patch of every image, at a random place, as a vector of pixels in [0, 1].

    Shapes: (N, 1, H, W), uint8, to (N, d), float64.

    Raises:
        ValueError: the images are smaller than a patch.
    """
    number, _, height, width = images.shape
    if min(height, width) < size:
        raise ValueError(f"the images are {height} x {width}: too small for patches of {size} x {size}")
    generator = seeded_generator(seed)
    rows, columns = (
        torch.randint(side - size + 1, (number, 1), generator=generator) + torch.arange(size)
        for side in (height, width)
    )
    patches = images[torch.arange(number)[:, None, None], 0, rows[:, :, None], columns[:, None, :]]
    return vec(patches).double() / 255


def descend(inputs: Tensor, operators: Tensor, *, epochs: int, seed: int) -> tuple[Tensor, list[float]]:
    """Learn operators as the paper does: one linear layer y = A x, mean squared error, Adam, halved learning rates.

    All operators are learned at once, from the same patches and independently of each other.

    Args:
        inputs: (N, d).
        operators: (O, d, d), the operators that make the targets.

    Returns:
        The learned operators, (O, d, d), float64, and the loss of each epoch, averaged over operators.
    """
    run = RunArguments()
    inputs, operators = inputs.float(), operators.float()
    weight = unit_norm(torch.randn(operators.shape, generator=seeded_generator(seed))).requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=run.learning_rate)
    size = min(run.per_device_train_batch_size, len(inputs))
    steps, losses = epochs * len(inputs[::size]), []
    for epoch in range(epochs):
        total = torch.zeros(())
        for batch in epoch_indices(len(inputs), seed=seed, epoch=epoch).split(size):
            optimizer.param_groups[0]["lr"] = learning_rate(epoch * steps // epochs, steps, run)
            errors = inputs[batch] @ (weight - operators).mT  # y^ - y, (O, B, d)
            loss = errors.square().mean((1, 2)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        losses.append(float(total) / len(inputs) / len(operators))
    return weight.detach().double(), losses
