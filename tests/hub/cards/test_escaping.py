"""A text of somebody else stays a text, whatever is in it."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from lgn_hf.hub.cards.escaping import Code, Markdown, escaped, joined, markdown, unbroken
from lgn_hf.texts import one_line


@pytest.mark.parametrize("text", ["\\(x\\)", "a|b", "*a*_b_", "`c`", "<b>", "&lt;", "[a](b)", "~~x~~", "$$x$$", "\\"])
def test_an_escaped_text_reads_as_it_was(text):
    inline = MarkdownIt("commonmark", {"html": True}).parseInline(escaped(text))[0].children or []
    assert {token.type for token in inline} <= {"text", "text_special"}
    assert "".join(token.content for token in inline) == text
    assert "\\(" not in escaped(text)  # the Hub's inline mathematics
    assert "$$" not in escaped(text)


def test_texts_within_values_are_escaped_once():
    value = {"a*": ["b*", ("c*", 1.5, None)], "code": Code("d*"), "ours": Markdown("**e**")}
    once = escaped(value)
    assert once == {"a*": ["b\\*", ["c\\*", 1.5, None]], "code": "d*", "ours": "**e**"}
    assert escaped(once) == once


def test_a_sentence_keeps_its_own_markup_only():
    assert markdown("**{}**: {x}", "a*", x=markdown("`{}`", 1)) == "**a\\***: `1`"
    assert joined(", ", ["a*", Markdown("**b**"), "", "c"]) == "a\\*, **b**, c"


def test_a_cell_does_not_break():
    assert unbroken("a | b") == "a&nbsp;\\|&nbsp;b"


def test_a_text_stays_on_one_short_line():
    assert one_line("a\n\u202eb\tc") == "a b c"
    assert len(one_line("a" * 1000)) == 300
