"""The programs of this folder, which answer `--help` and a mistake on the command line before they import torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from lgn_training.arguments import parse_arguments, with_recipe_file
from lgn_training.engine.errors import SharedError, fail
from lgn_training.evaluate_arguments import parse


def run(argv: list[str]) -> int:
    """Train, and return the exit code."""
    return _start("run", lambda argv: parse_arguments(with_recipe_file(argv)), argv)


def evaluate_model(argv: list[str]) -> int:
    """Test a model, and return the exit code."""
    return _start("evaluate_model", parse, argv)


def _start(program: str, parse: Callable[[list[str]], Any], argv: list[str]) -> int:
    try:
        parse(argv)
    except (ValueError, OSError) as error:
        return fail(f"{program}.py", SharedError(error))  # every process has the same command line
    return import_module(f"lgn_training.{program}").main(argv)
