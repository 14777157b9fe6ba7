"""The command line of evaluate_model.py. As `arguments`, it imports neither torch nor transformers."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from lgn_hf.runs.dataset_name import check_repo_id
from lgn_training.arguments import Parser


def parse(argv: list[str]) -> Namespace:
    """The command line.

    Raises:
        ValueError: an argument is unknown, missing or wrong.
    """
    parser = Parser(prog="evaluate_model.py", description="Test a trained model on a data set.", allow_abbrev=False)
    parser.add_argument("model", help="folder of a trained or published model, else the name of a repository")
    parser.add_argument("--dataset", required=True, help="data set, as training/run.py takes it")
    parser.add_argument("--split", choices=("test", "train"), default="test", help="which of its images")
    parser.add_argument("--image_size", type=int, help="resize images to this side; default: keep their size")
    parser.add_argument("--num_channels", type=int, help="1 (grey) or 3 (RGB); default: as the images are")
    parser.add_argument("--skip_unreadable", action="store_true", help="leave out images that are missing or damaged")
    parser.add_argument("--image_column", help="column of the images; default: the only one that fits")
    parser.add_argument("--label_column", help="column of the labels; default: the only one that fits")
    parser.add_argument("--dataset_config_name", help="configuration of a data set that has several")
    parser.add_argument("--batch_size", type=int, default=500, help="images per process and step")
    parser.add_argument("--use_cpu", action="store_true", help="stay on the CPU even if there is a GPU")
    parser.add_argument("--output", type=Path, help="file for the result as JSON")
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep the result in the model's folder, so that `lgn-hf publish` can publish a model that was trained elsewhere",
    )
    parser.add_argument("--base_model", help="with --record: USER/NAME of the model that the training started from")
    args = parser.parse_args(argv)
    if args.batch_size < 1:
        raise ValueError(f"batch_size={args.batch_size}: must be at least 1")
    if args.record and args.split != "test":
        raise ValueError(f"split={args.split!r}: --record needs the test images")
    if args.base_model is not None:
        if not args.record:
            raise ValueError(f"base_model={args.base_model!r}: must be given with --record")
        if Path(args.base_model).exists():
            raise ValueError(
                f"base_model={args.base_model!r} is a folder: must be the name of a repository, USER/NAME"
            )
        check_repo_id(args.base_model)
    return args
