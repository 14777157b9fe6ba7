"""The accelerator of a process."""

from __future__ import annotations

import importlib.util
import logging
import os

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import DynamoBackend, TorchDynamoPlugin

from lgn_training.arguments import RunArguments
from lgn_training.engine.memory import keep_freed_memory

logger = logging.getLogger("lgn_hf.training")


def make_accelerator(args: RunArguments) -> Accelerator:
    """The accelerator of this process.

    Raises:
        ValueError: the tracker is not installed, or the launch would silently run something else than what was asked for.
    """
    if args.report_to != "none" and importlib.util.find_spec(args.report_to) is None:
        raise ValueError(f"report_to={args.report_to!r} is not installed: pip install {args.report_to}")
    has_gpu = torch.accelerator.is_available()
    accelerator = Accelerator(
        cpu=args.use_cpu or not has_gpu,  # without it, several processes on CPUs are an error
        mixed_precision="bf16" if args.bf16 else "fp16" if args.fp16 else None,
        dynamo_plugin=compilation(args, has_gpu and not args.use_cpu) if args.torch_compile else None,
        log_with=None if args.report_to == "none" else args.report_to,
        project_dir=args.output_dir,
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched != accelerator.num_processes:
        raise ValueError(
            f"{launched} processes were launched but each sees {accelerator.num_processes}: launch with "
            "`accelerate launch --config_file training/accelerate/...`"
        )
    if accelerator.num_processes == 1 and "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ:
        logger.warning(
            "Note: `accelerate launch` was asked for several processes and started ONE, as it does on CPUs; "
            "`accelerate launch --config_file training/accelerate/cpu-2-processes.yaml` starts several."
        )
    return accelerator


def compilation(args: RunArguments, on_gpu: bool) -> TorchDynamoPlugin:
    """How `torch_compile` compiles a network.

    Every number of images has a graph of its own, of fixed shapes. An epoch has at most three: in the whole batches, and in
    the parts of the last one, which differ by one image. On a GPU, a step of these small networks takes as long as it takes to
    launch its kernels, so the kernels are recorded and launched as one CUDA graph. (The tests have tried no GPU.)

    Raises:
        ValueError: `torch_compile_backend` is `cudagraphs`, and there is no GPU, or gradients must outlive the graph.
    """
    # Gradients that are added up must outlive the graph that made them, and processes exchange theirs within it.
    single = args.gradient_accumulation_steps == 1 and int(os.environ.get("WORLD_SIZE", "1")) == 1
    if args.torch_compile_backend == "cudagraphs":
        if not (on_gpu and single):
            problem = "one process and gradient_accumulation_steps=1" if on_gpu else "a GPU"
            raise ValueError(f"torch_compile_backend='cudagraphs' needs {problem}: use inductor")
        return TorchDynamoPlugin(backend=DynamoBackend.CUDAGRAPHS, dynamic=False)
    mode = "reduce-overhead" if on_gpu and single else "default"
    return TorchDynamoPlugin(backend=DynamoBackend.INDUCTOR, mode=mode, dynamic=False)
