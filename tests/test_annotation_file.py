import json
from dataclasses import replace
from pathlib import Path

import pytest

from data.annotation_file import changed_text
from data.annotations import DEFAULT_ANNOTATIONS, Annotation, Said, load_annotations
from data.topics import load_topics

TOPICS = load_topics()
TEXT = DEFAULT_ANNOTATIONS.read_text(encoding="utf-8")
ANNOTATIONS = load_annotations(DEFAULT_ANNOTATIONS, TOPICS)
NEW = Annotation(
    "w#1", "w", "w", 1, "新写的一段。", ("e_commerce",), 1, True, "seed", (), (), (Said(("e_commerce",), "李敏"),)
)


def corrected(place: int) -> Annotation:
    one = ANNOTATIONS[place]
    said = Said(("e_commerce",), "李敏", "2026-11-22", "备注")
    return replace(one, topics=("e_commerce",), annotators=3, history=(Said(one.topics, "annotators"), said))


def load(tmp_path: Path, text: str) -> list[Annotation]:
    path = tmp_path / "annotations.jsonl"
    path.write_bytes(text.encode())
    return load_annotations(path, TOPICS)


def test_nothing_to_change_changes_nothing() -> None:
    assert changed_text(TEXT, {}, []) == TEXT


def test_only_changed_lines_change_and_new_ones_stand_at_the_end(tmp_path: Path) -> None:
    changed = corrected(7)
    after = changed_text(TEXT, {changed.id: changed, "elsewhere": NEW}, [NEW])
    before_lines, after_lines = TEXT.splitlines(), after.splitlines()
    different = [place for place, line in enumerate(before_lines) if line != after_lines[place]]
    assert different == [7] and len(after_lines) == len(before_lines) + 1
    assert list(json.loads(after_lines[7])) == [*json.loads(before_lines[7]), "history"]
    assert load(tmp_path, after) == [*ANNOTATIONS[:7], changed, *ANNOTATIONS[8:], NEW]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_stay_and_a_missing_last_one_is_added(tmp_path: Path, ending: str) -> None:
    lines = TEXT.splitlines()[:3]
    changed = corrected(1)
    after = changed_text(ending.join(lines), {changed.id: changed}, [NEW])
    kept = after.split("\n")
    assert kept[0] == lines[0] + ending[:-1] and kept[2] == lines[2]
    assert kept[1].endswith(ending[:-1])
    assert load(tmp_path, after) == [ANNOTATIONS[0], changed, ANNOTATIONS[2], NEW]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ("x", "'history' must be a list"),
        ([{"topics": []}], "expected {'topics', 'by'}"),
        ([{"topics": [], "by": 3}], "are texts"),
        ([{"topics": ["weather"], "by": "李敏"}], "unknown topic 'weather'"),
        ([{"topics": [], "by": "李敏", "who": "x"}], "expected {'topics', 'by'}"),
    ],
)
def test_a_wrong_history_is_refused(tmp_path: Path, history: object, message: str) -> None:
    entry = {**json.loads(TEXT.splitlines()[0]), "history": history}
    with pytest.raises(ValueError) as error:
        load(tmp_path, json.dumps(entry))
    assert message in str(error.value)
