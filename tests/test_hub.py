"""From a run to a repository: the folder is whole and true, publishing it is one commit or none, and errors say what to do."""

import contextlib
import io
import json
import re
import shutil
import time
from pathlib import Path

import pytest
import run as program
import torch
import yaml
from accelerate.state import AcceleratorState
from arguments import parse_arguments
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file

from lgn_hf import hub as publishing
from lgn_hf import load_actions
from lgn_hf.hub import PublishError, build, check, contents, is_built, publish, retry, validate

NAME = "tester/lgn-digits"
NOTE = "a copy of the digits, for tests"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of one epoch."""
    folder = tmp_path_factory.mktemp("runs") / "lgn-digits"
    arguments = ["--dataset", "digits", "--num_groups", "2", "--group_order", "2", "--num_layers", "1"]
    arguments += ["--filter_size", "3", "--disable_tqdm", "--num_train_epochs", "1", "--whitening", "patch"]
    AcceleratorState._reset_state(reset_partial_state=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert program.main([*arguments, "--output_dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def original(trained, tmp_path_factory) -> Path:
    return build(trained, tmp_path_factory.mktemp("built") / "folder", repo_id=NAME, dataset_note=NOTE)


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A built folder to publish, or to damage."""
    return Path(shutil.copytree(original, tmp_path / "folder"))


def read(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in contents(folder)}


def change_json(path: Path, **fields) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


# Building


def test_the_folder_has_everything_and_nothing_else(original, trained):
    names = set(contents(original))
    assert {*publishing.BUILT_FILES, "modeling_lgn.py", "image_processing_lgn.py", "whitening.safetensors"} <= names
    assert {path for path in names if path.startswith("figures/")} >= {"figures/gallery.png", "figures/spectra.png"}
    assert not [path for path in names if "checkpoint" in path or path.startswith(".")]
    weights, own = load_file(original / "model.safetensors"), load_file(trained / "model.safetensors")
    assert weights.keys() == own.keys()
    assert all(torch.equal(weights[key], own[key]) for key in own)
    assert not [key for key in weights if "auxiliary" in key]
    assert load_actions(original).name == NAME
    assert is_built(original)
    assert not is_built(trained)


def test_a_folder_built_from_a_built_one_is_the_same_to_the_byte(original, tmp_path):
    assert read(build(original, tmp_path / "folder", repo_id=NAME)) == read(original)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_results_and_recipe_name_no_local_folder(run, tmp_path, monkeypatch):
    """And the recipe trains: the program reads it."""
    monkeypatch.setattr(publishing, "draw_figures", lambda actions, folder: [])
    results, recipe = (run / "all_results.json"), yaml.safe_load((run / "recipe.yaml").read_text())
    local = {"dataset": f"{tmp_path}/data/digits-copy", "output_dir": f"{tmp_path}/runs/x", "push_to_hub": True}
    local |= {"hub_model_id": "tester/other"}
    (run / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **local}))
    data = {**json.loads(results.read_text())["data"], "source": local["dataset"]}
    change_json(results, recipe={**recipe, **local}, data=data)
    baseline = Path(shutil.copytree(run, tmp_path / "baseline"))
    change_json(baseline / "all_results.json", recipe={**recipe, **local, "group_order": 1})

    for dataset, expected in ((None, "digits-copy"), ("user/digits", "user/digits")):
        folder = build(run, tmp_path / "made", dataset=dataset, dataset_note=NOTE, baseline=baseline)
        for path, content in read(folder).items():
            assert str(tmp_path).encode() not in content, path
        parsed = parse_arguments([str(folder / "recipe.yaml")])
        assert (parsed.run.dataset, parsed.run.output_dir, parsed.run.push_to_hub) == (expected, "runs/made", False)
        published = json.loads((folder / "all_results.json").read_text())
        assert published["recipe"]["dataset"] == published["data"]["source"] == expected
        assert published["data"]["note"] == NOTE
        assert json.loads((folder / "baseline_results.json").read_text())["recipe"]["dataset"] == expected


@pytest.mark.parametrize(
    ("recorded", "given", "published"),
    [
        ("digits", None, "digits"),
        ("ylecun/mnist", None, "ylecun/mnist"),
        ("ylecun/mnist", "ylecun/mnist", "ylecun/mnist"),
        ("../data/mnist", None, "mnist"),
        ("/data/mnist/", None, "mnist"),
        ("~/mnist", "ylecun/mnist", "ylecun/mnist"),
        ("rot-mnist:../data/mnist", None, "rot-mnist:mnist"),
        ("rot-mnist:../data/mnist", "ylecun/mnist", "rot-mnist:ylecun/mnist"),
        ("rot-mnist:../data/mnist", "rot-mnist:ylecun/mnist", "rot-mnist:ylecun/mnist"),
    ],
)
def test_data_have_a_name_that_means_something_elsewhere(recorded, given, published):
    assert publishing._public_dataset(recorded, given) == published


@pytest.mark.parametrize(
    ("recorded", "given", "message"),
    [
        ("uoft-cs/cifar10", "ylecun/mnist", "the run was trained on 'uoft-cs/cifar10'"),
        ("../data/mnist", "../data/mnist", "must be the id of a data set on the Hub"),
        ("../data/mnist", "", "must be the id of a data set on the Hub"),
    ],
)
def test_data_cannot_be_renamed_to_others(recorded, given, message):
    with pytest.raises(ValueError, match=message):
        publishing._public_dataset(recorded, given)


def damage(path: Path, how: str) -> None:
    """What can be wrong with a run, or with a built folder."""
    if how == "unfinished":
        (path / "all_results.json").unlink()
    elif how == "no weights":
        (path / "model.safetensors").unlink()
    elif how == "other config":
        change_json(path / "config.json", num_groups=3)
    elif how == "other recipe":
        recipe = yaml.safe_load((path / "recipe.yaml").read_text())
        (path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "filter_size": 5}))
    elif how == "other results":
        change_json(path / "all_results.json", parameters=7)
    elif how == "other processor":
        change_json(path / "preprocessor_config.json", size={"height": 9, "width": 9}, whitening="none")
    elif how == "other task":
        change_json(path / "config.json", architectures=["LGNModel"])
    elif how == "other weights":  # of the right shape
        tensors = load_file(path / "model.safetensors")
        tensors["lgn.action.weight"] *= 2
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    elif how == "NaN":
        tensors = load_file(path / "whitening.safetensors")
        next(iter(tensors.values())).view(-1)[0] = torch.nan
        save_file(tensors, path / "whitening.safetensors", metadata={"format": "pt"})
    elif how == "truncated":
        (path / "actions.safetensors").write_bytes((path / "actions.safetensors").read_bytes()[:50])
    elif how == "results are no JSON":
        (path / "all_results.json").write_text("{")
    elif how == "results are a list":
        (path / "all_results.json").write_text("[]")
    elif how == "extra file":
        (path / "notes.txt").write_text("mine")
    elif how == "link":
        (path / "figures/gallery.png").unlink()
        (path / "figures/gallery.png").symlink_to("spectra.png")
    elif how == "no figure":
        (path / "figures/gallery.png").unlink()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("unfinished", "holds no complete run .*--resume"),
        ("no weights", r"lacks model\.safetensors"),
        ("other config", r"recipe\.yaml are of different runs: num_groups is 3 and 2"),
        ("other recipe", r"recipe\.yaml are of different runs: filter_size is 3 and 5"),
        ("other results", r"model\.safetensors has .* parameters, the model of all_results\.json 7"),
        ("other processor", r"preprocessor_config\.json makes images \(1, 9\)"),
        ("other task", r"describes \['LGNModel'\]"),
        ("results are no JSON", r"all_results\.json is not JSON"),
        ("results are a list", r"all_results\.json is not what training/run\.py writes"),
    ],
)
def test_a_run_whose_files_do_not_belong_together_is_refused(run, tmp_path, how, message):
    damage(run, how)
    with pytest.raises(ValueError, match=message) as error:
        build(run, tmp_path / "made")
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("baseline", ["nowhere", "with groups", "other test images"])
def test_a_baseline_is_a_run_without_groups_on_the_same_data(run, tmp_path, baseline):
    messages = {
        "nowhere": "neither",
        "with groups": "group_order 2: must be 1",
        "other test images": "must be the same",
    }
    other = tmp_path / "other.json"
    results = json.loads((run / "all_results.json").read_text())
    if baseline != "nowhere":
        order = 2 if baseline == "with groups" else 1
        other.write_text(
            json.dumps({**results, "recipe": {**results["recipe"], "group_order": order}, "data": {"test": 1}})
        )
    with pytest.raises(ValueError, match=messages[baseline]):
        build(run, tmp_path / "made", baseline=other)


@pytest.mark.parametrize("held", ["a file", "foreign files", "a run", "a built folder and a note"])
def test_only_what_was_built_is_replaced(trained, original, tmp_path, held):
    target = tmp_path / "target"
    if held == "a file":
        target.write_text("mine")
    elif held == "foreign files":
        target.mkdir()
        (target / "README.md").write_text("mine")
    else:
        shutil.copytree(trained if held == "a run" else original, target)
        (target / "notes.txt").write_text("mine")
    before = read(target) if target.is_dir() else target.read_text()
    with pytest.raises(ValueError, match="is not a folder made by publishing"):
        build(trained, target)
    assert before == (read(target) if target.is_dir() else target.read_text())


def test_a_build_that_fails_leaves_what_was_there(trained, folder, tmp_path, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(publishing, "draw_figures", lambda actions, folder: [])
    monkeypatch.setattr(publishing, "write_card", full)
    before = read(folder)
    with pytest.raises(OSError, match="No space left"):
        build(trained, folder)
    assert read(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


# Validation


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no weights", r"it lacks model\.safetensors"),
        ("other weights", r"actions\.safetensors does not hold the actions of model\.safetensors"),
        ("NaN", r"whitening\.safetensors holds numbers that are not finite"),
        ("truncated", r"actions\.safetensors is damaged"),
        ("extra file", "holds more than that"),
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
def test_the_folder_answers_alike_with_the_package_and_without(folder, caplog, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with caplog.at_level("INFO", "lgn_hf.hub"):
        validate(folder)
    assert f"{len(contents(folder))} files, {sum(contents(folder).values()) / 1e6:.2f} MB" in caplog.text


@pytest.mark.slow
def test_a_folder_whose_own_code_answers_otherwise_is_refused(folder):
    code = folder / "image_processing_lgn.py"
    code.write_text(code.read_text().replace("images.float() / 255", "images.float() / 256"))
    with pytest.raises(ValueError, match="answers otherwise with its own code than with lgn_hf: pixels of an image"):
        validate(folder)


# Publishing


def uploads(hub) -> list[str]:
    return [request["path"] for request in hub.requests() if request["method"] == "PUT"]


def wait(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s for nothing")


def test_publishing_is_one_commit_and_the_same_again_is_none(folder, hub_here, caplog):
    url = publish(folder, NAME, pause=wait)
    first, initial = hub_here.commits(NAME)
    assert url == f"{hub_here.url}/{NAME}/commit/{first}"
    files = hub_here.files(NAME)
    assert {path: content for path, content in files.items() if path != ".gitattributes"} == read(folder)
    hub_here.forget()
    with caplog.at_level("INFO", "lgn_hf.hub"):
        assert publish(folder, NAME, pause=wait) == url
    assert "is up to date" in caplog.text
    assert hub_here.commits(NAME) == [first, initial]
    assert not uploads(hub_here)


def test_only_what_differs_is_uploaded_and_only_what_is_ours_goes(folder, hub_here):
    """An older publication had another figure and a baseline; its owner has added files."""
    (folder / "figures" / "older.png").write_bytes(b"older")
    shutil.copy(folder / "all_results.json", folder / "baseline_results.json")
    publish(folder, NAME, pause=wait)
    theirs = {"notes.md": b"mine", "handler.py": b"mine", "figures/nested/mine.png": b"mine", "LICENSE": b"mine"}
    for path, content in theirs.items():
        HfApi().upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=NAME)
    (folder / "figures" / "older.png").unlink()
    (folder / "baseline_results.json").unlink()
    (folder / "figures" / "gallery.png").write_bytes(b"newer")
    hub_here.forget()
    before = len(hub_here.commits(NAME))
    publish(folder, NAME, pause=wait)
    assert len(hub_here.commits(NAME)) == before + 1
    files = hub_here.files(NAME)
    assert {path: files[path] for path in theirs} == theirs
    assert files.keys() == {*contents(folder), *theirs, ".gitattributes"}
    assert sum(request["received"] for request in hub_here.requests()) < 100_000
    assert len(uploads(hub_here)) == 1  # the figure's, not the weights'


def test_a_private_model_stays_private(folder, hub_here):
    publish(folder, NAME, private=True, pause=wait)
    assert HfApi().model_info(NAME).private
    publish(folder, NAME, private=True, pause=wait)
    HfApi().create_repo("tester/public")
    with pytest.raises(ValueError, match="tester/public is public"):
        publish(folder, "tester/public", private=True, pause=wait)
    assert len(hub_here.commits("tester/public")) == 1


def test_a_branch_is_made_and_main_is_left_alone(folder, hub_here):
    for _ in range(2):
        publish(folder, NAME, revision="v1", pause=wait)
    assert len(hub_here.commits(NAME)) == 1
    assert len(hub_here.commits(NAME, revision="v1")) == 2


def test_a_pull_request_leaves_main_alone(folder, hub_here):
    url = publish(folder, NAME, create_pr=True, pause=wait)
    assert url == f"{hub_here.url}/{NAME}/discussions/1"
    assert len(hub_here.commits(NAME)) == 1
    assert len(hub_here.commits(NAME, revision="refs/pr/1")) == 2
    publish(folder, NAME, revision="refs/pr/1", pause=wait)
    assert len(hub_here.commits(NAME, revision="refs/pr/1")) == 2


def test_a_model_is_added_to_a_collection_once(folder, hub_here):
    for _ in range(2):
        publish(folder, NAME, collection="tester/Linear groups", pause=wait)
    collections = {request["path"] for request in hub_here.requests() if request["path"].endswith("/items")}
    slug = collections.pop().removeprefix("/api/collections/").removesuffix("/items")
    assert not collections
    assert [item.item_id for item in HfApi().get_collection(slug).items] == [NAME]
    publish(folder, "tester/second", collection=slug, pause=wait)
    assert [item.item_id for item in HfApi().get_collection(slug).items] == [NAME, "tester/second"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("config.json", b'{"model_type": "bert"}', "it holds a model of type 'bert', no LGN"),
        ("config.json", b"[", "it holds a model of type 'unknown', no LGN"),
        ("data.csv", b"1,2", r"it holds other files \(\.gitattributes, data\.csv, \.\.\.\), no LGN"),
    ],
)
def test_a_name_that_something_else_has_is_refused(folder, hub_here, path, content, message):
    HfApi().create_repo(NAME)
    HfApi().upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=NAME)
    with pytest.raises(ValueError, match=f"{NAME} is taken: {message}"):
        publish(folder, NAME, pause=wait)
    assert len(hub_here.commits(NAME)) == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a/b/c", {}, "repo_id='a/b/c': must be USER/NAME"),
        (NAME, {"create_pr": True, "revision": "v1"}, "a pull request is always against main"),
        (NAME, {"collection": "Linear groups"}, "must be a slug, or USER/TITLE"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_sent(folder, hub_here, name, options, message):
    with pytest.raises(ValueError, match=message):
        publish(folder, name, **options)
    assert not hub_here.requests()


def failed(folder: Path, name: str = NAME, **options) -> str:
    """The message of a publication that fails: one line, no token, and the command that continues it at its end."""
    with pytest.raises(PublishError) as error:
        publish(folder, name, **{"pause": lambda seconds: None, **options})
    message = str(error.value)
    assert "\n" not in message
    assert "hf_test" not in message
    assert error.value.__cause__ is None  # nor in a traceback
    before, command = message.split("lgn-hf publish ")
    assert command.startswith(f"{folder} {name}")
    return before


@pytest.mark.parametrize(
    ("method", "path", "fault", "message"),
    [
        ("POST", "/api/repos/create", {"status": 401}, r"does not accept your token \(401\)"),
        ("POST", "/api/repos/create", {"status": 500}, r"out of order \(500\)"),
        ("POST", "/api/repos/create", {"drop_after_bytes": 0}, "connection to the Hub broke off"),
        ("POST", "/api/validate-yaml", {"status": 502, "body": "<html>"}, "cannot be read|out of order"),
        ("POST", "/commit/main", {"status": 401}, r"does not accept your token \(401\)"),
        ("POST", "/commit/main", {"status": 403}, r"may not write to tester/lgn-digits \(403\)"),
        ("POST", "/commit/main", {"status": 404}, r"knows no tester/lgn-digits \(404\)"),
        ("POST", "/commit/main", {"status": 409}, r"taken, or being changed at this moment \(409\)"),
        ("POST", "/commit/main", {"status": 412}, r"changed by someone else during the upload \(412\)"),
        ("POST", "/commit/main", {"status": 418, "body": "hf_test_write\nno"}, r"refused \(418"),
        ("POST", "/commit/main", {"status": 503}, r"out of order \(503\)"),
        ("POST", "/commit/main", {"status": 429, "headers": {"Retry-After": "7"}}, r"\(429\): wait 7 seconds"),
        ("POST", "/commit/main", {"drop_after_bytes": 2000}, "connection to the Hub broke off"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_each_failure_is_one_clear_message_and_the_command_continues(folder, hub_here, method, path, fault, message):
    before = read(folder)
    hub_here.fail(method, path, times=100, **fault)
    assert re.search(message, failed(folder))
    assert read(folder) == before
    hub_here.reset_faults()
    publish(folder, NAME, pause=wait)
    assert len(hub_here.commits(NAME)) == 2


def test_a_name_of_somebody_else_cannot_be_used(folder, hub_here):
    assert "(403)" in failed(folder, "other/model")


def test_without_a_token_nothing_is_sent(folder, hub_here, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert "not logged in to the Hub" in failed(folder)
    assert not hub_here.requests()


def test_a_token_is_not_published(folder, hub_here):
    (folder / "README.md").write_text((folder / "README.md").read_text() + f"\n{hub_here.token}\n")
    with pytest.raises(ValueError, match=r"README\.md holds your token"):
        publish(folder, NAME)
    assert not hub_here.requests()


def test_a_collection_that_fails_says_that_the_model_is_published(folder, hub_here):
    hub_here.fail("POST", "/api/collections", times=100, status=403)
    message = failed(folder, collection="tester/Groups")
    assert message.startswith(f"published at {hub_here.url}/{NAME}/commit/")
    assert "but not in tester/Groups" in message


@pytest.mark.parametrize(
    ("fault", "pauses"),
    [
        ({"status": 503}, [1, 2]),
        ({"status": 429, "headers": {"Retry-After": "5"}}, [5, 5]),
        ({"drop_after_bytes": 100}, [1, 2]),
    ],
    ids=["503", "429", "dropped"],
)
@pytest.mark.parametrize("path", ["/api/repos/create", "/commit/main"])
def test_what_passes_is_waited_for(folder, hub_here, path, fault, pauses):
    waited = []
    hub_here.fail("POST", path, times=2, **fault)
    publish(folder, NAME, pause=waited.append)
    assert waited == pauses
    assert len(hub_here.commits(NAME)) == 2


def test_a_connection_that_drops_in_the_middle_of_the_weights_is_taken_up_again(folder, hub_here):
    hub_here.fail("PUT", "/_lfs/", drop_after_bytes=1000)
    publish(folder, NAME, pause=lambda seconds: None)
    assert hub_here.files(NAME)["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert len(hub_here.commits(NAME)) == 2


def test_a_commit_whose_answer_is_lost_is_not_made_twice(folder, hub_here):
    waited = []
    hub_here.fail("POST", "/commit/main", cut_after_bytes=0)
    publish(folder, NAME, pause=waited.append)
    assert waited == [1]
    assert len(hub_here.commits(NAME)) == 2


def test_a_pull_request_whose_answer_is_lost_is_not_opened_twice(folder, hub_here):
    hub_here.fail("POST", "/commit/main", cut_after_bytes=0)
    assert "broke off" in failed(folder, create_pr=True, pause=wait)
    with pytest.raises(Exception, match=r"404"):
        hub_here.commits(NAME, revision="refs/pr/2")


@pytest.mark.slow
def test_a_publication_killed_before_its_commit_is_continued_without_uploading_again(folder, hub_here):
    hub_here.fail("POST", "/commit/main", delay=600)
    script = f"from lgn_hf.hub import publish; publish({str(folder)!r}, {NAME!r})"
    process = hub_here.start(["-c", script])
    deadline = time.monotonic() + 120
    while not any("/commit/" in request["path"] for request in hub_here.requests()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert uploads(hub_here)
    assert len(hub_here.commits(NAME)) == 1
    hub_here.reset_faults()
    hub_here.forget()
    publish(folder, NAME, pause=wait)
    assert len(hub_here.commits(NAME)) == 2
    assert not uploads(hub_here)


# Waiting


class Clock:
    def __init__(self):
        self.now, self.pauses = 0.0, []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def unreachable():
    raise ConnectionError("no route")


@pytest.mark.parametrize(
    ("options", "pauses"),
    [({}, [1, 2, 4, 8]), ({"attempts": 3}, [1, 2]), ({"total": 6}, [1, 2]), ({"once": True}, [])],
)
def test_waiting_ends(options, pauses):
    clock = Clock()
    with pytest.raises(ConnectionError):
        retry(unreachable, pause=clock.pause, clock=clock, **options)
    assert clock.pauses == pauses


def test_what_waiting_does_not_help_is_not_tried_again():
    clock, calls = Clock(), []

    def wrong():
        calls.append(1)
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        retry(wrong, pause=clock.pause, clock=clock)
    assert (len(calls), clock.pauses) == (1, [])
