"""Texts for messages and tables stay on one line, and keep tokens to themselves."""

from lgn_hf.texts import one_line, one_line_without_tokens


def test_a_line_has_no_control_characters_and_an_end():
    assert one_line("first\n  second \x1b[2J\u202e") == "first second [2J"
    assert one_line("x" * 1000) == "x" * 300
    assert one_line("x" * 1000, None) == "x" * 1000
    assert one_line(ValueError("a\tb")) == "a b"


def test_it_has_no_token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    said = one_line_without_tokens(f"hf_mine is refused,\nand so is hf_{'A' * 30}")
    assert said == "hf_... is refused, and so is hf_..."
    assert len(one_line_without_tokens("x" * 1000)) == 500
