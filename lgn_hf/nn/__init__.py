"""Linear groups in any network: plain torch modules that need neither transformers nor a configuration.

- `linear_group`: `LinearGroup`, a finite group of matrices on filters, with its Cayley table;
  `closure`, `naming` and `exact_rotations` are how one is made from generators, named and rotated;
- `pixel_grid`: which elements are symmetries of images, too;
- `learned_groups`: groups whose matrices are learned;
- `orbit_convolution`, `orbit_norm`, `orbit_pool`: the layers;
- `equivariance`: how far a network is from equivariance, as a number.
"""

from .equivariance import equivariance_error
from .learned_groups import LearnedGroup, LearnedMatrices
from .linear_group import LinearGroup
from .orbit_convolution import OrbitConv1d, OrbitConv2d, OrbitConvTranspose2d
from .orbit_norm import OrbitNorm2d
from .orbit_pool import OrbitPool2d
from .pixel_grid import ImageMap, extends_to_image

__all__ = [
    "ImageMap",
    "LearnedGroup",
    "LearnedMatrices",
    "LinearGroup",
    "OrbitConv1d",
    "OrbitConv2d",
    "OrbitConvTranspose2d",
    "OrbitNorm2d",
    "OrbitPool2d",
    "equivariance_error",
    "extends_to_image",
]
