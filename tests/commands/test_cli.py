"""The command `lgn-hf`: each subcommand does what its function does, and whatever is wrong is one line and exit code 1."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import import_module

import pytest

from lgn_hf import cli
from lgn_hf.hub import cards
from lgn_hf.hub.errors import PublishError
from lgn_hf.repository import find_folder
from lgn_hf.texts import full_traceback
from tests.commands.conftest import Result, check_error
from tests.conftest import ROOT


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
        with pytest.raises(OSError, match="that can be read") as error:
            find_folder("no/where")
        assert len(re.findall(r"Traceback", full_traceback(error.value))) > 1  # and what is behind it
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
