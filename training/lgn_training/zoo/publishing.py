"""Which runs become folders of `model_cards/`, and how these are built."""

from __future__ import annotations

from pathlib import Path

from lgn_hf.hub.cards import BASELINE_NAME
from lgn_hf.hub.examples import find_examples
from lgn_hf.hub.publication import build, is_built
from lgn_hf.runs.dataset_name import data_name
from lgn_training.zoo.queue import Run
from lgn_training.zoo.records import RECORDS, locked, read_results, record
from lgn_training.zoo.tables import update

NOTES = {  # what a reader must know about the data that is trained on
    "uoft-cs/cifar10": "a copy of CIFAR-10 that is JPEG-compressed (quality 75), training and test images alike"
}
NAMES_FOLDERS = {"recipe", "data", "also_tested_on"}  # results that differ once a run is published


def finish(run: Run, queue: list[Run], cards: Path, data: Path | None) -> None:
    """Record a complete run, build its folder and the folders that are compared with it, and render the tables."""
    record(run.folder, cards / RECORDS, model=run.name)
    with locked(cards / "folders"):
        for other in queue:
            if run.name in (other.name, other.baseline) and is_published(other, queue):
                publish(other, queue, cards / other.name, data)
    update(cards / RECORDS)


def is_published(run: Run, queue: list[Run]) -> bool:
    """Whether a run becomes its model's folder: the longest complete one does."""
    longest = max((r.epochs for r in queue if r.name == run.name and r.publish and r.is_done), default=None)
    return run.publish and run.is_done and run.epochs == longest


def is_baseline(other: Run, run: Run) -> bool:
    """Whether `other` is the run that the card of `run` compares with: of its baseline, trained alike."""
    if (other.name, other.seed, other.epochs) != (run.baseline, run.seed, run.epochs):
        return False
    return all(other.fields.get(name) == run.fields.get(name) for name in ("whitening", "max_train_samples"))


def publish(run: Run, queue: list[Run], card: Path, data: Path | None) -> None:
    """Build the published folder of a run, unless it is complete and of this run."""
    baseline = next((r for r in queue if r.is_done and is_baseline(r, run)), None)
    if not is_current(run, baseline, card):
        build_folder(run, baseline, card, data)


def is_current(run: Run, baseline: Run | None, card: Path) -> bool:
    """Whether the folder `card` was built of this run, with examples, and with its baseline if there is one."""
    if not (is_built(card) and find_examples(card) and (baseline is None or (card / BASELINE_NAME).is_file())):
        return False
    there, here = read_results(card), read_results(run.folder)
    return all(there.get(name) == here[name] for name in here.keys() - NAMES_FOLDERS)


def build_folder(run: Run, baseline: Run | None, card: Path, data: Path | None) -> None:
    """Build the published folder of a run, with some of its test images as examples."""
    dataset = data_name(run.fields["dataset"]).id
    build(
        run.folder,
        card,
        modules=False,
        repo_id=f"lgn-hf/{run.name}",
        dataset=dataset,
        dataset_note=NOTES.get(dataset or ""),
        baseline=baseline.folder if baseline else None,
        examples=run.examples(data),
    )
