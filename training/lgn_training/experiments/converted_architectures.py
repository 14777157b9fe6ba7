"""Experiment `architectures`: which networks `lgn_hf.convert` and `lgn_hf.merge` work on."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any, Literal, NamedTuple

import torch
import transformers
from torch import Tensor, nn

import lgn_hf
from lgn_training.experiments.registry import experiment
from lgn_training.texts import Row

WIDTHS = {"hidden_sizes": [32, 64, 128, 256], "depths": [1, 1, 1, 1]}
VIT = {"image_size": 64, "patch_size": 8, "hidden_size": 192, "num_hidden_layers": 2, "num_attention_heads": 3}
SWIN = {"image_size": 64, "embed_dim": 32, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4}


class Architecture(NamedTuple):
    """A class of transformers, and the fields that make it small."""

    model_class: str
    fields: dict[str, Any]


ARCHITECTURES = {
    "ResNet": Architecture("ResNetForImageClassification", {**WIDTHS, "embedding_size": 32, "layer_type": "basic"}),
    "RegNet": Architecture("RegNetForImageClassification", {**WIDTHS, "embedding_size": 32, "groups_width": 16}),
    "BiT": Architecture("BitForImageClassification", {**WIDTHS, "embedding_size": 32, "num_groups": 8}),
    "ConvNeXt": Architecture("ConvNextForImageClassification", WIDTHS),
    "ConvNeXt V2": Architecture("ConvNextV2ForImageClassification", WIDTHS),
    "DINOv3 ConvNeXt": Architecture("DINOv3ConvNextModel", WIDTHS),
    "MobileNet V1": Architecture("MobileNetV1ForImageClassification", {"depth_multiplier": 0.5}),
    "MobileNet V2": Architecture("MobileNetV2ForImageClassification", {"depth_multiplier": 0.5}),
    "EfficientNet": Architecture(
        "EfficientNetForImageClassification",
        {"width_coefficient": 1.0, "depth_coefficient": 0.5, "hidden_dim": 1280},
    ),
    "PP-LCNet": Architecture("PPLCNetForImageClassification", {}),
    "HGNet V2": Architecture("HGNetV2ForImageClassification", {}),
    "TextNet": Architecture("TextNetForImageClassification", {}),
    "PoolFormer": Architecture("PoolFormerForImageClassification", WIDTHS),
    "FocalNet": Architecture(
        "FocalNetForImageClassification", {"image_size": 64, "embed_dim": 32, "depths": [1, 1, 1, 1]}
    ),
    "SwiftFormer": Architecture("SwiftFormerForImageClassification", {}),
    "LeViT": Architecture("LevitForImageClassification", {"image_size": 64}),
    "CvT": Architecture("CvtForImageClassification", {"depth": [1, 2, 3]}),
    "MobileViT": Architecture("MobileViTForImageClassification", {"image_size": 64}),
    "MobileViT V2": Architecture("MobileViTV2ForImageClassification", {"image_size": 64}),
    "PVT": Architecture("PvtForImageClassification", {"image_size": 64, "depths": [1, 1, 1, 1]}),
    "PVT V2": Architecture("PvtV2ForImageClassification", {"image_size": 64, "depths": [1, 1, 1, 1]}),
    "SegFormer": Architecture("SegformerForImageClassification", {"depths": [1, 1, 1, 1]}),
    "Swin": Architecture("SwinForImageClassification", SWIN),
    "Swin V2": Architecture("Swinv2ForImageClassification", SWIN),
    "Hiera": Architecture(
        "HieraForImageClassification", {"image_size": [64, 64], "embed_dim": 32, "depths": [1, 1, 1, 1]}
    ),
    "ViT": Architecture("ViTForImageClassification", VIT),
    "DeiT": Architecture("DeiTForImageClassification", VIT),
    "BEiT": Architecture("BeitForImageClassification", VIT),
    "DINOv2": Architecture("Dinov2ForImageClassification", VIT),
    "DPT": Architecture(
        "DPTForDepthEstimation",
        {**VIT, "num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [32, 64, 64, 64]},
    ),
}
QUICK = ("ResNet", "ConvNeXt", "MobileNet V2", "BiT", "ViT")


@experiment(
    "architectures",
    "Which networks do convert and merge work on? Random weights, cyclic actions of order 4, float32",
)
def converted_architectures(args: argparse.Namespace) -> Row:
    names = QUICK if args.quick else tuple(ARCHITECTURES)
    return {"rows": [measure(name, args.seed, "draw" if args.quick else "fit") for name in names]}


def measure(name: str, seed: int, init: Literal["fit", "draw"]) -> Row:
    """Convert a network with random weights, train it for a step, and merge it."""
    torch.manual_seed(seed)
    model = build(ARCHITECTURES[name])
    images = torch.randn(2, 3, 64, 64)
    estimate_statistics(model, images)
    keys, before = list(model.state_dict()), count(model)
    unused = {name.rpartition(".")[0] for name in without_gradient(model, images)}
    started = time.process_time()
    report = lgn_hf.convert(model, init=init, seed=seed)
    seconds = time.process_time() - started
    reasons = "; ".join(sorted({row.reason for row in report if not row.converted}))
    if not report.converted:
        return _row(name, len(report), reasons)
    one_state_dict = list(model.train().state_dict()) == list(model.eval().state_dict())
    after = count(model)
    missing = [name for name in without_gradient(model, images) if _layer_of(name) not in unused]
    converted = answer(model.eval(), images)
    merged = answer(lgn_hf.merge(model), images)
    residuals = [row.residual for row in report if row.residual is not None]
    return {
        **_row(name, len(report), reasons),
        "converted": len(report.converted),
        "parameters": before,
        "saved": before - after,
        "CPU seconds": round(seconds, 2),
        "residual": statistics.median(residuals) if residuals else None,
        "|merged - converted|": float((merged - converted).norm() / converted.norm()),
        "same keys": "yes" if one_state_dict and list(model.state_dict()) == keys else "no",
        "without gradient": len(missing),
    }


def _layer_of(parameter: str) -> str:
    return parameter.rpartition(".")[0].removesuffix(".group")


def _row(name: str, convolutions: int, remark: str) -> Row:
    columns = (
        "parameters",
        "saved",
        "CPU seconds",
        "residual",
        "|merged - converted|",
        "same keys",
        "without gradient",
    )
    return {
        "architecture": name,
        "convolutions": convolutions,
        "converted": 0,
        **dict.fromkeys(columns),
        "not converted, because": remark or "-",
    }


def build(architecture: Architecture) -> nn.Module:
    model_class = getattr(transformers, architecture.model_class)
    return model_class(model_class.config_class(**architecture.fields)).eval()


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def estimate_statistics(model: nn.Module, images: Tensor) -> None:
    """Set the statistics of batch normalisation to those of the images, as training would."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(images)
    model.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def answer(model: nn.Module, images: Tensor) -> Tensor:
    return model(images)[0].double()  # answers of deep random networks can be as small as 1e-30


def without_gradient(model: nn.Module, images: Tensor) -> list[str]:
    """The parameters that a training step leaves without a gradient; the model stays as it was."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    torch.manual_seed(0)
    model(images)[0].square().mean().backward()
    names = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    model.eval()
    return names
