from pathlib import Path

import pytest

from data.sources import decode, format_of, read_source

TEXT = "\ufeff本报讯\r\n全市安全生产工作会议召开。\r\n"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.txt", "text"),
        ("a.TXT", "text"),
        ("a.md", "markdown"),
        ("a.markdown", "markdown"),
        ("a.html", "html"),
        ("日报.版.htm", "html"),
    ],
)
def test_ending_names_the_format(name: str, form: str) -> None:
    assert format_of(Path(name)) == form


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.txt.gz", ".txt"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(ValueError) as error:
        format_of(Path(name))
    assert str(error.value) == f"{name}: not an article file; expected one of .txt .md .markdown .html .htm"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_encodings_are_recognised_and_nothing_is_translated(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    text = TEXT if encoding == "utf-8" else TEXT.lstrip("\ufeff")
    path.write_bytes(text.encode(encoding))
    assert read_source(path) == text


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf16_of_either_byte_order(mark: bytes) -> None:
    order = "utf-16-le" if mark == b"\xff\xfe" else "utf-16-be"
    assert decode(mark + "电商".encode(order), "a.txt") == "电商"


@pytest.mark.parametrize("raw", [b"\x89PNG\r\n\x1a\n\0\0", b"abc\0def", b"\xff\xfe\x00", b"\xff\xff\xff\xff"])
def test_bytes_that_are_no_text_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError) as error:
        decode(raw, "picture.txt")
    assert str(error.value) == "picture.txt: not text in UTF-8, UTF-16 or GB18030; save it as UTF-8 text"


def test_empty_file_is_empty_text() -> None:
    assert decode(b"", "a.txt") == ""


def test_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_source(tmp_path / "none.txt")
