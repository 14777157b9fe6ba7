"""Without what the extra `train` installs, the programs say so."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

# As if the packages of its arguments were not installed; what is beside the program is found as ever.
WITHOUT = """
import importlib.machinery, runpy, sys
program, *names = sys.argv[1:]
find = importlib.machinery.PathFinder.find_spec
def find_others(name, path=None, target=None):
    own = [place for place in sys.path if place.endswith("/training")]
    return find(name, own if name in names else path, target)
importlib.machinery.PathFinder.find_spec = find_others
sys.path.insert(0, program.rpartition("/")[0])
runpy.run_path(program, run_name="__main__")
"""


@pytest.mark.parametrize("program", ["run.py", "evaluate_model.py", "zoo.py", "benchmark.py"])
@pytest.mark.parametrize("missing", [["accelerate"], ["sklearn", "tqdm"]], ids="-".join)
def test_a_missing_package_is_named_with_what_installs_it(program, missing):
    """`training/accelerate/` once stood in for the package: "cannot import name 'Accelerator' (unknown location)"."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(ROOT / "training" / program), *missing], capture_output=True, text=True
    )
    assert done.returncode == 1
    expected = f"ModuleNotFoundError: lgn_training needs {', '.join(missing)}: pip install 'lgn-hf[train]'"
    assert done.stderr.splitlines()[-1] == expected
