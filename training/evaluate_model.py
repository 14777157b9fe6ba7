"""Test a trained model on a data set: `accelerate launch training/evaluate_model.py MODEL --dataset SOURCE`."""

import sys

from lgn_training.evaluate_model import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
