"""The command `lgn-hf discover`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import option, output_dir


class Orders(click.ParamType):
    """Whole numbers from 2 on, separated by commas or spaces."""

    name = "ORDER..."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            orders = tuple(sorted({int(part) for part in str(value).replace(",", " ").split()}))
        except ValueError:
            orders = ()
        if not orders or min(orders) < 2:
            self.fail(f"{value!r}: must be whole numbers from 2 on, such as 2,3,4", param, ctx)
        return orders


class SpacedOrders(click.Command):
    """A command whose `--orders` may be followed by several values, as in `--orders 2 3 4`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        joined: list[str] = []
        for word in args:
            if len(joined) > 1 and joined[-2] == "--orders" and word.isdigit():
                joined[-1] += f",{word}"
            else:
                joined.append(word)
        return super().parse_args(ctx, joined)


@click.command(cls=SpacedOrders)
@click.argument("source")
@output_dir("Write actions, dictionary and figures here.")
@option("--filter-size", type=click.IntRange(2), default=5, show_default=True, help="Side of a patch, pixels.")
@option("--num-atoms", type=click.IntRange(2), help="Atoms of the dictionary. By default, 10 for each dimension.")
@option("--orders", type=Orders(), default="2 3 4", show_default=True, help="Orders of the actions to search for.")
@option("--module", help="The convolution of a model, or the tensor of a file.")
@option("--colour", is_flag=True, help="Keep the colour channels. By default, their mean is taken.")
@option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything random.")
@option("--quiet", is_flag=True, help="Show no progress.")
def discover(
    source: str,
    output_dir: Path | None,
    filter_size: int,
    num_atoms: int | None,
    orders: tuple[int, ...],
    module: str | None,
    colour: bool,
    seed: int,
    quiet: bool,
) -> None:
    """Find the symmetries of data or filters.

    SOURCE is a data set ('digits', a folder of images or parquet files, USER/NAME on the Hub; 'rotated:' before it rotates
    every image), a model (the filters of an LGN, or the first convolution of another model), or a .npy or .safetensors file
    of points. From a data set, a dictionary of small patches is learned first.

    An action is found only if it beats its null, the same search where the symmetry is destroyed. With data, it must also
    map the dictionary of one half to that of the other half about as well as they match anyway.

    lgn_hf.discovery.points.read_points reads SOURCE, lgn_hf.discovery.discover searches, and
    lgn_hf.discovery.report.write_report writes the files.
    """
    import sys

    from rich.console import Console

    from ..discovery.points import Request, read_held_out, read_points
    from ..discovery.report import OUTPUT, columns, rows, write_report
    from ..terminal import print_table

    if output_dir is not None:
        OUTPUT.check(output_dir)  # before any work
    progress = not quiet and sys.stderr.isatty()
    request = Request(filter_size, num_atoms, module, not colour, seed, progress)
    points = read_points(source, request)
    held_out = read_held_out(source, request)

    from ..discovery import discover as search

    found = search(points, orders, seed, held_out=held_out, progress=progress)
    if found.actions:
        print_table(f"symmetries of {source}", columns(), rows(found))
    Console().print(_sentences(found.summary()), markup=False, highlight=False)
    if output_dir is not None:
        write_report(output_dir, found, points, source)
        print(f"written to {output_dir}")


def _sentences(summary: str) -> str:
    """The summary without its list of actions, which is in the table."""
    return "\n".join(line for line in summary.splitlines() if not line.startswith("  "))
