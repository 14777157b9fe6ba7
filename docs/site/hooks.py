"""What the site needs beyond Markdown: files from outside of docs/, tables of fields, and formulas as MathML."""

import dataclasses
import html
import re
from pathlib import Path

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
    "training/lgn_training/benchmark/textbook.py",
    "training/lgn_training/experiments/measured",
)
SUFFIXES = (".md", ".png", ".json", ".csv", ".yaml", ".py")
ROOT_LINK = re.compile(r"""(\]\(|src=")\.\./""")
DOCS_LINK = re.compile(r"(\]\((?:\.\./)+)docs/")
FIELDS = re.compile(r"<!-- fields of (\w+) -->")
WIDE = "model_cards/README.md"  # its table needs the place of the table of contents
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
    """In the site, docs/ is the root: shorten the links between its pages and the mounted ones."""
    if page.file.src_uri == WIDE:
        page.meta["hide"] = ["toc"]
    if page.file.src_uri.startswith(MOUNTED):
        return DOCS_LINK.sub(r"\1", markdown)
    return FIELDS.sub(lambda match: _fields(match[1]), ROOT_LINK.sub(r"\1", markdown))


def _fields(name: str) -> str:
    """A table of the fields of a configuration, from the help text that each has."""
    from lgn_training.arguments import RunArguments

    from lgn_hf import LGNConfig

    kind = {"LGNConfig": LGNConfig, "RunArguments": RunArguments}[name]
    rows = ["| field | default | meaning |", "|---|---|---|"]
    for field in dataclasses.fields(kind):
        if "help" in field.metadata:
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            text = field.metadata["help"].replace("|", "\\|")
            rows.append(f"| `{field.name}` | `{default}` | {text} |")
    return "\n".join(rows)


def on_page_content(text: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers draw without a script."""

    def formula(match: re.Match[str]) -> str:
        kind, source = match.groups()
        return convert(html.unescape(source).strip(), display="block" if kind == "div" else "inline")

    return FORMULA.sub(formula, text)
