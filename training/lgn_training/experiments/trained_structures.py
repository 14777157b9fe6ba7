"""Experiment `structures`: the structures of trained actions, and whether they depend on data and task."""

from __future__ import annotations

import argparse
import itertools
from collections import Counter

from matplotlib.figure import Figure

from lgn_hf.actions import MAX_ORDER, MIN_Z, Actions, compare, permutation_test
from lgn_hf.plotting import STRUCTURES, action_figures, action_summary, median_of
from lgn_hf.runs.trained_model import TrainedModel
from lgn_training.experiments.given_models import model_facts, open_models, require_models
from lgn_training.experiments.range_charts import Panel, range_chart, span_of
from lgn_training.experiments.registry import experiment, save
from lgn_training.texts import Row


@experiment(
    "structures",
    "Which structures do the actions of trained models have (figures 1, 2, 6, 7)? "
    "Labels, and medians of conditions, z-scores and correlations",
    options=("source",),
)
def trained_structures(args: argparse.Namespace) -> Row:
    require_models(args)
    models = open_models(args)
    actions = {name: beyond_chance(source.actions) for name, source in models.items()}
    figures = [save(args, "structures", structure_chart(actions))]
    for name, source in models.items():
        prefix = name.replace("/", "-").strip("-")
        figures += [save(args, f"{prefix}-{kind}", figure) for kind, figure in action_figures(source.actions).items()]
    return {
        "rows": [{"model": name, **action_summary(source.actions)} for name, source in models.items()],
        "by task": totals_by_task(models, actions),
        **compare_models(models, args.seed),
        "actions": actions,
        "data": model_facts(models),
        "figures": figures,
    }


def compare_models(models: dict[str, TrainedModel], seed: int) -> Row:
    """Distances between the actions of any two models, and whether actions depend on data and task.

    There are no distances if the models have different geometries. The permutation test needs several groups of models of
    one data set and task, and at least two models in one of them; else it is None.
    """
    # One channel, so that networks of grey and of colour images have as many actions: more would be nearer to any others.
    sets = {name: source.actions[:, :, :1] for name, source in models.items()}
    comparable = len({one.matrices.shape for one in sets.values()}) == 1
    groups = [source.data_and_task for source in models.values()]
    repeated = 1 < len(set(groups)) < len(groups)
    distances = [
        {"model": a, "other": b, "distance": whole.value, "chance": whole.chance}
        for a, b in itertools.combinations(models, 2)
        if comparable and (whole := compare(sets[a], sets[b], seed=seed).whole)
    ]
    test = None
    if comparable and repeated:
        test = permutation_test([one.matrices.flatten(0, 2) for one in sets.values()], groups)
    return {"distances": distances, "permutation test": test}


def totals_by_task(models: dict[str, TrainedModel], actions: dict[str, list[Row]]) -> dict[str, Row]:
    """The `totals` of all models that were trained for a task."""
    tasks = {name: source.recipe["task"] for name, source in models.items() if "task" in source.recipe}
    return {
        task: totals([row for name in models if tasks.get(name) == task for row in actions[name]])
        for task in sorted(set(tasks.values()))
    }


def beyond_chance(actions: Actions) -> list[Row]:
    """One row per distinct action: its label, its z-scores, and how far A^p is from a multiple of the identity.

    The last is None for orders above MAX_ORDER.
    """
    order = actions.order
    return [
        {
            "key": record["key"],
            "label": record["label"],
            "z": {name: score["z"] for name, score in record["scores"].items()},
            "residual of A^p": record["cyclic_residuals"][order - 1] if order <= MAX_ORDER else None,
        }
        for record in actions.distinct().diagnose()
    ]


def totals(rows: list[Row]) -> Row:
    """Over all given actions: their number, the count of each label, and for each score the median z and how many are beyond
    chance (z above MIN_Z).
    """
    columns = {name: [row["z"][name] for row in rows] for name in rows[0]["z"]}
    return {
        "actions": len(rows),
        "labels": dict(Counter(row["label"] for row in rows if row["label"]).most_common()),
        "beyond chance": {name: sum(z is not None and z > MIN_Z for z in column) for name, column in columns.items()},
        "median z": {name: median_of(column) for name, column in columns.items()},
    }


def structure_chart(actions: dict[str, list[Row]]) -> Figure:
    """Models by rows: the z of each structure over all actions, and how far A^p is from a multiple of the identity."""
    panels = [
        Panel(
            structure.replace("_", " "),
            [span_of([row["z"][structure] for row in rows]) for rows in actions.values()],
            references=[0.0] * len(actions),
        )
        for structure in STRUCTURES
    ]
    residuals = [span_of([row["residual of A^p"] for row in rows]) for rows in actions.values()]
    panels.append(Panel("A^p from cI", residuals, limits=(-0.05, 1.05)))
    return range_chart(list(actions), panels, measured="z of the median action, from the smallest to the largest")
