"""Repeat an experiment: `python training/experiments.py NAME [--source MODEL_FOLDER ...]`."""

import sys

from lgn_training.experiments.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
