"""The documented formats: https://labelstud.io/guide/task_format and the JSON-MIN of its converter."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from data.review.judgements import ReviewItem
from data.review.label_studio import labelling_config, read_export, write_tasks
from data.topics import Topic, load_topics

TOPICS = load_topics()
ITEMS = [
    ReviewItem("seeds/a.txt#0", "支部大会", "unsure", None, ("party_building",), {"party_building": 0.55}),
    ReviewItem("seeds/a.txt#1", "今日要闻", "random", (), (), {}),
]


@pytest.fixture
def tasks(tmp_path: Path) -> list[dict[str, Any]]:
    write_tasks(ITEMS, TOPICS, tmp_path / "review.json", "v1")
    found: list[dict[str, Any]] = json.loads((tmp_path / "review.json").read_text(encoding="utf-8"))
    return found


def result(choices: list[str], note: str = "") -> list[dict[str, Any]]:
    """What an annotation of the labelling configuration holds."""
    common = {"to_name": "text", "origin": "manual"}
    found: list[dict[str, Any]] = [
        {"id": "wvDEy63Wgs", "from_name": "topics", "type": "choices", "value": {"choices": choices}, **common}
    ]
    if note:
        found.append({"id": "x1", "from_name": "note", "type": "textarea", "value": {"text": [note]}, **common})
    return found


def exported(task: dict[str, Any], number: int, *results: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The task as the JSON export gives it."""
    annotations = [
        {"id": 1000 + place, "completed_by": 10, "result": one, "was_cancelled": False, "lead_time": 4.288, **more}
        for place, one in enumerate(results)
    ]
    return {"id": number, "project": 83, "annotations": annotations, "drafts": [], "meta": {}, **task}


def read(tmp_path: Path, entries: Any) -> Any:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    return read_export(path, TOPICS)


def test_tasks_carry_the_text_and_the_suggestion_as_a_prediction(tasks: list[dict[str, Any]]) -> None:
    assert tasks[0]["data"] == {"paragraph": "seeds/a.txt#0", "text": "支部大会", "why": "unsure", "annotated": ""}
    assert tasks[0]["predictions"][0]["model_version"] == "v1"
    assert tasks[0]["predictions"][0]["result"] == [
        {"from_name": "topics", "to_name": "text", "type": "choices", "value": {"choices": ["党建"]}}
    ]
    assert tasks[1]["predictions"][0]["result"][0]["value"] == {"choices": ["无"]}
    assert tasks[1]["data"]["annotated"] == "无"


def test_the_configuration_fits_the_tasks(tasks: list[dict[str, Any]]) -> None:
    root = ElementTree.fromstring(labelling_config([*TOPICS, Topic("x", '"<城建>&"', "")]))
    choices = root.find("Choices")
    assert choices is not None
    values = [choice.get("value") for choice in choices]
    assert values == [*(topic.name for topic in TOPICS), '"<城建>&"', "无"]
    suggestion = tasks[0]["predictions"][0]["result"][0]
    assert (choices.get("name"), choices.get("toName")) == (suggestion["from_name"], suggestion["to_name"])
    fields = {tag.get("value", "")[1:] for tag in root if tag.get("value", "").startswith("$")}
    assert fields <= set(tasks[0]["data"])


def test_the_export_in_json_comes_back(tmp_path: Path, tasks: list[dict[str, Any]]) -> None:
    found = read(
        tmp_path, [exported(tasks[0], 1, result(["电商", "党建"], "看标题")), exported(tasks[1], 2, result(["无"]))]
    )
    assert found.problems == ()
    first, second = found.judgements
    assert (first.id, first.text, first.annotated) == ("seeds/a.txt#0", "支部大会", None)
    assert (first.topics, first.note, first.where) == (("party_building", "e_commerce"), "看标题", "task 1")
    assert (second.topics, second.annotated) == ((), ())


def test_predictions_are_no_answers_nor_are_skipped_tasks(tmp_path: Path, tasks: list[dict[str, Any]]) -> None:
    skipped = exported(tasks[1], 2, result(["党建"]), was_cancelled=True)
    found = read(tmp_path, [exported(tasks[0], 1), skipped, exported(tasks[0], 3, [])])
    assert [one.topics for one in found.judgements] == [None, None, None]


def test_two_annotators_give_two_answers(tmp_path: Path, tasks: list[dict[str, Any]]) -> None:
    found = read(tmp_path, [exported(tasks[0], 1, result(["党建"]), result(["无"]))])
    assert [one.topics for one in found.judgements] == [("party_building",), ()]


@pytest.mark.parametrize(
    ("value", "topics"),
    [
        ("党建", ("party_building",)),
        ({"choices": ["党建", "电商"]}, ("party_building", "e_commerce")),
        ([{"choices": ["党建", "电商"]}], ("party_building", "e_commerce")),
        ("无", ()),
    ],
)
def test_the_export_in_json_min_comes_back(
    tmp_path: Path, tasks: list[dict[str, Any]], value: Any, topics: tuple[str, ...]
) -> None:
    entry = {**tasks[0]["data"], "id": 7, "topics": value, "note": "看标题", "annotator": 1, "annotation_id": 9}
    found = read(tmp_path, [entry, {**tasks[1]["data"], "id": 8}])
    assert found.problems == ()
    assert found.judgements[0].topics == topics and found.judgements[0].note == "看标题"
    assert found.judgements[1].topics is None


def test_wrong_tasks_are_named(tmp_path: Path, tasks: list[dict[str, Any]]) -> None:
    good = exported(tasks[0], 1, result(["党建"]))
    found = read(tmp_path, [exported(tasks[0], 1, result(["天气"])), {"data": {"text": "别的"}}, 5, good])
    assert [one.where for one in found.judgements] == ["task 4"]
    assert "task 1: unknown topic '天气'" in found.problems[0]
    assert "task 2: no task of 'make review'" in found.problems[1]
    assert "task 3: no task of 'make review'" in found.problems[2]


@pytest.mark.parametrize("content", ["{", '{"data": 1}', ""])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match="export the project as JSON"):
        read_export(path, TOPICS)
