"""The network: all modules that travel to the Hub as remote code. They import each other and nothing else of the package."""

from .. import cpu  # noqa: F401  (registers the compiled layers with `unfolding`)
