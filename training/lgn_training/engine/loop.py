"""The training loop: batches, validation, checkpoints, signals."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather
from torch import Tensor
from tqdm.auto import tqdm

from lgn_hf.runs.task import TASKS
from lgn_training.arguments import RunArguments
from lgn_training.data.batches import MicroBatch, TrainingBatches
from lgn_training.engine.batch_norm import LAGGING_STEPS, average_batch_norm, estimate_batch_norm
from lgn_training.engine.checkpoint import Progress, list_checkpoints, save_checkpoint
from lgn_training.engine.optimization import learning_rate
from lgn_training.engine.processes import SharedError
from lgn_training.engine.step import StepResult, TrainingStep


class TrainingStopped(SharedError):
    """The run ended early, on all processes. The message says where, and how to continue; `exit_code` is for the shell."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


class StopSignals:
    """Remembers SIGINT and SIGTERM so that the loop can save before it leaves; a later one kills as usual.

    Signals within `ECHO` seconds of the first are taken for the same: Ctrl-C reaches every process, and then the launcher of
    several processes passes it on to them.
    """

    ECHO = 2.0

    def __init__(self):
        self.received: int | None = None
        self.time = 0.0
        self.previous = {s: signal.signal(s, self._remember) for s in (signal.SIGINT, signal.SIGTERM)}

    def _remember(self, number: int, _frame) -> None:
        if self.received is None:
            self.received, self.time = number, time.monotonic()
        elif time.monotonic() - self.time > self.ECHO:
            self.restore()
            signal.raise_signal(number)

    def restore(self) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def __enter__(self) -> StopSignals:
        return self

    def __exit__(self, *_) -> None:
        self.restore()


class Stopwatch:
    """The seconds of training, without pauses. Networks that train together share one, and its seconds."""

    def __init__(self):
        self._networks, self._total, self._since = 1, 0.0, time.perf_counter()

    def seconds(self) -> float:
        """Those of each network so far."""
        now = time.perf_counter()
        self._total += (now - self._since) / self._networks
        self._since = now
        return self._total

    def share(self, networks: int) -> None:
        """From now on, divide the time among so many networks."""
        self.seconds()
        self._networks = networks

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.seconds()
        yield
        self._since = time.perf_counter()


class TrainingLoop:
    """Trains a network in place, from `progress` on. It says what each step trains on, and does what comes between steps.

    Args:
        network: the network itself, neither compiled nor wrapped.
        optimizer: the optimiser that holds its moments, which checkpoints save.
        validate: computes the validation metrics; None without a validation split.
        folder: where checkpoints go.
        name: what progress bar and messages call the run, where several train at once.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        network: Any,
        optimizer: torch.optim.Optimizer,
        batches: TrainingBatches,
        validate: Callable[[], dict[str, float]] | None,
        args: RunArguments,
        folder: Path,
        progress: Progress,
        total_steps: int,
        name: str | None = None,
    ):
        self.accelerator, self.network, self.optimizer = accelerator, network, optimizer
        self.batches, self.validate, self.args = batches, validate, args
        self.folder, self.progress, self.total_steps = folder, progress, total_steps
        self.name, self.watch = name, Stopwatch()
        self.losses: list[Tensor] = []  # since the last look: (loss, gradient norm) of each step, still on the device
        self._restart_clock()

    def run(self, step: TrainingStep) -> None:
        """Train up to the last step.

        Raises:
            TrainingStopped: a signal came (a checkpoint was saved), or the loss is not a number (none was saved).
            OSError: a checkpoint could not be written; older ones are untouched.
        """
        with StopSignals() as signals, contextlib.suppress(StopIteration):
            steps = self.steps(signals)
            micro_batches = next(steps)
            while True:
                micro_batches = steps.send(step(micro_batches, self.progress.step))

    def steps(self, signals: StopSignals) -> Generator[list[MicroBatch], StepResult, None]:
        """The micro-batches of each step up to the last one. Each is answered by the result of its step.

        Raises:
            TrainingStopped, OSError: as `run`.
        """
        bar = tqdm(
            desc=self.name,
            total=self.total_steps,
            initial=self.progress.step,
            unit="step",
            disable=self.args.disable_tqdm or not self.accelerator.is_main_process,
        )
        with bar:
            while self.progress.step < self.total_steps and not self._out_of_patience():
                yield from self._epoch(bar, signals)

    def _epoch(self, bar: tqdm, signals: StopSignals) -> Generator[list[MicroBatch], StepResult, None]:
        progress, args = self.progress, self.args
        self._restart_clock()
        for micro_batches in self.batches.epoch(progress.epoch, progress.batch):
            result = yield micro_batches
            self.losses.append(torch.stack([result.loss, result.norm]))
            progress.step += 1
            progress.batch += 1
            self.images += sum(len(m.pixel_values) for m in micro_batches) * self.accelerator.num_processes
            done = progress.step == self.total_steps or progress.batch == self.batches.steps_per_epoch
            validates, saves = (
                every > 0 and progress.step % every == 0 and not done for every in (args.eval_steps, args.save_steps)
            )
            looks = done or validates or saves or progress.step % args.logging_steps == 0
            stopped = not done and self._stop_requested(signals, looks)
            if looks or stopped:
                self._look(bar, result.outputs, micro_batches)
            if validates or saves or stopped:
                self._count()
                with self.watch.paused():
                    self._validate(bar) if validates else self._save()
            if stopped:
                self._stop(stopped)
            if done:
                break
        self._count()
        with self.watch.paused():
            self._validate(bar)
        stopped = self._stop_requested(signals, looks=True)
        if stopped and progress.step < self.total_steps:
            self._stop(stopped)

    def _look(self, bar: tqdm, outputs, micro_batches: list[MicroBatch]) -> None:
        """Bring the losses of the last steps to the host, averaged over processes. Check, show and track them."""
        recent = cast(Tensor, self.accelerator.reduce(torch.stack(self.losses), reduction="mean")).cpu()
        first = self.progress.step - len(self.losses) + 1
        self.losses.clear()
        broken = (~recent.isfinite().all(1)).nonzero()
        if len(broken):
            saved = list_checkpoints(self.folder)
            raise TrainingStopped(
                f"the loss or its gradient is not a number at step {first + int(broken[0])}; the last good checkpoint: "
                f"{saved[-1] if saved else 'none yet'}. Try a lower --learning_rate, some --warmup_ratio, a smaller "
                "--max_grad_norm, another --projection or full precision",
                1,
            )
        self.progress.epoch_loss_sum += float(recent[:, 0].sum())
        shown = {
            "loss": f"{recent[:, 0].mean():.4f}",
            "reg": f"{outputs.regularization_loss.item():.3g}",
            "img/s": f"{self.images / (self.watch.seconds() - self.started):.0f}",
        }
        rate = learning_rate(self.progress.step - 1, self.total_steps, self.args)
        logged = {"train_loss": float(recent[:, 0].mean()), "learning_rate": rate}
        if micro_batches[-1].labels is not None:
            accuracy = float((outputs.logits.argmax(-1) == micro_batches[-1].labels).float().mean())
            shown["acc"] = f"{accuracy:.3f}"
            logged["train_accuracy"] = accuracy
        bar.update(self.progress.step - bar.n)
        bar.set_postfix(shown)
        self.accelerator.log(logged, step=self.progress.step)

    def _validate(self, bar: tqdm) -> None:
        """Validate, remember the best weights, save. Within an epoch, and where `total_steps` ends one, it counts in part."""
        progress, steps = self.progress, self.batches.steps_per_epoch
        mean_loss = progress.epoch_loss_sum / max(progress.batch, 1)
        if progress.batch == steps:
            progress.epoch, progress.batch, progress.epoch_loss_sum = progress.epoch + 1, 0, 0.0
        epochs = round(progress.epoch + progress.batch / steps, 4) if progress.batch else progress.epoch
        record = {"epoch": epochs, "step": progress.step, "train_loss": mean_loss}
        with self.accelerator.autocast():
            if self.total_steps < LAGGING_STEPS:
                estimate_batch_norm(self.network, self.batches, progress.epoch - (progress.batch == 0))
            average_batch_norm(self.accelerator, self.network)
            metrics = None if self.validate is None else self.validate()
        if metrics is not None:
            record |= {f"validation_{name}": value for name, value in metrics.items()}
            selection, best = TASKS[self.args.task].selection, progress.best_metric
            value = metrics[selection.name]
            improved = best is None or selection.better(value, best) != best
            if improved:
                progress.best_metric, progress.best_step = value, progress.step
            progress.epochs_without_gain = 0 if improved else progress.epochs_without_gain + 1
        progress.history.append(record)
        self.accelerator.log({k: v for k, v in record.items() if k != "step"}, step=progress.step)
        if self.accelerator.is_main_process:
            name = f"{self.name}, " if self.name else ""
            figures = "  ".join(f"{k} {v:.4f}" for k, v in record.items() if k not in ("epoch", "step"))
            bar.write(f"{name}epoch {epochs}: {figures}", file=sys.stderr)
            if self._validates_too_early():
                bar.write(
                    f"Note: the running averages of batch normalisation lag behind for about {LAGGING_STEPS} steps, so "
                    "validation is too pessimistic until then.",
                    file=sys.stderr,
                )
        self._save()

    def _validates_too_early(self) -> bool:
        """Whether this was the first validation, of a network whose running averages lag behind."""
        lags = self.progress.step < LAGGING_STEPS <= self.total_steps and self.network.config.batch_norm
        return lags and self.validate is not None and len(self.progress.history) == 1

    def _save(self) -> None:
        average_batch_norm(self.accelerator, self.network)
        if self.accelerator.scaler is not None:
            self.progress.grad_scaler = self.accelerator.scaler.state_dict()
        if self.accelerator.is_main_process:
            save_checkpoint(self.folder, self.network, self.optimizer, self.progress)
        self.accelerator.wait_for_everyone()

    def _stop_requested(self, signals: StopSignals, looks: bool) -> int | None:
        """The signal that any process received. Several processes compare notes only at the steps at which they `_look`."""
        if self.accelerator.num_processes == 1:
            return signals.received
        if not looks:
            return None
        received = torch.tensor([signals.received or 0], device=self.accelerator.device)
        return int(cast(Tensor, gather(received)).max()) or None

    def _out_of_patience(self) -> bool:
        patience = self.args.early_stopping_patience
        return patience > 0 and self.progress.epochs_without_gain >= patience

    def _stop(self, number: int) -> None:
        raise TrainingStopped(
            f"{signal.Signals(number).name} at step {self.progress.step} of {self.total_steps}: saved in {self.folder}; "
            "the same command with --resume continues",
            128 + number,
        )

    def _restart_clock(self) -> None:
        self.started, self.images = self.watch.seconds(), 0

    def _count(self) -> None:
        """Add the time and images since the last count to those of the run, without validation and saving."""
        self.progress.train_seconds += self.watch.seconds() - self.started
        self.progress.images_seen += self.images
        self._restart_clock()
