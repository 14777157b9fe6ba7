"""The unfolded layers compiled for CPUs, several times faster than through the convolutions of torch.

They compute what `lgn_hf.model.unfolding.unfold` computes, and its gradients, in two compiled functions per
layer (passes.h). Each image passes through a layer while it is in the cache of the processor. Batch
normalisation becomes a scale and a shift of what the next layer reads. Of every layer, only its code and its
residual are kept. Under bfloat16 autocast, products run on the matrix units (AMX) of processors that have
them, and codes are kept in bfloat16. Other processors, and networks that are 16-bit themselves, compute in
float32, which is several times faster there.

Importing this package registers the compiled layers with `lgn_hf.model.unfolding`, which takes them where they
suit and torch elsewhere.
"""

from ..model.unfolding import register_backend
from .backend import suits, unfold_on_cpu

register_backend("cpu", suits, unfold_on_cpu)
