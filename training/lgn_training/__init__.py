"""The training package of lgn-hf.

`run` trains a network and `evaluate_model` tests one. `zoo` trains and records all published models, `benchmark` measures
speed, `experiments` repeats the papers' experiments. They share `arguments` (recipes and the command line), `data`
(from the name of a data set to batches), `engine` (the training loop and its surroundings) and `results` (what a run
writes about itself).
"""

from importlib.util import find_spec

# What `pip install 'lgn-hf[train]'` installs, as modules.
REQUIRED = ("accelerate", "datasets", "filelock", "matplotlib", "sklearn", "tqdm", "yaml")


def _is_missing(module: str) -> bool:
    """Whether a module is not installed. A folder of its name on the path does not count, such as training/accelerate."""
    spec = find_spec(module)
    return spec is None or spec.origin is None


_missing = [module for module in REQUIRED if _is_missing(module)]
if _missing:
    raise ModuleNotFoundError(
        f"lgn_training needs {', '.join(_missing)}: pip install 'lgn-hf[train]'", name=_missing[0]
    )
