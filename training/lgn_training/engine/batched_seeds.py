"""Several seeds at once: their networks as one whose every parameter has one more dimension.

`torch.vmap` calls the stacked network on the batches of all seeds, so that one kernel does for all of them what several would do
one after the other. Every network keeps what makes its run its own: initial weights, batches, clipping, projection, running
statistics, validation, best epoch and folder. Its tensors are views of the stacked ones.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from lgn_training.arguments import RunArguments
from lgn_training.data.batches import MicroBatch
from lgn_training.engine.loop import StopSignals, Stopwatch, TrainingLoop, TrainingStopped
from lgn_training.engine.optimization import make_optimizer
from lgn_training.engine.step import StepResult, TrainingStep


class StackedNetwork(nn.Module):
    """Networks of one configuration as a single one. From then on, their parameters and statistics are views of its own.

    What networks have in common, such as the matrices of a fixed group, is not in their state, and not stacked.

    Shapes: images (S, B, C, H, W) and labels (S, B) to the outputs of S networks, each tensor with S as its first dimension.
    """

    def __init__(self, networks: Sequence[nn.Module]):
        super().__init__()
        self.network: Any = copy.deepcopy(networks[0])
        of_each = [_state(network) for network in networks]
        self._stacked = _state(self.network)
        for name, stacked in self._stacked.items():
            stacked.data = torch.stack([state[name].data for state in of_each])
            for state, view in zip(of_each, stacked.data, strict=True):
                state[name].data = view

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> Any:
        def call(state: dict[str, Tensor], *inputs: Tensor) -> Any:
            # Layers that share a module, such as a learned group, have it under its first name: nothing is tied by name.
            return torch.func.functional_call(self.network, state, inputs, tie_weights=False)

        inputs = (pixel_values,) if labels is None else (pixel_values, labels)
        return torch.vmap(call, randomness="different")(self._stacked, *inputs)

    def project_(self) -> None:
        """The projection of each network. It looks at the last dimensions of parameters alone, so it takes stacked ones."""
        self.network.project_()

    @torch.no_grad()
    def clip_grad_norm_(self, max_norm: float) -> Tensor:
        """`torch.nn.utils.clip_grad_norm_` of each network. Returns the norms, (S,)."""
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        of_parameters = [torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients]
        norms = torch.linalg.vector_norm(torch.stack(of_parameters), dim=0)
        factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
        return norms


def _state(network: nn.Module) -> dict[str, Tensor]:
    """What differs between networks: parameters, and the buffers that checkpoints hold."""
    saved = network.state_dict().keys()
    buffers = {name: buffer for name, buffer in network.named_buffers() if name in saved}
    return {**dict(network.named_parameters()), **buffers}


class Member(Protocol):
    """What `StackedStep` needs to know of a loop."""

    accelerator: Accelerator
    network: Any
    optimizer: torch.optim.Optimizer
    args: RunArguments
    total_steps: int


class StackedStep(TrainingStep):
    """Steps of all networks of some loops, which are at the same step. The moments of their optimisers are views, too."""

    def __init__(self, loops: Sequence[Member]):
        first = loops[0]
        self.loops = loops
        stacked = StackedNetwork([loop.network for loop in loops])
        optimizer = make_optimizer(stacked, first.args)
        self._parameters = [
            (parameter, [(loop.optimizer.state, own) for loop, own in zip(loops, of_loops, strict=True)])
            for parameter, *of_loops in zip(
                stacked.parameters(), *(loop.network.parameters() for loop in loops), strict=True
            )
        ]
        for parameter, of_loops in self._parameters:
            moments = [state.get(own, {}) for state, own in of_loops]
            optimizer.state[parameter] = {
                key: value.clone() if key == "step" else torch.stack([each[key] for each in moments])
                for key, value in moments[0].items()
            }
        model, prepared = first.accelerator.prepare(stacked, optimizer)
        super().__init__(first.accelerator, model, prepared, first.args, first.total_steps)
        self._share_moments()

    def _share_moments(self) -> None:
        """Let the optimiser of each loop hold its part of the moments, which exist after the first step."""
        state = self.optimizer.optimizer.state
        self._shares = all(state[parameter] for parameter, _ in self._parameters)
        for parameter, of_loops in self._parameters:
            for i, (state_of_loop, own) in enumerate(of_loops):
                moments = {key: value if key == "step" else value[i] for key, value in state[parameter].items()}
                if moments:
                    state_of_loop[own] = moments

    def __call__(self, micro_batches: Sequence[MicroBatch], number: int) -> StepResult:
        result = super().__call__(micro_batches, number)
        if not self._shares:
            self._share_moments()
        return result

    def clip(self) -> Tensor:
        return self.network.clip_grad_norm_(self.args.max_grad_norm)


def check_alike(loops: Sequence[TrainingLoop]) -> None:
    """Check that the batches of all loops have the same shapes.

    Raises:
        ValueError: the seeds have different numbers of training images.
    """
    sizes = [len(loop.batches.images) for loop in loops]
    if len({*sizes}) > 1:
        raise ValueError(
            f"seeds_at_once needs equally many training images for all seeds, which have {sizes}: leave it out"
        )


def train_at_once(loops: Sequence[TrainingLoop]) -> dict[TrainingLoop, TrainingStopped]:
    """Train the networks of all loops up to their last steps. Returns why loops stopped early.

    Networks that are at the same step train as one. Those that resume from an earlier step catch up first, and one that
    stops early leaves the others.

    Raises:
        OSError: a checkpoint could not be written.
    """
    watch, step = Stopwatch(), None
    waiting = list(loops)
    steps: dict[TrainingLoop, Any] = {}
    batches: dict[TrainingLoop, list[MicroBatch]] = {}
    stopped: dict[TrainingLoop, TrainingStopped] = {}

    def advance(loop: TrainingLoop, result: StepResult | None) -> None:
        """Answer a loop, and take what it trains on next."""
        try:
            batches[loop] = steps[loop].send(result)
            return
        except StopIteration:
            pass
        except TrainingStopped as stop:
            stopped[loop] = stop
        waiting.remove(loop)

    with StopSignals() as signals:
        while waiting:
            first = min(loop.progress.step for loop in waiting)
            for loop in [loop for loop in waiting if loop.progress.step == first and loop not in steps]:
                loop.watch = watch
                steps[loop] = loop.steps(signals)
                advance(loop, None)
            together = [loop for loop in waiting if loop.progress.step == first]
            if together and (step is None or step.loops != together):
                if step is not None:
                    step.accelerator.free_memory()  # it keeps what it has prepared
                step = StackedStep(together)
                watch.share(len(together))
            if together and step is not None:
                result = step(stack_batches([batches[loop] for loop in together]), first)
                for loop, own in zip(together, parts_of(result), strict=True):
                    advance(loop, own)
    return stopped


def stack_batches(of_seeds: Sequence[Sequence[MicroBatch]]) -> list[MicroBatch]:
    """The micro-batches of a step, those of all seeds as one: images (S, B, C, H, W), labels and weights (S, B)."""

    def stack(tensors: list[Tensor | None]) -> Tensor | None:
        found = [tensor for tensor in tensors if tensor is not None]
        return torch.stack(found) if found else None

    return [
        MicroBatch(
            torch.stack([part.pixel_values for part in parts]),
            stack([part.labels for part in parts]),
            parts[0].weight,
            stack([part.image_weights for part in parts]),
        )
        for parts in zip(*of_seeds, strict=True)
    ]


def parts_of(result: StepResult) -> list[StepResult]:
    """The result of each seed."""
    outputs: Mapping[str, Tensor] = result.outputs
    return [
        StepResult(type(result.outputs)(**{name: value[i] for name, value in outputs.items()}), loss, norm)
        for i, (loss, norm) in enumerate(zip(result.loss, result.norm, strict=True))
    ]
