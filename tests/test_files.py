"""Files are written in one piece, and what was read from them is checked."""

import re

import pytest

from lgn_hf.files import check_schema, replacing, write_whole


@pytest.mark.parametrize("content", [b"2", "2", "\u03bb"])
def test_a_file_is_replaced(content, tmp_path):
    write_whole(tmp_path / "a", "1")
    write_whole(tmp_path / "a", content)
    expected = content.encode() if isinstance(content, str) else content
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", expected)]


def test_a_reader_never_sees_half_of_it(tmp_path):
    path = tmp_path / "a"
    with replacing(path) as temporary:
        temporary.write_text("1")
        assert not path.exists()
    assert path.read_text() == "1"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_the_old_file_stays_if_writing_fails(error, tmp_path):
    def write_half() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("half of 2")
            raise error

    write_whole(tmp_path / "a", "1")
    with pytest.raises(error):
        write_half()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "1")]


SCHEMA = {"count": int, "share": int | float | None, "names": [str], "pair": (int, int), "more": {str: bool}}
VALUE = {"count": 1, "share": None, "names": [], "pair": [1, 2], "more": {"a": True}, "unknown": object()}


def test_a_value_of_the_schema_passes():
    check_schema(VALUE, SCHEMA, "a.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": True}, "a.json.count is True: must be int"),
        ({"count": 1.0}, "a.json.count is 1.0: must be int"),
        ({"share": "1"}, "a.json.share is '1': must be int | float | None"),
        ({"names": ["a", 2]}, "a.json.names[1] is 2: must be str"),
        ({"pair": [1]}, "a.json.pair has 1 items: must be 2"),
        ({"pair": {}}, "a.json.pair is {}: must be list"),
        ({"more": {"b": 0}}, "a.json.more.b is 0: must be bool"),
    ],
)
def test_another_value_is_an_error(change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_schema({**VALUE, **change}, SCHEMA, "a.json")


def test_a_missing_field_is_an_error():
    with pytest.raises(ValueError, match=r"^a\.json lacks count, names$"):
        check_schema({"share": 1, "pair": [1, 2], "more": {}}, SCHEMA, "a.json")
