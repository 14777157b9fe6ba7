"""What two processes of a run share, and what keeps them from training. One launch serves all tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lgn_training.engine.processes import LATE

from tests.support.two_processes import TwoProcesses, two_processes
from tests.training.test_evaluate_model import run as evaluate
from tests.training.test_run import TINY, image_folder, run, weights

pytestmark = pytest.mark.slow  # a launch


@pytest.fixture(scope="module")
def pair(executable, tmp_path_factory):
    with two_processes(tmp_path_factory.mktemp("two"), executable) as processes:
        yield processes


def train(pair: TwoProcesses, *arguments: str, before: str = "") -> list:
    """Run the training program in both processes; `before` is what each does first."""
    return pair.run(f"import os, sys\nfrom lgn_training import run\n{before}\nsys.exit(run.main({[*arguments]!r}))")


def test_two_processes_follow_one(pair, tmp_path):
    """Half the batch each, without BatchNorm; float32 sums in another order are all that differs."""
    arguments = [*TINY, "--batch_norm", "false", "--max_steps", "6", "--train_val_split", "0"]
    arguments += ["--projection", "none", "--regularizer", "none", "--learning_rate", "0.001"]
    run(*arguments, "--output_dir", str(tmp_path / "one"))
    done = train(pair, *arguments, "--per_device_train_batch_size", "16", "--output_dir", str(tmp_path / "two"))
    assert [process.returncode for process in done] == [0, 0], done
    assert "2 process(es)" in done[0].stderr
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        assert torch.allclose(one[name], two[name], atol=1e-4), name
    losses = [json.loads((tmp_path / n / "all_results.json").read_text())["train_loss"] for n in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # of the whole batch, not of the main process's part


def test_two_processes_train_and_test_on_uneven_data(pair, tmp_path):
    options = ["--max_train_samples", "333", "--also_test_on", "digits", "--output_dir", str(tmp_path / "two")]
    done = train(pair, *TINY, *options)
    assert [process.returncode for process in done] == [0, 0], done
    results = json.loads((tmp_path / "two" / "all_results.json").read_text())
    assert results["machine"]["processes"] == 2
    assert results["data"]["test"] == 360
    assert (results["test_accuracy"] * 360) == pytest.approx(round(results["test_accuracy"] * 360), abs=1e-6)
    assert "".join(process.stdout for process in done).count("test accuracy") == 1
    again = results["also_tested_on"]["digits"]
    assert (again["images"], again["accuracy"], again["loss"]) == (360, results["test_accuracy"], results["test_loss"])


def test_processes_without_a_common_folder_do_not_train(pair, tmp_path):
    """Each in a folder of its own, as on machines without a common disk."""
    apart = f"""
from lgn_training.engine import processes
folder = os.path.join({str(tmp_path)!r}, os.environ["RANK"])
os.makedirs(folder)
os.chdir(folder)
processes.LATE = 0.5
"""
    done = train(pair, *TINY, "--output_dir", "run", before=apart)
    pair.run(f"from lgn_training.engine import processes\nprocesses.LATE = {LATE}")
    assert all(process.returncode for process in done)
    line = "run.py: process 1: output_dir run does not hold here what the main process writes in it"
    assert "".join(process.stderr for process in done).count(line) == 1
    assert [path.name for path in tmp_path.glob("?/run/*")] == []


def test_processes_with_different_data_do_not_train(pair, tmp_path):
    """As on machines with a copy of the data each, where one copy is old."""
    for rank, size in enumerate((20, 19)):
        image_folder(tmp_path / f"copy-{rank}" / "photos", size)
    apart = f'os.chdir(os.path.join({str(tmp_path)!r}, "copy-" + os.environ["RANK"]))'
    done = train(pair, *TINY, "--dataset", "photos", "--output_dir", str(tmp_path / "run"), before=apart)
    assert all(process.returncode for process in done)
    assert "".join(process.stderr for process in done).count("has other data") == 1
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_processes_agree_on_batch_norm_and_on_metrics(pair):
    """Each with its own statistics before; with 5 images between two processes, as one alone would measure."""
    done = pair.run("""
import torch
from accelerate import Accelerator
from lgn_training.data import ImageSet
from lgn_training.engine.evaluation import evaluate_split
from lgn_training.engine.batch_norm import average_batch_norm
from lgn_hf import LGNConfig, LGNForImageClassification
accelerator = Accelerator(cpu=True)
assert accelerator.num_processes == 2
torch.manual_seed(0)
network = LGNForImageClassification(LGNConfig(num_groups=2, num_layers=3, image_size=9, num_labels=3, step_size=0.5))
for name, buffer in network.named_buffers():
    if "running" in name:
        buffer.fill_(1.0 + accelerator.process_index)
average_batch_norm(accelerator, network)
for name, buffer in network.named_buffers():
    if "running" in name:
        assert (accelerator.gather(buffer) == 1.5).all(), name
images = torch.randint(256, (5, 1, 9, 9), dtype=torch.uint8)
part = ImageSet(images, torch.tensor([0, 1, 2, 0, 1]))
found = evaluate_split(accelerator, network, part, lambda x: x.float() / 255, task="classification", batch_size=2)
with torch.no_grad():
    outputs = network.eval()(images.float() / 255, labels=part.labels)
assert abs(found["loss"] - outputs.loss.item()) < 1e-5, found
assert abs(found["accuracy"] - (outputs.logits.argmax(-1) == part.labels).double().mean().item()) < 1e-9
print("agreed")
""")
    assert [process.stdout for process in done] == ["agreed\n", "agreed\n"], done


def test_an_evaluation_finds_what_one_process_finds(pair, trained_run: Path, tmp_path):
    arguments = [str(trained_run), "--dataset", "rotated:digits", "--output"]
    evaluate(*arguments, tmp_path / "one.json")
    done = pair.run(
        "import sys\nfrom lgn_training import evaluate_model\n"
        f"sys.exit(evaluate_model.main({[*arguments, str(tmp_path / 'two.json')]!r}))"
    )
    assert [process.returncode for process in done] == [0, 0], done
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("one.json", "two.json"))
    assert (one["machine"]["processes"], two["machine"]["processes"]) == (1, 2)
    assert two == {**one, "loss": pytest.approx(one["loss"], rel=1e-5), "machine": two["machine"]}
    assert "".join(process.stdout for process in done).count("accuracy") == 1


GRADIENTS = """
import torch, torch.distributed as dist
from torch import nn
from lgn_hf.nn import LearnedGroup, LinearGroup, OrbitConv2d, OrbitNorm2d
torch.manual_seed(0)
group = LearnedGroup(LinearGroup.cyclic(4, 9))
convolutions = OrbitConv2d(1, 8, 3, group), OrbitConv2d(8, 8, 3, group, kind="regular")
net = nn.Sequential(convolutions[0], OrbitNorm2d(8, group), nn.ReLU(), convolutions[1])
parallel = nn.parallel.DistributedDataParallel(net)
torch.manual_seed(dist.get_rank())
parallel(torch.randn(2, 1, 8, 8)).sum().backward()
own = torch.cat([parameter.grad.flatten() for parameter in net.parameters()])
both = [torch.empty_like(own) for _ in range(2)]
dist.all_gather(both, own)
assert torch.equal(*both) and own.norm() > 0
"""


def test_two_processes_share_the_gradients_of_orbit_convolutions(pair):
    done = pair.run(GRADIENTS)
    assert [process.returncode for process in done] == [0, 0], done
