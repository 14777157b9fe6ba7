"""The sentences of a card: what the model is, what was found about its actions, and how it was trained.

Each is a function of what it speaks about, and empty if there is nothing to say.
"""

from __future__ import annotations

from ...actions import MIN_Z
from ...runs.evaluation import EvaluationResults
from ...runs.results import Results, RunResults
from ...runs.task import TASKS
from .escaping import NOTHING, Markdown, joined, markdown
from .facts import ActionFacts, CardFacts
from .tasks import task_text
from .words import duration, has, listing, orbit, plural, share_text, some_actions, square

FAR = Markdown(f"more than {MIN_Z:g} standard deviations above that of random matrices (z > {MIN_Z:g})")

# What the model is


def introduction(facts: CardFacts) -> Markdown:
    """What the network does, and how its filters come about."""
    config = facts.config
    does = markdown("{} images of {}", task_text(facts.results.task).verb, dataset_link(facts))
    layers = plural(config.num_layers, "layer")
    if facts.actions is None:
        return markdown(
            "An unfolded sparse-coding network of {layers} that {does}. **It has no group structure**: all {filters} "
            "filters of a layer are free (`group_order` 1). It is the unconstrained baseline of Linear Group Networks "
            "(LGNs), whose filters are orbits of group actions.",
            layers=layers,
            does=does,
            filters=config.num_groups,
        )
    return markdown(
        "A Linear Group Network (LGN) that {does}. It unfolds sparse coding into {layers}. The filters of each layer form "
        "{groups} of {order}: each group is the orbit {orbit} of one {size} basis filter W under a matrix A that acts on "
        "its pixels{sharing}.",
        does=does,
        layers=layers,
        groups=plural(config.num_groups, "group"),
        order=config.group_order,
        orbit=", ".join(orbit(config.group_order)),
        size=square(config.filter_size),
        sharing=shared_action(facts),
    )


def kind_of_action(facts: CardFacts) -> Markdown:
    """What is special about this kind of action."""
    config = facts.config
    if facts.actions is None:
        return NOTHING
    return Markdown(facts.kind.card_text(config.group_order, config.filter_size))


def dataset_link(facts: CardFacts) -> Markdown:
    """The name of the data, with a link if they are on the Hub."""
    name, address = facts.dataset.display_name, facts.dataset.id
    return markdown("[{}](https://huggingface.co/datasets/{})" if address else "{}", name, address)


def shared_action(facts: CardFacts) -> Markdown:
    """The end of a sentence: which groups have the same A."""
    if facts.is_fixed or not facts.is_shared_by_groups:
        return NOTHING
    if facts.is_shared_by_layers:
        return Markdown("; all groups of all layers share one A")
    return Markdown("; all groups of a layer share one A")


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


# What its actions are


def finding(facts: CardFacts) -> Markdown:
    """What the diagnostics say about the actions."""
    actions, angle = facts.actions, facts.config.rotation_angle
    if actions is None:
        return NOTHING
    if facts.is_fixed:
        rotation = "" if angle is None else f", a bilinear rotation by {angle:g}°"
        return markdown("All groups have the same fixed action{}. Only the basis filters were learned.", rotation)
    found = finding_of_one(actions) if actions.count == 1 else finding_of_many(actions)
    return joined(" ", [found, group_by_construction(facts, actions)])


def finding_of_one(actions: ActionFacts) -> Markdown:
    """What the diagnostics say about the only action."""
    structure = Markdown("**The action has no recognised structure.**")
    if actions.labels:
        structure = markdown("**The action has a recognised structure**: {}.", actions.labels[0][0])
    scores = "At least one of its scores is" if actions.above else "None of its scores is"
    return markdown("{} {} {}.", structure, scores, FAR)


def finding_of_many(actions: ActionFacts) -> Markdown:
    """What the diagnostics say about several actions."""
    count, labelled, above = actions.count, actions.labelled, actions.above
    if not labelled:
        nothing = markdown("**None of the {} actions has a recognised structure.**", count)
        if not above:
            return markdown("{} None of them has a score {}.", nothing, FAR)
        return markdown(
            "{} {} of them {} a score {}, but no such score is large enough to call an action a rotation, a convolution or "
            "any other known operation.",
            nothing,
            "All" if above == count else above,
            has(above),
            FAR,
        )
    names = [markdown("{} × {}", label, n) if n > 1 else label for label, n in actions.labels]  # noqa: RUF001
    found = markdown(
        "**{} {} a recognised structure** ({}): at least one score that is both large and {}.",
        some_actions(labelled, count),
        has(labelled),
        joined(", ", names),
        FAR,
    )
    rest = count - labelled
    others = markdown("The other {} {} none.", "one" if rest == 1 else rest, has(rest)) if rest else NOTHING
    all_above = some_actions(above, count).lower()
    small = markdown("Counting small scores as well, {} {} at least one that far above chance.", all_above, has(above))
    return joined(" ", [found, others, small if above > labelled else NOTHING])


def group_by_construction(facts: CardFacts, actions: ActionFacts) -> Markdown:
    """That a structure which was built in is not a discovery."""
    if not (facts.kind.is_group_by_construction and actions.labels):
        return NOTHING
    what = "The action generates" if actions.count == 1 else "The actions generate"
    return markdown("{} a finite group by construction, so a label that says so is not a discovery.", what)


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
