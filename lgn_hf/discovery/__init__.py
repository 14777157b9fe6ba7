"""Find the linear symmetries of a point cloud."""

from .discover import discover
from .planting import plant
from .result import Discovery, FoundAction, Power

__all__ = ["Discovery", "FoundAction", "Power", "discover", "plant"]
