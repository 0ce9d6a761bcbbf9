"""Records come back from every form that tags are written in, and what is damaged is named by its line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from serving.batch.outputs import ending_of_output, write_output
from serving.summary import tag_files
from serving.summary.tag_files import find_tag_files, read_tags
from serving.summary.tagged import Tagged

TOPICS = ["party_building", "e_commerce"]


def record(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"2024-05-{number:02d}/a.txt#{number}",
        "article": f"2024-05-{number:02d}/a.txt",
        "headline": "",
        "index": number,
        "spans": [[0, 4]],
        "text": f'第一行，"引号"\r\n第二行{number}😀',
        "answer": "topics",
        "topics": ["e_commerce"],
        "scores": {"party_building": 0.0312, "e_commerce": 1.0},
        "evidence": {"e_commerce": [[0, 4]]},
        "truncated": False,
        "model": "v1",
    } | changes


RECORDS = [
    record(1),
    record(2, answer="none", topics=[], evidence={}, text="普通"),
    record(3, answer="unsure", topics=TOPICS, evidence={"party_building": [], "e_commerce": []}),
]
EXPECTED = [
    (one["id"], one["article"], len(one["text"]), one["answer"], tuple(one["topics"]), one["scores"], "v1")
    for one in RECORDS
]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    """Write records as `make tag` does, compressed where the name says so."""
    spool, plain = path.with_name("spool"), path.with_name(path.name.removesuffix(".gz"))
    spool.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    write_output(spool, plain, ending_of_output(plain), TOPICS)
    spool.unlink()
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


def fields(found: Tagged | str) -> tuple[object, ...]:
    assert isinstance(found, Tagged), found
    return found.id, found.article, found.characters, found.answer, found.topics, found.scores, found.model


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.PARQUET", "t.jsonl.gz", "t.csv.GZ"])
def test_records_come_back_from_every_form(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name.lower(), RECORDS).rename(tmp_path / name)
    read = list(read_tags(path))
    assert [fields(found) for _, found in read] == EXPECTED
    # The first and the third text have two lines each.
    assert [line for line, _ in read] == ([2, 4, 5] if "csv" in name else [1, 2, 3])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b'{"id": "a', "not JSON"),
        (b"7", "not a record"),
        (b"[" * 100_000, "recursion"),
        (b'{"id": "a"}', "'article' is missing"),
        (json.dumps(record(1, id=3)).encode(), "'id' is no text"),
        (json.dumps(record(1, article="\ud800")).encode(), "'article' is no text"),
        (json.dumps(record(1, answer="perhaps")).encode(), "'answer' is none of topics, none, unsure"),
        (json.dumps(record(1, scores={})).encode(), "'scores' has no topic"),
        (json.dumps(record(1, scores={"e_commerce": 1.5})).encode(), "score of e_commerce is no number from 0 to 1"),
        (json.dumps(record(1, scores={"e_commerce": float("nan")})).encode(), "score of e_commerce is no number"),
        (json.dumps(record(1, scores={"e_commerce": True})).encode(), "score of e_commerce is no number"),
        (json.dumps(record(1, topics=["sports"])).encode(), "'topics' names a topic that has no score"),
        (json.dumps(record(1, topics="e_commerce")).encode(), "'topics' names a topic that has no score"),
    ],
)
def test_a_damaged_line_is_named_and_the_others_are_read(line: bytes, reason: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", RECORDS)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"", line, *lines[1:]]))
    read = list(read_tags(path))
    assert [number for number, _ in read] == [1, 3, 4, 5]
    assert isinstance(read[1][1], str) and reason in read[1][1]
    assert [fields(found) for number, found in read if number != 3] == EXPECTED


def test_a_line_too_long_for_a_record_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_files, "MAX_RECORD", 1000)
    path = write(tmp_path / "t.jsonl", [RECORDS[0], record(2, text="长" * 2000), RECORDS[2]])
    (_, first), (line, reason), (last, third) = read_tags(path)
    assert [fields(first), fields(third)] == [EXPECTED[0], EXPECTED[2]]
    assert (line, last) == (2, 3) and "longer than 1000 bytes" in str(reason)


def test_damaged_rows_of_a_csv_table_are_named_by_the_line_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [record(1), record(2), record(3, text="好"), record(4)])
    lines = path.read_bytes().split(b"\r\n")
    # Head; two lines each of the first, second and fourth record, one of the third.
    lines[3] = b"short,row," + lines[3]
    lines[5] = lines[5].replace("好".encode(), b"\xff")
    lines[7] = lines[7].replace(b"0.0312", b"much")
    path.write_bytes(b"\r\n".join(lines))
    read = list(read_tags(path))
    assert fields(read[0][1])[0] == record(1)["id"]
    assert [line for line, _ in read] == [2, 4, 6, 7]
    reasons = [str(found) for _, found in read[1:]]
    assert "cells, not as many as the first line" in reasons[0]
    assert reasons[1:] == ["'text' is no text in UTF-8", "the score of party_building is no number from 0 to 1"]


def test_a_null_in_parquet_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = [record(1), record(2, text=None), record(3, scores={"party_building": None, "e_commerce": 0.5})]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [line for line, _ in read_tags(path)] == [1, 2, 3]
    assert [found for _, found in read_tags(path)][1:] == [
        "'text' is no text in UTF-8",
        "the score of party_building is no number from 0 to 1",
    ]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_of_something_else_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "t.csv":
        path.write_text("name,age\n张三,7\n", encoding="utf-8")
    else:
        parquet.write_table(pyarrow.table({"name": ["张三"]}), path)
    ((line, reason),) = read_tags(path)
    assert line == 1 and "the column 'id' is missing" in str(reason)


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.csv.gz", "t.parquet"])
def test_a_file_cut_off_is_read_as_far_as_it_goes(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, [record(number, text=str(hash((number, name)))) for number in range(3000)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    *before, (_, reason) = read_tags(path)
    assert "cannot be read from here on" in str(reason)
    assert all(isinstance(found, Tagged) for _, found in before)
    # The directory of a Parquet file stands at its end.
    assert bool(before) == (name != "t.parquet")


def test_shards_are_found_and_what_stands_beside_them_is_not(tmp_path: Path) -> None:
    shards = [write(tmp_path / name, RECORDS) for name in ("t-1.jsonl", "t-2.jsonl", "t-10.jsonl.gz")]
    for name in ("t.errors.jsonl", "t.jsonl.partial", "manifest.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    assert find_tag_files(str(tmp_path)) == sorted(shards)
    assert find_tag_files(str(tmp_path / "t-?.jsonl")) == shards[:2]
    assert find_tag_files(str(shards[2])) == shards[2:]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", RECORDS)
    path = write(tmp_path / "[a].jsonl", RECORDS)
    assert find_tag_files(str(path)) == [path]


def test_the_same_tags_in_two_forms_are_not_counted_twice(tmp_path: Path) -> None:
    write(tmp_path / "t.jsonl", RECORDS)
    write(tmp_path / "t.csv", RECORDS)
    with pytest.raises(ValueError, match=r"holds files of \.csv and \.jsonl, .* name one form, such as '.*/\*\.csv'"):
        find_tag_files(str(tmp_path))


def test_a_place_without_tags_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("文")
    with pytest.raises(FileNotFoundError, match="no tag file here"):
        find_tag_files(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no tag file here"):
        find_tag_files(str(tmp_path / "none*.jsonl"))
    with pytest.raises(ValueError, match=r"a\.txt: no tag file; expected one of \.jsonl"):
        find_tag_files(str(tmp_path / "a.txt"))
