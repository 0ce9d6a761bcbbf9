import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import write_tiny_artifact

from data.annotations import Annotation, Said
from data.topics import Topic, load_topics
from models.artifact import TAGGER_FILE
from models.out_of_fold import write_out_of_fold
from models.tagger import Tagger
from training.corrections_report import Corrected, answer_corrected, corrections_section, find_corrected
from training.examples import Examples, from_annotations

SIXTH = Topic("volunteering", "志愿服务", "志愿者的活动")
TOPICS = load_topics()
ALL = (*TOPICS, SIXTH)
PARTY, SHOP = ("party_building",), ("e_commerce",)
# Logits that a tiny artifact (scale 0.5, offset 0, threshold 0.5) takes for yes and no.
YES, NO = 8.0, -8.0


def known(number: int, *history: tuple[tuple[str, ...], str], topics: tuple[str, ...] = PARTY) -> Annotation:
    said = tuple(Said(topics, "李敏" if when else "annotators", when) for topics, when in history)
    settled = said[-1].topics if said else topics
    return Annotation(
        f"a#{number}", "a", f"a#{number}", number, f"第{number}段。", settled, 2, True, "written", history=said
    )


@pytest.fixture
def incumbent(tiny_artifact: Path, tmp_path: Path) -> Path:
    """Trained on 2025-01-02 on a#0 to a#4, which it takes for party building."""
    folder = tmp_path / "incumbent"
    shutil.copytree(tiny_artifact, folder)
    path = folder / TAGGER_FILE
    text = path.read_text(encoding="utf-8").replace("2025-01-02T03:04:05Z", "2025-01-02T12:00:00+00:00")
    path.write_text(text, encoding="utf-8")
    keep(folder, 5, np.where([topic.id in PARTY for topic in TOPICS], YES, NO))
    return folder


def keep(folder: Path, n: int, logits: np.ndarray) -> None:
    """Keep the same logits, or a row for each, of a#0 and the next ones."""
    rows = np.broadcast_to(logits, (n, logits.shape[-1]))
    write_out_of_fold(folder, [f"a#{number}" for number in range(n)], ["字"] * n, rows)


def test_new_and_changed_annotations_are_found(incumbent: Path) -> None:
    annotations = [
        known(0),
        known(1, (PARTY, ""), (SHOP, "2025-02-01")),
        # Changed and trained on.
        known(2, (PARTY, ""), (SHOP, "2024-12-01")),
        # Looked at and found right.
        known(3, (PARTY, ""), (PARTY, "2025-02-01")),
        # Changed and changed back.
        known(4, (PARTY, ""), (SHOP, "2025-02-01"), (PARTY, "2025-02-02")),
        known(5, (SHOP, "2025-02-01")),
        known(6),
    ]
    assert find_corrected(annotations, incumbent) == ["a#1", "a#5", "a#6"]


def test_what_was_trained_on_already_counts_from_its_last_state(incumbent: Path) -> None:
    twice = known(0, (PARTY, ""), (SHOP, "2024-12-01"), (PARTY, "2025-02-01"))
    assert find_corrected([twice], incumbent) == ["a#0"]


def test_a_correction_on_the_day_of_the_training_counts_as_later(incumbent: Path) -> None:
    assert find_corrected([known(0, (PARTY, ""), (SHOP, "2025-01-02"))], incumbent) == ["a#0"]


def test_of_a_model_that_keeps_nothing_every_annotation_is_new(incumbent: Path) -> None:
    (incumbent / "out_of_fold.jsonl").unlink()
    assert find_corrected([known(0), known(1)], incumbent) == ["a#0", "a#1"]


def test_both_answer_and_an_unknown_topic_is_never_given_before(
    incumbent: Path, tiny_base: Path, tmp_path: Path
) -> None:
    (tmp_path / "candidate").mkdir()
    candidate = write_tiny_artifact(tmp_path / "candidate", tiny_base, ALL)
    annotations = [known(0), known(1, topics=SHOP), known(6, topics=(SIXTH.id,)), known(7)]
    examples = from_annotations(annotations, ALL)
    write_out_of_fold(candidate, examples.ids, examples.texts, np.where(examples.labels > 0.5, YES, NO))
    found = answer_corrected(["a#7", "a#1", "a#6"], examples, incumbent, candidate)
    assert found.examples.ids == ("a#1", "a#6", "a#7")
    assert found.topics == tuple(topic.id for topic in ALL)
    # Out of fold where it was trained on the paragraph, else what it says of it.
    assert found.incumbent[0].tolist() == [topic.id in PARTY for topic in ALL]
    fresh = [record.topics for record in Tagger(incumbent).tag(found.examples.texts[1:])]
    assert [[topic.id in said for topic in ALL] for said in fresh] == found.incumbent[1:].tolist()
    assert not found.incumbent[:, -1].any()
    assert (found.candidate == (found.examples.labels > 0.5)).all()


def test_without_corrections_it_says_so(incumbent: Path) -> None:
    examples = from_annotations([known(0)], TOPICS)
    found = answer_corrected([], examples, incumbent, incumbent)
    assert "None since the model in use was trained." in "\n".join(corrections_section(found))


def test_the_section_counts_each_topic() -> None:
    yes, no = True, False
    labels = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=np.float32)
    ids = ("a", "b", "c", "d")
    examples = Examples(ids, tuple(f"{name}的正文" for name in ids), labels, ids, ("seed",) * 4)
    before = np.array([[no, no], [no, no], [no, no], [no, no]])
    after = np.array([[yes, no], [no, no], [no, yes], [yes, no]])
    lines = corrections_section(Corrected(examples, ("one", "two"), before, after))
    assert lines[0] == "## 4 new and corrected paragraphs\n"
    # Carry it, wrong before, mended, still wrong, newly wrong.
    assert "| `one` | 2 | 2 | 1 | 1 | 1 |" in lines
    assert "| `two` | 1 | 1 | 1 | 0 | 0 |" in lines
    assert "Wholly mended: 2 paragraphs of 3 that were wrong.\n" in lines
    assert [line for line in lines if line.startswith("- ")] == ["- a: a的正文", "- c: c的正文"]
