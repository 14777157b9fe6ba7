"""The command `lgn-hf atlas`."""

from __future__ import annotations

from pathlib import Path

import click

from .models import check_names, split_revision
from .options import models, option, output_dir, private


@click.command()
@models
@output_dir("Where to write the pages: a folder that is new, empty, or holds an earlier atlas.", "atlas")
@option(
    "--lab", is_flag=True, help="Also write lab.html, a page on which the networks run. npm fetches what runs them."
)
@option(
    "--runtime",
    type=click.Path(path_type=Path),
    help="The unpacked npm package onnxruntime-web for the lab. By default, npm fetches it once.",
)
@option(
    "--found",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Also write found.html, a page of what `lgn-hf discover` wrote to this folder. May be given several times.",
)
@option("--push", metavar="USER/NAME", help="Publish it as a static Space.")
@private
def atlas(
    models: tuple[str, ...],
    output_dir: Path,
    lab: bool,
    runtime: Path | None,
    found: tuple[Path, ...],
    push: str | None,
    private: bool,
) -> None:
    """Write a page that shows the actions of models, and with --lab one on which visitors try them.

    lgn_hf.hub.space.build_space writes them, lgn_hf.hub.upload.upload publishes them.
    """
    check_names(models, push)
    if push is not None:
        from ..hub.permission import check_can_publish

        check_can_publish(push, "space", private=private)

    from ..hub.space import OUTPUT, build_space

    OUTPUT.check(output_dir)  # before the models are read
    engine = None
    if lab or runtime is not None:
        from ..hub.lab import find_runtime

        engine = find_runtime(runtime)
    space = build_space([split_revision(model) for model in models], output_dir, engine, found, push)
    for page in space.pages:
        print(output_dir / page)
    if push is not None:
        from ..hub.upload import upload

        print(upload(output_dir, space.files, push, "space", private=private))
