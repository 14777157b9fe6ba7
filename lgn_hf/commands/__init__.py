"""The subcommands of `lgn-hf`, one file each; `lgn_hf.cli` registers them."""
