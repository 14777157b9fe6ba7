"""What a card says about each task of `lgn_hf.runs.task`.

A task has a record in TASK_TEXTS if its card has words of its own. The card of another task has plain ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...plotting import number_text
from ...runs.results import Results
from ...runs.task import Task
from .escaping import Code, Markdown, markdown
from .words import percent


@dataclass(frozen=True)
class TaskText:
    """What a card says about a task.

    Attributes:
        verb: what the network does with images.
        metric: the test metric that the card shows and compares, a share.
        words: what the comparison calls it.
        has_standard_error: whether it is a share of the test images.
        loss: the metric whose values on validation and test images should be alike.
        loss_words: its name.
        result: a sentence without its end, with the metrics on the test images.
        use: a program that applies the model; `{address}` is the repository.
        use_without_package: the same with `trust_remote_code`.
    """

    verb: str
    metric: str
    words: str
    has_standard_error: bool
    loss: str
    loss_words: str
    result: Callable[[Results], Markdown]
    use: str
    use_without_package: str

    def programs(self, address: str) -> tuple[Code, Code]:
        """Both programs for the repository `address`, a Python string."""
        return Code(self.use.replace("{address}", address)), Code(
            self.use_without_package.replace("{address}", address)
        )


def _classified(results: Results) -> Markdown:
    share, count = percent(results.test("accuracy")), results.data.test
    return markdown("**It classifies {} of {:,} test images correctly**", share, count)


def _reconstructed(results: Results) -> Markdown:
    whitened = "" if results.whitening == "none" else "whitened "
    return markdown(
        "**It misses {} of the energy of {:,} {}test images** (mean squared error {})",
        percent(results.test("relative_error")),
        results.data.test,
        Markdown(whitened),
        number_text(results.test("mse")),
    )


TASK_TEXTS = {
    "classification": TaskText(
        verb="classifies",
        metric="accuracy",
        words="test accuracy",
        has_standard_error=True,
        loss="loss",
        loss_words="loss",
        result=_classified,
        use="""\
import lgn_hf  # registers the network with the Auto classes of transformers
from transformers import pipeline

classify = pipeline("image-classification", model={address})
print(classify("image.png"))""",
        use_without_package="""\
from transformers import pipeline

classify = pipeline(
    "image-classification", model={address}, trust_remote_code=True
)
print(classify("image.png"))""",
    ),
    "reconstruction": TaskText(
        verb="reconstructs",
        metric="relative_error",
        words="energy missed",
        has_standard_error=False,
        loss="mse",
        loss_words="mean squared error",
        result=_reconstructed,
        use="""\
import lgn_hf  # registers the network with the Auto classes of transformers
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageToImage

processor = AutoImageProcessor.from_pretrained({address})
model = AutoModelForImageToImage.from_pretrained({address})
inputs = processor(Image.open("image.png"), return_tensors="pt")
print(model(**inputs).reconstruction.shape)""",
        use_without_package="""\
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageToImage

name = {address}
processor = AutoImageProcessor.from_pretrained(name, trust_remote_code=True)
model = AutoModelForImageToImage.from_pretrained(name, trust_remote_code=True)
inputs = processor(Image.open("image.png"), return_tensors="pt")
print(model(**inputs).reconstruction.shape)""",
    ),
}


def task_text(task: Task) -> TaskText:
    """What a card says about a task."""
    return TASK_TEXTS.get(task.name) or _plain_text(task)


def _plain_text(task: Task) -> TaskText:
    metric, auto_class = task.metrics[0], task.model_class._auto_class

    def result(results: Results) -> Markdown:
        value, count = number_text(results.test(metric.name)), results.data.test
        return markdown("**Its {} on {:,} test images is {}**", metric.words, count, value)

    def program(first: str, option: str) -> str:
        return f"""\
{first}from PIL import Image
from transformers import AutoImageProcessor, {auto_class}

name = {{address}}
processor = AutoImageProcessor.from_pretrained(name{option})
model = {auto_class}.from_pretrained(name{option})
print(model(**processor(Image.open("image.png"), return_tensors="pt")).keys())"""

    return TaskText(
        verb=f"performs {task.name} on",
        metric=metric.name,
        words=metric.words,
        has_standard_error=False,
        loss=task.selection.name,
        loss_words=task.selection.words,
        result=result,
        use=program("import lgn_hf  # registers the network with the Auto classes of transformers\n", ""),
        use_without_package=program("", ", trust_remote_code=True"),
    )
