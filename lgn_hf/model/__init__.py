"""The network: all that travels to the Hub as remote code. These modules import each other, and nothing else of the package."""

from .. import cpu  # noqa: F401  (its compiled layers register themselves with `unfolding`)
