"""DOCX and PDF files made here, read back; and those that hold nothing to read."""

import zlib
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from docx import Document
from docx.oxml import parse_xml
from pypdf import PdfReader, PdfWriter

from data.documents import MAX_XML_BYTES, docx_text, pdf_text
from data.paragraphs import read_articles
from data.sources import read_source

NEWS = ["县委统战部召开民主党派座谈会。", "应急管理局检查矿山消防隐患。", "果农开网店直播卖苹果三万斤。"]
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def make_docx() -> bytes:
    document = Document()
    document.add_paragraph(NEWS[0])
    document.add_table(1, 1).cell(0, 0).text = NEWS[1]
    # A hyperlink, and text that was inserted and deleted while changes are tracked.
    document.element.body.insert(
        2,
        parse_xml(
            f"<w:p {W}><w:del><w:r><w:delText>删去</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>移走</w:t></w:r>"
            f"</w:moveFrom><w:ins><w:r><w:t>{NEWS[2][:6]}</w:t></w:r></w:ins><w:hyperlink><w:r><w:t>{NEWS[2][6:]}</w:t>"
            f"</w:r></w:hyperlink></w:p>"
        ),
    )
    file = BytesIO()
    document.save(file)
    return file.getvalue()


def make_pdf(pages: list[str]) -> bytes:
    """Write a PDF by hand: one line a page, in a font that only says which characters its codes mean."""
    chars = sorted(set("".join(pages)))
    meaning = "\n".join(f"<{ord(char):04x}> <{ord(char):04x}>" for char in chars)
    table = f"begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange {len(chars)} beginbfchar\n{meaning}\nendbfchar endcmap"
    objects = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        3: "<< /Type /Font /Subtype /Type0 /BaseFont /Song /Encoding /Identity-H /DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        4: "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Song /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity)"
        " /Supplement 0 >> /DW 1000 >>",
        5: f"<< /Length {len(table)} >>\nstream\n{table}\nendstream",
    }
    for place, text in enumerate(pages):
        drawn = f"BT /F 12 Tf 72 700 Td <{text.encode('utf-16-be').hex()}> Tj ET" if text else ""
        objects[6 + 2 * place] = (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F 3 0 R >> >> "
            f"/Contents {7 + 2 * place} 0 R >>"
        )
        objects[7 + 2 * place] = f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream"
    kids = " ".join(f"{6 + 2 * place} 0 R" for place in range(len(pages)))
    objects[2] = f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>"
    body, places = b"%PDF-1.4\n", {}
    for number in sorted(objects):
        places[number] = len(body)
        body += f"{number} 0 obj\n{objects[number]}\nendobj\n".encode()
    rows = "".join(f"{places[number]:010} 00000 n \n" for number in sorted(places))
    end = f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{rows}trailer << /Size {len(places) + 1} /Root 1 0 R >>\n"
    return body + f"{end}startxref\n{len(body)}\n%%EOF\n".encode()


def encrypted(raw: bytes, password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(BytesIO(raw)))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


def test_docx_is_read_in_its_order_as_it_is_shown() -> None:
    assert docx_text(make_docx(), "a.docx") == f"{NEWS[0]}\n\n{NEWS[1]}\n\n{NEWS[2]}"


def test_spans_count_characters_of_the_text_taken_out(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(make_docx())
    text = read_source(tmp_path / "a.docx")
    found = read_articles(text).paragraphs
    assert [paragraph.text for paragraph in found] == NEWS
    assert [text[start:end] for paragraph in found for start, end in paragraph.spans] == NEWS


@pytest.mark.parametrize("raw", [b"", b"no zip", make_docx()[:-100], b"\xd0\xcf\x11\xe0" + bytes(600)])
def test_damaged_docx_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"a\.docx: a damaged or protected Word document .*save it anew"):
        docx_text(raw, "a.docx")


def test_docx_bomb_is_not_unpacked() -> None:
    file = BytesIO(make_docx())
    with ZipFile(file, "a", ZIP_DEFLATED) as archive:
        archive.writestr("word/more.xml", bytes(MAX_XML_BYTES))
    with pytest.raises(ValueError, match=r"a\.docx: more than .* split the document"):
        docx_text(file.getvalue(), "a.docx")


def test_pdf_gives_its_pages(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf(NEWS))
    assert [paragraph.text for paragraph in read_articles(read_source(tmp_path / "a.pdf")).paragraphs] == NEWS


def test_pdf_that_everyone_may_read_is_read() -> None:
    assert NEWS[0] in pdf_text(encrypted(make_pdf(NEWS), ""), "a.pdf")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (encrypted(make_pdf(NEWS), "secret"), "an encrypted PDF; save it without a password"),
        (make_pdf(["", ""]), "a PDF without text, probably scanned"),
        (b"%PDF-1.4\n" + zlib.compress(b"x" * 100), "a damaged PDF"),
        (b"", "a damaged PDF"),
    ],
)
def test_pdf_without_readable_text_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"a\.pdf: {reason}"):
        pdf_text(raw, "a.pdf")
