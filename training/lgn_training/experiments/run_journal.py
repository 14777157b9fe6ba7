"""A journal of runs, so that a long experiment goes on where it stopped."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from lgn_training.texts import Row

JOURNAL, QUICK_JOURNAL = "runs.jsonl", "quick-runs.jsonl"


class RunJournal:
    """The runs that are done: `runs.jsonl` in `--output_dir`, one JSON object per line.

    A run that is in the journal is not repeated. Delete the file to begin anew, for example after a change of the method.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.path = args.output_dir / (QUICK_JOURNAL if args.quick else JOURNAL)
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self._done: dict[str, Row] = {}
        for line in lines:
            record = json.loads(line)
            self._done[json.dumps(record["run"])] = record["result"]

    def once(self, run: Row, do: Callable[[], Row]) -> Row:
        """The result of a run: from the journal, or else done now and written down."""
        key = json.dumps(run)
        if key not in self._done:
            self._done[key] = do()
            with self.path.open("a") as file:
                file.write(json.dumps({"run": run, "result": self._done[key]}, allow_nan=False) + "\n")
        return run | self._done[key]
