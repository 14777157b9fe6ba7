"""The unfolded layers compiled for CPUs. Importing this room registers them with `lgn_hf.model.unfolding`."""

from ..model.unfolding import FASTER_WAYS, FasterWay
from .unfolding_cpu import suits, unfold_on_cpu

FASTER_WAYS.append(FasterWay(suits, unfold_on_cpu))
