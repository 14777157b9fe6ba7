"""The rules that the Hub holds the YAML block of a README.md to, as far as they are public."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

_LICENSES = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m afl-3.0
artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0
epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research
intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1
ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2
llama3.3 llama4 grok2-community gemma unknown other
""".split()  # noqa: SIM905

_PIPELINES = """
text-classification token-classification table-question-answering question-answering zero-shot-classification translation
summarization feature-extraction text-generation fill-mask sentence-similarity text-to-speech text-to-audio
automatic-speech-recognition audio-to-audio audio-classification audio-text-to-text voice-activity-detection
depth-estimation image-classification object-detection image-segmentation text-to-image image-to-text image-to-image
image-to-video unconditional-image-generation video-classification reinforcement-learning robotics tabular-classification
tabular-regression tabular-to-text table-to-text multiple-choice text-ranking text-retrieval time-series-forecasting
text-to-video image-text-to-text visual-question-answering document-question-answering zero-shot-image-classification
graph-ml mask-generation zero-shot-object-detection text-to-3d image-to-3d image-feature-extraction video-text-to-text
keypoint-detection visual-document-retrieval any-to-any video-to-video other
""".split()  # noqa: SIM905

_COLOURS = ["red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"]
_SDKS = ["gradio", "docker", "static", "streamlit"]
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")


def split_card(text: str) -> str | None:
    """The YAML between the first two lines of three dashes, None where there is none."""
    match = re.match(r"\s*---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|$)", text, re.DOTALL)
    return match[1] if match else None


def read_metadata(text: str) -> dict:
    """The metadata of a card, empty where it has none or where it does not parse."""
    try:
        metadata = yaml.safe_load(split_card(text) or "")
    except yaml.YAMLError:
        return {}
    return metadata if isinstance(metadata, dict) else {}


def check_card(text: str, repo_type: str) -> tuple[list[str], list[str]]:
    """The errors, for which a commit is refused, and the warnings about a README.md."""
    block = split_card(text)
    if block is None or not block.strip():
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        metadata = yaml.safe_load(block)
    except yaml.YAMLError as error:
        return [f"Invalid YAML: {error}"], []
    if not isinstance(metadata, dict):
        return ["The metadata must be a mapping."], []
    errors, warnings = _check_common(metadata)
    if repo_type == "model":
        errors += [*_check_repositories(metadata, "datasets"), *_check_model_index(metadata)]
        if (pipeline := metadata.get("pipeline_tag")) is not None and pipeline not in _PIPELINES:
            warnings.append(f'"pipeline_tag" with value "{pipeline}" is not in the official list.')
    if repo_type == "dataset":
        for task in _as_list(metadata.get("task_categories")):
            if task not in _PIPELINES:
                warnings.append(f'"task_categories" with value "{task}" is not in the official list.')
    if repo_type == "space":
        errors += _check_space(metadata)
    return errors, warnings


def _as_list(value) -> list:
    return [] if value is None else value if isinstance(value, list) else [value]


def _check_common(metadata: dict) -> tuple[list[str], list[str]]:
    errors = []
    for name in _as_list(metadata.get("license")):
        if name not in _LICENSES:
            errors.append(f'"license" must be one of [{", ".join(_LICENSES)}], not {name!r}.')
    for field in ("library_name", "pipeline_tag", "license_name", "license_link", "pretty_name", "title", "thumbnail"):
        if field in metadata and not isinstance(metadata[field], str):
            errors.append(f'"{field}" must be a string.')
    for field in ("tags", "metrics", "language"):
        if not all(isinstance(entry, str) for entry in _as_list(metadata.get(field))):
            errors.append(f'"{field}" must be strings.')
    if "tags" in metadata and not isinstance(metadata["tags"], list):
        errors.append('"tags" must be an array.')
    return errors, []


def _check_repositories(metadata: dict, field: str) -> list[str]:
    return [
        f'"{field}[{position}]" with value "{name}" is not valid. Use a dataset id from https://hf.co/datasets.'
        for position, name in enumerate(_as_list(metadata.get(field)))
        if not (isinstance(name, str) and _REPOSITORY.fullmatch(name))
    ]


def _check_model_index(metadata: dict) -> list[str]:
    if "model-index" not in metadata:
        return []
    index = metadata["model-index"]
    if not isinstance(index, list):
        return ['"model-index" must be an array.']
    errors = []

    def required(entry, where: str, field: str, kind: type | tuple[type, ...] = str) -> Any:
        value = entry.get(field) if isinstance(entry, dict) else None
        if value is None:
            errors.append(f'"{where}.{field}" is required.')
        elif not isinstance(value, kind) or (kind is list and not value):
            errors.append(f'"{where}.{field}" is not of the right type, or empty.')
        elif isinstance(value, float) and not math.isfinite(value):
            errors.append(f'"{where}.{field}" must be a finite number.')
        else:
            return value
        return [] if kind is list else {}

    for i, model in enumerate(index):
        required(model, f"model-index[{i}]", "name")
        for j, result in enumerate(required(model, f"model-index[{i}]", "results", list)):
            where = f"model-index[{i}].results[{j}]"
            required(required(result, where, "task", dict), f"{where}.task", "type")
            dataset = required(result, where, "dataset", dict)
            required(dataset, f"{where}.dataset", "type")
            required(dataset, f"{where}.dataset", "name")
            for k, metric in enumerate(required(result, where, "metrics", list)):
                required(metric, f"{where}.metrics[{k}]", "type")
                required(metric, f"{where}.metrics[{k}]", "value", (int, float, str, dict, list))
    return errors


def _check_space(metadata: dict) -> list[str]:
    errors = []
    if metadata.get("sdk") not in _SDKS:
        errors.append(f'"sdk" must be one of [{", ".join(_SDKS)}], not {metadata.get("sdk")!r}.')
    for field in ("colorFrom", "colorTo"):
        if field in metadata and metadata[field] not in _COLOURS:
            errors.append(f'"{field}" must be one of [{", ".join(_COLOURS)}], not {metadata[field]!r}.')
    if len(str(metadata.get("short_description", ""))) > 60:
        errors.append('"short_description" length must be less than or equal to 60 characters long.')
    if "pinned" in metadata and not isinstance(metadata["pinned"], bool):
        errors.append('"pinned" must be a boolean.')
    return errors
