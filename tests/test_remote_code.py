"""The modules that travel with each family: complete, siblings of each other, and free of the package."""

import ast
import sys

import pytest
from transformers.dynamic_module_utils import get_imports, get_relative_import_files

from lgn_hf.remote_code import ENTRIES, remote_modules, write_modules

WHY = {  # those of the first family are in tests/model/test_remote_modules.py
    "configuration_lgn_convnet": "AutoConfig reads config.json into its LGNConvNetConfig",
    "modeling_lgn_convnet": "the Auto classes of models build its networks",
    "configuration_checks": "configurations of every family refuse misspelt fields with it",
    "loading_checks": "networks of every family are loaded by it: whole, finite, or not at all",
    "linear_group": "the group of a network",
    "closure": "configurations hold generators; the group is what they close to",
    "naming": "a group says its name",
    "exact_rotations": "groups of rotations are built, not stored",
    "pixel_grid": "mirrors are built, not stored; networks say which elements move images",
    "learned_groups": "networks whose action is learned",
    "orbit_convolution": "every convolution",
    "orbit_norm": "every normalisation",
    "memory_layout": "which order of memory a convolution is given",
    "channels_last_norm": "normalisation in the order of memory that convolutions answer in",
    "orbit_pool": "pooling over the group",
    "filters": "filters as vectors",
    "convolutions": "it says whether operations run as they are called, and reorders filters",
    "outputs": "what the head returns",
    "labels": "the classifier's loss depends on what its labels mean",
    "image_processing_lgn": "AutoImageProcessor prepares images with it",
    "image_conversion": "the image processor reads images of any kind with it",
    "whitening": "the image processor whitens with it",
}


def test_the_modules_of_the_second_family_are_these():
    assert {name.removesuffix(".py") for name in remote_modules("lgn_convnet")} == WHY.keys()


@pytest.mark.parametrize("family", ENTRIES)
def test_in_a_folder_they_are_siblings(family, tmp_path):
    write_modules(tmp_path, family)
    names = {path.stem for path in tmp_path.glob("*.py")}
    for path in tmp_path.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1
                assert node.module in names
        allowed = {"torch", "transformers", "safetensors", "numpy", "PIL", *sys.stdlib_module_names}
        assert set(get_imports(path)) <= allowed
    found = set()
    for entry in ENTRIES[family]:
        name = entry.rpartition("/")[2]
        found |= {name, *(file.rpartition("/")[2] for file in get_relative_import_files(tmp_path / name))}
    assert found == set(remote_modules(family))
