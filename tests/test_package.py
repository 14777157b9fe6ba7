"""The door of the package: a light import, and every public name behind it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lgn_hf
from tests.model.test_loading import run_python as run_in_fresh_process
from tests.support.networks import make_used_model


def run_python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_imports_neither_torch_nor_transformers():
    heavy = {"torch", "transformers", "numpy", "huggingface_hub", "safetensors", "PIL"}
    run_python(f"import sys, lgn_hf; found = {heavy} & set(sys.modules); sys.exit(', '.join(sorted(found)) or 0)")


@pytest.mark.slow
def test_a_name_is_imported_on_first_use():
    run_python("import sys, lgn_hf; lgn_hf.load_actions; assert 'torch' in sys.modules")
    assert set(lgn_hf.__all__) <= set(dir(lgn_hf))
    for name in lgn_hf.__all__:
        assert getattr(lgn_hf, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'LGNForPoetry'"):
        lgn_hf.LGNForPoetry  # noqa: B018


def test_rooms_of_torch_modules_are_imported_on_first_use():
    code = "import lgn_hf; lgn_hf.nn.LinearGroup, lgn_hf.conversion.convert"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_type_checkers_see_the_same_names_from_the_same_modules():
    """They read the imports under TYPE_CHECKING; Python reads the table."""
    tree = ast.parse(Path(lgn_hf.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == lgn_hf._MODULES
    assert sorted(seen) == lgn_hf.__all__


@pytest.mark.parametrize("first", ["import lgn_hf; import transformers", "import transformers; import lgn_hf"])
@pytest.mark.slow
def test_the_auto_classes_know_the_models_whatever_is_imported_first(first):
    run_python(f"""
{first}
config = transformers.AutoConfig.for_model("lgn", num_groups=2, num_layers=1)
assert type(config) is lgn_hf.LGNConfig
assert type(transformers.AutoModel.from_config(config)) is lgn_hf.LGNModel
assert type(transformers.AutoModelForImageToImage.from_config(config)) is lgn_hf.LGNForImageReconstruction
""")


LOOK_THEN_LOAD = """
    import sys
    import lgn_hf
    from lgn_hf import load_actions
    actions = load_actions(sys.argv[2])
    assert actions[0, 1, 2].apply_to_image(actions.matrices[0, 0, 0]).shape == (9, 9)
    assert actions.table() and actions.diagnose()
    actions._records = None
    actions.diagnose()
    actions.save(sys.argv[1])
    assert "transformers" not in sys.modules

    from transformers import AutoConfig  # the first import is of no model
    assert type(AutoConfig.for_model("lgn")).__module__ == "lgn_hf.model.configuration_lgn"
    assert "lgn_hf.model.modeling_lgn" not in sys.modules
    from transformers import AutoImageProcessor, pipeline
    classifier = pipeline("image-classification", sys.argv[3])
    assert type(classifier.model) is lgn_hf.LGNForImageClassification
    assert type(classifier.image_processor) is lgn_hf.LGNImageProcessor
"""

IMPORT_MODEL_FIRST = """
    import sys
    from lgn_hf.model.modeling_lgn import LGNModel
    from transformers import AutoModel, AutoImageProcessor
    assert type(AutoModel.from_pretrained(sys.argv[3])) is LGNModel
    assert type(AutoImageProcessor.from_pretrained(sys.argv[3])).__module__ == "lgn_hf.model.image_processing_lgn"
"""

REMOTELY = """
    import sys
    sys.modules["lgn_hf"] = None  # even where it is installed
    from transformers import AutoModel
    model = AutoModel.from_pretrained(sys.argv[3], trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules")
    try:
        model.actions()
    except ImportError as error:
        assert "pip install lgn-hf" in str(error)
    else:
        raise AssertionError("the container of actions does not travel with remote code")
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", [LOOK_THEN_LOAD, IMPORT_MODEL_FIRST, REMOTELY])
def test_a_fresh_process(script, tmp_path):
    """Actions need no transformers; the Auto classes know the LGN whatever is imported first; remote code says what it lacks."""
    make_used_model("learned").float().save_pretrained(tmp_path / "model")
    lgn_hf.LGNImageProcessor(size=7, num_channels=1).save_pretrained(tmp_path / "model")
    root = os.path.dirname(os.path.dirname(lgn_hf.__file__))
    environment = {"PYTHONPATH": root, "HF_MODULES_CACHE": str(tmp_path / "modules")}
    make_used_model("learned-colour").actions().save(tmp_path / "actions")
    run_in_fresh_process(script, tmp_path, tmp_path / "actions", tmp_path / "model", **environment)
