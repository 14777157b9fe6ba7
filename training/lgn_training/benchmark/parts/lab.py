"""Part `lab`: a frame of the lab, in which networks answer an image as it is turned."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lgn_hf import LGNConfig, LGNForImageClassification, LGNImageProcessor
from lgn_hf.convnet.configuration_lgn_convnet import LGNConvNetConfig
from lgn_hf.convnet.modeling_lgn_convnet import LGNConvNetForImageClassification
from lgn_hf.export import open_classifier
from lgn_hf.hub.lab import LAB_PAGE, build_lab, find_runtime
from lgn_training.benchmark.contenders import SHAPES, free_filters, make_config
from lgn_training.texts import Row

SECONDS = 4  # half a turn

Network = tuple[type, Any]


def lab(args: argparse.Namespace, device: torch.device) -> list[Row]:
    """A frame of the lab in Chromium, on one thread: turn the image, run the network, draw answers and codes"""
    if device.type != "cpu" or not _has_browser():
        return []
    try:
        runtime = find_runtime()
    except ValueError:
        return []
    rows = []
    for data in args.data:
        with tempfile.TemporaryDirectory() as scratch:
            rows += _frames(data, _networks(data), Path(scratch), runtime)
    return rows


def _networks(data: str) -> Mapping[str, Network]:
    channels, side = SHAPES[data]
    rotation = make_config(data, num_groups=10, group_order=4, filter_size=8, action="rotation", rotation_angle=90.0)
    fields: dict[str, Any] = {"image_size": side, "num_channels": channels, "num_labels": 10}
    convnet = LGNConvNetConfig(**fields)
    configs: dict[str, LGNConfig] = {"LGN": make_config(data), "R_90": rotation, "free filters": free_filters(data)}
    networks: dict[str, Network] = {name: (LGNForImageClassification, config) for name, config in configs.items()}
    return networks | {"convolution network over C_4": (LGNConvNetForImageClassification, convnet)}


def _frames(data: str, networks: Mapping[str, Network], folder: Path, runtime: Path) -> list[Row]:
    from playwright.sync_api import sync_playwright

    channels, side = SHAPES[data]
    for name, (kind, config) in networks.items():
        kind(config).save_pretrained(folder / name)
        LGNImageProcessor(side, channels).save_pretrained(folder / name)
    build_lab([open_classifier(folder / name) for name in networks], folder / "lab", runtime)
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for beside in ("none", "free filters"):
            for name in networks.keys() - {beside}:
                page = browser.new_page()
                page.goto(f"{(folder / 'lab' / LAB_PAGE).as_uri()}#model={name}&beside={beside}")
                page.wait_for_function("document.body.dataset.sweep")
                page.evaluate("performance.clearMeasures('frame')")
                page.locator("#play").click()
                page.wait_for_timeout(1000 * SECONDS)
                page.locator("#play").click()
                times = sorted(page.evaluate("performance.getEntriesByName('frame').map((frame) => frame.duration)"))
                page.close()
                rows.append(
                    {
                        "data": data,
                        "network": name,
                        "beside it": beside,
                        "frames": len(times),
                        "median ms": statistics.median(times),
                        "95 % are below ms": times[int(0.95 * len(times))],
                    }
                )
        browser.close()
    return sorted(rows, key=lambda row: (row["beside it"] != "none", [*networks].index(row["network"])))


def _has_browser() -> bool:
    try:
        import playwright  # noqa: F401
    except ImportError:
        return False
    return shutil.which("chromium") is not None
