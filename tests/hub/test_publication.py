"""Publishing leaves the folder that it publishes as it is."""

import shutil
from pathlib import Path

import pytest

from lgn_hf import load_actions
from lgn_hf.hub import publication
from lgn_hf.hub.build import build
from lgn_hf.hub.folder import contents, is_repository
from lgn_hf.hub.publication import prepare
from lgn_hf.remote_code import remote_modules
from tests.conftest import PUBLISHED_AS as NAME
from tests.conftest import read_folder

pytestmark = pytest.mark.usefixtures("blank_figures")

OTHER = "tester/other"


@pytest.fixture
def model_folder(published, tmp_path) -> Path:
    return build(published, tmp_path / "models" / "lgn-digits", repo_id=NAME, modules=False)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """The current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.slow
def test_a_run_is_built_in_a_folder_of_its_own_and_keeps_its_files(trained_run, tmp_path):
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = read_folder(run)
    for _ in range(2):
        made = prepare(run, NAME)
        assert made == run / "hub"
        assert is_repository(made)
    assert {path: content for path, content in read_folder(run).items() if not path.startswith("hub/")} == before


@pytest.mark.slow
def test_a_model_folder_is_built_elsewhere_and_keeps_its_files(model_folder, here, tmp_path):
    before = read_folder(model_folder)
    for target, expected in ((None, here / "build" / "other"), (tmp_path / "made", tmp_path / "made")):
        made = prepare(model_folder, OTHER, target, dataset_note="other data")
        assert made == expected
        assert contents(made).keys() == before.keys() | {*remote_modules("lgn")}
        assert load_actions(made).name == OTHER
        assert f'"{OTHER}"' in (made / "README.md").read_text()
        assert read_folder(model_folder) == before
    assert [path.name for path in model_folder.parent.iterdir()] == ["lgn-digits"]


def test_what_today_s_code_built_for_this_name_is_taken_as_it_is(folder, monkeypatch):
    """The command that continues a failed upload names it."""
    monkeypatch.setattr(publication, "build", None)
    before = read_folder(folder)
    assert prepare(folder, NAME, dataset=None) == folder
    assert read_folder(folder) == before


@pytest.mark.parametrize("why", ["another name", "another target", "an option", "other code", "older modules"])
@pytest.mark.slow
def test_all_else_is_built_anew(folder, here, tmp_path, why):
    name = OTHER if why == "another name" else NAME
    target = tmp_path / "made" if why == "another target" else None
    options = {"dataset_note": "other data"} if why == "an option" else {}
    code = folder / "modeling_lgn.py"
    if why == "other code":
        code.write_text(f"# mine\n{code.read_text()}")
    elif why == "older modules":
        code.write_text(f"from .older import f\n{code.read_text()}")
        (folder / "older.py").write_text("f = 1\n")
    before = read_folder(folder)
    made = prepare(folder, name, target, **options)
    assert made == (target or here / "build" / name.rpartition("/")[2])
    assert is_repository(made)
    assert read_folder(folder) == before


@pytest.mark.parametrize("place", [".", "inside", "figures"])
def test_a_folder_is_never_built_in_its_own_place(model_folder, place):
    before = read_folder(model_folder)
    with pytest.raises(ValueError, match="must stay as they are; choose another --folder"):
        prepare(model_folder, NAME, model_folder / place)
    assert read_folder(model_folder) == before


def test_not_even_if_it_lies_where_it_would_be_built(published, here):
    built = Path(shutil.copytree(published, here / "build" / "other"))
    before = read_folder(built)
    with pytest.raises(ValueError, match="choose another --folder"):
        prepare(built, OTHER)
    assert read_folder(built) == before


@pytest.mark.slow
def test_a_model_folder_of_another_model_is_not_replaced(trained_run, model_folder):
    before = read_folder(model_folder)
    with pytest.raises(ValueError, match="holds something else than earlier output of this command"):
        prepare(trained_run, NAME, model_folder)
    assert read_folder(model_folder) == before


def test_a_run_is_not_built_in_its_own_place(trained_run):
    before = read_folder(trained_run)
    with pytest.raises(ValueError, match="choose another --folder"):
        prepare(trained_run, NAME, trained_run)
    assert read_folder(trained_run) == before


def test_what_is_refused_leaves_no_folder_behind(tmp_path, here):
    with pytest.raises(ValueError, match="is not a folder"):
        prepare(tmp_path / "nowhere", NAME)
    with pytest.raises(ValueError, match="must be USER/NAME"):
        prepare(tmp_path / "nowhere", "a/b/c")
    assert not (tmp_path / "nowhere").exists()
    assert not [*here.iterdir()]
