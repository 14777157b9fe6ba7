"""What the tests share: the real data, a Hub, a trained run, what is published of it, and a browser."""

import contextlib
import gc
import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.support.convnets import train_convnet
from tests.support.hub import Hub, running_hub
from tests.support.warm_python import warm_python

PUBLISHED_AS, NOTE = "tester/lgn-digits", "a copy of the digits, for tests"
ROOT = Path(__file__).parent.parent
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")


def pytest_configure() -> None:
    """No search for garbage while thousands of tests are collected, which all stay: it takes a third of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def mnist() -> str:
    """The folder of real MNIST, where LGN_HF_DATA names one; else scikit-learn's real digits."""
    folder = os.environ.get("LGN_HF_DATA")
    return str(Path(folder) / "mnist") if folder else "digits"


@pytest.fixture(scope="session")
def executable(tmp_path_factory) -> str:
    """A Python whose start takes little. The workers of pytest-xdist share it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        return warm_python(folder.parent / "warm", owner=os.getppid())
    return warm_python(folder / "warm", owner=os.getpid())


@pytest.fixture(autouse=True)
def warm_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What slow tests start by `sys.executable` finds torch imported. What modules keep of it when they are read is cold."""
    if request.node.get_closest_marker("slow"):
        monkeypatch.setattr(sys, "executable", request.getfixturevalue("executable"))


@pytest.fixture(scope="session")
def hub_server(tmp_path_factory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def hub(hub_server: Hub) -> Hub:
    """An empty Hub, which processes see that are given `hub.environment`, or are started by `hub.run`."""
    hub_server.reset()
    return hub_server


@pytest.fixture
def hub_here(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The same Hub, which this process sees, too, through `huggingface_hub` and `transformers`."""
    hub.show_here(monkeypatch)
    return hub


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory) -> Path:
    """The folder of a run of one epoch."""
    from accelerate.state import AcceleratorState
    from lgn_training import run

    folder = tmp_path_factory.mktemp("runs") / "lgn-digits"
    arguments = ["--dataset", "digits", "--num_groups", "2", "--group_order", "2", "--num_layers", "1"]
    arguments += ["--filter_size", "3", "--disable_tqdm", "--num_train_epochs", "1", "--whitening", "patch"]
    AcceleratorState._reset_state(reset_partial_state=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert run.main([*arguments, "--output_dir", str(folder)]) == 0
    return folder


@contextlib.contextmanager
def figures_are_blank() -> Iterator[None]:
    """Files of figures hold two by two pixels. To draw them takes half of the time of building a folder."""
    from matplotlib.figure import Figure
    from PIL import Image

    def save(figure: Figure, file: BinaryIO, **options) -> None:
        Image.new("RGB", (2, 2), "white").save(file, "PNG")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield


@pytest.fixture
def blank_figures() -> Iterator[None]:
    with figures_are_blank():
        yield


@pytest.fixture(scope="session")
def published(trained_run, tmp_path_factory) -> Path:
    """What is published of it."""
    from lgn_hf.hub.publication import build

    with figures_are_blank():
        return build(trained_run, tmp_path_factory.mktemp("built") / "folder", repo_id=PUBLISHED_AS, dataset_note=NOTE)


@pytest.fixture
def folder(published, tmp_path) -> Path:
    """A copy of it, to publish or to damage."""
    return Path(shutil.copytree(published, tmp_path / "folder"))


def read_folder(folder: Path) -> dict[str, bytes]:
    """The content of each file, by its path in the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium without a window. Debian's `chromium-headless-shell` is the lightest."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("pages are looked at in a browser, and there is no chromium on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def trained_convnet(tmp_path_factory) -> Path:
    """The folder of a run of one epoch of a network over C_4."""
    return train_convnet(tmp_path_factory.mktemp("runs") / "convnet-digits")


@pytest.fixture(scope="session")
def published_convnet(trained_convnet, tmp_path_factory) -> Path:
    """What is published of it."""
    from lgn_hf.hub.publication import build

    with figures_are_blank():
        return build(trained_convnet, tmp_path_factory.mktemp("built") / "convnet", repo_id="tester/convnet-digits")
