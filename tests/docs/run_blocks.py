"""Run the blocks of a page, one after the other, as a reader would: `python run_blocks.py < blocks.json`.

Python blocks share one namespace. The first block that fails, or prints something else than the page says, ends the program.
"""

import contextlib
import io
import json
import os
import subprocess
import sys


def run(language: str, code: str, where: str, namespace: dict) -> str:
    """What the block prints."""
    if language == "bash":
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{where}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, where, "exec"), namespace)  # the page's own code
    return printed.getvalue()


def main() -> None:
    namespace = {"__name__": "__main__"}
    for block in json.load(sys.stdin):
        page, line = block["page"], block["line"]
        where = f"{page}:{line}"
        before = os.times()
        padding = (
            "\n" * (line - 1) if block["language"] == "python" else ""
        )  # so that tracebacks have the page's lines
        printed = run(block["language"], padding + block["code"], page if padding else where, namespace)
        print(f"{where}: {sum(os.times()[:4]) - sum(before[:4]):.1f} s of CPU", flush=True)
        if block["prints"] is not None and printed.split() != block["prints"].split():
            raise SystemExit(f"{where}: prints\n{printed}\nthe page says\n{block['prints']}")


if __name__ == "__main__":
    main()
