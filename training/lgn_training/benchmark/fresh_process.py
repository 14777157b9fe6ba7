"""What part `startup` measures, in a process of its own: `python -m lgn_training.benchmark.fresh_process NAME C SIDE DEVICE`.

Prints a JSON list: seconds to import transformers' base classes, seconds to import lgn_hf after that, seconds of the first
forward and backward pass, and the MiB that three passes add at most. NAME is `ours` or `textbook`.
"""

# ruff: noqa: E402  (the imports are what is timed)
import json
import sys
import time

start = time.perf_counter()
from transformers import BaseImageProcessor, PreTrainedModel  # noqa: F401

libraries = time.perf_counter()
import lgn_hf

ready = time.perf_counter()
from typing import Any

import torch

from lgn_training.benchmark.process_memory import mebibytes
from lgn_training.benchmark.textbook import TextbookLGN


def main(name: str, channels: int, side: int, device: torch.device) -> None:
    fields: dict[str, Any] = {"num_channels": channels, "image_size": side, "num_labels": 10}
    ours = lgn_hf.LGNForImageClassification(lgn_hf.LGNConfig(**fields)).train()
    network = (TextbookLGN(ours) if name == "textbook" else ours).to(device)  # pyrefly: ignore[bad-argument-type]
    images = torch.randn(128, channels, side, side, device=device)
    labels = torch.randint(10, (128,), device=device)
    before = mebibytes("VmRSS:", device)
    begin, first = time.perf_counter(), 0.0
    for step in range(3):
        loss = network(images, labels=labels)
        (loss if name == "textbook" else loss.loss).backward()
        float(next(network.parameters()).grad.sum())  # pyrefly: ignore[missing-attribute]
        first = first if step else time.perf_counter() - begin
    print(json.dumps([libraries - start, ready - libraries, first, mebibytes("VmHWM:", device) - before]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), torch.device(sys.argv[4]))
