"""Experiment `planted`: can a known symmetry be found again?

Images are made of filters that are orbits of a known action. A network is trained to reconstruct them, and then compared
with the planted action and its orbits.

Images are as large as filters, as in the papers' dense networks, so that the position of a filter does not matter.
Thresholds are held: reconstruction alone trains them towards 0, and codes that are not sparse need no particular filters.

What can be found at all? A free A is seen only through the orbit of its own basis filter, W, AW, ..., A^{p-1}W: in p - 1
of d directions. *Any* p independent filters, in *any* order, are the orbit of some A. So only projection and regularizer
speak for the planted orbits, unless channels share an action and C (p - 1) > d.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from lgn_hf import LGNConfig, LGNForImageReconstruction
from lgn_training.arguments import RunArguments
from lgn_training.experiments.planted_images import SIZE, Planted, Setting, plant
from lgn_training.experiments.range_charts import Panel, range_chart
from lgn_training.experiments.registry import experiment, save
from lgn_training.experiments.short_training import fit
from lgn_training.experiments.symmetry_recovery import recovery, unexplained
from lgn_training.texts import Row

LAYERS, STEP_SIZE, THRESHOLD = 8, 0.2, 0.1  # with the papers' few short steps, codes are far from converged
# action, regularizer; "free": as many filters without groups, to see what the data alone gives away
NETWORKS: tuple[tuple[str, str], ...] = (
    ("free", "none"),
    ("learned", "none"),
    ("learned", "inverse"),
    ("learned", "logdet"),
    ("learned", "nuclear"),
    ("cyclic", "none"),
)
UNTRAINED = 20  # networks for the baseline


@experiment(
    "planted",
    "Can a planted symmetry be found by reconstruction? Recovery (1 is perfect), and that of untrained networks in brackets",
)
def planted_symmetry(args: argparse.Namespace) -> Row:
    steps = 20 if args.quick else 800
    found = [
        search(setting, action, regularizer, steps=steps, seed=args.seed, start=start)
        for setting, action, regularizer, start in tqdm(planted_settings(args.quick), desc="planted", unit="network")
    ]
    fingerprints = list(dict.fromkeys(fingerprint for _, fingerprint in found))
    rows = [row for row, _ in found]
    return {
        "rows": rows,
        "steps": steps,
        "data": {"source": "planted dictionaries", "fingerprint": fingerprints},
        "figures": [save(args, "planted", _recovery_chart(rows))],
    }


def _recovery_chart(rows: list[Row]) -> Figure:
    """Every network's recovery beside chance."""

    def name(row: Row) -> str:
        setting = f"{row['symmetry']}, K={row['K']}, p={row['p']}, C={row['C']}"
        changed = [f"noise {row['noise']}"] if row["noise"] else []
        changed += [f"{row['images']} images"] if row["images"] != Setting().images else []
        network = row["action"] + (f", {row['regularizer']}" if row["regularizer"] != "none" else "")
        started = ", from the truth" if row["start"] == "planted" else ""
        return ", ".join([setting, *changed]).replace("_", " ") + f": {network}{started}"

    def panel(measure: str) -> Panel:
        cells = [row[measure] for row in rows]
        ranges = [None if cell is None else (cell["found"],) * 3 for cell in cells]
        return Panel(measure, ranges, [None if cell is None else cell["chance"] for cell in cells], limits=(-0.1, 1.1))

    measures = ("filters", "orbits", "generator", "on orbits")
    return range_chart(
        [name(row) for row in rows], [panel(m) for m in measures], measured="found", reference="untrained"
    )


def planted_settings(quick: bool) -> list[tuple[Setting, str, str, str]]:
    """(setting, action, regularizer, start): every symmetry with every network, then one change at a time."""
    if quick:
        small = Setting(num_groups=1, images=64)
        return [(small, action, "none", "random") for action in ("free", "learned", "cyclic")]
    base = Setting()
    symmetries = [
        replace(base, symmetry=name, group_order=order)
        for name, order in (("rotation", 4), ("shift", 4), ("corner_swap", 2), ("random", 4))
    ]
    seen_whole = replace(base, num_groups=1, group_order=8, num_channels=3)  # C (p - 1) > d: the orbit determines A
    changes = [
        seen_whole,
        *[replace(base, num_groups=groups) for groups in (1, 2)],
        *[replace(base, num_groups=2, group_order=order) for order in (2, 8)],
        *[replace(base, noise=noise) for noise in (0.1, 0.3)],
        *[replace(base, images=images) for images in (64, 512)],
    ]
    return [
        *[(setting, *network, "random") for setting in symmetries for network in NETWORKS],
        *[(setting, kind, "none", "random") for setting in changes for kind in ("free", "learned", "cyclic")],
        *[(setting, "learned", "none", "planted") for setting in (*symmetries, seen_whole)],
    ]


def make_network(setting: Setting, action: str, regularizer: str) -> LGNForImageReconstruction:
    """A network of the planted geometry. Its decoder is its own orbits, so that nothing else can explain the images."""
    if action == "free":
        filters = setting.num_groups * setting.group_order
        return make_network(replace(setting, num_groups=filters, group_order=1), "learned", "none")
    config = LGNConfig(
        image_size=SIZE,
        num_channels=setting.num_channels,
        num_groups=setting.num_groups,
        group_order=setting.group_order,
        num_layers=LAYERS,
        filter_size=SIZE,
        padding=0,
        step_size=STEP_SIZE / setting.num_channels,  # a filter's norm is the square root of C
        tied=True,
        action=action,
        action_sharing="group",
        regularizer=regularizer,
        projection="rms",
        pool_size=1,
        decoder="tied",
    )
    network = LGNForImageReconstruction(config)
    torch.nn.init.constant_(network.lgn.threshold.requires_grad_(False), THRESHOLD)
    return network


@torch.no_grad()
def start_at(network: LGNForImageReconstruction, planted: Planted) -> None:
    """Give a `learned` network the planted action and basis filters."""
    network.lgn.basis.copy_(planted.filters[:, 0])
    network.lgn.get_parameter("action.weight").copy_(planted.generator)
    if network.lgn.auxiliary_inverses is not None:
        network.lgn.auxiliary_inverses.copy_(planted.generator.T)


def search(
    setting: Setting, action: str, regularizer: str, *, steps: int, seed: int, start: str = "random"
) -> tuple[Row, str]:
    """Plant, train, compare.

    Args:
        start: `random`, or `planted`: start at the truth, to tell "cannot find" from "does not keep".

    Returns:
        A row of the table, with the mean of untrained networks as `chance`, and the fingerprint of the images.
    """
    planted = plant(setting, seed)
    torch.manual_seed(seed)
    untrained = [recovery(make_network(setting, action, regularizer), planted) for _ in range(UNTRAINED)]
    network = make_network(setting, action, regularizer)
    if start == "planted":
        start_at(network, planted)
    fit(
        network,
        lambda batch: network(planted.images[batch]).loss,
        len(planted.images),
        steps=steps,
        args=RunArguments(seed=seed),
        name=f"{setting.symmetry}, {action}",
    )
    found = recovery(network, planted)
    compared = {
        name: None
        if value is None
        else {"found": value, "chance": sum(chance[name] or 0.0 for chance in untrained) / UNTRAINED}
        for name, value in found.items()
    }
    row = {
        "symmetry": setting.symmetry,
        "K": setting.num_groups,
        "p": setting.group_order,
        "C": setting.num_channels,
        "noise": setting.noise,
        "images": setting.images,
        "action": action,
        "regularizer": regularizer,
        "start": start,
        "unexplained": unexplained(network, planted.images),
        **compared,
    }
    return row, planted.fingerprint
