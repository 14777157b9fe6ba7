"""Write the lab: `lab.html`, and beside it, in `lab/`, the networks and the runtime as scripts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...export import Classifier, write_onnx
from ...files import write_whole
from ..embedding import TEMPLATES, fill, script_safe
from ..modules import join_modules
from ..page_head import page_head
from .address import LAB_PAGE
from .document import lab_document
from .onnxruntime_web import MODULE, VERSION, WASM
from .packed_files import pack

FILES = "lab"
LAB_TEMPLATES = TEMPLATES / "lab"
TITLE = "Lab: turn a digit"
DESCRIPTION = "Draw a digit, turn it, and watch the filters of linear group networks answer."
NOTICE = f"/* onnxruntime-web {VERSION}. Copyright (c) Microsoft Corporation. MIT License. */\n"


def build_lab(
    classifiers: Sequence[Classifier],
    out_dir: str | os.PathLike,
    runtime: Path,
    *,
    names: Sequence[str] | None = None,
    has_atlas: bool = False,
    space: str | None = None,
) -> list[str]:
    """Write the lab into a folder.

    Args:
        classifiers: the networks, in the order in which the page lists them.
        out_dir: the folder.
        runtime: the unpacked npm package, see `find_runtime`.
        names: what the page calls the networks. By default, their own names.
        has_atlas: whether `index.html` is an atlas that the page can link to.
        space: the static Space, USER/NAME, that the page is made for, see `page_head`.

    Returns:
        The paths of the files in `out_dir`.

    Raises:
        ValueError: there is no network, or a graph does not answer as its network does.
        ImportError: a package for ONNX is missing.
    """
    if not classifiers:
        raise ValueError("a lab shows at least one classifier: none was given")
    out_dir, files = Path(out_dir), {}
    names = [classifier.name for classifier in classifiers] if names is None else names
    scripts = [f"{FILES}/model-{number}.js" for number in range(len(classifiers))]
    with tempfile.TemporaryDirectory() as scratch:
        for classifier, script in zip(classifiers, scripts, strict=True):
            graph = write_onnx(classifier, Path(scratch, "model.onnx"), with_codes=True)
            files[script] = "".join(pack(script, graph.read_bytes()))
    parts = [NOTICE + part for name in (MODULE, WASM) for part in pack(name, (runtime / name).read_bytes())]
    runtime_scripts = {f"{FILES}/runtime-{number:02d}.js": part for number, part in enumerate(parts)}
    document = {
        **lab_document(classifiers, names, scripts),
        "runtime": {"scripts": [*runtime_scripts], "module": MODULE, "wasm": WASM},
        "atlas": has_atlas,
    }
    files |= runtime_scripts
    files[LAB_PAGE] = _page(document, space)
    for name, text in files.items():
        (out_dir / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(out_dir / name, text)
    for old in (out_dir / FILES).glob("*.js"):  # of an earlier lab with more models
        if f"{FILES}/{old.name}" not in files:
            old.unlink()
    return sorted(files)


def _page(document: dict[str, Any], space: str | None) -> str:
    return fill(
        LAB_TEMPLATES / "lab.html",
        PAGE_HEAD=page_head(TITLE, DESCRIPTION, space),
        LAB_STYLE=(LAB_TEMPLATES / "lab.css").read_text(encoding="utf-8"),
        LAB_DATA=script_safe(document),
        LAB_SCRIPT=join_modules(LAB_TEMPLATES),
    )
