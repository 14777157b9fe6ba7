"""Adds the compiled layers to a wheel, where LGN_HF_WHEEL=compiled asks for it; pyproject.toml has all else."""

import os
import runpy
from pathlib import Path

from setuptools import Extension, setup

FOLDER = Path("lgn_hf/cpu")


def extensions() -> list[Extension]:
    """A library for each kind of processor. They do not use Python's interface, so that one wheel suits all versions."""
    processors = runpy.run_path(str(FOLDER / "processors.py"))
    return [
        Extension(
            f"lgn_hf.cpu.layer_{processor.name}",
            [str(FOLDER / "layer.cpp")],
            depends=[str(header) for header in FOLDER.glob("*.h")],
            extra_compile_args=[*processors["FLAGS"], *processor.flags],
            extra_link_args=["-fopenmp", "-s"],
            py_limited_api=True,
        )
        for processor in processors["PROCESSORS"]
    ]


if os.environ.get("LGN_HF_WHEEL") == "compiled":
    setup(ext_modules=extensions(), options={"bdist_wheel": {"py_limited_api": "cp310"}})
else:
    setup()
