"""What a version keeps of its training paragraphs comes back, and fits the version that ships."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.annotations import DEFAULT_FILES, load_annotation_files
from data.topics import load_topics
from models.artifact import file_hash, read_artifact
from models.out_of_fold import OUT_OF_FOLD_FILE, read_out_of_fold, write_out_of_fold
from models.store import RELEASED

LOGITS = np.array([[0.5, -1.25], [3.0, 4.0]], dtype=np.float32)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    write_out_of_fold(tmp_path, ["一", "b"], ["党建", "😀啊。"], LOGITS)
    kept = read_out_of_fold(tmp_path)
    assert kept.ids == ("一", "b") and kept.characters == (2, 3)
    assert (kept.logits == LOGITS).all()
    assert (kept.logits_of(["b", "一"]) == LOGITS[::-1]).all()


def test_a_paragraph_that_is_not_kept_is_named(tmp_path: Path) -> None:
    write_out_of_fold(tmp_path, ["a", "b"], ["", ""], LOGITS)
    with pytest.raises(ValueError, match=r"holds nothing for c; .* train again"):
        read_out_of_fold(tmp_path).logits_of(["a", "c"])


def test_an_earlier_version_has_no_lengths(tmp_path: Path) -> None:
    (tmp_path / OUT_OF_FOLD_FILE).write_text('{"id": "a", "logits": [1.5, 2]}\n')
    kept = read_out_of_fold(tmp_path)
    assert kept.characters == () and kept.logits.tolist() == [[1.5, 2.0]]


@pytest.mark.parametrize(
    "second",
    [
        '{"id": "b", "characters": 3, "lo',
        '{"id": "b", "characters": 3}',
        '{"id": "b", "logits": [1.5, 2]}',
        '{"id": "b", "characters": 3, "logits": [1.5]}',
        '{"id": "b", "characters": 3, "logits": [1.5, NaN]}',
        "7",
    ],
)
def test_a_damaged_file_is_named(second: str, tmp_path: Path) -> None:
    first = json.dumps({"id": "a", "characters": 3, "logits": [1.5, 2]})
    (tmp_path / OUT_OF_FOLD_FILE).write_text(f"{first}\n{second}\n")
    with pytest.raises(ValueError, match=f"{OUT_OF_FOLD_FILE}: damaged .*; restore the folder or train again"):
        read_out_of_fold(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"{OUT_OF_FOLD_FILE}: missing"):
        read_out_of_fold(tmp_path)


def test_the_lengths_of_the_released_model_are_those_of_its_texts() -> None:
    hashes = read_artifact(RELEASED).data
    if any(hashes[path.name] != file_hash(path) for path in DEFAULT_FILES):
        pytest.skip("the annotations changed since the released model was trained")
    texts = {one.id: one.text for one in load_annotation_files(DEFAULT_FILES, load_topics())}
    kept = read_out_of_fold(RELEASED)
    assert kept.characters == tuple(len(texts[example_id]) for example_id in kept.ids)
