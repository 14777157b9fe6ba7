"""Files are whole: the new one, or else the old one."""

import pytest

from lgn_hf.files import replacing, write_whole


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
def test_the_old_file_stays_where_writing_fails(error, tmp_path):
    def write_half() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("half of 2")
            raise error

    write_whole(tmp_path / "a", "1")
    with pytest.raises(error):
        write_half()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "1")]
