"""Train every network of `zoo.yaml`, one after the other: `python training/zoo.py [--data FOLDER]`."""

import sys

from lgn_training.zoo.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
