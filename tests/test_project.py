"""The files of the project: what git holds, what a wheel holds, and facts that are written in two places."""

import fnmatch
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import lgn_hf
from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGES = {"lgn_hf": "lgn_hf", "lgn_training": "training/lgn_training"}
TEXTS = {".cff", ".cpp", ".html", ".ipynb", ".jinja", ".md", ".py", ".toml", ".txt", ".yaml", ".yml", ""}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def git(*arguments: str) -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    listed = subprocess.run(["git", *arguments, "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name]


@cache
def tracked_files() -> list[str]:
    """Paths of the files that git tracks and that are still there."""
    return [name for name in git("ls-files") if (ROOT / name).is_file()]


@cache
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements() -> list[Requirement]:
    """Every requirement of the package and of its extras."""
    project = pyproject()["project"]
    listed = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    return [requirement for requirement in map(Requirement, listed) if requirement.name != "lgn-hf"]


def constraints() -> list[Requirement]:
    lines = (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def read_yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


# What git holds


def test_model_cards_hold_no_python():
    assert [name for name in tracked_files() if name.startswith("model_cards/") and name.endswith(".py")] == []


def test_no_module_is_tracked_twice():
    """A copy has the same blob. Empty files are not modules."""
    entries = [entry.split(maxsplit=3) for entry in git("ls-files", "--stage")]
    modules = [(blob, name) for _, blob, _, name in entries if name.endswith(".py") and (ROOT / name).is_file()]
    copies = Counter(blob for blob, name in modules if (ROOT / name).stat().st_size)
    assert [name for blob, name in modules if copies[blob] > 1] == []


def test_gitignore_hides_no_source():
    ignored = git("ls-files", "--others", "--ignored", "--exclude-standard", "lgn_hf", "training", "tests", "docs")
    assert [name for name in ignored if Path(name).suffix in {".py", ".yaml", ".md", ".jinja"}] == []


FORBIDDEN = {
    "a path of a machine": r"(?<![\w.])/(?:root|work|Users|home/(?!me/)\w+)/",
    "a host of a registry": r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|npmjs\.(?:org|com)|deb\.debian\.org",
    "a token of the Hub": r"\bhf_[A-Za-z]{34}\b",
    "a suppression of every rule": r"#\s*(?:type: ignore|pyrefly: ignore(?!\[)|noqa(?!:))",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_text_has(what):
    texts = {name: (ROOT / name).read_text() for name in tracked_files() if Path(name).suffix in TEXTS}
    matches = {name: re.search(FORBIDDEN[what], text) for name, text in texts.items()}
    assert [f"{name}: {match[0]}" for name, match in matches.items() if match] == []


# What a wheel holds


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_is_found_by_setuptools(package):
    """setuptools finds a folder of modules if each folder on the way is a package."""
    found = pyproject()["tool"]["setuptools"]["packages"]["find"]
    assert f"{package}*" in found["include"]
    assert Path(PACKAGES[package]).parent.as_posix() in found["where"]
    root = ROOT / PACKAGES[package]
    folders = {path.parent for path in root.rglob("*.py")}
    folders |= {parent for folder in folders for parent in folder.parents if root in parent.parents}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_every_data_file_of_the_library_is_in_a_wheel():
    patterns = pyproject()["tool"]["setuptools"]["package-data"]["lgn_hf"]
    data = [name.removeprefix("lgn_hf/") for name in tracked_files() if name.startswith("lgn_hf/")]
    data = [name for name in data if not name.endswith(".py")]
    assert [name for name in data if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not fnmatch.filter(data, pattern)] == []


# Versions


def test_classifiers_name_the_supported_pythons():
    project = pyproject()["project"]
    prefix = "Programming Language :: Python :: 3."
    named = tuple(line.rpartition(" ")[2] for line in project["classifiers"] if line.startswith(prefix))
    assert named == PYTHONS
    assert project["requires-python"] == f">={PYTHONS[0]}"
    assert pyproject()["tool"]["ruff"]["target-version"] == f"py{PYTHONS[0].replace('.', '')}"
    assert pyproject()["tool"]["pyrefly"]["python-version"] == PYTHONS[0]


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_pin_each_requirement_once(python):
    environment = {"python_version": python, "python_full_version": f"{python}.9"}
    pins: dict[str, str] = {}
    for constraint in constraints():
        (specifier,) = constraint.specifier
        assert specifier.operator == "==", constraint
        if constraint.marker is None or constraint.marker.evaluate(environment):
            name = canonicalize_name(constraint.name)
            assert name not in pins, name
            pins[name] = specifier.version
    optional = {Requirement(line).name for line in pyproject()["project"]["optional-dependencies"]["trackers"]}
    for requirement in requirements():
        if requirement.name not in optional:
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_every_requirement_has_a_lower_bound():
    loose = [str(requirement) for requirement in requirements() if requirement.specifier == SpecifierSet()]
    assert set(loose) <= set(pyproject()["project"]["optional-dependencies"]["trackers"])


def test_pre_commit_runs_the_pinned_ruff():
    revisions = {hook["repo"]: hook["rev"] for hook in read_yaml(".pre-commit-config.yaml")["repos"]}
    (pinned,) = [constraint for constraint in constraints() if constraint.name == "ruff"]
    assert f"=={revisions['https://github.com/astral-sh/ruff-pre-commit'].removeprefix('v')}" == str(pinned.specifier)


def test_the_changelog_has_the_version():
    headings = re.findall(
        r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == lgn_hf.__version__
    assert all(date for _, date in headings[1:])


def test_the_citation_has_the_version_and_both_papers():
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == lgn_hf.__version__
    assert citation["license"] == pyproject()["project"]["license"]
    assert citation["repository-code"] == pyproject()["project"]["urls"]["Repository"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in pyproject()["project"]["authors"]
    ]
    assert [(paper["title"], paper["year"]) for paper in citation["references"]] == [
        ("Learning Linear Groups in Neural Networks", 2023),
        ("Learning unfolded networks with a cyclic group structure", 2022),
    ]


# Commands


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", ".github/workflows/tests.yml", ".ci/run"])
def test_targets_that_a_file_names_are_in_the_makefile(name):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|run: )make ([a-z]+)", (ROOT / name).read_text(), re.MULTILINE))
    assert named
    assert named <= targets


def test_workflows_test_the_oldest_and_the_newest_python():
    jobs = read_yaml(".github/workflows/tests.yml")["jobs"]
    for job in ("tests", "newest"):
        assert jobs[job]["strategy"]["matrix"]["python"] == [PYTHONS[0], PYTHONS[-1]]
