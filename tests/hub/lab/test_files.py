"""The files of a lab, and where the runtime comes from."""

import base64
import gzip
import json
import random
import re
import shutil
import tarfile

import pytest
from huggingface_hub import SpaceCard, constants

from lgn_hf.hub.lab import find_runtime, npm, onnxruntime_web, packed_files
from lgn_hf.hub.lab.onnxruntime_web import MODULE, WASM
from lgn_hf.hub.lab.page import LAB_TEMPLATES
from lgn_hf.hub.modules import join_modules
from lgn_hf.hub.space import build_space
from tests.conftest import ROOT

# Modules


def test_modules_are_joined_each_after_those_that_it_imports(tmp_path):
    (tmp_path / "main.js").write_text('import { b } from "./b.js";\nimport { a } from "./a.js";\nb(a);\n')
    (tmp_path / "a.js").write_text("export const a = 1;\n")
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport async function b(x) { return x + a; }\n')
    joined = join_modules(tmp_path)
    lines = [line for line in joined.splitlines() if line and not line.startswith("/*")]
    assert lines == ["const a = 1;", "async function b(x) { return x + a; }", "b(a);"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("export const a = 1;", "a is defined in a.js and in main.js"),
        ('import { m } from "./main.js";', "main.js imports itself: main.js -> a.js -> main.js"),
        ('import b from "./b.js";', "a.js: must import as in"),
        ("export default 1;", "a.js: must import as in"),
    ],
)
def test_modules_that_cannot_be_joined_are_refused(tmp_path, text, complaint):
    (tmp_path / "main.js").write_text('import { x } from "./a.js";\nconst a = 2;\n')
    (tmp_path / "a.js").write_text(f"{text}\n")
    with pytest.raises(ValueError, match=re.escape(complaint)):
        join_modules(tmp_path)


def test_no_module_is_long_and_none_writes_markup():
    for path in LAB_TEMPLATES.glob("*.js"):
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|\bfetch\(|XMLHttp|http", text
        ), path


def test_a_file_is_packed_in_parts_that_join_to_it(monkeypatch):
    monkeypatch.setattr(packed_files, "PART", 1000)
    content = random.Random(0).randbytes(5000)
    scripts = packed_files.pack("name", content)
    parts = [re.fullmatch(r'labReceive\("name", (\d+), (".*")\);\n', script) for script in scripts]
    assert [int(part[1]) for part in parts if part] == list(range(len(scripts)))
    text = "".join(json.loads(part[2]) for part in parts if part)
    assert gzip.decompress(base64.b64decode(text)) == content
    assert 1000 < max(map(len, scripts)) < 1100


# The runtime


def test_the_runtime_is_found_where_npm_unpacks_it(tmp_path):
    for place in ("", "package", "node_modules/onnxruntime-web"):
        for name in (MODULE, WASM):
            (tmp_path / "a" / place / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "a" / place / name).touch()
        assert find_runtime(tmp_path / "a") == tmp_path / "a" / place
        shutil.rmtree(tmp_path / "a")


def test_without_the_runtime_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    how = "`npm pack onnxruntime-web@"
    with pytest.raises(ValueError, match=f"does not hold onnxruntime-web .*{how}"):
        find_runtime(tmp_path)
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=f"HF_HUB_OFFLINE forbids to fetch it: .*{how}"):
        find_runtime()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(npm.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match=f"there is no npm to fetch onnxruntime-web: .*{how}"):
        find_runtime()
    assert not list(tmp_path.iterdir())


def test_when_npm_fails_its_reason_is_told(tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'network: no route' >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ValueError, match=r"npm cannot fetch onnxruntime-web: network: no route: unpack"):
        onnxruntime_web.fetch_runtime(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_archive_without_the_files_is_refused(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "other.js").touch()
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    (tmp_path / "bin" / "npm").write_text(f'#!/bin/sh\nfor place; do :; done\ncp {tmp_path}/x.tgz "$place"\n')
    (tmp_path / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    assert npm.fetch_package("x", "1", ["other.js"], tmp_path / "new") == tmp_path / "new"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["other.js"]
    with pytest.raises(npm.NpmError, match=r"x.tgz has no main.js"):
        npm.fetch_package("x", "1", ["main.js"], tmp_path / "new")


# The Space


@pytest.mark.slow
def test_a_space_has_both_pages_and_says_whose_the_runtime_is(space):
    assert {path.name for path in space.iterdir()} == {"README.md", "index.html", "lab.html", "lab"}
    assert sorted(path.name for path in (space / "lab").glob("model-*")) == ["model-0.js", "model-1.js", "model-2.js"]
    for script in (space / "lab").glob("runtime-*"):
        assert script.read_text().startswith(
            "/* onnxruntime-web 1.30.0. Copyright (c) Microsoft Corporation. MIT License. */"
        )
    assert 'href="lab.html"' in (space / "index.html").read_text()
    card = SpaceCard.load(space / "README.md")
    assert "`lab.html`" in card.text
    assert [line for line in card.text.splitlines() if line.startswith("- ")] == [
        "- `r90-mnist`",
        "- `baseline-mnist`",
        "- `turning`",
    ]
    assert re.findall(r"""\s(?:src|href)=["']?([^"'\s>]+)""", (space / "lab.html").read_text().partition("LAB")[0])[
        0
    ].startswith("data:")


@pytest.mark.slow
def test_an_atlas_without_a_lab_removes_an_earlier_lab(space, tmp_path):
    folder = shutil.copytree(space, tmp_path / "space")
    made = build_space([(str(ROOT / "model_cards" / "lgn-mnist"), None)], folder)
    assert (made.pages, made.files) == (["index.html"], ["index.html", "README.md"])
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["README.md", "index.html"]
    assert "lab.html" not in (folder / "index.html").read_text()


def test_a_network_without_actions_is_refused_where_there_is_no_lab(convnet, tmp_path):
    with pytest.raises(ValueError, match="turning has no actions to show in an atlas; --lab shows"):
        build_space([(str(convnet), None)], tmp_path / "new")
