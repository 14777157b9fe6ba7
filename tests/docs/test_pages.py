"""README.md and docs/ as pages: short enough, without dead links, and a site that builds without a warning."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "model_cards" / "README.md", *DOCS]
MOST_WORDS = 900
HTML_LINK = re.compile(r'(?:src|href)="([^"]+)"')
HEADING_ID = re.compile(r"[^\w\- ]")


def words(text: str) -> list[str]:
    """All words that a reader sees, code and tables included."""
    text = re.sub(r"<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return [word for word in re.sub(r"<[^>]+>", " ", text).split() if re.search(r"\w", word)]


def links(page: Path) -> list[str]:
    """The links and images of a page that are not of another server."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        for child in [token, *(token.children or [])]:
            found += [str(child.attrs[name]) for name in ("href", "src") if name in child.attrs]
            if child.type in ("html_block", "html_inline"):
                found += HTML_LINK.findall(child.content)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    lines = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL).splitlines()
    titles = [line.lstrip("#").strip() for line in lines if re.match(r"#+ ", line)]
    return {HEADING_ID.sub("", title.lower()).replace(" ", "-") for title in titles}


def test_the_front_page_is_short():
    assert len(words((ROOT / "README.md").read_text())) <= MOST_WORDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {link}"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in DOCS:
        name = page.relative_to(ROOT / "docs").with_suffix("")
        built = tmp_path / "site" / ("index.html" if name.name == "index" else f"{name}/index.html")
        assert built.is_file()


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "index.md"], ids=lambda page: page.name)
def test_accuracies_in_running_text_are_recorded(page):
    """The front page repeats numbers of the generated tables, and no others."""
    tables = (ROOT / "model_cards" / "README.md").read_text() + (ROOT / "docs" / "results.md").read_text()
    recorded = set(re.findall(r"\d+\.\d\d %", tables))
    assert set(re.findall(r"\d+\.\d\d %", page.read_text())) <= recorded


def test_every_launch_names_its_machine_and_shows_only_our_message():
    """Without a configuration, accelerate uses one thread; without --quiet, it shows a traceback around each message."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        launches = page.read_text().split("accelerate launch ")[1:]
        assert all(launch.startswith("--quiet --config_file training/accelerate/") for launch in launches), page
