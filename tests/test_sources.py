import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow
import pytest

from data.sources import MAX_ARTICLE_BYTES, decode, format_of, read_source

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
        ("a.html.gz", "html"),
        ("a.MD.ZST", "markdown"),
        ("a.docx", "text"),
        ("a.pdf.xz", "text"),
    ],
)
def test_ending_names_the_format(name: str, form: str) -> None:
    assert format_of(Path(name)) == form


@pytest.mark.parametrize("name", ["a.doc", "a", "a.gz", "a.txt.zip", ".txt"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(ValueError) as error:
        format_of(Path(name))
    assert str(error.value) == f"{name}: not an article file; expected one of .txt .md .markdown .html .htm .docx .pdf"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16", "big5"])
def test_encodings_are_recognised_and_nothing_is_translated(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    text = TEXT if encoding == "utf-8" else TEXT.lstrip("\ufeff")
    if encoding == "big5":
        text = "本報訊\r\n全市安全生產工作會議召開。\r\n"
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
    assert str(error.value) == "picture.txt: not text in UTF-8, UTF-16, GB18030 or Big5; save it as UTF-8 text"


def test_empty_file_is_empty_text() -> None:
    assert decode(b"", "a.txt") == ""


def test_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_source(tmp_path / "none.txt")


def zst(raw: bytes) -> bytes:
    """Compress in two frames, as parallel programs do."""
    half = len(raw) // 2
    codec = pyarrow.Codec("zstd")
    return b"".join(codec.compress(part, asbytes=True) for part in (raw[:half], raw[half:]))


PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zst}


@pytest.mark.parametrize("ending", PACKERS)
def test_compressed_files_are_unpacked(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(PACKERS[ending]((TEXT * 3000).encode()))
    assert read_source(path) == TEXT * 3000


@pytest.mark.parametrize("ending", PACKERS)
def test_damaged_compressed_files_are_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.txt{ending}"
    whole = PACKERS[ending](TEXT.encode())
    for raw in (whole[:-5], b"nonsense" * 9):
        path.write_bytes(raw)
        with pytest.raises((ValueError, OSError)):
            read_source(path)


@pytest.mark.parametrize("ending", PACKERS)
def test_a_bomb_is_not_unpacked(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(PACKERS[ending](bytes(MAX_ARTICLE_BYTES + 1)))
    assert path.stat().st_size < MAX_ARTICLE_BYTES / 100
    with pytest.raises(ValueError, match="split the file"):
        read_source(path)
