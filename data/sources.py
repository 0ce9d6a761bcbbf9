"""Read an article file into text, exactly as it was.

Offsets everywhere in Duanbiao count characters (code points) of the text that
`read_source` returns: no line ending is translated, a byte order mark stays. Of a DOCX or
PDF it is the text taken out of it. Any file may be compressed.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO, Literal, cast

from data.encodings import NAMES, guess_encoding

Format = Literal["text", "markdown", "html"]

FORMATS: dict[str, Format] = {
    ".txt": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".docx": "text",
    ".pdf": "text",
}
# A larger file or text is no article; it must not fill the memory.
MAX_ARTICLE_BYTES = 16 * 2**20
# Documents hold pictures too.
MAX_DOCUMENT_BYTES = 64 * 2**20
DOCUMENTS = (".docx", ".pdf")


def _open_zst(file: BinaryIO) -> IO[bytes]:
    # Slow to import, and rarely needed.
    import pyarrow

    return cast(IO[bytes], io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(file), "zstd")))


COMPRESSIONS: dict[str, Callable[[BinaryIO], IO[bytes]]] = {
    ".gz": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": _open_zst,
}
# What reading a damaged compressed file may raise.
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


def ending_of(path: Path) -> str:
    """Return the file's ending in small letters, that of its content if it is compressed: .txt of a.TXT.gz."""
    return Path(path.stem if path.suffix.lower() in COMPRESSIONS else path.name).suffix.lower()


def unpacked(file: BinaryIO, path: Path) -> IO[bytes]:
    """Return the content of the open file at `path`, unpacked while it is read."""
    opener = COMPRESSIONS.get(path.suffix.lower())
    return opener(file) if opener else file


def format_of(path: Path) -> Format:
    """Return the format that the file's ending names.

    Raises:
        ValueError: the ending is none of `FORMATS`.
    """
    try:
        return FORMATS[ending_of(path)]
    except KeyError:
        endings = " ".join(FORMATS)
        raise ValueError(f"{path}: not an article file; expected one of {endings}") from None


def read_source(path: Path) -> str:
    """Return the file's text with line endings and byte order mark as they are.

    UTF-8 and UTF-16 (by its mark) are recognised; other bytes are read as GB18030, which most
    older Chinese pages and exports use, or as Big5, whichever makes more sense.

    Raises:
        ValueError: no text in these encodings, too large, or a document that cannot be read.
        OSError: the file cannot be read.
    """
    is_document = ending_of(path) in DOCUMENTS
    limit = MAX_DOCUMENT_BYTES if is_document else MAX_ARTICLE_BYTES
    try:
        with path.open("rb") as file, unpacked(file, path) as content:
            raw = content.read(limit + 1)
    except DAMAGED as error:
        raise ValueError(f"{path}: damaged, it cannot be unpacked ({error}); compress it anew") from None
    if len(raw) > limit:
        raise ValueError(f"{path}: more than {limit} bytes, an article has fewer; split the file")
    return _text_of_document(raw, path) if is_document else decode(raw, str(path))


def _text_of_document(raw: bytes, path: Path) -> str:
    # The service, which imports this module too, reads none.
    from data.documents import docx_text, pdf_text

    text = docx_text(raw, str(path)) if ending_of(path) == ".docx" else pdf_text(raw, str(path))
    if len(text) > MAX_ARTICLE_BYTES:
        raise ValueError(f"{path}: more than {MAX_ARTICLE_BYTES} characters, an article has fewer; split the file")
    return text


def decode(raw: bytes, name: str) -> str:
    """Decode the bytes of an article called `name`; see `read_source`."""
    encoding = guess_encoding(raw)
    try:
        text = raw.decode(encoding) if encoding else "\0"
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"{name}: not text in {NAMES}; save it as UTF-8 text")
    return text
