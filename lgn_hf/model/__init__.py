"""The networks of the papers. These modules travel to the Hub as remote code: they import each other and nothing else."""

from .. import cpu  # noqa: F401  (registers the compiled layers with `unfolding`)
