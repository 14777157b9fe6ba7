"""`lgn-hf export`, and `lgn-hf publish --onnx`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lgn_hf.export import ACCURACY_PATH, MODEL_PATH, Classifier, check_graph, onnx_session, open_classifier
from lgn_hf.export.onnx_graph import run_onnx
from lgn_hf.hub.build import build
from lgn_hf.hub.check import check
from lgn_hf.hub.folder import is_repository
from tests.commands.conftest import check_error
from tests.conftest import PUBLISHED_AS, ROOT


@pytest.mark.slow
def test_the_file_is_named_and_answers_as_the_model(lgn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = lgn("export", ROOT / "model_cards" / "baseline-mnist")
    assert (code, out) == (0, f"exported/baseline-mnist/{MODEL_PATH}\n")
    session = onnx_session(Path(out.strip()))
    check_graph(open_classifier(ROOT / "model_cards" / "baseline-mnist"), lambda images: run_onnx(session, images))


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("no/such/folder", "no/such/folder is neither a folder nor the name of a repository"),
        (ROOT / "docs", "has no config.json: must be a trained classifier"),
        (ROOT / "model_cards" / "lgn-cifar10-reconstruction", "must be a classifier, LGNForImageClassification"),
    ],
)
def test_what_cannot_be_exported_is_named(lgn, tmp_path, monkeypatch, model, complaint):
    monkeypatch.chdir(tmp_path)
    check_error(lgn("export", model), complaint)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(lgn, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    result = lgn("export", ROOT / "model_cards" / "lgn-mnist", "--output_dir", tmp_path / "new")
    check_error(result, f"this command needs {package}: pip install 'lgn-hf[export]'")


@pytest.mark.slow
def test_a_published_model_has_the_file_if_asked_and_its_card_says_how_to_run_it(published, tmp_path):
    """The program on the card runs as it is written."""
    smaller = {"quantize": ["float16"], "test_data": "digits"}
    built = build(published, tmp_path / "with", repo_id=PUBLISHED_AS, onnx=True, lab="me/My.Atlas", **smaller)
    check(built)
    assert is_repository(built)
    model = open_classifier(built)
    classifier = Classifier("published", model.network, model.processor, built)
    session = onnx_session(built / MODEL_PATH)
    check_graph(classifier, lambda images: run_onnx(session, images))

    outside = json.loads((built / "preprocessor_config.json").read_text())  # as transformers.js reads it
    assert (outside["do_rescale"], outside["do_normalize"], outside["do_convert_grayscale"]) == (True, False, True)

    card = (built / "README.md").read_text()
    assert "[Open in the lab](https://me-my-atlas.static.hf.space/lab.html#model=tester%2Flgn-digits)" in card
    record = json.loads((built / ACCURACY_PATH).read_text())
    assert (record["data"], record["images"]) == ("digits", 360)
    for file in record["files"]:
        line = next(line for line in card.splitlines() if line.startswith(f"| `{Path(file['path']).name}`"))
        assert line.endswith(f"| {file['weights']} | {file['bytes'] / 1e3:,.0f} kB | {100 * file['accuracy']:.2f} % |")
        assert (built / file["path"]).stat().st_size == file["bytes"]
    program = next(part for part in card.split("```python\n") if "onnxruntime" in part).partition("```")[0]
    image = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 12), np.uint8)).save(image)
    program = program.replace('"image.png"', repr(str(image))).replace(
        f'"{MODEL_PATH}"', repr(str(built / MODEL_PATH))
    )
    names: dict = {}
    exec(program, names)
    with torch.inference_mode():
        expected = model.network(**model.processor(str(image), return_tensors="pt")).logits
    torch.testing.assert_close(torch.from_numpy(names["logits"]), expected, rtol=1e-4, atol=1e-4)

    again = build(built, tmp_path / "without", repo_id=PUBLISHED_AS)
    assert not (again / MODEL_PATH).exists()
    assert "onnx" not in (again / "README.md").read_text()
    assert "lab" not in (again / "README.md").read_text().replace("label", "")
