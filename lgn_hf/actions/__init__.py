"""The actions of a network by themselves: apply, save, load, diagnose and compare them without the model.

Import from here; the files say what they are.

The actions:

- `linear_maps`: what a linear map on filters can do: act on filters and images, its powers, its
  orbits;
- `container`: one `Action`, and all `Actions` of a network;
- `storage`: `actions.safetensors` and `actions.json`, saved, loaded and downloaded;
- `schema`: what `actions.json` must hold.

The diagnostics:

- `registry`: `SCORES`, the one list of all scores, and `register_score`, which adds one;
- `structures` and `cyclicity`: the scores themselves, `SCORES[name](matrices)`;
- `operations`: the known operations, a registry of families; `nearest_operation`: the best match
  among them;
- `chance`: the random matrices that scores are compared with, and z-scores;
- `labels`: the name of an action; `diagnosis`: all of it in one record;
- `records`: reading a record; `matrices`: norms and checks that the diagnostics share.

Sets of actions:

- `comparison`: the distance of two sets, two models beside chance, a permutation test.

Nothing here needs transformers.
"""

from .comparison import Comparison, Distance, Pair, action_distance, compare, permutation_test
from .container import Action, Actions
from .cyclicity import MAX_ORDER, cyclic_order, cyclic_residuals, power_separation
from .diagnosis import NULL, THRESHOLDS, diagnose, scores
from .labels import MIN_Z, label_of
from .linear_maps import LinearMaps
from .nearest_operation import nearest
from .operations import (
    LARGEST_SIZE,
    Operation,
    average_pooling,
    blur,
    corner_swap,
    cycles,
    derivative,
    known_operations,
    operation_text,
    shift,
    transposition,
)
from .records import rank, score_of, strongest
from .registry import NEAREST, SCORES, Score, register_score, score_title
from .schema import check_config
from .storage import RECORDS_NAME, TENSORS_NAME, download, load_actions, save_actions
from .structures import scale_levels

__all__ = [
    "LARGEST_SIZE",
    "MAX_ORDER",
    "MIN_Z",
    "NEAREST",
    "NULL",
    "RECORDS_NAME",
    "SCORES",
    "TENSORS_NAME",
    "THRESHOLDS",
    "Action",
    "Actions",
    "Comparison",
    "Distance",
    "LinearMaps",
    "Operation",
    "Pair",
    "Score",
    "action_distance",
    "average_pooling",
    "blur",
    "check_config",
    "compare",
    "corner_swap",
    "cycles",
    "cyclic_order",
    "cyclic_residuals",
    "derivative",
    "diagnose",
    "download",
    "known_operations",
    "label_of",
    "load_actions",
    "nearest",
    "operation_text",
    "permutation_test",
    "power_separation",
    "rank",
    "register_score",
    "save_actions",
    "scale_levels",
    "score_of",
    "score_title",
    "scores",
    "shift",
    "strongest",
    "transposition",
]
