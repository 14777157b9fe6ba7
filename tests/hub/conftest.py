"""axe-core, which looks for what keeps people from using a page."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from lgn_hf.hub.lab.npm import NpmError, fetch_package

AXE = ("axe-core", "4.14.1")
SERIOUS = """axe.run().then((result) => result.violations.filter((found) => ["serious", "critical"].includes(found.impact))
  .map((found) => [found.id, found.nodes[0].html]))"""


@pytest.fixture(scope="session")
def axe():
    """Gives the serious findings of axe-core on a page; npm fetches it once."""
    folder = Path(constants.HF_HOME, "lgn_hf", "-".join(AXE))
    try:
        fetch_package(*AXE, ["axe.min.js"], folder)
    except NpmError as error:
        pytest.skip(str(error))
    program = (folder / "axe.min.js").read_text()

    def findings(page) -> list:
        page.evaluate(program)
        return page.evaluate(SERIOUS)

    return findings
