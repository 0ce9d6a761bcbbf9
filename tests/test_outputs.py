"""Output files of batch tagging: the same content in all three formats, and never half a file."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from models.tagger import Tagger
from serving.batch import outputs
from serving.batch.manifest import write_problems
from serving.batch.outputs import ENDINGS, FIELDS, ending_of_output, write_output
from serving.messages import Record
from serving.records import paragraphs_of, tag_paragraphs, taken_as_is

SOURCE = """本报讯 县委统战部召开座谈会，
通报全县经济社会发展情况。

"引号"，逗号；=1+1，网店直播带货卖出苹果三万斤。
"""


@pytest.fixture(scope="module")
def tagger(tiny_artifact: Path) -> Tagger:
    return Tagger(tiny_artifact)


@pytest.fixture
def records(tagger: Tagger) -> list[dict[str, Any]]:
    paragraphs = paragraphs_of(SOURCE, "text", "新闻/a.txt")
    odd = [taken_as_is(f"x{i}", f'=1+1\r\n"{i}",\u2028\x00😀', i, "b.jsonl") for i in range(9)]
    return tag_paragraphs(tagger, [*paragraphs, *odd])


@pytest.fixture
def spool(records: list[dict[str, Any]], tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def topics(tagger: Tagger) -> list[str]:
    return [topic.id for topic in tagger.artifact.topics]


def test_evidence_is_the_tags_own_of_the_topics_given(records: list[dict[str, Any]], tagger: Tagger) -> None:
    for record, tags in zip(records, tagger.tag([record["text"] for record in records]), strict=True):
        assert list(record["evidence"]) == record["topics"] == list(tags.topics)
        for topic, spans in record["evidence"].items():
            assert tuple(map(tuple, spans)) == tags.evidence[topic]
        Record.model_validate(record)
    n_topics = {len(record["topics"]) for record in records}
    assert max(n_topics) > 0 and min(n_topics) < len(tagger.artifact.topics)


def test_columns_are_the_fields_of_a_record(records: list[dict[str, Any]]) -> None:
    assert tuple(records[0]) == FIELDS


def test_jsonl_is_the_records(records: list[dict[str, Any]], spool: Path, topics: list[str], tmp_path: Path) -> None:
    write_output(spool, tmp_path / "o.jsonl", ".jsonl", topics)
    with (tmp_path / "o.jsonl").open(encoding="utf-8", newline="\n") as file:
        assert [json.loads(line) for line in file] == records


def test_csv_holds_the_records(records: list[dict[str, Any]], spool: Path, topics: list[str], tmp_path: Path) -> None:
    out = tmp_path / "o.CSV"
    write_output(spool, out, ending_of_output(out), topics)
    assert out.read_bytes().startswith(b"\xef\xbb\xbfid,article,")
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    read = [
        {
            **{field: row[field] for field in ("id", "article", "headline", "text", "answer", "model")},
            **{field: json.loads(row[field]) for field in ("index", "spans", "evidence", "truncated")},
            "topics": [topic for topic in row["topics"].split(";") if topic],
            "scores": {topic: float(row[f"score_{topic}"]) for topic in topics},
        }
        for row in rows
    ]
    assert read == records
    assert len(rows[0]) == len(FIELDS) - 1 + len(topics)


def test_parquet_holds_the_records(
    records: list[dict[str, Any]], spool: Path, topics: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "ROW_GROUP", 4)
    write_output(spool, tmp_path / "o.parquet", ".parquet", topics)
    with parquet.ParquetFile(tmp_path / "o.parquet") as file:
        assert file.num_row_groups == -(-len(records) // 4)
        table = file.read()
    rows = table.to_pylist()
    assert all(list(row["evidence"]) == topics for row in rows)
    for row in rows:
        row["evidence"] = {topic: spans for topic, spans in row["evidence"].items() if spans is not None}
    assert rows == records
    spans = pyarrow.list_(pyarrow.list_(pyarrow.int64()))
    assert table.schema.field("evidence").type == pyarrow.struct([(topic, spans) for topic in topics])
    assert table.schema.field("scores").type == pyarrow.struct([(topic, pyarrow.float64()) for topic in topics])
    assert table.schema.field("topics").type == pyarrow.list_(pyarrow.string())


def test_parquet_tells_a_topic_without_visible_evidence_from_one_not_given(
    records: list[dict[str, Any]], topics: list[str], tmp_path: Path
) -> None:
    record = {**records[0], "topics": topics[:2], "evidence": {topics[0]: [], topics[1]: [[0, 4], [6, 9]]}}
    (tmp_path / "spool").write_text(json.dumps(record) + "\n", encoding="utf-8")
    write_output(tmp_path / "spool", tmp_path / "o.parquet", ".parquet", topics)
    (row,) = parquet.read_table(tmp_path / "o.parquet").to_pylist()
    assert row["evidence"] == {**dict.fromkeys(topics), topics[0]: [], topics[1]: [[0, 4], [6, 9]]}


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_no_record_is_a_file_too(ending: str, topics: list[str], tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    out = tmp_path / f"o{ending}"
    write_output(tmp_path / "spool", out, ending, topics)
    if ending == ".parquet":
        assert parquet.read_table(out).num_rows == 0
    else:
        assert len(out.read_text(encoding="utf-8").splitlines()) == (ending == ".csv")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_failure_leaves_the_old_file(ending: str, spool: Path, topics: list[str], tmp_path: Path) -> None:
    out = tmp_path / f"o{ending}"
    out.write_text("old")
    with spool.open("a") as file:
        file.write('{"id": "cut sho')
    with pytest.raises(ValueError, match="Unterminated string"):
        write_output(spool, out, ending, topics)
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([out.name, "spool"])


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_compressed_output_is_the_output_and_always_the_same(
    ending: str, spool: Path, topics: list[str], tmp_path: Path
) -> None:
    write_output(spool, tmp_path / "plain", ending, topics)
    for name in ("one", "two"):
        write_output(spool, tmp_path / name, f"{ending}.gz", topics)
    assert gzip.decompress((tmp_path / "one").read_bytes()) == (tmp_path / "plain").read_bytes()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_ending_names_the_format() -> None:
    assert [ending_of_output(Path(f"a.b{ending.upper()}")) for ending in ENDINGS] == list(ENDINGS)
    for name in ("a.xlsx", "a.parquet.gz", "a", "a.gz"):
        with pytest.raises(
            ValueError, match=r"its ending must be one of \.jsonl \.csv \.parquet \.jsonl\.gz \.csv\.gz"
        ):
            ending_of_output(Path(name))


def test_problems_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    spool, out = tmp_path / "spool", tmp_path / "o.errors.jsonl"
    spool.write_text('{"source": "a.txt"}\n')
    write_problems(spool, out)
    assert out.read_text() == '{"source": "a.txt"}\n'
    spool.write_text("")
    write_problems(spool, out)
    assert not out.exists()
