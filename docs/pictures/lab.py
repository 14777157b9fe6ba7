"""The picture of the lab: `python docs/pictures/lab.py`, in a checkout with Chromium. npm fetches what runs the networks."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from lgn_hf.hub.lab import LAB_PAGE, find_runtime
from lgn_hf.hub.space import build_space

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "images" / "lab.png"
MODELS = ("convnet-rotmnist-discovered-c4", "convnet-rotmnist-free")
SELECTION = f"#model={MODELS[0]}&beside={MODELS[1]}&image=2&turn=165"
WIDTH, HEIGHT = 1280, 1560  # pixels


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        build_space([(str(ROOT / "model_cards" / name), None) for name in MODELS], scratch, find_runtime())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto((Path(scratch) / LAB_PAGE).as_uri() + SELECTION)
        page.wait_for_function("document.body.dataset.sweep")
        top = page.locator("#h-image").bounding_box()
        assert top is not None
        page.screenshot(
            path=OUTPUT, full_page=True, clip={"x": 0, "y": top["y"] - 20, "width": WIDTH, "height": HEIGHT}
        )
        browser.close()
    print(OUTPUT.relative_to(ROOT))


if __name__ == "__main__":
    main()
