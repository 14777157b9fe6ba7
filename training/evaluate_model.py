"""Test a trained model on a data set: `accelerate launch training/evaluate_model.py MODEL --dataset SOURCE`."""

import sys

from lgn_training.programs import evaluate_model

if __name__ == "__main__":
    sys.exit(evaluate_model(sys.argv[1:]))
