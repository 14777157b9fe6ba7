"""The command `lgn-hf`: each subcommand does what its function does, and whatever is wrong is one line and exit code 1."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import torch
from huggingface_hub import HfApi, constants
from PIL import Image

from lgn_hf import (
    LGNForImageClassification,
    LGNForImageReconstruction,
    LGNImageProcessor,
    cli,
    load_actions,
)
from lgn_hf.actions import compare
from lgn_hf.hub import atlas, cards, permission, publication, upload
from lgn_hf.hub.errors import PublishError
from lgn_hf.image_files import find_images
from lgn_hf.prediction import Prediction, predict
from lgn_hf.texts import one_line
from tests.conftest import ROOT
from tests.support.networks import make_used_model

LABELS = {0: "zero", 1: "one", 2: "[red]two", 3: "three\x1b[2J"}


class Result(NamedTuple):
    code: int
    out: str
    error: str


@pytest.fixture
def lgn(monkeypatch, capsys) -> Callable[..., Result]:
    """The command, as the console script calls it."""
    for name in (*cli.QUIET, "LGN_HF_TRACEBACK"):  # what the command sets ends with the test
        monkeypatch.setenv(name, cli.QUIET.get(name, ""))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: Any) -> Result:
        monkeypatch.setattr(sys, "argv", ["lgn-hf", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, error = capsys.readouterr()
        if isinstance(end.value.code, str):  # what Python prints when it ends
            return Result(1, out, f"{error}{end.value.code}\n")
        return Result(int(end.value.code or 0), out, error)

    return call


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Folders of tiny models: classifier, other, reconstruction, backbone."""
    folder = tmp_path_factory.mktemp("models")
    heads = {
        "classifier": "classification",
        "other": "classification",
        "decoder": "reconstruction",
        "backbone": "base",
    }
    for seed, (name, head) in enumerate(heads.items()):
        make_used_model("learned", head, seed, id2label=LABELS).float().save_pretrained(folder / name)
        LGNImageProcessor(image_size=7).save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{i}.png" for i in range(3)]
    for path in paths:
        Image.fromarray(torch.randint(0, 256, (9, 9), dtype=torch.uint8).numpy()).save(path)
    return paths


def load(folder: Path) -> LGNForImageClassification:
    return cast(LGNForImageClassification, LGNForImageClassification.from_pretrained(folder))


def check_error(result: Result, *fragments: str) -> None:
    assert result.code == 1
    assert result.error.startswith("lgn-hf: ")
    assert result.error.count("\n") == 1
    assert "Traceback" not in result.error
    for fragment in fragments:
        assert fragment in result.error


class TestHelp:
    def test_lists_the_commands(self, lgn):
        result = lgn("--help")
        assert result.code == 0
        assert re.findall(r"^  (\w+)  ", result.out, re.M) == [
            "actions",
            "atlas",
            "card",
            "compare",
            "discover",
            "export",
            "predict",
            "publish",
        ]

    @pytest.mark.parametrize(
        "command", ["publish", "card", "actions", "predict", "compare", "atlas", "discover", "export"]
    )
    def test_names_the_functions_behind_a_command(self, lgn, command):
        text = " ".join(lgn(command, "--help").out.split())
        names = re.findall(r"(lgn_hf[\w.]*)\.(\w+)", text)
        assert names
        for module, function in names:
            assert callable(getattr(import_module(module), function)), f"{module}.{function}"

    def test_is_fast(self):
        """It imports none of what takes long."""
        script = """
import sys
from lgn_hf import cli
sys.argv = ["lgn-hf", "--help"]
try:
    cli.main()
except SystemExit:
    slow = {"torch", "numpy", "transformers", "huggingface_hub", "matplotlib", "datasets", "rich"}
    sys.exit(", ".join(sorted(slow & {name.partition(".")[0] for name in sys.modules})) or 0)
"""
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "publish" in done.stdout


class TestErrors:
    def test_of_usage_have_code_2(self, lgn):
        assert lgn("predict").code == 2
        assert lgn("nothing").code == 2

    def test_are_one_line_without_control_characters(self, lgn, monkeypatch):
        def fail(*_):
            raise ValueError("first\nsecond \x1b[2J")

        monkeypatch.setattr(cards, "write_card", fail)
        assert lgn("card", "x") == Result(1, "", "lgn-hf: first second [2J\n")

    @pytest.mark.parametrize("kind", [OSError, RuntimeError, RecursionError, PublishError])
    def test_of_every_expected_kind(self, lgn, monkeypatch, kind):
        def fail(*_):
            raise kind("reason")

        monkeypatch.setattr(cards, "write_card", fail)
        check_error(lgn("card", "x"), "reason")

    def test_show_where_on_demand(self, monkeypatch):
        monkeypatch.setenv("LGN_HF_TRACEBACK", "1")
        monkeypatch.setattr(sys, "argv", ["lgn-hf", "card", "nowhere"])
        with pytest.raises(SystemExit, match=r"Traceback[\s\S]*FileNotFoundError: nowhere has no config\.json"):
            cli.main()

    def test_show_on_demand_what_is_behind_them_without_tokens(self, monkeypatch):
        """Errors of one line are raised `from None`; the traceback once left out what they come from."""

        def fail(*_):
            try:
                raise KeyError(f"the cause, with hf_{'a' * 34}")
            except KeyError:
                raise PublishError("one line") from None

        monkeypatch.setenv("LGN_HF_TRACEBACK", "1")
        monkeypatch.setattr(sys, "argv", ["lgn-hf", "card", "nowhere"])
        monkeypatch.setattr(cards, "write_card", fail)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert re.search(r"the cause, with hf_\.\.\.'[\s\S]*PublishError: one line", str(end.value.code))

    def test_of_a_model_that_is_nowhere(self, lgn):
        check_error(lgn("compare", "no/where", "x"), "no/where is neither a folder nor a repository that can be read")
        for place in ("./a", "a/b/c", "../a", "/a/b"):  # the Hub need not be asked
            message = f"{place} is neither a folder nor the name of a repository: must be a folder, or USER/NAME"
            check_error(lgn("actions", place), message)
            check_error(lgn("predict", place, __file__), message)

    def test_of_arguments_come_before_slow_imports(self, tmp_path):
        image = str(ROOT / "docs" / "images" / "atlas.png")
        arguments = [
            ["publish", "runs/x", "a/b"],  # without a login
            ["publish", "runs/x", "a/b/c"],
            ["publish", "runs/x", "a/b", "--example", "nope.png"],
            ["publish", "runs/x", "a/b", "--onnx", "--quantize", "int8"],
            ["predict", "a/b/c", image],
            ["predict", "a/b", "nope.png"],
            ["predict", "a/b", image, "--output", "a.txt"],
            ["predict", "a/b", str(tmp_path)],
            ["compare", "a/b", "a/b/c"],
            ["actions", "a/b", "a/b/c"],
            ["actions", "a/b", "--push", "a/b/c"],
            ["actions", "a/b", "--push", "a/b", "--lab", "a/b/c"],
            ["atlas", "a/b/c"],
            ["atlas", "a/b", "--push", "a/b"],
            ["atlas", "a/b", "--push", "a/b/c"],
        ]
        script = """
import json, sys
from lgn_hf import cli
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["lgn-hf", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        print(json.dumps([arguments, end.code, sorted({"torch", "transformers", "matplotlib", "datasets"} & {*sys.modules})]))
"""
        command = [sys.executable, "-c", script, json.dumps(arguments)]
        environment = {**os.environ, "HF_HOME": str(tmp_path)}
        environment.pop("HF_TOKEN", None)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.stderr == ""
        for each, line in zip(arguments, done.stdout.splitlines(), strict=True):
            given, message, slow = json.loads(line)
            assert (given, slow) == (each, [])
            assert message.startswith("lgn-hf: ")

    @pytest.mark.parametrize(
        ("package", "arguments"),
        [("matplotlib", ["card", "x"]), ("datasets", ["actions", "MODEL", "--push", "a/b"])],
    )
    @pytest.mark.slow
    def test_of_a_missing_package_name_what_installs_it(self, models, package, arguments):
        script = "import sys; from lgn_hf import cli; sys.modules[sys.argv.pop(1)] = None; cli.main()"
        arguments = [str(models / "classifier") if word == "MODEL" else word for word in arguments]
        done = subprocess.run(
            [sys.executable, "-c", script, package, *arguments], cwd=ROOT, capture_output=True, text=True
        )
        check_error(
            Result(done.returncode, done.stdout, done.stderr),
            f"this command needs {package}: pip install 'lgn-hf[hub]'",
        )


class TestPublish:
    @pytest.fixture
    def calls(self, monkeypatch, tmp_path) -> list[tuple]:
        """The calls of the functions behind the command; the first makes a folder of three files."""
        calls: list[tuple] = []

        def prepare(folder, repo_id, target, **options):
            calls.append(("prepare", folder, repo_id, target, options))
            (tmp_path / "built" / "figures").mkdir(parents=True)
            for name, size in {"README.md": 10, "config.json": 2000, "figures/gallery.png": 30}.items():
                (tmp_path / "built" / name).write_bytes(b"x" * size)
            return tmp_path / "built"

        def publish(folder, repo_id, **options):
            calls.append(("publish", folder, repo_id, options))
            return "https://hub/commit"

        def check_can_publish(repo_id, repo_type, **options):
            calls.append(("check", repo_id, repo_type, options))

        monkeypatch.setattr(permission, "check_can_publish", check_can_publish)
        monkeypatch.setattr(publication, "prepare", prepare)
        monkeypatch.setattr(publication, "validate", lambda folder: calls.append(("validate", folder)))
        monkeypatch.setattr(upload, "publish", publish)
        return calls

    def test_builds_validates_and_uploads(self, lgn, calls, images, tmp_path):
        result = lgn(
            "publish", tmp_path, "me/model", "--private", "--revision", "v1", "--collection", "me/lgn", "--create_pr",
            "--onnx", "--quantize", "float16", "--test-data", "digits", "--lab", "me/atlas", "--dataset", "ylecun/mnist", "--dataset-note", "a copy", "--baseline", "runs/free", "--example", images[0], "--example", images[1],
        )  # fmt: skip
        assert result == Result(0, "https://hub/commit\n", "")
        built = tmp_path / "built"
        about = {"dataset": "ylecun/mnist", "dataset_note": "a copy", "baseline": Path("runs/free")}
        about |= {"examples": (str(images[0]), str(images[1])), "onnx": True, "lab": "me/atlas"}
        about |= {"quantize": ("float16",), "test_data": "digits"}
        where = {"private": True, "revision": "v1", "collection": "me/lgn", "create_pr": True}
        assert calls == [
            ("check", "me/model", "model", {"private": True}),
            ("prepare", tmp_path, "me/model", None, about),
            ("validate", built),
            ("publish", built, "me/model", where),
        ]

    @pytest.mark.parametrize("option", ["--dry-run", "--dry_run"])
    def test_shows_the_folder_and_stops(self, lgn, calls, tmp_path, option):
        result = lgn("publish", tmp_path, "me/model", option, "--folder", tmp_path / "elsewhere")
        assert [name for name, *_ in calls] == ["prepare", "validate"]
        about = dict.fromkeys(
            ("dataset", "dataset_note", "baseline", "examples", "onnx", "quantize", "test_data", "lab")
        )
        assert calls[0][1:] == (tmp_path, "me/model", tmp_path / "elsewhere", about)
        assert [line.split() for line in result.out.splitlines()] == [
            [f"{tmp_path / 'built'}/"],
            ["README.md", "10"],
            ["config.json", "2,000"],
            ["figures/"],
            ["gallery.png", "30"],
            ["total", "2,040", "bytes"],
        ]

    def test_says_what_is_no_run(self, lgn, tmp_path):
        check_error(lgn("publish", tmp_path, "me/model", "--dry-run"), f"{tmp_path} holds no run of training/run.py")

    def test_asks_for_the_login_before_it_builds(self, lgn, calls, tmp_path, monkeypatch):
        def refuse(*_, **__):
            raise PublishError("not logged in")

        monkeypatch.setattr(permission, "check_can_publish", refuse)
        check_error(lgn("publish", tmp_path, "me/model"), "not logged in")
        assert not calls


def test_card(lgn, monkeypatch):
    monkeypatch.setattr(cards, "write_card", lambda folder, repo_id: folder / f"README of {repo_id}")
    assert lgn("card", "built", "--repo_id", "me/model").out == "built/README of me/model\n"
    assert lgn("card", "built").out == "built/README of None\n"


class TestActions:
    @pytest.mark.parametrize("option", ["--output_dir", "--output-dir"])
    @pytest.mark.slow
    def test_are_extracted(self, lgn, models, tmp_path, option):
        result = lgn("actions", models / "classifier", models / "decoder", option, tmp_path / "out", "--top", 3)
        assert result.code == 0, result.error
        for name in ("classifier", "decoder"):
            folder = tmp_path / "out" / name
            kind = LGNForImageClassification if name == "classifier" else LGNForImageReconstruction
            model: Any = kind.from_pretrained(models / name)
            assert torch.equal(load_actions(folder).matrices, model.actions().matrices)
            assert (folder / "actions.csv").is_file()
            assert (folder / "figures" / "gallery.png").is_file()
        assert len(re.findall(r"^│ (classifier|decoder) ", result.out, re.M)) == 3

    def test_are_shown_without_being_written(self, lgn, models, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "the most structured actions" in lgn("actions", models / "classifier").out
        assert not list(tmp_path.iterdir())

    def test_cannot_write_to_the_terminal(self, lgn, models, tmp_path):
        actions = make_used_model("learned").actions()
        actions.save(tmp_path / "evil")
        path = tmp_path / "evil" / "actions.json"
        document = json.loads(path.read_text())
        document["actions"][0]["label"] = "[red]\x1b[2J\x1b]0;owned\x07"
        path.write_text(json.dumps(document))
        result = lgn("actions", tmp_path / "evil", "--top", 1)
        assert result.code == 0
        assert "\x1b" not in result.out
        assert "[red] [2J ]0;owned" in result.out

    def test_are_of_models_with_different_names(self, lgn, models, tmp_path):
        again = tmp_path / "classifier"
        make_used_model("learned").actions().save(again)
        check_error(
            lgn("actions", models / "classifier", again, "--output_dir", tmp_path / "out"), "the name of two models"
        )

    def test_are_published(self, lgn, models, hub_here, tmp_path):
        classifier = shutil.copytree(models / "classifier", tmp_path / "classifier")
        (classifier / "all_results.json").write_text('{"recipe": {"dataset": "digits", "task": "classification"}}')
        result = lgn("actions", classifier, models / "other", "--push", "tester/actions", "--lab", "tester/atlas")
        assert result.code == 0, result.error
        assert result.out.splitlines()[-1] == f"{hub_here.url}/datasets/tester/actions"
        files = hub_here.files("tester/actions", "dataset")
        assert b'load_dataset("tester/actions"' in files["README.md"]
        assert b"(https://tester-atlas.static.hf.space/lab.html#model=classifier)" in files["README.md"]
        assert "data/train-00000-of-00001.parquet" in files


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestNoCommandWritesIntoAForeignFolder:
    """Each of these once replaced files of the user, or put its own among them, with exit code 0."""

    @pytest.fixture
    def foreign(self, models, tmp_path) -> Path:
        """A folder that holds a model with a README of its own, and beside it a project."""
        folder = tmp_path / "project"
        shutil.copytree(models / "classifier", folder / "classifier")
        for path in (folder / "README.md", folder / "classifier" / "README.md"):
            path.write_text("mine")
        return folder

    @pytest.mark.parametrize("place", [".", "classifier"])
    def test_atlas(self, lgn, models, foreign, place):
        before = snapshot(foreign)
        result = lgn("atlas", models / "other", "--output_dir", foreign / place)
        check_error(result, "holds something else than earlier output of this command", "README.md", "new or empty")
        assert snapshot(foreign) == before

    def test_atlas_over_a_page_and_a_card_of_somebody_else(self, lgn, models, tmp_path):
        for name in ("index.html", "README.md"):
            (tmp_path / name).write_text("mine")
        check_error(lgn("atlas", models / "other", "--output_dir", tmp_path), "(README.md, index.html)")
        assert (tmp_path / "index.html").read_text() == "mine"

    def test_atlas_of_which_a_file_was_added(self, lgn, models, tmp_path):
        assert lgn("atlas", models / "other", "--output_dir", tmp_path).code == 0
        (tmp_path / "notes.txt").write_text("mine")
        check_error(lgn("atlas", models / "other", "--output_dir", tmp_path), "(notes.txt)")

    def test_actions(self, lgn, models, foreign):
        before = snapshot(foreign)
        result = lgn("actions", models / "classifier", "--output_dir", foreign)
        check_error(result, "holds something else than earlier output of this command", "README.md")
        assert snapshot(foreign) == before

    def test_actions_in_the_model_s_own_folder(self, lgn, foreign):
        (foreign / "README.md").unlink()
        before = snapshot(foreign)
        check_error(lgn("actions", foreign / "classifier", "--output_dir", foreign), "classifier/README.md")
        assert snapshot(foreign) == before

    @pytest.mark.slow
    def test_actions_over_their_own(self, lgn, models, tmp_path):
        for name in ("classifier", "classifier", "other"):
            result = lgn("actions", models / name, "--output_dir", tmp_path / "out")
            assert result.code == 0, result.error
        (tmp_path / "out" / "other" / "figures" / "notes.txt").write_text("mine")
        check_error(lgn("actions", models / "other", "--output_dir", tmp_path / "out"), "other/figures/notes.txt")

    @pytest.mark.slow
    def test_the_data_set_of_actions(self, lgn, models, tmp_path, hub_here):
        data = tmp_path / "dataset" / "data" / "train-00000-of-00001.parquet"
        data.parent.mkdir(parents=True)
        data.write_text("mine")
        call = ("actions", models / "other", "--output_dir", tmp_path, "--push", "tester/actions")
        check_error(lgn(*call), "holds something else than earlier output of this command")
        assert data.read_text() == "mine"

    def test_card(self, lgn, foreign):
        check_error(lgn("card", foreign / "classifier"), "README.md is not the card of an LGN")
        assert (foreign / "classifier" / "README.md").read_text() == "mine"


class TestPredict:
    def test_gives_the_models_probabilities(self, models, images):
        model = load(models / "classifier")
        processor = LGNImageProcessor.from_pretrained(models / "classifier")
        with torch.no_grad():
            pixels = processor([Image.open(path) for path in images], return_tensors="pt").pixel_values
            expected = model.eval()(pixels).logits.softmax(-1)
        found = predict(models / "classifier", images, top=10)
        assert len(found) == 3
        for row, predictions in zip(expected, found, strict=True):
            assert [p.label for p in predictions] == [LABELS[i] for i in row.argsort(descending=True).tolist()]
            assert [p.probability for p in predictions] == pytest.approx(
                row.sort(descending=True).values.tolist(), abs=1e-5
            )

    def test_gives_the_same_for_many_images(self, models, images):
        assert predict(models / "classifier", [images[0]] * 70, top=1)[-1] == pytest.approx(
            predict(models / "classifier", images[:1], top=1)[0]
        )

    def test_prints_a_table(self, lgn, models, images, monkeypatch):
        from lgn_hf import prediction

        answer = [[Prediction("[red]two", 0.75), Prediction("three\x1b[2J", 0.25)]] * 2
        monkeypatch.setattr(prediction, "predict", lambda model, images, **options: answer)
        result = lgn("predict", models / "classifier", "a.png", "b.png", "--top", 2)
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines() if "│" in line]
        assert cells == [
            ["a.png", "[red]two", "75.00%"],
            ["", "three [2J", "25.00%"],
            ["b.png", "[red]two", "75.00%"],
            ["", "three [2J", "25.00%"],
        ]

    @pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\nxxxx"])
    def test_names_an_image_that_cannot_be_read(self, lgn, models, images, tmp_path, content):
        (tmp_path / "broken.png").write_bytes(content)
        result = lgn("predict", models / "classifier", images[0], tmp_path / "broken.png")
        check_error(result, f"{tmp_path / 'broken.png'} cannot be read as an image")

    def test_names_an_image_that_is_a_bomb(self, lgn, models, tmp_path):
        Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
        check_error(lgn("predict", models / "classifier", tmp_path / "bomb.png"), "bomb.png cannot be read", "bomb")

    def test_names_an_image_that_is_not_there(self, lgn, models, tmp_path):
        check_error(lgn("predict", models / "classifier", "nowhere.png"), "nowhere.png is not a file")
        check_error(lgn("predict", models / "classifier", tmp_path), f"the folder {tmp_path} holds no image")

    def test_names_what_is_not_a_model(self, lgn, images, tmp_path):
        check_error(lgn("predict", tmp_path, images[0]), f"{tmp_path} is not a model: it has no config.json")

    def test_goes_on_after_images_that_cannot_be_read(self, lgn, models, images, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"no image")
        result = lgn(
            "predict", models / "classifier", "nowhere.png", images[0], tmp_path / "broken.png", images[1], "--top", 1
        )
        assert result.code == 1
        first, second = result.error.splitlines()
        assert first.startswith("lgn-hf: nowhere.png is not a file")
        assert second.startswith(f"lgn-hf: {tmp_path / 'broken.png'} cannot be read as an image")
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines() if "│" in line]
        alone = predict(models / "classifier", images[:2], top=1)
        assert [row[:2] for row in cells] == [[str(images[i]), one_line(alone[i][0].label)] for i in range(2)]

    def test_raises_in_python_unless_it_is_told_who_listens(self, models, images, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"no image")
        given, said = [tmp_path / "broken.png", images[0]], []
        with pytest.raises(ValueError, match=r"broken\.png cannot be read as an image"):
            predict(models / "classifier", given)
        found = predict(models / "classifier", given, on_error=lambda image, error: said.append(image))
        assert found == [[], *predict(models / "classifier", images[:1])]
        assert said == [str(tmp_path / "broken.png")]

    def test_reads_the_images_in_folders(self, lgn, models, images, tmp_path):
        (tmp_path / "b" / ".thumbnails").mkdir(parents=True)
        for name in ("z.PNG", "b/a.jpg", "b/.thumbnails/a.png"):
            Image.open(images[0]).convert("L").save(tmp_path / name)
        (tmp_path / "labels.csv").write_text("not an image")
        assert find_images([tmp_path, "https://host/a.png"]) == [
            str(tmp_path / "b" / "a.jpg"), str(tmp_path / "z.PNG"), "https://host/a.png"
        ]  # fmt: skip
        result = lgn("predict", models / "classifier", tmp_path, "--top", 1)
        assert result.code == 0
        assert [line for line in result.out.splitlines() if "labels.csv" in line or ".thumbnails" in line] == []
        assert result.out.count("%") == 2

    @pytest.mark.parametrize("ending", ["json", "csv"])
    def test_writes_a_file(self, lgn, models, images, tmp_path, ending):
        (tmp_path / "broken.png").write_bytes(b"no image")
        output = tmp_path / f"labels.{ending}"
        for code, given in (
            (0, images[:2]),
            (1, [images[0], tmp_path / "broken.png"]),
        ):  # the second replaces the first
            result = lgn("predict", models / "classifier", *given, "--top", 2, "--output", output)
            assert (result.code, result.out) == (code, f"{output}\n")
        [best, second] = predict(models / "classifier", images[:1], top=2)[0]
        if ending == "json":
            first, failed = json.loads(output.read_text())
            assert first == {"image": str(images[0]), "predictions": [asdict(best), asdict(second)]}
            assert failed["image"] == str(tmp_path / "broken.png")
            assert "cannot be read as an image" in failed["error"]
        else:
            with open(output, newline="") as file:
                rows = list(csv.DictReader(file))
            assert [row["rank"] for row in rows] == ["1", "2", ""]
            assert (rows[0]["label"], float(rows[0]["probability"])) == (best.label, best.probability)
            assert "cannot be read as an image" in rows[2]["error"]

    @pytest.mark.parametrize("name", ["labels.txt", "nowhere/labels.csv", "mine.csv", "mine.json"])
    def test_writes_over_nothing_but_earlier_predictions(self, lgn, models, images, tmp_path, name):
        for file in ("mine.csv", "mine.json"):
            (tmp_path / file).write_text("mine")
        check_error(
            lgn("predict", models / "classifier", images[0], "--output", tmp_path / name), f"--output {tmp_path}"
        )
        assert (tmp_path / "mine.csv").read_text() == (tmp_path / "mine.json").read_text() == "mine"

    @pytest.mark.parametrize(
        ("name", "kind"), [("decoder", "LGNForImageReconstruction"), ("backbone", "LGNModel")]
    )  # fmt: skip
    def test_needs_a_classifier(self, lgn, models, images, name, kind):
        check_error(lgn("predict", models / name, images[0]), f"{models / name} is not a classifier but {kind}")

    def test_needs_images_and_labels(self, models, images):
        with pytest.raises(ValueError, match="images is empty"):
            predict(models / "classifier", [])
        with pytest.raises(ValueError, match="top=0"):
            predict(models / "classifier", images, top=0)

    def test_refuses_an_answer_that_is_no_number(self, models, images, tmp_path):
        model = load(models / "classifier")
        with torch.no_grad():
            model.lgn.threshold.fill_(-1e38)
            model.classifier.weight.fill_(3e38)
        model.save_pretrained(tmp_path)
        LGNImageProcessor(image_size=7).save_pretrained(tmp_path)
        with pytest.raises(ValueError, match=f"{images[0]}: the model's answer is not finite"):
            predict(tmp_path, images)

    def test_reads_a_revision_of_a_repository(self, models, images, hub_here):
        api = HfApi(endpoint=hub_here.url)
        api.create_repo("tester/classifier")
        api.create_branch("tester/classifier", branch="v1")
        api.upload_folder(repo_id="tester/classifier", folder_path=models / "classifier", revision="v1")
        found = predict("tester/classifier", images[:1], revision="v1")
        assert found == predict(models / "classifier", images[:1])

    def test_reads_a_revision_on_the_command_line(self, lgn, models, images, hub_here):
        api = HfApi(endpoint=hub_here.url)
        api.create_repo("tester/classifier", private=True)
        for revision, name in (("main", "other"), ("v1", "classifier")):
            api.create_branch("tester/classifier", branch=revision, exist_ok=True)
            api.upload_folder(repo_id="tester/classifier", folder_path=models / name, revision=revision)
        result = lgn("predict", "tester/classifier@v1", images[0])
        assert result.out == lgn("predict", models / "classifier", images[0]).out
        assert result.out != lgn("predict", "tester/classifier", images[0]).out
        table = lgn("compare", "tester/classifier@v1", models / "classifier", "--top", 1).out
        assert re.search(r"all +│ 0\.000", table)
        check_error(lgn("actions", "tester/classifier@v2"), "tester/classifier is neither a folder nor a repository")


class TestTheHub:
    """What people report of programs that use `huggingface_hub`, tried with this one."""

    @pytest.fixture
    def repository(self, models, hub_here) -> str:
        api = HfApi(endpoint=hub_here.url)
        api.create_repo("tester/classifier")
        api.upload_folder(repo_id="tester/classifier", folder_path=models / "classifier")
        load(models / "classifier").actions().save(models / "saved")
        for name in ("actions.json", "actions.safetensors"):
            api.upload_file(path_or_fileobj=models / "saved" / name, path_in_repo=name, repo_id="tester/classifier")
        return "tester/classifier"

    @pytest.fixture
    def offline(self, monkeypatch) -> Callable[[], None]:
        return lambda: monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def test_knows_a_repository_by_its_former_name(self, lgn, models, images, repository, hub_here):
        """huggingface_hub#981"""
        HfApi(endpoint=hub_here.url).move_repo(repository, "lab/renamed")
        assert lgn("predict", repository, images[0]).out == lgn("predict", models / "classifier", images[0]).out
        result = lgn("compare", repository, "lab/renamed", "--top", 1)
        assert re.search(r"all +│ 0\.000", result.out), result.error

    def test_need_not_answer_for_what_was_downloaded(self, lgn, models, images, repository, offline):
        """huggingface_hub#4487; `actions` finds other files in the cache than it downloads."""
        online = lgn("predict", repository, images[0]).out
        offline()
        assert lgn("predict", repository, images[0]).out == online
        assert lgn("actions", repository, "--top", 1).code == 0
        result = lgn("predict", "tester/other", images[0])
        check_error(
            result, "tester/other is neither a folder nor a repository that can be read", "unset HF_HUB_OFFLINE"
        )

    def test_says_in_a_few_words_what_cannot_be_read(self, lgn, images, repository, hub_here, monkeypatch):
        HfApi(endpoint=hub_here.url).update_repo_settings(repository, private=True)
        check_error(lgn("predict", f"{repository}@v2", images[0]), "tester/classifier has no such revision (404)")
        monkeypatch.setenv("HF_TOKEN", hub_here.other_token)
        check_error(lgn("predict", repository, images[0]), "the Hub knows no tester/classifier (404): check the name")
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
        check_error(lgn("predict", repository, images[0]), "the Hub does not accept your token (401)")


class TestCompare:
    def test_prints_distances_chance_and_pairs(self, lgn, models):
        result = lgn("compare", models / "classifier", models / "other", "--top", 2)
        assert result.code == 0, result.error
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines() if "│" in line]
        a, b = (load(models / name).actions() for name in ("classifier", "other"))
        expected = compare(a, b)
        assert [row[0] for row in cells] == [
            "all", "layer 0", "layer 1", "layer 2", *(pair.a for pair in expected.pairs[:2])
        ]  # fmt: skip
        assert cells[0][1] == f"{expected.whole.value:.3f}"
        assert cells[0][2] == f"{expected.whole.chance:.3f} ± {expected.whole.deviation:.3f}"
        assert cells[-2] == [expected.pairs[0].a, expected.pairs[0].b, f"{expected.pairs[0].cosine:+.2f}"]

    def test_says_what_cannot_be_compared(self, lgn, models, tmp_path):
        make_used_model("even-filter").actions().save(tmp_path / "even")
        check_error(lgn("compare", models / "classifier", tmp_path / "even"), "3 x 3 filters", "4 x 4")


class TestAtlas:
    def test_is_written(self, lgn, models, tmp_path):
        result = lgn("atlas", models / "classifier", models / "other", "--output_dir", tmp_path / "page")
        assert result == Result(0, f"{tmp_path / 'page' / atlas.PAGE_NAME}\n", "")
        assert "classifier" in (tmp_path / "page" / atlas.PAGE_NAME).read_text()

    def test_has_a_folder_of_its_own_by_default(self, lgn, models, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for _ in range(2):  # the second is written over the first
            assert lgn("atlas", models / "classifier").out == f"atlas/{atlas.PAGE_NAME}\n"
        assert [path.name for path in tmp_path.iterdir()] == ["atlas"]

    def test_is_published_as_a_static_space_and_nothing_else_with_it(self, lgn, models, tmp_path, hub_here):
        (tmp_path / ".private").write_text("mine")
        call = ("atlas", models / "classifier", "--output_dir", tmp_path, "--push", "tester/atlas")
        assert lgn(*call).code == 0
        result = lgn(*call)  # nothing differs
        assert result.out.splitlines()[-1] == f"{hub_here.url}/spaces/tester/atlas"
        files = hub_here.files("tester/atlas", "space")
        assert files["index.html"] == (tmp_path / "index.html").read_bytes()
        assert b"sdk: static" in files["README.md"]
        assert ".private" not in files
        assert len(hub_here.commits("tester/atlas", "space")) == 2
