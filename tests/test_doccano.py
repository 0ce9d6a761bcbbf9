"""The format of doccano's text classification: keys that it does not know come back beside `id`, `text` and `label`."""

import json
from pathlib import Path
from typing import Any

import pytest

from data.review.doccano import read_lines, write_lines
from data.review.judgements import ReviewItem
from data.topics import load_topics

TOPICS = load_topics()
ITEMS = [
    ReviewItem("seeds/a.txt#0", "支部大会", "unsure", None, ("party_building",), {"party_building": 0.55}),
    ReviewItem("seeds/a.txt#1", "今日\n要闻", "random", (), (), {}),
]


@pytest.fixture
def written(tmp_path: Path) -> list[dict[str, Any]]:
    write_lines(ITEMS, TOPICS, tmp_path / "review.jsonl")
    return [json.loads(line) for line in (tmp_path / "review.jsonl").read_text(encoding="utf-8").splitlines()]


def read(tmp_path: Path, *entries: Any) -> Any:
    path = tmp_path / "admin.jsonl"
    lines = [entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False) for entry in entries]
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return read_lines(path, TOPICS)


def test_no_suggestion_goes_out_as_a_label(written: list[dict[str, Any]]) -> None:
    assert [entry["label"] for entry in written] == [[], []]
    assert written[0]["suggested"] == "党建" and written[1]["annotated"] == "无"


def test_the_export_comes_back(tmp_path: Path, written: list[dict[str, Any]]) -> None:
    first = {**written[0], "label": ["电商", "党建"], "Comments": ["看标题"]}
    second = {**written[1], "label": ["无"], "Comments": []}
    found = read(tmp_path, first, second)
    assert found.problems == ()
    one, two = found.judgements
    assert (one.id, one.topics, one.note, one.annotated) == (
        "seeds/a.txt#0",
        ("party_building", "e_commerce"),
        "看标题",
        None,
    )
    assert (two.id, two.topics, two.annotated, two.text) == ("seeds/a.txt#1", (), (), "今日\n要闻")


def test_older_exports_keep_the_id_under_meta(tmp_path: Path, written: list[dict[str, Any]]) -> None:
    meta = {key: written[0][key] for key in ("id", "why", "annotated", "suggested")}
    (one,) = read(tmp_path, {"id": 101, "text": "支部大会", "meta": meta, "label": ["党建"]}).judgements
    assert (one.id, one.topics) == ("seeds/a.txt#0", ("party_building",))


def test_a_line_without_labels_is_not_judged(tmp_path: Path, written: list[dict[str, Any]]) -> None:
    assert [one.topics for one in read(tmp_path, *written).judgements] == [None, None]


def test_wrong_lines_are_named(tmp_path: Path, written: list[dict[str, Any]]) -> None:
    spans = {**written[0], "label": [[0, 2, "党建"]]}
    found = read(tmp_path, {**written[0], "label": ["天气"]}, "{", {"text": "x", "label": []}, spans, written[1])
    assert [one.where for one in found.judgements] == ["line 5"]
    assert "line 1: unknown topic '天气'" in found.problems[0]
    assert "line 2: no line of 'make review'" in found.problems[1]
    assert "line 3: no line of 'make review'" in found.problems[2]
    assert "line 4: 'label' is" in found.problems[3]
