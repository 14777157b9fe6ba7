"""A repository works for strangers, with the package and without it, whatever kind of network it holds."""

import subprocess
import sys

import pytest

from lgn_hf.hub.build import build
from lgn_hf.hub.folder import contents
from lgn_hf.hub.trial import PROBE, validate
from tests.support.runs import save_run


@pytest.mark.slow
def test_folders_answer_alike_with_the_package_and_without(folder, trained_run, tmp_path, caplog, monkeypatch):
    """One of a kind that no published model has; published ones are tried in `test_model_cards.py`."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    left = build(save_run(tmp_path / "run", "left", "classification", trained_run), tmp_path / "left")
    with caplog.at_level("INFO", "lgn_hf.hub.trial"):
        validate(folder, left)
    assert [record.getMessage().split(" is complete")[0] for record in caplog.records] == [str(folder), str(left)]
    assert f"{len(contents(folder))} files, {sum(contents(folder).values()) / 1e6:.2f} MB" in caplog.text


@pytest.mark.slow
def test_a_folder_whose_own_code_answers_otherwise_is_refused(folder, published):
    """The message names it, and not the folder that is tried before it."""
    code = folder / "image_processing_lgn.py"
    code.write_text(code.read_text().replace("images.float() / 255", "images.float() / 256"))
    message = f"{folder} answers otherwise with its own code than with lgn_hf: pixels of an image"
    with pytest.raises(ValueError, match=message):
        validate(published, folder)


@pytest.mark.slow
def test_a_module_that_needs_the_package_is_refused(folder, published):
    """The package is hidden from the second process, although it is installed."""
    code = folder / "regularizers.py"
    code.write_text(f"{code.read_text()}\nimport lgn_hf.actions\n")
    with pytest.raises(ValueError, match=rf"{folder} does not work without lgn_hf installed: .*lgn_hf"):
        validate(published, folder)


@pytest.mark.slow
def test_the_probe_finds_no_module_of_this_room_by_its_bare_name():
    """Python puts a program's folder on its path, where `build.py` would hide a package named `build`."""
    script = f"import runpy, sys; runpy.run_path({str(PROBE)!r})['forget_own_folder'](); import check"
    done = subprocess.run([sys.executable, "-c", script], cwd=PROBE.parent, capture_output=True, text=True)
    assert "No module named 'check'" in done.stderr
