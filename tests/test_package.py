"""The door of the package: a light import, and every public name behind it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lgn_hf


def run_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_imports_neither_torch_nor_transformers():
    heavy = {"torch", "transformers", "numpy", "huggingface_hub", "safetensors", "PIL"}
    run_python(f"import sys, lgn_hf; found = {heavy} & set(sys.modules); sys.exit(', '.join(sorted(found)) or 0)")


def test_a_name_is_imported_on_first_use():
    run_python("import sys, lgn_hf; lgn_hf.load_actions; assert 'torch' in sys.modules")
    assert set(lgn_hf.__all__) <= set(dir(lgn_hf))
    for name in lgn_hf.__all__:
        assert getattr(lgn_hf, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'LGNForPoetry'"):
        lgn_hf.LGNForPoetry  # noqa: B018


def test_type_checkers_see_the_same_names_from_the_same_modules():
    """They read the imports under TYPE_CHECKING; Python reads the table."""
    tree = ast.parse(Path(lgn_hf.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == lgn_hf._MODULES
    assert sorted(seen) == lgn_hf.__all__


@pytest.mark.parametrize("first", ["import lgn_hf; import transformers", "import transformers; import lgn_hf"])
def test_the_auto_classes_know_the_models_whatever_is_imported_first(first):
    run_python(f"""
{first}
config = transformers.AutoConfig.for_model("lgn", num_groups=2, num_layers=1)
assert type(config) is lgn_hf.LGNConfig
assert type(transformers.AutoModel.from_config(config)) is lgn_hf.LGNModel
assert type(transformers.AutoModelForImageToImage.from_config(config)) is lgn_hf.LGNForImageReconstruction
""")
