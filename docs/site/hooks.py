"""What the site needs beyond Markdown: files from outside of docs/, and formulas as MathML."""

import html
import re
from pathlib import Path, PurePosixPath

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Pages link to these by paths that work on GitHub, too: ../model_cards/lgn-mnist/README.md.
MOUNTED = (
    "model_cards",
    "training/measured",
    "training/recipes",
    "training/zoo.yaml",
    "training/lgn_training/textbook.py",
)
SUFFIXES = (".md", ".png", ".json", ".csv", ".yaml", ".py")
UP = re.compile(r"""(\]\(|src=")\.\./""")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the mounted files, each at its path in the repository."""
    for name in MOUNTED:
        place = ROOT / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            uri = path.relative_to(ROOT).as_posix()
            if path.suffix in SUFFIXES and files.get_file_from_path(uri) is None:
                files.append(File(uri, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links from docs/ to the repository's root into links within the site."""
    is_mounted = page.file.src_uri.startswith(MOUNTED)
    return markdown if is_mounted or len(PurePosixPath(page.file.src_uri).parts) > 1 else UP.sub(r"\1", markdown)


def on_page_content(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers draw without a script."""

    def formula(match: re.Match[str]) -> str:
        kind, source = match.groups()
        return convert(html.unescape(source).strip(), display="block" if kind == "div" else "inline")

    return FORMULA.sub(formula, text)
