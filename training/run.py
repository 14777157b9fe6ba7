"""Train and test a Linear Group Network: `accelerate launch training/run.py [RECIPE.yaml] [--field value ...]`."""

import sys

from lgn_training.programs import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
