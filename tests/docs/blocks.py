"""The code blocks of a page, and what a comment before a block tells the tests to do with it.

<!-- test: skip because it needs a GPU -->
<!-- test: replace "--num_train_epochs 30" by "--max_steps 2" -->
<!-- test: append "--max_steps 2" -->
<!-- test: printed above -->            the text block is what the block before it prints
<!-- test: run on README.md -->         that page has the same block, and runs it
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from markdown_it import MarkdownIt

RUN = ("python", "bash")
COMMENT = re.compile(r"<!-- test: (.+?) -->")
SKIP = re.compile(r"skip because \w.+")
REPLACE = re.compile(r'replace "(.+)" by "(.*)"')
APPEND = re.compile(r'append "(.+)"')
PRINTED = "printed above"
ELSEWHERE = re.compile(r"run on (\S+\.md)")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Block:
    """language: `python` or `bash`. line: of its first line of code, from 1. prints: what it prints, if the page says."""

    page: str
    line: int
    language: str
    code: str
    prints: str | None = None


def find_blocks(page: Path, name: str) -> list[Block]:
    """The blocks to run, in order, changed as their comments say.

    Raises:
        ValueError: a comment is not understood, or does not fit its block.
    """
    blocks: list[Block] = []
    told: str | None = None
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type == "html_block" and (found := COMMENT.search(token.content)):
            told = found[1]
        elif token.type == "fence":
            line = (token.map or [0])[0] + 2
            language = token.info.split(" ")[0]
            if told == PRINTED:
                blocks[-1] = replace(blocks[-1], prints=token.content)
            elif language in RUN and (code := _changed(token.content, told, f"{name}:{line}")):
                blocks.append(Block(name, line, language, code))
            told = None
        elif token.type != "html_block" and told is not None:
            raise ValueError(f"{name}: the comment {told!r} is not right before a code block")
    return blocks


def _changed(code: str, told: str | None, where: str) -> str | None:
    if told is None:
        return code
    if SKIP.fullmatch(told):
        return None
    if (found := ELSEWHERE.fullmatch(told)) and f"\n{code}```" in (ROOT / found[1]).read_text():
        return None
    if (found := REPLACE.fullmatch(told)) and found[1] in code:
        return code.replace(found[1], found[2])
    if found := APPEND.fullmatch(told):
        return f"{code.rstrip()} {found[1]}\n"
    raise ValueError(f"{where}: the comment {told!r} does not fit this block")
