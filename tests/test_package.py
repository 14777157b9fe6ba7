"""The package as a whole: its public names, and what a fresh process has to import for them."""

import os

import pytest

import lgn_hf
from tests.model.test_loading import run_python
from tests.support.networks import make_used_model


def test_every_public_name_is_found():
    assert set(lgn_hf.__all__) == set(lgn_hf._MODULES) <= set(dir(lgn_hf))
    for name in lgn_hf.__all__:
        assert getattr(lgn_hf, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'LGNForPoetry'"):
        lgn_hf.LGNForPoetry  # noqa: B018


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
    run_python(script, tmp_path, tmp_path / "actions", tmp_path / "model", **environment)
