"""From the name of a data set to decoded images and batches. Import the names below from here.

A data set is read by a reader (`readers.py`: a local path, `digits`, the Hub), divided into splits (`splits.py`: its own
splits, or those of `rot-mnist:` and `rotated:`), searched for its columns (`columns.py`) and decoded (`decoding.py`).
`loading.py` does all four.
"""

from lgn_training.data.image_sets import Data, DataError, ImageSet, fingerprint
from lgn_training.data.loading import load_data, load_test_images, load_tests, warn_of_unseen_classes, with_classes
from lgn_training.data.local_copies import local_copy

__all__ = [
    "Data",
    "DataError",
    "ImageSet",
    "fingerprint",
    "load_data",
    "load_test_images",
    "load_tests",
    "local_copy",
    "warn_of_unseen_classes",
    "with_classes",
]
