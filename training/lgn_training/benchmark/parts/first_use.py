"""Part `first_use`: how long the library, the command and a first prediction take in a fresh process."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from lgn_training.benchmark.timing import summary
from lgn_training.texts import Row

CARDS = Path(__file__).parents[4] / "model_cards"
MODELS = {"lgn-mnist": "LGNForImageClassification", "convnet-rotmnist-c4": "LGNConvNetForImageClassification"}
RUNS = 5

# Each program prints seconds of processor time, by name.
IMPORTS = """
import json, time
times = [time.process_time()]
import lgn_hf
times.append(time.process_time())
import torch
times.append(time.process_time())
import transformers.modeling_utils, transformers.image_processing_utils
times.append(time.process_time())
lgn_hf.LGNForImageClassification, lgn_hf.LGNConvNetForImageClassification, lgn_hf.LGNImageProcessor
times.append(time.process_time())
names = ("import lgn_hf", "import torch", "then transformers", "then the classes of lgn_hf")
print(json.dumps({name: after - before for name, before, after in zip(names, times, times[1:])}))
"""
COMMAND = """
import contextlib, io, json, sys, time
sys.argv = ["lgn-hf", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    from lgn_hf.cli import main
    main()
print(json.dumps({"lgn-hf --help": time.process_time()}))
"""
PREDICTION = """
import json, sys, time
import lgn_hf, torch
from PIL import Image
folder, image, network, processor = sys.argv[1:3] + [getattr(lgn_hf, name) for name in (sys.argv[3], "LGNImageProcessor")]
times = [time.process_time()]
model, processor = network.from_pretrained(folder).eval(), processor.from_pretrained(folder)
times.append(time.process_time())
for _ in range(2):
    with torch.inference_mode():
        model(**processor(Image.open(image), return_tensors="pt"))
    times.append(time.process_time())
names = ("load", "first prediction", "second prediction")
print(json.dumps({name: after - before for name, before, after in zip(names, times, times[1:])}))
"""


def first_use(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """A fresh process on one core: seconds of processor time. `--help` includes the start of Python itself"""
    programs = {"": [IMPORTS], "the command": [COMMAND]}
    for name, network in MODELS.items():
        image = next((CARDS / name / "examples").glob("*.png"), None)
        if image is not None:
            programs[name] = [PREDICTION, str(CARDS / name), str(image), network]
    rows = []
    for name, program in programs.items():
        runs = [_run(program) for _ in range(min(RUNS, args.rounds))]
        rows += [
            {"of": name or "the library", "what": what, "seconds": summary([run[what] for run in runs])}
            for what in runs[0]
        ]
    return rows


def _run(program: list[str]) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", *program], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])
