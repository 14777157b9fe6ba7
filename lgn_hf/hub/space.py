"""A static Space of some models: the atlas of their actions, the lab in which they run, and what was found in data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..actions import TENSORS_NAME, Actions
from ..export import Classifier, open_classifier
from ..repository import find_folder
from ..runs.family import read_config
from ..runs.trained_model import CONFIG_NAME, TrainedModel, open_trained_model
from .atlas import CARD_NAME, OUTPUT, PAGE_NAME, build_atlas, write_space_card
from .atlas_document import atlas_title, numbered
from .found import FOUND_PAGE, build_found
from .lab import LAB_PAGE, build_lab
from .lab.page import FILES
from .lab.page import TITLE as LAB_TITLE
from .space_address import PREVIEW_NAME

__all__ = ["OUTPUT", "Space", "build_space"]


@dataclass(frozen=True)
class Space:
    """What was written: the pages to open, and all files, by their paths in the folder."""

    pages: list[str]
    files: list[str]


def build_space(
    models: Sequence[tuple[str, str | None]],
    out_dir: str | os.PathLike,
    runtime: Path | None = None,
    found: Sequence[str | os.PathLike] = (),
    space: str | None = None,
) -> Space:
    """Write the atlas of the models that have actions, and with a runtime the lab of those that are classifiers.

    Args:
        models: folders or names of repositories, each with a revision or None.
        out_dir: new, empty, or an earlier output of this function, which is replaced.
        runtime: the unpacked npm package onnxruntime-web, see `lgn_hf.hub.lab.find_runtime`. None leaves the lab out.
        found: outputs of `lgn-hf discover`, which get a page of their own.
        space: the static Space, USER/NAME, that this is for. `preview.png` then stands for it where people post a link.

    Raises:
        ValueError: a model has neither actions nor, with a runtime, a classifier; or `out_dir` holds something else.
        ImportError: a package for ONNX is missing.
        OSError: a model cannot be found or read.
    """
    out_dir = Path(out_dir)
    OUTPUT.check(out_dir)
    sources: list[TrainedModel] = []
    classifiers: list[Classifier] = []
    for name, revision in models:
        has_actions, is_classifier = _kinds(name, revision)
        if has_actions:
            sources.append(open_trained_model(name, revision))
        if is_classifier and runtime is not None:
            classifiers.append(open_classifier(name, revision))
        elif not has_actions:
            raise ValueError(f"{name} has no actions to show in an atlas; --lab shows classifiers of its kind")
    pages, files = [PAGE_NAME], [PAGE_NAME, CARD_NAME]
    beside = [*([LAB_PAGE] if classifiers else []), *([FOUND_PAGE] if found else [])]
    if sources:
        build_atlas(sources, out_dir, beside=beside, space=space)
    if found:
        build_found(found, out_dir, space=space)
        pages, files = [*pages, FOUND_PAGE], [*files, FOUND_PAGE]
    if runtime is not None:
        names = numbered([classifier.name for classifier in classifiers])
        files += build_lab(classifiers, out_dir, runtime, names=names, has_atlas=bool(sources), space=space)
        if not sources:  # the lab is the first page, too, and links to lab.html work
            shutil.copyfile(out_dir / LAB_PAGE, out_dir / PAGE_NAME)
        pages = [*pages, LAB_PAGE]
        every = dict.fromkeys([*(source.name for source in sources), *(model.name for model in classifiers)])
        title = atlas_title(sources) if sources else LAB_TITLE
        write_space_card(out_dir, [*every], title, has_atlas=bool(sources), has_lab=True, space=space)
    if space is not None:
        from .preview import draw_preview

        draw_preview(*_preview(sources, classifiers), out_dir / PREVIEW_NAME)
        files.append(PREVIEW_NAME)
    _remove_others(out_dir, files)
    return Space(pages, files)


def _kinds(name: str, revision: str | None) -> tuple[bool, bool]:
    """Whether a model has actions to show, and whether it is a classifier that can run."""
    folder = find_folder(name, revision, (CONFIG_NAME, TENSORS_NAME))
    if not (folder / CONFIG_NAME).is_file():
        return True, False
    config = read_config(folder)
    is_classifier = any(kind.endswith("ForImageClassification") for kind in config.architectures or [])
    return (folder / TENSORS_NAME).is_file() or config.model_type == "lgn", is_classifier


def _preview(
    sources: Sequence[TrainedModel], classifiers: Sequence[Classifier]
) -> tuple[list[Actions], str, list[str]]:
    """Actions, title and sentences of the picture."""
    actions = [source.actions for source in sources] or [model.network.actions() for model in classifiers]
    lines = ["Every filter is an image of another one under a matrix A."]
    if classifiers:
        lines.append("Turn a digit, and watch the networks answer in your browser.")
    return actions, "Linear groups in neural networks", lines


def _remove_others(folder: Path, kept: Sequence[str]) -> None:
    """Remove what an earlier call left beside the atlas."""
    for path in (folder / PREVIEW_NAME, folder / LAB_PAGE, folder / FOUND_PAGE, *(folder / FILES).glob("*.js")):
        if path.relative_to(folder).as_posix() not in kept:
            path.unlink(missing_ok=True)
