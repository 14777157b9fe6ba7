"""Every code block of README.md and docs/ runs, in a scratch folder, without a network."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.docs.blocks import find_blocks

ROOT = Path(__file__).parents[2]
COLD = Path(sys.executable).parent  # has the programs that `executable` lacks
RUNNER = Path(__file__).with_name("run_blocks.py")
PAGES = ["README.md", *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))]
SECONDS = 600
NOWHERE = "http://127.0.0.1:9"  # nothing listens there
CHECKOUT = ("model_cards", "training", "docs")  # what the blocks find beside them


def write_photos(folder: Path) -> None:
    """A folder of a reader's own photos, one subfolder for each class, of several sizes."""
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 256, (60 + i, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    for name in CHECKOUT:
        (tmp_path / name).symlink_to(ROOT / name)
    write_photos(tmp_path / "photos")
    return tmp_path


def environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "training"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(COLD), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HF_HUB_OFFLINE": "1",
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "NO_PROXY": "127.0.0.1,localhost",
        "MPLBACKEND": "agg",
        "COLUMNS": "100",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_the_code_blocks_of_a_page_run(name: str, scratch: Path, trained_run: Path):
    blocks = find_blocks(ROOT / name, name)
    if not blocks:
        return
    if name == "docs/publish.md":  # it has a block of the front page, which that page runs
        shutil.copytree(trained_run, scratch / "runs" / "lgn-digits")
    done = subprocess.run(
        [sys.executable, str(RUNNER)],
        input=json.dumps([dataclasses.asdict(block) for block in blocks]),
        cwd=scratch,
        env=environment(),
        text=True,
        capture_output=True,
        timeout=SECONDS,
    )
    print(done.stdout)  # the seconds of each block
    assert done.returncode == 0, done.stderr[-6000:]


def page(tmp_path: Path, text: str) -> Path:
    (tmp_path / "page.md").write_text(text)
    return tmp_path / "page.md"


def test_comments_change_blocks(tmp_path):
    text = """
<!-- test: replace "30" by "2" -->
```bash
train --epochs 30
```

<!-- test: append "--max_steps 2" -->
```bash
train
```

<!-- test: skip because it needs a GPU -->
```bash
train --gpu
```

```python
print(1)
```

<!-- test: printed above -->
```text
1
```

```yaml
not: run
```
"""
    blocks = find_blocks(page(tmp_path, text), "page.md")
    assert [(block.language, block.code, block.prints) for block in blocks] == [
        ("bash", "train --epochs 2\n", None),
        ("bash", "train --max_steps 2\n", None),
        ("python", "print(1)\n", "1\n"),
    ]
    assert text.splitlines()[blocks[-1].line - 1] == "print(1)"


@pytest.mark.parametrize("comment", ["skip", "skip because ", "run on README.md", 'replace "31" by "2"', "nonsense"])
def test_a_comment_that_does_not_fit_its_block_is_an_error(comment, tmp_path):
    text = f"<!-- test: {comment} -->\n```bash\ntrain --epochs 30\n```\n"
    with pytest.raises(ValueError, match="does not fit"):
        find_blocks(page(tmp_path, text), "page.md")


def test_a_comment_without_a_block_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="not right before a code block"):
        find_blocks(page(tmp_path, "<!-- test: skip because of a GPU -->\n\nText.\n"), "page.md")


@pytest.mark.parametrize("code", ["1 / 0", "print(2)", "import urllib.request as r; r.urlopen('http://example.com')"])
def test_a_block_that_fails_or_prints_something_else_is_found(code, tmp_path):
    blocks = [{"page": "page.md", "line": 7, "language": "python", "code": code + "\n", "prints": "1"}]
    done = subprocess.run(
        [sys.executable, str(RUNNER)], input=json.dumps(blocks), env=environment(), text=True, capture_output=True
    )
    assert done.returncode == 1
    assert "page.md" in done.stderr
    assert "7" in done.stderr
