"""The processors for which a wheel may hold the compiled functions. setup.py reads this file, too."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import NamedTuple

FLAGS = ("-O3", "-ffp-contract=fast", "-fopenmp", "-fPIC", "-Wno-psabi", "-std=c++17")


class Processor(NamedTuple):
    """A kind of processor.

    name: in the name of the file.
    flags: of the compiler.
    needs: what the kernel says of such a processor.
    """

    name: str
    flags: tuple[str, ...]
    needs: str


AVX512 = "avx512f avx512bw avx512cd avx512dq avx512vl"
PROCESSORS = (  # the best first
    Processor(
        "amx", ("-march=x86-64-v4", "-mavx512bf16", "-mamx-tile", "-mamx-bf16"), f"{AVX512} avx512_bf16 amx_bf16"
    ),
    Processor("avx512", ("-march=x86-64-v4",), AVX512),
    Processor("avx2", ("-march=x86-64-v3",), "avx2 bmi1 bmi2 f16c fma abm movbe"),
)


def cpu_features() -> set[str]:
    """What the kernel says of the first processor, on x86."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def built_in_wheel(folder: Path) -> Path | None:
    """The compiled functions that suit this processor best, if the package was installed with any that do."""
    if platform.machine() != "x86_64":
        return None
    features = cpu_features()
    files = (folder / f"layer_{each.name}.abi3.so" for each in PROCESSORS if features.issuperset(each.needs.split()))
    return next((file for file in files if file.exists()), None)
