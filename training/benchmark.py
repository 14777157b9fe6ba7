"""Measure how fast the network is: `python training/benchmark.py [--parts PART ...] [--output FILE.json]`."""

import sys

from lgn_training.benchmark.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
