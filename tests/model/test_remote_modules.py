"""What travels to the Hub: the modules of lgn_hf/model/ that `trust_remote_code` runs where the package is absent."""

import ast
import sys
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_imports, get_relative_import_files

import lgn_hf.model

FOLDER = Path(lgn_hf.model.__file__).parent
ENTRIES = (
    "modeling_lgn",
    "image_processing_lgn",
)  # the modules whose classes `auto_map` names and transformers copies

WHY = {
    "configuration_lgn": "AutoConfig reads config.json into its LGNConfig",
    "modeling_lgn": "the Auto classes of models build its networks",
    "pretrained_lgn": "the base class of these networks: loading, saving, accessors",
    "configuration_checks": "configurations of every family refuse misspelt fields with it",
    "loading_checks": "networks of every family are loaded by it: whole, finite, or not at all",
    "group_actions": "the networks make their filters with it, and the configuration checks its fields with it",
    "filters": "filters as vectors, their norms and rotations, for actions and networks",
    "regularizers": "the training loss, for whoever fine-tunes, and the configuration's defaults",
    "unfolding": "the unfolded layers",
    "convolutions": "the two convolutions of a layer",
    "outputs": "what the heads return",
    "pooling": "the classifier sees pooled codes",
    "labels": "the classifier's loss depends on what its labels mean",
    "image_processing_lgn": "AutoImageProcessor prepares images with it",
    "image_conversion": "the image processor reads images of any kind with it",
    "whitening": "the image processor whitens with it",
}


def scanned(entry: str) -> set[str]:
    """The modules that transformers finds from one, and that one."""
    return {entry, *(Path(file).stem for file in get_relative_import_files(FOLDER / f"{entry}.py"))}


def test_the_modules_that_travel_are_these():
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == WHY.keys()
    assert set().union(*map(scanned, ENTRIES)) == WHY.keys()
    assert all(WHY.values())


@pytest.mark.parametrize("name", WHY)
def test_a_module_that_travels_imports_only_its_siblings(name):
    """Other parts of the package stay behind: they may only be imported within `try`."""
    path = FOLDER / f"{name}.py"
    assert "lgn_hf" not in get_imports(path)  # which skips `try`
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1
            assert node.module in WHY


@pytest.mark.parametrize("name", WHY)
def test_a_module_that_travels_needs_only_what_every_user_of_transformers_and_torch_has(name):
    installed = {"torch", "transformers", "safetensors", "numpy", "PIL"}
    own = {name for name in get_imports(FOLDER / f"{name}.py")} - installed
    assert own <= set(sys.stdlib_module_names)
