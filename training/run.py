"""Train and test a Linear Group Network: `accelerate launch training/run.py [RECIPE.yaml] [--field value ...]`."""

import sys

from lgn_training.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
