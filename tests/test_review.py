"""From articles to a review file and back into the annotation set, by the commands."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT

from data.annotations import Annotation, load_annotations
from data.paragraphs import read_articles
from data.seed_paragraphs import name_of, read_seeds
from data.sources import read_source
from data.topics import DEFAULT_TOPICS, load_topics
from training import annotate, review
from training.split_guard import load_test_texts

SIXTH = '\n[[topic]]\nid = "volunteering"\nname = "志愿服务"\n'
TOPICS = load_topics()


@pytest.fixture
def desk(tmp_path: Path, tiny_artifact: Path) -> Path:
    """Two articles, of which one is annotated, a topics file, an annotation file, and a model."""
    shutil.copytree(tiny_artifact, tmp_path / "model")
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for name in ("07_briefs.txt", "12_markdown.md"):
        shutil.copy(ROOT / "tests" / "fixtures" / "layouts" / name, seeds)
    shutil.copy(DEFAULT_TOPICS, tmp_path / "topics.toml")
    paragraphs, _ = read_seeds(seeds)
    rows = [
        {
            **{"id": one.id, "source": one.source, "article": one.article, "index": one.index, "text": one.text},
            **{"spans": one.spans, "topics": ["e_commerce"], "annotators": 1, "agreed": True, "origin": "seed"},
        }
        for one in paragraphs
        if one.source.endswith(".md")
    ]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (tmp_path / "annotations.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def options(desk: Path) -> list[str]:
    names = {"--topics": "topics.toml", "--annotations": "annotations.jsonl", "--seeds": "seeds"}
    return [part for name, value in names.items() for part in (name, str(desk / value))]


def write_review(desk: Path, name: str = "review.csv", budget: int = 12) -> Path:
    out = desk / name
    told = ["--out", str(out), "--budget", str(budget), "--model", str(desk / "model")]
    assert review.main([*told, *options(desk)]) == 0
    return out


def bring_back(desk: Path, path: Path) -> int:
    return annotate.main([str(path), "--by", "李敏", *options(desk)])


def annotations_of(desk: Path) -> dict[str, Annotation]:
    found = load_annotations(desk / "annotations.jsonl", load_topics(desk / "topics.toml"))
    return {annotation.id: annotation for annotation in found}


def table_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def save(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="gb18030", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)


def test_corrections_in_a_spreadsheet_reach_the_annotation_set(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = annotations_of(desk)
    rows = table_of(write_review(desk))
    assert len(rows) == 13
    slip = next(row for row in rows if row[1].startswith("contradicted"))
    new = next(row for row in rows if row[1].startswith("unsure"))
    confirmed = [row for row in rows if row[1].startswith("contradicted")][1]
    slip[5], new[5], new[6], confirmed[5] = "无", "党建、乡村振兴", "两件事", "电商"
    save(desk / "back.csv", rows)
    assert bring_back(desk, desk / "back.csv") == 0
    assert "1 paragraphs added, 1 changed, 1 confirmed\n0 said so already, 9 not filled in" in capsys.readouterr().out
    after = annotations_of(desk)
    assert list(after) == [*before, new[0]]
    assert after[slip[0]].topics == () and after[slip[0]].history[0].topics == ("e_commerce",)
    assert after[new[0]].topics == ("party_building", "rural_revitalization")
    assert (after[new[0]].history[0].by, after[new[0]].history[0].note) == ("李敏", "两件事")
    untouched = [one for one in before.values() if one.id not in {slip[0], confirmed[0]}]
    assert all(after[one.id] == one for one in untouched)

    content = (desk / "annotations.jsonl").read_bytes()
    assert bring_back(desk, desk / "back.csv") == 0
    assert (desk / "annotations.jsonl").read_bytes() == content

    again = table_of(write_review(desk, "again.csv", budget=100))
    asked = {row[0]: row[1].split()[0] for row in again}
    assert not {slip[0], new[0], confirmed[0]} & set(asked)


def test_conflicts_and_wrong_rows_are_told_and_the_rest_is_taken(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = table_of(write_review(desk))
    slips = [row for row in rows if row[1].startswith("contradicted")]
    fresh = [row for row in rows if row[3] == "" and row[0] != rows[0][0]]
    slips[0][5] = "党建"
    fresh[0][5], fresh[1][5], fresh[1][2] = "党建", "党建", fresh[1][2][1:]
    fresh[2][5] = "天气"
    save(desk / "back.csv", rows)
    lines = (desk / "annotations.jsonl").read_text(encoding="utf-8").splitlines()
    place = next(place for place, line in enumerate(lines) if json.loads(line)["id"] == slips[0][0])
    lines[place] = lines[place].replace('["e_commerce"]', '["united_front"]')
    (desk / "annotations.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert bring_back(desk, desk / "back.csv") == 1
    told = capsys.readouterr()
    assert "1 paragraphs added, 0 changed" in told.out
    assert (
        f"conflict: row {rows.index(slips[0]) + 1}: '{slips[0][0]}' is annotated 统一战线 now and was 电商" in told.err
    )
    assert f"wrong: row {rows.index(fresh[1]) + 1}: column 'text'" in told.err
    assert f"row {rows.index(fresh[2]) + 1}, column 'topics': unknown topic '天气'" in told.err
    after = annotations_of(desk)
    assert after[fresh[0][0]].topics == ("party_building",)
    assert after[slips[0][0]].topics == ("united_front",)


def test_label_studio_and_doccano_bring_back_the_same(desk: Path) -> None:
    tasks = json.loads(write_review(desk, "review.json").read_text(encoding="utf-8"))
    assert "志愿" not in (desk / "review.xml").read_text(encoding="utf-8")
    lines = write_review(desk, "review.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert [task["data"]["paragraph"] for task in tasks] == [entry["id"] for entry in entries]
    result = {"from_name": "topics", "to_name": "text", "type": "choices", "value": {"choices": ["党建", "电商"]}}
    tasks[0]["annotations"] = [{"result": [result], "was_cancelled": False}]
    entries[0]["label"] = ["电商", "党建"]
    (desk / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    (desk / "export.jsonl").write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    assert bring_back(desk, desk / "export.json") == 0
    content = (desk / "annotations.jsonl").read_bytes()
    assert annotations_of(desk)[entries[0]["id"]].topics == ("party_building", "e_commerce")
    assert bring_back(desk, desk / "export.jsonl") == 0
    assert (desk / "annotations.jsonl").read_bytes() == content


def test_a_topic_that_the_model_does_not_know_can_be_annotated(desk: Path) -> None:
    with (desk / "topics.toml").open("a", encoding="utf-8") as file:
        file.write(SIXTH)
    rows = table_of(write_review(desk))
    assert rows[0][-1] == "志愿服务 概率" and {row[-1] for row in rows[1:]} == {""}
    new = next(row for row in rows if row[3] == "" and row[0] != rows[0][0])
    new[5] = "志愿服务"
    save(desk / "back.csv", rows)
    assert bring_back(desk, desk / "back.csv") == 0
    assert annotations_of(desk)[new[0]].topics == ("volunteering",)


def test_test_paragraphs_are_neither_asked_nor_taken(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = max(load_test_texts(), key=len)
    path = desk / "seeds" / "tested.txt"
    path.write_text(f"今日要闻\n\n{text}\n\n昨夜我市迎来入冬以来首场降雪，市区交通平稳。\n", encoding="utf-8")
    rows = table_of(write_review(desk, budget=100))
    ours = [row for row in rows if row[0].startswith(name_of(path))]
    assert ours and all(row[2] != text for row in ours)
    (paragraph,) = [one for one in read_articles(read_source(path)).paragraphs if one.text == text]
    smuggled = [f"{name_of(path)}#{paragraph.index}", "", text, "", "", "党建"]
    save(desk / "back.csv", [rows[0], smuggled])
    assert bring_back(desk, desk / "back.csv") == 1
    assert re.search(
        r"wrong: row 2: '.*tested.txt#\d+' stands, or nearly stands, in a test file", capsys.readouterr().err
    )
    assert not any(one.source.endswith("tested.txt") for one in annotations_of(desk).values())


def test_a_review_file_is_never_overwritten(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = desk / "review.csv"
    out.write_text("filled in", encoding="utf-8")
    assert review.main(["--out", str(out), *options(desk)]) == 1
    assert review.main(["--out", str(desk / "review.xlsx"), *options(desk)]) == 1
    assert out.read_text(encoding="utf-8") == "filled in"
    err = capsys.readouterr().err
    assert "may be filled in; move it away" in err and ".csv is for Excel" in err


def test_an_article_that_cannot_be_read_does_not_stop_the_others(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "seeds" / "broken.txt").write_bytes(b"\xff\xff\x00")
    told = ["--out", str(desk / "review.csv"), "--budget", "3", "--model", str(desk / "model")]
    assert review.main([*told, *options(desk)]) == 1
    assert len(table_of(desk / "review.csv")) == 4
    assert "left out: " in capsys.readouterr().err
