"""The command line that starts a training run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

# The configuration of accelerate for a device, alone or with several processes.
ACCELERATE_CONFIGS: Mapping[tuple[str, bool], str] = {
    ("cpu", False): "training/accelerate/cpu.yaml",
    ("cpu", True): "training/accelerate/cpu-2-processes.yaml",
    ("cuda", False): "training/accelerate/gpu.yaml",
    ("cuda", True): "training/accelerate/multi-gpu.yaml",
}


def launch_command(
    argument: str, options: Mapping[str, str], device: str, processes: int, program: str = "training/run.py"
) -> str:
    r"""The command that trains by a recipe in a checkout, or starts another program of `training/`, on two lines.

    Args:
        argument: the first one of the program, such as the path of a recipe file.
        options: fields that override those of the recipe, or other options.
        device: `cpu` or `cuda`.
        processes: how many work together.
        program: path of the program.

    Example:
        >>> print(launch_command("recipe.yaml", {"output_dir": "runs/a"}, "cpu", 1))
        accelerate launch --config_file training/accelerate/cpu.yaml \
            training/run.py recipe.yaml --output_dir runs/a
    """
    config = ACCELERATE_CONFIGS.get((device, processes > 1))
    launch = ["accelerate", "launch", *(["--config_file", config] if config else [])]
    if processes > 1:
        launch += ["--num_processes", str(processes)]
    given = [text for name, value in options.items() for text in (f"--{name}", value)]
    return shlex.join(launch) + " \\\n    " + shlex.join([program, argument, *given])
