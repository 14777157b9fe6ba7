"""Where onnxruntime-web is, the npm package that runs ONNX files in a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ..replacement import replacing_folder

NAME, VERSION = "onnxruntime-web", "1.30.0"
MODULE = "dist/ort.wasm.bundle.min.mjs"  # runs on the CPU, and brings all of its JavaScript
WASM = "dist/ort-wasm-simd-threaded.wasm"
SECONDS = 300  # for npm
HOW = f"unpack the npm package ({NAME}@{VERSION}, from `npm pack {NAME}@{VERSION}`) and name its folder: --runtime FOLDER"


def find_runtime(folder: str | os.PathLike | None = None) -> Path:
    """The folder of the unpacked npm package.

    Args:
        folder: where it is, or a folder with `node_modules`. By default, it is in the cache, and else npm fetches it.

    Raises:
        ValueError: it is not there and cannot be fetched; the message says how to get it.
    """
    if folder is not None:
        found = next((place for place in _places(Path(folder)) if _is_runtime(place)), None)
        if found is None:
            raise ValueError(f"{folder} does not hold {NAME} ({MODULE} and {WASM}): {HOW}")
        return found
    from huggingface_hub import constants

    cached = Path(constants.HF_HOME, "lgn-hf", f"{NAME}-{VERSION}")
    if _is_runtime(cached):
        return cached
    if constants.HF_HUB_OFFLINE:
        raise ValueError(f"the lab needs {NAME}, and HF_HUB_OFFLINE forbids to fetch it: {HOW}")
    return fetch_runtime(cached)


def fetch_runtime(folder: str | os.PathLike) -> Path:
    """Let npm download the package, and keep the two files that the lab needs.

    Args:
        folder: where to put them; what is there is replaced.

    Raises:
        ValueError: there is no npm, or it cannot download the package.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(f"the lab needs {NAME}, and there is no npm to fetch it: {HOW}")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", f"{NAME}@{VERSION}", "--silent", "--pack-destination", scratch]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise ValueError(f"npm did not fetch {NAME} in {SECONDS} s: {HOW}") from None
        archives = sorted(Path(scratch).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ValueError(f"npm cannot fetch {NAME} ({reason}): {HOW}")
        with tarfile.open(archives[0]) as archive, replacing_folder(folder) as partial:
            for name in (MODULE, WASM):
                member = archive.extractfile(f"package/{name}")
                assert member is not None, name
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                (partial / name).write_bytes(member.read())
    return Path(folder)


def _places(folder: Path) -> list[Path]:
    return [folder, folder / "package", folder / "node_modules" / NAME]


def _is_runtime(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (MODULE, WASM))
