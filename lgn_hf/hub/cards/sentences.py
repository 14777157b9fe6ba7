"""The sentences of the cards of all families: how good the model is, and how it was trained.

Each is a function of what it speaks about, and empty if there is nothing to say.
"""

from __future__ import annotations

from ...runs.evaluation import EvaluationResults
from ...runs.results import Results, RunResults
from ...runs.task import TASKS
from .escaping import NOTHING, Markdown, joined, markdown
from .facts import CardFacts
from .tasks import task_text
from .words import duration, listing, plural, share_text


def dataset_link(facts: CardFacts) -> Markdown:
    """The name of the data, with a link if they are on the Hub."""
    name, address = facts.dataset.display_name, facts.dataset.id
    return markdown("[{}](https://huggingface.co/datasets/{})" if address else "{}", name, address)


def result(facts: CardFacts) -> Markdown:
    """How good the model is, at which size and, if that is known, after how much training."""
    results, run = facts.results, facts.run
    text = markdown(
        "{result}, with {parameters}{training}.",
        result=task_text(results.task).result(results),
        parameters=plural(results.parameters, "parameter"),
        training=markdown(", after {} of training (seed {})", plural(run.epochs, "epoch"), run.seed)
        if run
        else NOTHING,
    )
    note = results.data.note
    return joined(" ", [text, markdown("Note on the data: {}.", note) if note else NOTHING])


# How it was trained


def training(facts: CardFacts) -> Markdown:
    """On which data, for how long and how the model was trained, or that this is not known."""
    if facts.evaluation:
        return training_elsewhere(facts.evaluation, str(facts.dataset))
    return training_here(facts.run, str(facts.dataset)) if facts.run else NOTHING


def training_elsewhere(results: EvaluationResults, dataset: str) -> Markdown:
    """What is not known, what the training started from, and what the model was tested on."""
    base = results.model.base_model
    start = markdown("It started from [{}](https://huggingface.co/{}).", base, base) if base else NOTHING
    tested = markdown("The results are those of a test on {:,} test images of {}.", results.data.test, dataset)
    unknown = Markdown(
        "This model was trained outside of the training program of lgn-hf, so its training images, epochs, optimizer and "
        "seed are not known here."
    )
    return joined(" ", [unknown, start, tested])


def training_here(results: RunResults, dataset: str) -> Markdown:
    """On which data, for how long and how a run trained the model."""
    data = results.data
    first = markdown(
        "Trained on {train:,} images of {name} and tested once on its {test:,} test images.",
        train=data.train,
        name=dataset,
        test=data.test,
    )
    return joined(" ", [first, kept_epoch(results), optimisation(results)])


def kept_epoch(results: RunResults) -> Markdown:
    """Which epoch the weights are from, and why."""
    if not results.best_epoch:
        return NOTHING
    kept = markdown("The weights of epoch {} of {} were kept", results.best_epoch, results.epochs)
    if not results.data.validation:
        return markdown("{}.", kept)
    name = results.selected_by.removeprefix("validation_")
    metrics = (metric for task in TASKS.values() for metric in task.metrics)
    words = next((metric.words for metric in metrics if metric.name == name), name)
    return markdown("{}, chosen by {} on {:,} held-out training images.", kept, words, results.data.validation)


def optimisation(results: RunResults) -> Markdown:
    """The optimiser, its schedule, and the augmentation."""
    recipe = results.recipe
    clipping = f"gradient norm clipped at {recipe.max_grad_norm:g}" if recipe.max_grad_norm else "no gradient clipping"
    augmentations = [
        *([f"shifts by up to {plural(recipe.random_crop, 'pixel')}"] if recipe.random_crop else []),
        *(["mirror images"] if recipe.random_flip else []),
        *([f"squares of {plural(recipe.cutout, 'pixel')} cut out"] if recipe.cutout else []),
    ]
    return markdown(
        "Adam with learning rate {rate:g} ({schedule}), batches of {batch}, {clipping}; {augmentation}.",
        rate=recipe.learning_rate,
        schedule=schedule(results),
        batch=results.global_batch_size,
        clipping=clipping,
        augmentation=f"augmentation: {listing(augmentations)}" if augmentations else "no augmentation",
    )


def schedule(results: RunResults) -> Markdown:
    """How the learning rate changes."""
    recipe = results.recipe
    if recipe.lr_scheduler_type != "multistep":
        return markdown("{} schedule", recipe.lr_scheduler_type)
    milestones = listing([share_text(share) for share in recipe.lr_milestones])
    return markdown("times {:.3g} after {} of the run", recipe.lr_decay, milestones)


def training_time(results: RunResults) -> Markdown:
    """How long the training took, and how fast it was."""
    return markdown("{}, {:,.0f} images per second", duration(results.train_seconds), results.images_per_second)


def machine(results: Results) -> Markdown:
    """What the model was trained or tested with."""
    found = results.machine
    processor = [found.accelerator or "", found.processor, plural(found.cores, "core")]
    return joined(", ", [*processor, plural(found.processes, "process"), f"mixed precision: {found.mixed_precision}"])
