"""Repeat the papers' experiments, and ours: `python training/experiments.py NAME [--source MODEL_FOLDER ...]`."""

import sys

from lgn_training.experiments import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
