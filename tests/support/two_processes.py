"""Two processes of one `accelerate launch`, which run the programs of several tests: to start them takes twelve seconds.

`python two_processes.py FOLDER` is what each of them runs. A program is a file `N.py` in the folder, N = 0, 1, 2, ...; each
process writes what the program did to `N-RANK.json`. A file that is empty ends them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[2]
WAIT, SECONDS = 0.02, 120  # between two looks for a file; for one program


@dataclass(frozen=True)
class Outcome:
    """What a program did in one process: its exit code, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


class TwoProcesses:
    """The processes, as a test sees them."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]):
        self.folder, self.process, self.numbers = folder, process, count()

    def run(self, program: str) -> list[Outcome]:
        """Run a Python program in both processes at once, and return what it did in each, in the order of their ranks."""
        number = next(self.numbers)
        _write(self.folder / f"{number}.py", program)
        outcomes = []
        for rank in range(2):
            answer = _wait_for(self.folder / f"{number}-{rank}.json", self.process)
            outcomes.append(Outcome(**json.loads(answer)))
        return outcomes


@contextmanager
def two_processes(folder: Path, executable: str) -> Iterator[TwoProcesses]:
    """Start the processes, with this Python, and end them."""
    config = ROOT / "training" / "accelerate" / "cpu-2-processes.yaml"
    command = [executable, "-m", "accelerate.commands.launch", "--quiet", "--config_file", str(config)]
    command += ["--main_process_port", "0", __file__, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)
    pair = TwoProcesses(folder, process)
    try:
        yield pair
    finally:
        _write(folder / f"{next(pair.numbers)}.py", "")
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def _write(path: Path, text: str) -> None:
    """Write a file that a reader sees whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    os.replace(partial, path)


def _wait_for(path: Path, process: subprocess.Popen[str] | None = None) -> str:
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        if process is not None and (process.poll() is not None or time.monotonic() > deadline):
            raise AssertionError(f"no {path.name}: {(path.parent / 'log').read_text()[-3000:]}")
        time.sleep(WAIT)
    return path.read_text()


def _run_programs(folder: Path) -> None:
    import torch.distributed as dist
    from accelerate.state import AcceleratorState

    rank, home = int(os.environ["RANK"]), os.getcwd()
    dist.init_process_group("gloo")
    dist.destroy_process_group = lambda *_: None  # the next program needs the group, too
    for number in count():
        program = _wait_for(folder / f"{number}.py")
        if not program:
            return
        AcceleratorState._reset_state(reset_partial_state=True)
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                exec(compile(program, f"{number}.py", "exec"), {"__name__": "__main__"})
            except SystemExit as end:
                code = int(end.code or 0)
            except Exception:
                code = 1
                traceback.print_exc()
        os.chdir(home)
        outcome = {"returncode": code, "stdout": out.getvalue(), "stderr": err.getvalue()}
        _write(folder / f"{number}-{rank}.json", json.dumps(outcome))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "training"))
    _run_programs(Path(sys.argv[1]))
