"""Tables of paragraphs: every format and encoding gives the same rows; bad ones are named, the rest is read."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from serving.batch.tables import MAX_LINE, Columns, Problem, Table, read_table
from serving.records import Unlabelled

TEXTS = ["县委统战部召开民主党派座谈会。", '他说："好"，\n换行，逗号。', "果农开网店直播卖苹果三万斤。"]
ROWS = [{"nr": str(7 + i), "正文": text} for i, text in enumerate(TEXTS)]
NAMED = Columns("正文", "nr")


def as_jsonl(rows: list[dict[str, str]], encoding: str = "utf-8") -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows).encode(encoding)


def as_csv(rows: list[dict[str, str]], encoding: str = "utf-8") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode(encoding)


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


def read(path: Path, columns: Columns | None = None) -> list[Unlabelled | Problem | None]:
    return [entry for entry, _ in read_table(Table(path, path.name, columns or Columns()))]


def texts(path: Path, columns: Columns | None = None) -> list[tuple[str, int, str]]:
    entries = read(path, columns)
    assert all(isinstance(entry, Unlabelled) for entry in entries), entries
    return [(entry.id, entry.index, entry.text) for entry in entries if isinstance(entry, Unlabelled)]


EXPECTED = [(str(7 + i), i, text) for i, text in enumerate(TEXTS)]


@pytest.mark.parametrize("make", [as_jsonl, as_csv])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
def test_encodings_are_recognised(tmp_path: Path, make: Callable[..., bytes], encoding: str) -> None:
    path = tmp_path / ("t.jsonl" if make is as_jsonl else "t.CSV")
    path.write_bytes(make(ROWS, encoding))
    assert texts(path, NAMED) == EXPECTED


def test_big5_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(as_csv([{"text": "本報訊：縣委統戰部召開座談會。"}], "big5"))
    assert texts(path) == [("t.csv#0", 0, "本報訊：縣委統戰部召開座談會。")]


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("make", [as_jsonl, as_csv])
def test_compressed_tables_are_read(tmp_path: Path, make: Callable[..., bytes], ending: str) -> None:
    path = tmp_path / f"t{'.jsonl' if make is as_jsonl else '.csv'}{ending}"
    raw = make(ROWS, "gb18030")
    path.write_bytes(PACKERS[ending](raw))
    assert texts(path, NAMED) == EXPECTED


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda raw: pyarrow.Codec("zstd").compress(raw, asbytes=True),
}


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
def test_parquet_is_read(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "t.parquet"
    table = pyarrow.table({"nr": [7, 8, 9], "正文": pyarrow.array(TEXTS).dictionary_encode(), "x": [1.0, 2, 3]})
    parquet.write_table(table, path, compression=compression)
    assert texts(path, NAMED) == EXPECTED


def test_ids_are_made_where_there_are_none(tmp_path: Path) -> None:
    rows = [{"text": text} for text in TEXTS]
    for name, raw in (("t.jsonl", as_jsonl(rows)), ("t.csv", as_csv(rows)), ("t.parquet", as_parquet(rows))):
        (tmp_path / name).write_bytes(raw)
        assert [key for key, _, _ in texts(tmp_path / name)] == [f"{name}#0", f"{name}#1", f"{name}#2"]
    (entry,) = read_first(tmp_path / "t.jsonl", Columns(id="nr"))
    assert isinstance(entry, Problem) and entry.reason == "'nr' is missing; every paragraph has one"


def read_first(path: Path, columns: Columns) -> list[Unlabelled | Problem | None]:
    return read(path, columns)[:1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "a", "text": "x"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"id": ' + b"9" * 5000 + b', "text": "x"}', "not JSON"),
        (b'["a", "x"]', 'write {"id": …, "text": …}'),
        (b'{"id": "a"}', "'text' is missing"),
        (b'{"id": true, "text": "x"}', "'id' is True; write it as text"),
        (b'{"id": "a", "text": ["x"]}', "'text' is ['x']; write it"),
        (b'{"id": "a", "text": null}', "'text' is None"),
        (b'{"id": " ", "text": "x"}', "'id' is blank"),
        ('{"id": "a", "text": "\u3000\\n"}'.encode(), "'text' is blank"),
        (b'{"id": "a", "text": "x\\ud800"}', "'text' holds half a surrogate pair"),
        (b'{"id": "\\udfff", "text": "x"}', "'id' holds half a surrogate pair"),
        (
            '{"id": "a", "text": "县委"}'.encode("gbk"),
            "'text' holds half a surrogate pair, or bytes of another encoding",
        ),
        (b'{"id": "a", "text": "' + b"x" * MAX_LINE * 3 + b'"}', "longer than"),
    ],
)
def test_bad_line_is_reported_and_the_next_is_read(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "in.jsonl"
    # The first row is longer than the sample that the encoding is guessed from.
    first = json.dumps({"id": 1, "text": "县委", "x": ["委"] * 2**18}, ensure_ascii=False).encode()
    path.write_bytes(b"\n" + first[: MAX_LINE - 9] + b"\n" + line + b'\n{"id": 5, "text": "x"}\n')
    blank, cut, problem, good = read(path)
    assert blank is None and isinstance(cut, Problem)
    assert isinstance(problem, Problem) and (problem.source, problem.line) == ("in.jsonl", 3)
    assert reason in problem.reason
    assert len(problem.reason) < 200
    assert isinstance(good, Unlabelled) and (good.id, good.text, good.index) == ("5", "x", 3)


def test_longest_line_is_read(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    line = b'{"id": "a", "text": "' + b"x" * (MAX_LINE - 24) + b'"}\n'
    assert len(line) == MAX_LINE
    path.write_bytes(line * 3)
    assert len(texts(path)) == 3


def test_bad_rows_of_csv_are_reported_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        'text,id\n一,1\n\n,,\n,2\n二\n"三"x,3\n"四\n四",4\n'.encode()
        + b"\xff\xfe,5\n"
        + b"x" * (MAX_LINE + 9)
        + "\n五,6\n".encode()
    )
    entries = read(path)
    assert [entry.text for entry in entries if isinstance(entry, Unlabelled)] == ["一", "二", "四\n四", "五"]
    assert [entry.id for entry in entries if isinstance(entry, Unlabelled)] == ["1", "t.csv#4", "4", "6"]
    problems = [(entry.line, entry.reason) for entry in entries if isinstance(entry, Problem)]
    assert [line for line, _ in problems] == [5, 7, 10, 11]
    for (_, reason), expected in zip(
        problems, ["is blank", "no row of CSV", "another encoding", "longer than"], strict=True
    ):
        assert expected in reason


def test_csv_with_an_open_quotation_mark_is_read_up_to_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text\n一\n"二\n' + "三\n" * MAX_LINE, encoding="utf-8")
    found = []
    with pytest.raises(ValueError, match="no row after line 2 is read: a quotation mark is not closed there"):
        for entry, _ in read_table(Table(path, "t.csv", Columns())):
            found.append(entry)
    assert [entry.text for entry in found if isinstance(entry, Unlabelled)] == ["一"]
    path.write_text('text\n一\n"二\n三', encoding="utf-8")
    first, second = read(path)
    assert isinstance(first, Unlabelled) and isinstance(second, Problem)
    assert second.line == 3 and "unexpected end of data" in second.reason


@pytest.mark.parametrize(
    ("name", "raw", "columns", "message"),
    [
        ("t.csv", as_csv(ROWS), Columns(), "no column 'text'; it has 'nr, 正文': name the right one with TEXT="),
        ("t.csv", as_csv(ROWS), Columns("正文", "id"), "no column 'id'"),
        ("t.csv", b"", Columns(), "no column 'text'"),
        ("t.csv", b"text,text\na,b\n", Columns(), "more than one column 'text'"),
        ("t.csv", b"text\na\0\n", Columns(), "not text in UTF-8"),
        ("t.parquet", as_parquet(ROWS), Columns(), "no column 'text'"),
        ("t.parquet", b"PAR1 nothing", Columns(), "."),
        ("t.parquet.gz", gzip.compress(as_parquet(ROWS)), NAMED, "Parquet is compressed inside"),
        ("t.csv.gz", b"nothing", Columns(), "Not a gzipped file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, raw: bytes, columns: Columns, message: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises((ValueError, OSError), match=message):
        read(tmp_path / name, columns)


def test_parquet_columns_must_hold_text(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"text": [1.5], "id": ["a"]}), path)
    with pytest.raises(ValueError, match="column 'text' holds double, not text"):
        read(path)


def test_parquet_nulls_and_blanks_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"text": ["一", None, " "]}), path)
    entries = read(path)
    assert [entry.line for entry in entries if isinstance(entry, Problem)] == [2, 3]
