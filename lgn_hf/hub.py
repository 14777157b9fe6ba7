"""From a training run to a model repository on the Hub: build the whole folder, validate it, publish it in one commit."""

from __future__ import annotations

import email.utils
import json
import logging
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token, metadata_load
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)
from huggingface_hub.repocard_data import model_index_to_eval_results
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError
from safetensors.torch import load_file

from .actions import RECORDS_NAME, TENSORS_NAME, load_actions
from .cards import BASELINE_NAME, CARD_NAME, FIGURES_NAME, RECIPE_NAME, draw_figures, write_card
from .configuration_lgn import LGNConfig
from .image_processing_lgn import WHITENING_NAME, LGNImageProcessor
from .modeling_lgn import LGNForImageClassification, LGNForImageReconstruction
from .sources import CONFIG_NAME, RESULTS_NAME, WEIGHTS_NAME

PROCESSOR_NAME = "preprocessor_config.json"
RUN_FILES = (CONFIG_NAME, WEIGHTS_NAME, PROCESSOR_NAME, RECIPE_NAME)  # and RESULTS_NAME, which a run writes last
BUILT_FILES = (*RUN_FILES, RESULTS_NAME, CARD_NAME, TENSORS_NAME, RECORDS_NAME)
OPTIONAL_FILES = (WHITENING_NAME, BASELINE_NAME, f"{FIGURES_NAME}/*.png")
MODULES = tuple(sorted(path.name for path in Path(__file__).parent.glob("*.py")))

TASKS = {"classification": LGNForImageClassification, "reconstruction": LGNForImageReconstruction}
PIPELINE_TAGS = ("image-classification", "image-to-image", "image-feature-extraction")
ROTATED_PREFIX = "rot-mnist:"
COLLECTION_SLUG = re.compile(r"[^/]+/.+-[0-9a-f]{24}")

HTTPError: type[Exception] = HfHubHTTPError.__bases__[0]  # of the HTTP library that huggingface_hub is built on
SAFE_TO_REPEAT = (429, 503)  # the Hub did nothing
TRANSIENT = (408, 500, 502, 504, *SAFE_TO_REPEAT)

Result = TypeVar("Result")

logger = logging.getLogger("lgn_hf.hub")


class PublishError(OSError):
    """An upload that failed; the message is one line, which ends with the command that continues it."""


# Building


def build(
    run_folder: str | os.PathLike,
    target: str | os.PathLike,
    *,
    repo_id: str | None = None,
    dataset: str | None = None,
    dataset_note: str | None = None,
    baseline: str | os.PathLike | None = None,
) -> Path:
    """Make the folder that is to be published, byte for byte the same whenever it is built from the same run.

    It is built in a hidden folder beside `target`, checked, and then takes the place of `target` in one step. A built
    folder is a complete run too, and can be built anew.

    Args:
        run_folder: what `training/run.py` left.
        target: the folder to make; one that was built before is replaced.
        repo_id: where it will be published, USER/NAME; by default the model has the name of `target`.
        dataset: Hub id of the data, for a run whose data was a local folder (by default, that folder's name).
        dataset_note: what a reader must know of the data, for instance that it is a compressed copy.
        baseline: a run without groups on the same data (its folder or `all_results.json`), to be compared with.

    Returns:
        `target`, absolute.

    Raises:
        ValueError: the run is not complete, its files do not belong together, or `target` holds something else.
        OSError: a file cannot be read or written.
    """
    run, target = Path(run_folder), Path(target).resolve()
    if repo_id is not None:
        _check_repo_id(repo_id)
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

    workshop = target.parent / f".{target.name}.partial"
    partial = workshop / target.name
    shutil.rmtree(workshop, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        actions = model.actions()
        actions.name = repo_id or target.name
        actions.save(partial)
        draw_figures(actions, partial)
        (partial / RECIPE_NAME).write_text(yaml.safe_dump(_public_recipe(recipe, name, dataset), sort_keys=False))
        _write_json(partial / RESULTS_NAME, _public_results(results, name, dataset, dataset_note))
        if others is not None:
            _write_json(partial / BASELINE_NAME, _public_results(others, f"{name}-baseline", dataset, None))
        write_card(partial, repo_id)
        check(partial)
        if target.exists():
            os.replace(target, workshop / "replaced")
        os.replace(partial, target)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return target


def is_built(folder: str | os.PathLike) -> bool:
    """Whether a folder holds what `build` makes, and nothing else."""
    folder = Path(folder)
    if not folder.is_dir() or not all((folder / name).is_file() for name in BUILT_FILES):
        return False
    return all(_matches(path, (*BUILT_FILES, *OPTIONAL_FILES, *MODULES)) for path in contents(folder))


def contents(folder: str | os.PathLike) -> dict[str, int]:
    """The files of a folder, by their paths in it, and their sizes in bytes."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in files}


def _matches(path: str, patterns: Iterable[str]) -> bool:
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
        raise ValueError(f"{path} is not YAML: {_one_line(error)}") from None
    if not isinstance(recipe, dict) or not isinstance(recipe.get("dataset"), str):
        raise ValueError(f"{path} is not what training/run.py writes: it must be a mapping of fields, with `dataset`")
    return recipe


def _load_model(folder: Path, results: dict[str, Any], recipe: dict[str, Any]) -> Any:
    """The model of a folder, if weights, configuration, recipe and results belong together."""
    config = LGNConfig.from_pretrained(folder)
    kind = TASKS.get(str(recipe.get("task", "classification")))
    if config.model_type != "lgn" or kind is None or config.architectures != [kind.__name__]:
        raise ValueError(
            f"{folder}: {CONFIG_NAME} describes {config.architectures}, {RECIPE_NAME} the task {recipe.get('task')!r}; "
            f"allowed are {', '.join(f'{model.__name__} for {task}' for task, model in TASKS.items())}"
        )
    for source, fields in ((RECIPE_NAME, recipe), (f"{RESULTS_NAME}'s recipe", results["recipe"])):
        for field in ("num_groups", "group_order", "num_layers", "filter_size", "action", "tied"):
            if field in fields and fields[field] != getattr(config, field):
                raise ValueError(
                    f"{folder}: {CONFIG_NAME} and {source} are of different runs: {field} is "
                    f"{getattr(config, field)!r} and {fields[field]!r}"
                )
    try:
        model = kind.from_pretrained(folder)
    except RuntimeError as error:
        raise ValueError(f"{folder}: {WEIGHTS_NAME} does not belong to {CONFIG_NAME}: {_one_line(error)}") from None
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
    """The name of a run's data that means something elsewhere."""
    source = recorded.removeprefix(ROTATED_PREFIX)
    prefix = recorded[: len(recorded) - len(source)]
    given = None if dataset is None else dataset.removeprefix(ROTATED_PREFIX)
    if given == "" or (given and (given.startswith((".", "/", "~")) or not _is_repo_id(given))):
        raise ValueError(f"dataset={dataset!r}: must be the id of a data set on the Hub, such as ylecun/mnist")
    is_path = not _is_repo_id(source) or Path(source).exists()
    if not is_path and given not in (None, source):
        raise ValueError(
            f"dataset={dataset!r}: the run was trained on {recorded!r} (only a local folder can be renamed, from where "
            "its path leads to it)"
        )
    return prefix + (given or (Path(source).resolve().name if is_path else source))


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
    return {**recipe, **own, "dataset": _public_dataset(recipe["dataset"], dataset)}


def _public_results(results: dict[str, Any], name: str, dataset: str | None, note: str | None) -> dict[str, Any]:
    data = {**results["data"]}
    if "source" in data:
        data["source"] = _public_dataset(data["source"], dataset)
    if note:
        data["note"] = note
    return {**results, "recipe": _public_recipe(results["recipe"], name, dataset), "data": data}


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
                raise ValueError(f"{folder} does not work {where} lgn_hf installed: {_one_line(last)}")
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
    package = [str(Path(__file__).parent.parent)] if where == "with" else []
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
        raise ValueError(f"{folder}: the metadata of {CARD_NAME} are not valid: {_one_line(repr(error))}") from None
    wrong = {name for name in ("license", "library_name", "pipeline_tag") if not isinstance(data.get(name), str)}
    for name in ("tags", "metrics", "datasets"):
        values = data.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            wrong.add(name)
    if data.get("pipeline_tag") not in PIPELINE_TAGS:
        wrong.add("pipeline_tag")
    if "datasets" not in wrong and not all(map(_is_repo_id, data.get("datasets", []))):
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


# Publishing


def publish(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    collection: str | None = None,
    create_pr: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Upload a built folder in one commit: the repository is as before, or as the folder is.

    Running it again is harmless: only what differs is uploaded, and where nothing differs there is no commit. Files of
    an older publication that are gone here go there too; files that publishing does not make are left alone.

    Args:
        folder: what `build` made.
        repo_id: USER/NAME, or NAME for your own; made if it does not exist.
        private: make a new repository private; a public one is refused.
        revision: branch; made from `main` if it does not exist.
        collection: to add the model to: its slug, or USER/TITLE of one that is made if it does not exist.
        create_pr: open a pull request instead of committing to `main`.
        pause: what waits between attempts, seconds.

    Returns:
        The address of the commit or of the pull request.

    Raises:
        PublishError: the Hub refuses or cannot be reached. The folder stays; the message ends with the command that
            continues.
        ValueError: the folder, a name or an option cannot be published as asked.
    """
    folder = Path(folder).resolve()
    _check_repo_id(repo_id)
    if create_pr and revision not in (None, "main"):
        raise ValueError(f"revision={revision!r} with create_pr: a pull request is always against main")
    if collection is not None and not re.fullmatch(r"[\w.-]+/[^/\s][^/]*", collection):
        raise ValueError(f"collection={collection!r}: must be a slug, or USER/TITLE")
    check(folder)
    options = ["--private"] * private + ["--create-pr"] * create_pr
    options += [f"--{name}={value}" for name, value in (("revision", revision), ("collection", collection)) if value]
    command = shlex.join(["lgn-hf", "publish", str(folder), repo_id, *options])
    token = get_token()
    if not token:
        raise PublishError(f"not logged in to the Hub: run `hf auth login` or set HF_TOKEN, then: {command}")
    for path in contents(folder):
        if token.encode() in (folder / path).read_bytes():
            raise ValueError(f"{folder}: {path} holds your token: remove it there and build again")

    api = HfApi()
    url = None
    try:
        repo = retry(lambda: api.create_repo(repo_id, private=private or None, exist_ok=True), pause=pause)
        repo_id = repo.repo_id
        if revision not in (None, "main") and not revision.startswith("refs/"):
            retry(lambda: api.create_branch(repo_id, branch=revision, exist_ok=True), pause=pause)
        url = retry(
            lambda: _commit(api, folder, repo_id, private, revision, create_pr), pause=pause, once=create_pr
        )  # fmt: skip
        if collection is not None:
            retry(lambda: _collect(api, repo_id, collection, private), pause=pause)
    except _Refusal as error:
        raise ValueError(str(error)) from None
    except (HTTPError, OSError, RuntimeError, ValueError, KeyError) as error:
        reason = explain(error, repo_id)
        done = f"{folder} is not published" if url is None else f"published at {url}, but not in {collection}"
        raise PublishError(f"{done}: {reason}; to continue: {command}") from None
    return url


class _Refusal(ValueError):
    """What is on the Hub under this name is not to be touched."""


def _commit(api: HfApi, folder: Path, repo_id: str, private: bool, revision: str | None, create_pr: bool) -> str:
    """One commit of what differs, on top of what was seen; its address.

    Not `HfApi.upload_folder`, which makes several commits of a slow upload.
    """
    info = api.model_info(repo_id, revision=revision)
    there = {sibling.rfilename for sibling in info.siblings or ()}
    if private and info.private is False:
        raise _Refusal(f"{repo_id} is public: make it private on the Hub first, or publish without private")
    _check_occupant(api, repo_id, info.sha, there)
    here = contents(folder)
    gone = sorted(path for path in there - here.keys() if _matches(path, OPTIONAL_FILES))
    operations = [CommitOperationAdd(path, folder / path) for path in here]
    commit = api.create_commit(
        repo_id,
        [*operations, *(CommitOperationDelete(path, is_folder=False) for path in gone)],
        commit_message=f"Publish {repo_id.rpartition('/')[2]}",
        revision=revision,
        create_pr=create_pr,
        parent_commit=info.sha,
    )
    if commit.oid == info.sha:
        logger.info("%s is up to date", repo_id)
    return commit.pr_url or commit.commit_url


def _check_occupant(api: HfApi, repo_id: str, sha: str | None, there: set[str]) -> None:
    """Refuse a repository that holds something else than an LGN."""
    if not there - {".gitattributes"}:
        return
    kind = None
    if CONFIG_NAME in there:
        try:
            kind = json.loads(Path(api.hf_hub_download(repo_id, CONFIG_NAME, revision=sha)).read_bytes())["model_type"]
        except (ValueError, KeyError, TypeError):
            kind = "unknown"
        if kind == "lgn":
            return
    what = f"a model of type {kind!r:.40}" if kind else f"other files ({', '.join(sorted(there)[:3])}, ...)"
    raise _Refusal(f"{repo_id} is taken: it holds {what}, no LGN; choose another name, or empty it on the Hub first")


def _collect(api: HfApi, repo_id: str, collection: str, private: bool) -> None:
    slug = collection
    if not COLLECTION_SLUG.fullmatch(collection):
        namespace, _, title = collection.partition("/")
        slug = api.create_collection(title, namespace=namespace, private=private, exists_ok=True).slug
    api.add_collection_item(slug, repo_id, "model", exists_ok=True)


def retry(
    call: Callable[[], Result],
    *,
    attempts: int = 5,
    total: float = 120.0,
    once: bool = False,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Call the Hub until it answers: after 1, 2, 4, ... seconds, or when a `Retry-After` asks for it.

    Args:
        call: what to do; an error that waiting does not help is raised at once.
        attempts: how often, at most.
        total: seconds after which no further attempt starts.
        once: the call is not to be done twice: try again only where the Hub said that it did nothing.
        pause: waits that many seconds.
        clock: seconds.
    """
    start, wait = clock(), 1.0
    for left in reversed(range(attempts)):
        try:
            return call()
        except Exception as error:
            failure, status = _failure(error), _status(error)
            if status is None:
                passes = isinstance(failure, (HTTPError, json.JSONDecodeError, ConnectionError, TimeoutError))
                passes = passes and not once and not isinstance(failure, OfflineModeIsEnabled)
            else:
                passes = status in (SAFE_TO_REPEAT if once else TRANSIENT)
            asked = _retry_after(failure)
            delay = wait if asked is None else asked
            if not passes or not left or clock() - start + delay > total:
                raise
            logger.info("the Hub did not answer (%s): once more in %.0f s", status or type(failure).__name__, delay)
            pause(delay)
            wait *= 2
    raise ValueError(f"attempts={attempts}: must be at least 1")


def explain(error: BaseException, repo_id: str) -> str:
    """What went wrong with a repository and what to do about it, on one line and without any token."""
    failure, status = _failure(error), _status(error)
    if isinstance(failure, OfflineModeIsEnabled):
        return "the Hub is switched off here: unset HF_HUB_OFFLINE"
    if isinstance(failure, LocalTokenNotFoundError):
        return "not logged in to the Hub: run `hf auth login` or set HF_TOKEN"
    if isinstance(failure, RevisionNotFoundError):
        return f"{repo_id} has no such revision (404)"
    said = getattr(failure, "server_message", None)
    said = f", and said: {_one_line(said)}" if said else ""
    asked = _retry_after(failure)
    known = {
        401: "the Hub does not accept your token (401): run `hf auth login` or set HF_TOKEN to one that is valid",
        403: f"your token may not write to {repo_id} (403): use one with write access to it, or another name",
        404: f"the Hub knows no {repo_id} (404): check the name, and that your token may see it",
        409: f"{repo_id} is taken, or being changed at this moment (409): try again, or choose another name",
        412: f"{repo_id} was changed by someone else during the upload (412): look at it, then try again",
        413: "the Hub finds a file too large (413)",
        429: f"too many requests (429): wait {f'{asked:.0f} seconds' if asked else 'some minutes'}",
    }
    if status in known:
        return known[status]
    if status is not None and status >= 500:
        return f"the Hub is out of order ({status}): try again later"
    if status is not None:
        return f"the Hub refused ({status}{said})"
    if isinstance(failure, (HTTPError, ConnectionError, TimeoutError)):
        return f"the connection to the Hub broke off or could not be made ({type(failure).__name__})"
    if isinstance(failure, json.JSONDecodeError):
        return "the Hub gave an answer that cannot be read: try again later"
    return _one_line(failure) or type(failure).__name__


def _failure(error: BaseException) -> BaseException:
    """The failed request behind an error, which uploads in threads and downloads wrap in their own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HTTPError):
        cause = cause.__cause__
    return error if cause is None else cause


def _status(error: BaseException) -> int | None:
    return getattr(getattr(_failure(error), "response", None), "status_code", None)


def _retry_after(failure: BaseException) -> float | None:
    """Seconds that the Hub asks to wait, by `Retry-After` in either of its forms or by its own `RateLimit`."""
    headers = getattr(getattr(failure, "response", None), "headers", None) or {}
    asked = headers.get("Retry-After", "")
    limit = re.search(r"\br=0;t=(\d{1,9})", headers.get("RateLimit", ""))
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    if asked:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
        except ValueError:
            return None
    return float(limit[1]) if limit else None


def _one_line(text: object) -> str:
    """A message on one line, of readable length, without tokens."""
    line = " ".join(str(text).split())
    token = get_token()
    if token:
        line = line.replace(token, "hf_...")
    return re.sub(r"\bhf_[A-Za-z0-9]{20,}", "hf_...", line)[:500]


def _is_repo_id(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _check_repo_id(repo_id: str) -> None:
    if not _is_repo_id(repo_id):
        raise ValueError(f"repo_id={repo_id!r}: must be USER/NAME, of letters, digits, '-', '_' and '.'")
