"""Find the linear symmetries of a point cloud: filters of a network, atoms of a dictionary, or the data themselves.

A symmetry is a linear map A that permutes the points, A w_k = c_k w_pi(k). Whitening makes it orthogonal. Then the
permutation is an automorphism of the Gram matrix, a weighted graph, and finding it is a search, without gradients.

Import from here; the files say what they are.

Points:

- `dictionary`: `learn_dictionary`, atoms of the data; `sparse_coding`: its two halves;
- `patches`: patches of images as rows;
- `points`: the points of any source that `lgn-hf discover` takes; `images`, `filter_bank` and
  `matrix_file` read data sets, models and files;
- `report`: what `lgn-hf discover` shows and writes.

The search:

- `discover`: `discover`, from points to symmetries with p-values and their group;
- `whitening`: checks of the points, and the basis in which symmetries are orthogonal;
- `evidence`: co-activation, frequency, amplitude and labels;
- `seeds`, `ladders` and `agreement`: first guesses, a few points and where they go;
- `polish`: from a guess to the local optimum, in batches;
- `search`: all of this for one order;
- `null`: searches without symmetry, and the p-values;
- `held_out`: whether an action maps the points onto others of their kind;
- `closure`: the group that symmetries generate;
- `refine`: the most likely matrix, given a permutation;
- `planting`: random points with a known group;
- `result`: `Discovery`, `FoundAction` and `Power`.
"""

from .dictionary import Dictionary, learn_dictionary, load_dictionary
from .discover import discover
from .patches import patches
from .planting import cyclic_table, plant
from .result import Discovery, FoundAction, Power
from .search import Effort

__all__ = [
    "Dictionary",
    "Discovery",
    "Effort",
    "FoundAction",
    "Power",
    "cyclic_table",
    "discover",
    "learn_dictionary",
    "load_dictionary",
    "patches",
    "plant",
]
