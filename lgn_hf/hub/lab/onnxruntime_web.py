"""Where onnxruntime-web is, the npm package that runs ONNX files in a browser."""

from __future__ import annotations

import os
from pathlib import Path

from .npm import NpmError, fetch_package

NAME, VERSION = "onnxruntime-web", "1.30.0"
MODULE = "dist/ort.wasm.bundle.min.mjs"  # runs on the CPU, and brings all of its JavaScript
WASM = "dist/ort-wasm-simd-threaded.wasm"
HOW = f"unpack the npm package {NAME} (`npm pack {NAME}@{VERSION}` downloads it) and name its folder with --runtime"


def find_runtime(folder: str | os.PathLike | None = None) -> Path:
    """The folder of the unpacked npm package.

    Args:
        folder: where it is, or a folder that holds it as `package` or in `node_modules`. By default it is in the cache, beside
            those of the Hub, and npm fetches it if it is not.

    Raises:
        ValueError: it is not there and cannot be fetched; the message says how to get it.
    """
    if folder is not None:
        found = next((place for place in _places(Path(folder)) if _is_runtime(place)), None)
        if found is None:
            raise ValueError(f"{folder} does not hold {NAME} ({MODULE} and {WASM}): {HOW}")
        return found
    cached = cached_runtime()
    if _is_runtime(cached):
        return cached
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise ValueError(f"the lab needs {NAME}, and HF_HUB_OFFLINE forbids to fetch it: {HOW}")
    return fetch_runtime(cached)


def cached_runtime() -> Path:
    """Where the package is kept."""
    from huggingface_hub import constants

    return Path(constants.HF_HOME, "lgn_hf", f"{NAME}-{VERSION}")


def fetch_runtime(folder: str | os.PathLike) -> Path:
    """Let npm download the package into a folder, and keep the two files that the lab needs.

    Raises:
        ValueError: npm cannot; the message says how else to get it.
    """
    try:
        return fetch_package(NAME, VERSION, (MODULE, WASM), folder)
    except NpmError as error:
        raise ValueError(f"the lab needs {NAME}, and {error}: {HOW}") from None


def _places(folder: Path) -> list[Path]:
    return [folder, folder / "package", folder / "node_modules" / NAME]


def _is_runtime(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (MODULE, WASM))
