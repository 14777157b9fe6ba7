"""The command `lgn-hf`: every subcommand calls a function of this package, which its help names.

A command imports what it needs when it runs: nobody should wait for transformers to read a help text.
"""

from __future__ import annotations

import os
import sys

import click

from .commands.actions import actions
from .commands.atlas import atlas
from .commands.card import card
from .commands.compare import compare
from .commands.discover import discover
from .commands.export import export
from .commands.predict import predict
from .commands.publish import publish
from .texts import full_traceback, one_line

OPTIONAL = {  # packages, and the extra that brings them
    **dict.fromkeys(("matplotlib", "datasets", "jinja2", "yaml"), "hub"),
    **dict.fromkeys(("onnx", "onnxscript", "onnxruntime"), "export"),
    **dict.fromkeys(("accelerate", "sklearn", "tqdm"), "train"),
}
QUIET = {  # users need not see how models and data sets are loaded
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}
REVISION = "A repository is USER/NAME, or USER/NAME@REVISION for a branch, tag or commit."


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Linear Group Networks on the Hub: publish them, and look at the actions that they learned.\n\n" + REVISION,
)
def app() -> None:
    pass


for command in (publish, card, actions, predict, compare, atlas, discover, export):
    app.add_command(command)


def main() -> None:
    """Run the command. An error that the user can mend ends it with one line and exit code 1.

    `LGN_HF_TRACEBACK=1` shows the traceback instead, with the errors behind the error.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        app(prog_name="lgn-hf")
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        if os.environ.get("LGN_HF_TRACEBACK"):
            sys.exit(full_traceback(error))
        package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else None
        if package in OPTIONAL:
            sys.exit(f"lgn-hf: this command needs {package}: pip install 'lgn-hf[{OPTIONAL[package]}]'")
        sys.exit(f"lgn-hf: {one_line(error, None)}")
