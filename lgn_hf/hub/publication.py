"""The folder that is published: built from a training run as one whole, and tried as a stranger would use it."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import get_token, metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.dynamic_module_utils import get_relative_imports

from ..actions import RECORDS_NAME, TENSORS_NAME, load_actions
from ..model.configuration_lgn import LGNConfig
from ..model.image_processing_lgn import WHITENING_NAME, LGNImageProcessor
from ..plotting import save_figure
from ..runs.dataset_name import data_name, is_repo_id, kind_and_place
from ..runs.task import TASKS
from ..runs.trained_model import CONFIG_NAME, RESULTS_NAME, WEIGHTS_NAME
from .cards import BASELINE_NAME, CARD_NAME, DPI, FIGURES_NAME, RECIPE_NAME, draw_figures, write_card
from .examples import EXAMPLES_NAME, draw_examples, find_examples, save_examples

PROCESSOR_NAME = "preprocessor_config.json"
RUN_FILES = (CONFIG_NAME, WEIGHTS_NAME, PROCESSOR_NAME, RECIPE_NAME)  # and RESULTS_NAME, which a run writes last
BUILT_FILES = (*RUN_FILES, RESULTS_NAME, CARD_NAME, TENSORS_NAME, RECORDS_NAME)
OPTIONAL_FILES = (WHITENING_NAME, BASELINE_NAME, f"{FIGURES_NAME}/*.png", f"{EXAMPLES_NAME}/*.png")
PACKAGE = Path(__file__).parent.parent
MODULES = tuple(sorted(path.name for path in (PACKAGE / "model").glob("*.py") if path.stem != "__init__"))

REPLACED = "replaced"  # what a build calls the old folder until the new one has its place
PIPELINE_TAGS = ("image-classification", "image-to-image", "image-feature-extraction")

logger = logging.getLogger("lgn_hf.hub.publication")


# Building


def build(
    run_folder: str | os.PathLike,
    target: str | os.PathLike,
    *,
    repo_id: str | None = None,
    dataset: str | None = None,
    dataset_note: str | None = None,
    baseline: str | os.PathLike | None = None,
    examples: Sequence[Any] | None = None,
) -> Path:
    """Make the folder that is to be published, byte for byte the same whenever it is built from the same run.

    It is built in a hidden folder beside `target` and checked before it takes the place of `target`: the old folder moves
    into the hidden one, the new one out of it, and only then is the old one removed. A build that fails or is interrupted
    puts the old one back; one that is killed between the two moves leaves that to the next build, of the folder or from it.
    A built folder is a complete run too, and can be built anew, also onto itself.

    Args:
        run_folder: what `training/run.py` left.
        target: the folder to make; one that was built before is replaced.
        repo_id: where it will be published, USER/NAME; by default the model has the name of `target`.
        dataset: Hub id of the data, for a run whose data was a local folder (by default, that folder's name).
        dataset_note: what a reader must know of the data, for instance that it is a compressed copy.
        baseline: a run without groups on the same data (its folder or `all_results.json`), to be compared with.
        examples: images to publish too, 8 at most, shown on the card with what the model makes of them; by default those
            of a folder that was built before.

    Returns:
        `target`, absolute.

    Raises:
        ValueError: the run is not complete, its files do not belong together, or `target` holds something else.
        OSError: a file cannot be read or written.
    """
    run, target = Path(run_folder), Path(target).resolve()
    for folder in (run.resolve(), target):
        _put_back(folder)
    if repo_id is not None:
        check_repo_id(repo_id)
    if target.exists() and not is_built(target) and not (target.is_dir() and not any(target.iterdir())):
        raise ValueError(f"{target} is not a folder made by publishing: choose one that does not exist, or remove it")
    name = (repo_id or target.name).rpartition("/")[2]
    results, recipe = _read_run(run)
    model = _load_model(run, results, recipe)
    processor = LGNImageProcessor.from_pretrained(run)
    shape = (processor.num_channels, processor.image_size)
    if shape != (model.config.num_channels, model.config.image_size):
        raise ValueError(f"{run}: {PROCESSOR_NAME} makes images {shape}, which {CONFIG_NAME} does not take")
    others = _read_baseline(run, baseline, results)

    workshop = _workshop(target)
    partial = workshop / "new" / target.name
    shutil.rmtree(workshop, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        actions = model.actions()
        actions.name = repo_id or target.name
        actions.save(partial)
        draw_figures(actions, partial)
        paths = save_examples(find_examples(run) if examples is None else examples, processor, partial)
        for kind, figure in draw_examples(model, processor, paths).items():
            save_figure(figure, partial / FIGURES_NAME / f"{kind}.png", DPI)
        (partial / RECIPE_NAME).write_text(yaml.safe_dump(_public_recipe(recipe, name, dataset), sort_keys=False))
        _write_json(partial / RESULTS_NAME, _public_results(results, name, dataset, dataset_note))
        if others is not None:
            _write_json(partial / BASELINE_NAME, _public_results(others, f"{name}-baseline", dataset, None))
        write_card(partial, repo_id)
        check(partial)
        if target.exists():
            os.replace(target, workshop / REPLACED)
        os.replace(partial, target)
    finally:
        _put_back(target)
        shutil.rmtree(workshop, ignore_errors=True)
    return target


def _workshop(target: Path) -> Path:
    return target.parent / f".{target.name}.partial"


def _put_back(folder: Path) -> None:
    """Give a folder its place again that a build moved aside, if no other has taken it."""
    replaced = _workshop(folder) / REPLACED
    if replaced.exists() and not folder.exists():
        os.replace(replaced, folder)


def is_built(folder: str | os.PathLike) -> bool:
    """Whether a folder holds what `build` makes or made in an older version, whose modules had other names, and nothing else."""
    folder = Path(folder)
    if not folder.is_dir() or not all((folder / name).is_file() for name in BUILT_FILES):
        return False
    known = (*BUILT_FILES, *OPTIONAL_FILES, *MODULES)
    return all(matches(path, known) for path in contents(folder).keys() - own_modules(folder))


def own_modules(folder: str | os.PathLike) -> set[str]:
    """The Python files of a folder that `trust_remote_code` runs: those that its configuration and processor name, and those
    that these import. Others, such as a `handler.py`, are somebody's own."""
    folder, names, found = Path(folder), [], set()
    for name in (CONFIG_NAME, PROCESSOR_NAME):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            classes = json.loads((folder / name).read_bytes())["auto_map"].values()
            names += [value.rpartition("--")[2].partition(".")[0] for value in classes]
    while names:
        name = names.pop()
        path = folder / f"{name}.py"
        if name.isidentifier() and path.name not in found and path.is_file():
            found.add(path.name)
            with contextlib.suppress(UnicodeDecodeError):
                names += get_relative_imports(path)
    return found


def contents(folder: str | os.PathLike) -> dict[str, int]:
    """The files of a folder, by their paths in it, and their sizes in bytes."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in files}


def matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, p) and path.count("/") == p.count("/") for p in patterns)


def _read_run(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`all_results.json` and `recipe.yaml` of a complete run."""
    if not run.is_dir():
        raise ValueError(f"{run} is not a folder: give the output_dir of a training run")
    if not (run / RESULTS_NAME).is_file():
        raise ValueError(f"{run} holds no complete run (no {RESULTS_NAME}): finish it with --resume")
    missing = [name for name in RUN_FILES if not (run / name).is_file()]
    if missing:
        raise ValueError(f"{run} lacks {', '.join(missing)}: give the output_dir of a training run")
    return _read_results(run / RESULTS_NAME), _read_recipe(run / RECIPE_NAME)


def _read_results(path: Path) -> dict[str, Any]:
    try:
        results = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from None
    recipe, data = (results.get(part) if isinstance(results, dict) else None for part in ("recipe", "data"))
    if not (isinstance(data, dict) and isinstance(recipe, dict) and isinstance(recipe.get("dataset"), str)):
        raise ValueError(
            f"{path} is not what training/run.py writes: it must have `recipe`, with `dataset`, and `data`"
        )
    return results


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        recipe = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {one_line(error)}") from None
    if not isinstance(recipe, dict) or not isinstance(recipe.get("dataset"), str):
        raise ValueError(f"{path} is not what training/run.py writes: it must be a mapping of fields, with `dataset`")
    return recipe


def _load_model(folder: Path, results: dict[str, Any], recipe: dict[str, Any]) -> Any:
    """The model of a folder, if weights, configuration, recipe and results belong together."""
    config = LGNConfig.from_pretrained(folder)
    task = TASKS.get(str(recipe.get("task", "classification")))
    if config.model_type != "lgn" or task is None or config.architectures != [task.model_class.__name__]:
        raise ValueError(
            f"{folder}: {CONFIG_NAME} describes {config.architectures}, {RECIPE_NAME} the task {recipe.get('task')!r}; "
            f"allowed are {', '.join(f'{task.model_class.__name__} for {task.name}' for task in TASKS.values())}"
        )
    for source, fields in ((RECIPE_NAME, recipe), (f"{RESULTS_NAME}'s recipe", results["recipe"])):
        for field in ("num_groups", "group_order", "num_layers", "filter_size", "action", "tied"):
            if field in fields and fields[field] != getattr(config, field):
                raise ValueError(
                    f"{folder}: {CONFIG_NAME} and {source} are of different runs: {field} is "
                    f"{getattr(config, field)!r} and {fields[field]!r}"
                )
    try:
        model = task.model_class.from_pretrained(folder)
    except RuntimeError as error:
        raise ValueError(f"{folder}: {WEIGHTS_NAME} does not belong to {CONFIG_NAME}: {one_line(error)}") from None
    count = sum(p.numel() for name, p in model.named_parameters() if "auxiliary" not in name)
    if count != results.get("parameters", count):
        raise ValueError(
            f"{folder}: {WEIGHTS_NAME} has {count:,} parameters, the model of {RESULTS_NAME} {results['parameters']:,}"
        )
    return model


def _read_baseline(run: Path, baseline: str | os.PathLike | None, results: dict[str, Any]) -> dict[str, Any] | None:
    """Results of a run without groups, to set beside `results`; of one that was built before, its own."""
    if baseline is None:
        path = run / BASELINE_NAME
        return _read_results(path) if path.is_file() else None
    path = Path(baseline)
    path = path / RESULTS_NAME if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f"baseline {baseline} is neither a complete run nor its {RESULTS_NAME}")
    found = _read_results(path)
    if found["recipe"].get("group_order") != 1:
        raise ValueError(f"baseline {baseline} has group_order {found['recipe'].get('group_order')!r}: must be 1")
    facts = [(part["recipe"].get("task"), part["data"].get("test")) for part in (results, found)]
    if facts[0] != facts[1]:
        raise ValueError(
            "baseline {} is of {} with {} test images, the run of {} with {}: must be the same".format(
                baseline, *facts[1], *facts[0]
            )
        )
    return found


# What a run says of itself, without what it says of the machine's folders


def _public_dataset(recorded: str, dataset: str | None) -> str:
    """The name of a run's data that means something elsewhere: `dataset` for a local folder, if it is given."""
    name, place = data_name(recorded), kind_and_place(recorded)[1]
    given = None if dataset is None else kind_and_place(dataset)[1]
    if given is not None and not (is_repo_id(given) and str(data_name(given)) == given):
        raise ValueError(f"dataset={dataset!r}: must be the id of a data set on the Hub, such as ylecun/mnist")
    is_folder = (name.id is None and place != "digits") or Path(place).exists()  # which a run prefers
    if not is_folder and given not in (None, place):
        raise ValueError(
            f"dataset={dataset!r}: the run was trained on {recorded!r} (only a local folder can be renamed, from where "
            "its path leads to it)"
        )
    return name.kind + (given or (name.last if is_folder else name.name))


def _public_test(source: str, trained_on: str, dataset: str | None) -> str:
    """The same for further data that a run was tested on; `dataset` names them too where they are the same."""
    is_same = kind_and_place(source)[1] == kind_and_place(trained_on)[1]
    return _public_dataset(source, dataset if is_same else None)


def _public_recipe(recipe: dict[str, Any], name: str, dataset: str | None) -> dict[str, Any]:
    """A recipe that trains the same model elsewhere: no local folders, and no upload."""
    fixed = {
        "output_dir": f"runs/{name}",
        "resume": False,
        "push_to_hub": False,
        "hub_model_id": None,
        "hub_private_repo": False,
    }
    own = {field: value for field, value in fixed.items() if field in recipe}
    if sources := recipe.get("also_test_on"):
        own["also_test_on"] = [_public_test(source, recipe["dataset"], dataset) for source in sources]
    return {**recipe, **own, "dataset": _public_dataset(recipe["dataset"], dataset)}


def _public_results(results: dict[str, Any], name: str, dataset: str | None, note: str | None) -> dict[str, Any]:
    data = {**results["data"]}
    if "source" in data:
        data["source"] = _public_dataset(data["source"], dataset)
    if note:
        data["note"] = note
    own = {"recipe": _public_recipe(results["recipe"], name, dataset), "data": data}
    if tests := results.get("also_tested_on"):
        trained_on = results["recipe"]["dataset"]
        own["also_tested_on"] = {_public_test(source, trained_on, dataset): test for source, test in tests.items()}
    return {**results, **own}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


# Validation


def check(folder: str | os.PathLike) -> None:
    """Refuse a built folder that is not complete, or whose files do not belong together.

    Raises:
        ValueError: a file is missing, foreign or damaged, a number is not finite, the actions are not those of the
            weights, or the card's metadata break the Hub's rules.
        OSError: a file cannot be read.
    """
    folder = Path(folder)
    if not is_built(folder):
        missing = [name for name in BUILT_FILES if not (folder / name).is_file()]
        what = f"it lacks {', '.join(missing)}" if missing else "it holds more than that"
        raise ValueError(f"{folder} is not a folder made by publishing: {what}")
    for path in contents(folder):
        if (folder / path).is_symlink():
            raise ValueError(f"{folder}: {path} is a link: must be a file")
        if path.endswith(".safetensors"):
            try:
                tensors = load_file(folder / path)
            except SafetensorError as error:
                raise ValueError(f"{folder}: {path} is damaged or incomplete ({error})") from None
            for key, tensor in tensors.items():
                if not tensor.isfinite().all():
                    raise ValueError(f"{folder}: {key} of {path} holds numbers that are not finite")
    model = _load_model(folder, *_read_run(folder))
    expected, found = model.group_actions().detach().float(), load_actions(folder).matrices
    if expected.shape != found.shape or not torch.allclose(found, expected, rtol=1e-3, atol=1e-5):
        raise ValueError(f"{folder}: {TENSORS_NAME} does not hold the actions of {WEIGHTS_NAME}")
    _check_card(folder)


def validate(folder: str | os.PathLike) -> None:
    """`check`, then load the folder in two fresh processes, with this package and with the folder's own code alone:
    both must read it without a question, offline, and give the same answers. Logs the total size.

    Raises:
        ValueError: as `check`, or a process fails, or the two differ.
    """
    check(folder)
    folder = Path(folder).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        started = {where: _start_probe(folder, Path(scratch), where) for where in ("with", "without")}
        ended = {where: process.communicate() for where, process in started.items()}
        for where, (_, errors) in ended.items():
            if started[where].returncode:
                last = (errors.strip().splitlines() or ["no message"])[-1]
                raise ValueError(f"{folder} does not work {where} lgn_hf installed: {one_line(last)}")
        with_package, alone = (load_file(Path(scratch, where, "answers.safetensors")) for where in started)
    for name, answer in with_package.items():
        if (
            not (answer - alone[name]).abs().max() <= 1e-5 * answer.abs().max()
        ):  # not (...): NaN fails every comparison
            raise ValueError(f"{folder} answers otherwise with its own code than with lgn_hf: {name}")
    sizes = contents(folder)
    logger.info("%s is complete: %d files, %.2f MB", folder, len(sizes), sum(sizes.values()) / 1e6)


# What a stranger's program does: loads the folder through the Auto classes and asks about noise and about an image.
_PROBE = """
import sys
folder, where, output = sys.argv[1:]
if where == "with":
    import lgn_hf
    options = {}
else:
    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "lgn_hf":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Hidden())
    options = {"trust_remote_code": True}
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
config = transformers.AutoConfig.from_pretrained(folder, **options)
auto = [name for name, value in config.auto_map.items() if value.endswith("." + config.architectures[0])]
model = getattr(transformers, auto[0]).from_pretrained(folder, **options).eval()
processor = transformers.AutoImageProcessor.from_pretrained(folder, **options)
generator = torch.Generator().manual_seed(0)
size, channels = config.image_size, config.num_channels
pixels = torch.randint(256, (size + 3, size, 3), generator=generator, dtype=torch.uint8)
inputs = {
    "noise": {"pixel_values": torch.randn(2, channels, size, size, generator=generator)},
    "an image": processor(Image.fromarray(pixels.numpy()), return_tensors="pt"),
}
answers = {"pixels of an image": inputs["an image"]["pixel_values"]}
with torch.no_grad():
    for name, given in inputs.items():
        outputs = model(**given)
        answers[name] = outputs["logits" if "logits" in outputs else "reconstruction"].contiguous()
for name, answer in answers.items():
    if not answer.isfinite().all():
        sys.exit(f"{name}: the answer is not finite")
save_file(answers, output)
"""


def _start_probe(folder: Path, scratch: Path, where: str) -> subprocess.Popen[str]:
    home = scratch / where  # an empty cache, no token
    home.mkdir()
    hidden = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_MODULES_CACHE", "HF_HUB_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    package = [str(PACKAGE.parent)] if where == "with" else []
    environment |= {
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "LGN_HF_COMPILE": "0",  # the folder is on trial, not this machine's compiler
        "PYTHONPATH": os.pathsep.join([*package, *filter(None, [environment.get("PYTHONPATH")])]),
    }
    return subprocess.Popen(
        [sys.executable, "-c", _PROBE, str(folder), where, str(home / "answers.safetensors")],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _check_card(folder: Path) -> None:
    """The Hub's rules for a card's metadata, as far as they can be checked without asking it, and the card's links."""
    text = (folder / CARD_NAME).read_text(encoding="utf-8")
    try:
        data = metadata_load(folder / CARD_NAME) or {}
        results = model_index_to_eval_results(data["model-index"])[1] if "model-index" in data else []
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ValueError(f"{folder}: the metadata of {CARD_NAME} are not valid: {one_line(repr(error))}") from None
    wrong = {name for name in ("license", "library_name", "pipeline_tag") if not isinstance(data.get(name), str)}
    for name in ("tags", "metrics", "datasets"):
        values = data.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            wrong.add(name)
    if data.get("pipeline_tag") not in PIPELINE_TAGS:
        wrong.add("pipeline_tag")
    if "datasets" not in wrong and not all(map(is_repo_id, data.get("datasets", []))):
        wrong.add("datasets")
    values = [result.metric_value for result in results]
    if not values or not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        wrong.add("model-index")
    if wrong:
        raise ValueError(f"{folder}: {CARD_NAME} lacks these metadata or has wrong ones: {', '.join(sorted(wrong))}")
    links = re.findall(r"\]\(\s*<?([^)\s>]+)|\b(?:src|href)=[\"']([^\"']+)", text)
    for link in {(a or b).partition("#")[0] for a, b in links}:
        if link and not re.match(r"[a-z][a-z+.-]*:|//", link, re.IGNORECASE) and not (folder / link).is_file():
            raise ValueError(f"{folder}: {CARD_NAME} points to {link}, which is not there")


# Texts and names


def one_line(text: object) -> str:
    """A message on one line, of readable length, without tokens."""
    line = " ".join(str(text).split())
    token = get_token()
    if token:
        line = line.replace(token, "hf_...")
    return re.sub(r"\bhf_[A-Za-z0-9]{20,}", "hf_...", line)[:500]


def check_repo_id(repo_id: str) -> None:
    if not is_repo_id(repo_id):
        raise ValueError(f"repo_id={repo_id!r}: must be USER/NAME, of letters, digits, '-', '_' and '.'")
