"""Read an article file into text, exactly as it was.

Offsets everywhere in Duanbiao count characters (code points) of the text that
`read_source` returns: no line ending is translated, a byte order mark stays.
"""

from pathlib import Path
from typing import Literal

Format = Literal["text", "markdown", "html"]

FORMATS: dict[str, Format] = {
    ".txt": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
}


def format_of(path: Path) -> Format:
    """Return the format that the file's ending names.

    Raises:
        ValueError: the ending is none of `FORMATS`.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        endings = " ".join(FORMATS)
        raise ValueError(f"{path}: not an article file; expected one of {endings}") from None


def read_source(path: Path) -> str:
    """Return the file's text with line endings and byte order mark as they are.

    UTF-8 and UTF-16 (by its mark) are recognised; any other bytes are tried as
    GB18030, which most older Chinese pages and exports use.

    Raises:
        ValueError: the bytes are text in none of these encodings.
        OSError: the file cannot be read.
    """
    return decode(path.read_bytes(), str(path))


def decode(raw: bytes, name: str) -> str:
    """Decode the bytes of an article called `name`; see `read_source`."""
    encodings = ["utf-16"] if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8", "gb18030"]
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    raise ValueError(f"{name}: not text in UTF-8, UTF-16 or GB18030; save it as UTF-8 text")
