"""Record runs in `model_cards/results.csv` and render the tables: `python training/records.py [RUN ...]`."""

import sys

from lgn_training.zoo.update_tables import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
