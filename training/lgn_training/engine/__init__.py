"""The training engine: accelerator and processes, optimisation, the loop, checkpoints, evaluation, the output folder."""
