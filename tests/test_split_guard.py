"""Training refuses what stands in the test files, and leaves out what nearly stands in a given one."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from data.annotations import DEFAULT_FILES, load_annotation_files, load_annotations
from data.topics import load_topics
from training.split_guard import TEST_FILES, load_test_texts, refuse_test_texts, without_texts_of
from training.train import read_data

ROOT = Path(__file__).resolve().parent.parent
TOPICS = load_topics()


def test_the_shipped_training_files_hold_nothing_of_the_test_files() -> None:
    annotations = load_annotation_files(DEFAULT_FILES, TOPICS)
    refuse_test_texts(annotations, load_test_texts())
    writers = {annotation.article for annotation in annotations}
    assert not writers & {one.article for path in TEST_FILES for one in load_annotations(path, TOPICS)}


def test_a_test_paragraph_among_the_annotations_is_refused_even_when_edited() -> None:
    annotations = load_annotation_files(DEFAULT_FILES, TOPICS)[:5]
    smuggled = replace(annotations[2], text="本报讯 " + max(load_test_texts(), key=len)[3:])
    with pytest.raises(ValueError) as error:
        refuse_test_texts([*annotations[:2], smuggled], load_test_texts())
    assert f"'{annotations[2].id}'" in str(error.value)
    assert "test_written.jsonl" in str(error.value)


def test_the_command_refuses_to_train_on_a_test_file() -> None:
    command = [sys.executable, "-m", "training.train", "--annotations", str(TEST_FILES[0])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "which training never reads; leave them out" in done.stderr


def test_annotations_near_a_given_test_file_are_left_out(tmp_path: Path) -> None:
    annotations = load_annotation_files(DEFAULT_FILES, TOPICS)
    chosen = [one for one in annotations if len(one.text) > 60][:3]
    assert without_texts_of(annotations, chosen[:1]) == [one for one in annotations if one is not chosen[0]]
    path = tmp_path / "test.jsonl"
    rows = [
        json.dumps({"text": one.text + "完", "topics": list(one.topics), **_rest(number)})
        for number, one in enumerate(chosen)
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    data = read_data(ROOT / "data" / "topics.toml", DEFAULT_FILES, [path])
    assert data.test is not None and len(data.test) == 3
    assert not {one.id for one in chosen} & set(data.paragraphs.ids)


def _rest(number: int) -> dict[str, object]:
    place = {"id": f"t{number}", "source": "t", "article": "t", "index": number}
    return {**place, "annotators": 1, "agreed": True, "origin": "written"}
