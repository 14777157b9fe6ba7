"""The command `lgn-hf card`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@option("--repo-id", metavar="USER/NAME", help="The repository it is for.")
def card(folder: Path, repo_id: str | None) -> None:
    """Write the model card of a model folder again.

    lgn_hf.hub.cards.write_card writes it, from the other files of FOLDER.
    """
    from ..hub.cards import write_card

    print(write_card(folder, repo_id))
