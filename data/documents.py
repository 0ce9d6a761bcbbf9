"""The text of DOCX and PDF files, one blank line between their paragraphs or pages.

What the layout of a page does to a text (broken lines, columns, headers) is for
`data.paragraphs` to undo, as with text copied out of a PDF by hand.
"""

import logging
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from docx import Document
from docx.oxml.ns import qn
from pypdf import PdfReader
from pypdf.errors import DependencyError

# XML of a document, unpacked: a small file can hold any amount of it.
MAX_XML_BYTES = 32 * 2**20
# All of a document with its pictures, unpacked.
MAX_UNPACKED_BYTES = 256 * 2**20
# Text that is drawn a second time for older programs, or was deleted while changes are tracked.
_NOT_SHOWN = {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback", qn("w:del"), qn("w:moveFrom")}
_BREAKS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
# It warns of every oddity of a file that it can still read.
logging.getLogger("pypdf").setLevel(logging.ERROR)


def docx_text(raw: bytes, name: str) -> str:
    """Return the text of a Word document: body, tables and text boxes, in their order.

    Raises:
        ValueError: it is damaged, protected by a password, or too large.
    """
    try:
        _check_size(raw)
        body = Document(BytesIO(raw)).element.body
    except _TooLargeError as error:
        raise ValueError(f"{name}: {error}") from None
    except Exception as error:
        raise ValueError(
            f"{name}: a damaged or protected Word document ({error!r}); open it in Word and save it anew as .docx"
        ) from None
    return "\n\n".join(text for text in _paragraphs(body) if text.strip())


class _TooLargeError(Exception):
    """A document unpacks to more than memory should hold."""


def _check_size(raw: bytes) -> None:
    with ZipFile(BytesIO(raw)) as archive:
        entries = archive.infolist()
    xml = sum(entry.file_size for entry in entries if entry.filename.lower().endswith((".xml", ".rels")))
    if xml > MAX_XML_BYTES or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise _TooLargeError(f"more than {MAX_XML_BYTES} bytes of text and markup when unpacked; split the document")


def _paragraphs(element: Any) -> Iterator[str]:
    """Yield the paragraphs below an element; one in a text box follows the one it is anchored in."""
    for child in element:
        if child.tag == qn("w:p"):
            yield "".join(_pieces(child))
        if child.tag not in _NOT_SHOWN:
            yield from _paragraphs(child)


def _pieces(element: Any) -> Iterator[str]:
    for child in element:
        if child.tag == qn("w:t"):
            yield child.text or ""
        elif child.tag in _BREAKS:
            yield _BREAKS[child.tag]
        elif child.tag not in _NOT_SHOWN and child.tag != qn("w:p"):
            yield from _pieces(child)


def pdf_text(raw: bytes, name: str) -> str:
    """Return the text of a PDF's pages.

    Raises:
        ValueError: it is damaged, encrypted, or holds no text, only pictures of it.
    """
    try:
        reader = PdfReader(BytesIO(raw))
        # Most protected files may be read by everyone; then the password is empty.
        locked = reader.is_encrypted and not reader.decrypt("")
        pages = [] if locked else [page.extract_text() for page in reader.pages]
    except DependencyError:
        locked = True
    except Exception as error:
        raise ValueError(f"{name}: a damaged PDF ({error!r}); open it in a viewer and print it to a new PDF") from None
    if locked:
        raise ValueError(f"{name}: an encrypted PDF; save it without a password")
    text = "\n\n".join(pages)
    if not text.strip():
        raise ValueError(f"{name}: a PDF without text, probably scanned; have its text recognised (OCR) first")
    # Half a surrogate pair out of a faulty table of characters is no character.
    return text.encode("utf-8", "replace").decode("utf-8")
