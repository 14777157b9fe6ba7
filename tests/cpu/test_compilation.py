"""Building the compiled functions: once, safely, and with a warning where it cannot be done."""

import os
import platform
import shutil
import subprocess
import sys

import pytest
import torch

from lgn_hf.cpu import compilation, processors
from lgn_hf.cpu.backend import suits
from lgn_hf.cpu.compilation import CannotCompile, library
from lgn_hf.cpu.processors import PROCESSORS, built_in_wheel
from tests.cpu.conftest import needs_compiler

pytestmark = needs_compiler
NETWORK = torch.zeros(1, 1, 9, 9), torch.zeros(1, 4, 1, 3, 3), [], 1  # one that the compiled layers suit


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(compilation, "HF_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LGN_HF_COMPILE", raising=False)
    library.cache_clear()
    yield
    library.cache_clear()


@pytest.fixture
def quick_compiler(tmp_path, monkeypatch):
    """Without its optimisation the compiler takes a fifth of the time."""
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\nexec c++ "$@" -O0\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(compilation.logger, "warning", lambda message, *args: said.append(message % args))
    return said


@pytest.mark.slow
def test_it_is_built_once(tmp_path, quick_compiler):
    assert library() is not None
    (built,) = (tmp_path / "cache" / "lgn_hf").iterdir()
    stamp = built.stat().st_mtime_ns
    library.cache_clear()
    assert library() is not None
    assert built.stat().st_mtime_ns == stamp
    assert suits(*NETWORK)


def test_no_compiler(monkeypatch, warnings):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert library() is None
    assert library() is None
    assert len(warnings) == 1
    assert "no C++ compiler" in warnings[0]
    assert not suits(*NETWORK)


def test_a_compiler_that_fails(tmp_path, monkeypatch, warnings):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no room' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(CannotCompile, match="no room"):
        compilation.build(compilation.SOURCE)
    assert library() is None
    assert "no room" in warnings[0]
    assert list((tmp_path / "cache" / "lgn_hf").iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path, warnings):
    (tmp_path / "cache").write_text("a file")
    assert library() is None
    assert "cache" in warnings[0]


def test_it_can_be_turned_off(monkeypatch, warnings):
    monkeypatch.setenv("LGN_HF_COMPILE", "0")
    assert library() is None
    assert warnings == []


def test_a_wheel_may_bring_the_functions(tmp_path, monkeypatch):
    """The best for this processor, and those that need more than it has are left alone."""
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(processors, "cpu_features", lambda: {"sse2", *processors.AVX512.split()})
    assert built_in_wheel(tmp_path) is None
    for processor in PROCESSORS:
        (tmp_path / f"layer_{processor.name}.abi3.so").touch()
    assert built_in_wheel(tmp_path) == tmp_path / "layer_avx512.abi3.so"
    monkeypatch.setattr(processors, "cpu_features", set)
    assert built_in_wheel(tmp_path) is None
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert built_in_wheel(tmp_path) is None


@pytest.fixture(scope="module")
def built():
    return compilation.build(compilation.SOURCE)


def test_the_functions_of_a_wheel_need_no_compiler(tmp_path, monkeypatch, built):
    found = shutil.copy(built, tmp_path / "layer_avx2.abi3.so")
    monkeypatch.setattr(compilation, "built_in_wheel", lambda folder: found)
    monkeypatch.setenv("PATH", "")
    assert library() is not None
    assert library()._name == str(found)
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_processes_that_build_at_once(tmp_path, quick_compiler):
    program = "from lgn_hf.cpu.compilation import library; assert library() is not None"
    environment = {**os.environ, "HF_HOME": str(tmp_path / "shared")}
    processes = [subprocess.Popen([sys.executable, "-c", program], env=environment) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert len(list((tmp_path / "shared" / "lgn_hf").iterdir())) == 1
