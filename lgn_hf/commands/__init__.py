"""Subcommands of `lgn-hf` with a file of their own; `lgn_hf.cli` registers them."""
