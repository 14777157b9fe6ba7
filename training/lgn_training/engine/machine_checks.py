"""What a machine lacks, said before a run starts: a cache that can be written, cores that work, a fast number format."""

from __future__ import annotations

import tempfile
from pathlib import Path

import datasets
import evaluate


def check_caches() -> None:
    """Check the cache folders of `datasets` and `evaluate`, which a run needs at its first validation at the latest.

    Raises:
        OSError: one cannot be made or written.
    """
    for folder in map(Path, (datasets.config.HF_DATASETS_CACHE, evaluate.config.HF_METRICS_CACHE)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(
                f"the cache folder {folder} cannot be written ({error.strerror}): set HF_HOME to a folder that can"
            ) from None
