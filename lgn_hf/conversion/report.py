"""What a conversion did to each convolution, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING, Any

from torch import nn

from ..terminal import make_table

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from transformers import TrainerCallback

    from .hooks import Attachment


@dataclass(frozen=True)
class ConversionRow:
    """One convolution.

    Attributes:
        name: in the model.
        converted: whether it was converted, or would be without `dry_run`.
        reason: why not; for those that are converted, empty or a remark.
        parameters_before: number of its parameters.
        parameters_after: the same after conversion. An action that several layers share counts in the first of them.
        residual: ||W - fitted|| / ||W|| in Frobenius norm, or None without a fit.
        group: the name of its group, such as C_4.
    """

    name: str
    converted: bool
    reason: str
    parameters_before: int
    parameters_after: int
    residual: float | None = None
    group: str = ""


@dataclass
class ConversionReport:
    """One row per convolution. `print(report)` shows a table.

    Attributes:
        rows: in the order of the model.
        model: the converted model.
        dry_run: whether the model was left as it is.
        regularizer: of the actions, applied by the hooks.
        regularizer_weight: its weight, None for the regularizer's own.
    """

    rows: list[ConversionRow]
    model: nn.Module = field(repr=False)
    dry_run: bool = False
    regularizer: str = "none"
    regularizer_weight: float | None = None

    def __iter__(self) -> Iterator[ConversionRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> ConversionRow:
        """The row of a layer, by name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    @property
    def converted(self) -> list[str]:
        """The names of the layers that were converted."""
        return [row.name for row in self.rows if row.converted]

    @property
    def parameters_before(self) -> int:
        """Of all convolutions in the report."""
        return sum(row.parameters_before for row in self.rows)

    @property
    def parameters_after(self) -> int:
        """Of all convolutions in the report."""
        return sum(row.parameters_after for row in self.rows)

    def attach(self, optimizer: Optimizer, model: nn.Module | None = None) -> Attachment:
        """Project the learned matrices after every step of an optimizer, and regularize them before (see `attach`).

        Args:
            optimizer: of torch, or what `accelerator.prepare` returned.
            model: the converted model that it trains, if it is a copy. By default, the model that was converted.
        """
        from .hooks import attach

        return attach(self.model if model is None else model, optimizer, self.regularizer, self.regularizer_weight)

    def callback(self) -> TrainerCallback:
        """The same for `transformers.Trainer(..., callbacks=[report.callback()])`."""
        from .trainer_callback import AttachCallback

        return AttachCallback(self.regularizer, self.regularizer_weight)

    def __str__(self) -> str:
        from rich.console import Console

        text = StringIO()
        Console(file=text, width=_WIDTH).print(self.__rich__())
        return text.getvalue().rstrip()

    def __rich__(self) -> Any:
        cells = [
            [
                row.name,
                row.group if row.converted else "-",
                f"{row.parameters_before:,}",
                f"{row.parameters_after:,}",
                "-" if row.residual is None else f"{row.residual:.3g}",
                row.reason,
            ]
            for row in self.rows
        ]
        count = f"{len(self.converted)} of {len(self.rows)} convolutions"
        cells.append([count, "", f"{self.parameters_before:,}", f"{self.parameters_after:,}", "", ""])
        title = "Would be converted (dry run)" if self.dry_run else "Converted"
        return make_table(title, ["layer", "group", "parameters", "after", "residual", "remark"], cells)


_WIDTH = 1000  # at most; a table is as wide as its longest row
