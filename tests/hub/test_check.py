"""A folder that is not as it was built is refused."""

import pytest

from lgn_hf.hub.build import build
from lgn_hf.hub.check import check, check_model_folder
from lgn_hf.remote_code import remote_modules
from tests.conftest import PUBLISHED_AS as NAME
from tests.support.damage import damage


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no weights", r"it lacks model\.safetensors"),
        ("other weights", r"actions\.safetensors does not hold the actions of model\.safetensors"),
        ("NaN", r"whitening\.safetensors holds numbers that are not finite"),
        ("truncated", r"actions\.safetensors is damaged"),
        ("extra file", r"also holds notes\.txt"),
        ("link", r"figures/gallery\.png is a link"),
        ("no figure", r"README\.md points to figures/gallery\.png, which is not there"),
    ],
)
def test_a_folder_that_is_not_as_built_is_refused(folder, how, message):
    damage(folder, how)
    with pytest.raises(ValueError, match=message):
        check(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("license: ", "licence: ", "license"),
        ("pipeline_tag: image-classification", "pipeline_tag: image-guessing", "pipeline_tag"),
        ("library_name: transformers", "library_name: 3", "library_name"),
        ("tags:\n", "tags: lgn\nother:\n", "tags"),
        ("tags:\n", "datasets:\n- not/a/dataset\ntags:\n", "datasets"),
        ("model-index:", "model-indices:", "model-index"),
        ("      type: image-classification\n", "", "not valid"),
        ("---\n", "", "library_name, license, model-index, pipeline_tag"),
    ],
)
def test_a_card_that_the_hub_would_not_take_is_refused(folder, old, new, message):
    text = (folder / "README.md").read_text()
    assert old in text
    (folder / "README.md").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        check(folder)


@pytest.mark.slow
def test_a_model_folder_is_whole_without_modules_and_a_repository_is_not(published, tmp_path):
    folder = build(published, tmp_path / "folder", repo_id=NAME, modules=False)
    check_model_folder(folder)
    with pytest.raises(
        ValueError, match=f"lacks modules for remote code .{', '.join(remote_modules('lgn'))}.: build it first"
    ):
        check(folder)
