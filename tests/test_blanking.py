"""Blanking the evidence, and as much other text."""

from pathlib import Path

import numpy as np
import pytest

from models.tagger import Tagger
from training.blanking import _blank, _other_spans, measure_blanking

TEXT = "市委统战部召开座谈会，听取意见。会后，大家参观了新建的图书馆，在阅览室坐了半个小时。"


def test_blanked_characters_become_marks_and_the_rest_stays() -> None:
    assert _blank("甲乙丙丁戊", [(1, 3), (4, 5)]) == "甲。。丁。"


@pytest.mark.parametrize("seed", range(20))
def test_other_text_is_as_much_and_never_evidence(seed: int) -> None:
    evidence = [(3, 9), (15, 20)]
    spans = _other_spans(TEXT, evidence, 11, np.random.default_rng(seed))
    places = [place for start, end in spans for place in range(start, end)]
    assert len(set(places)) == 11
    assert not set(places) & {*range(3, 9), *range(15, 20)}


def test_the_figures_are_what_the_tagger_says(tiny_artifact: Path) -> None:
    tagger = Tagger(tiny_artifact, threads=1)
    found = measure_blanking(tagger, [TEXT, "短句。"], seed=3)
    (tags, _) = tagger.tag([TEXT, "短句。"])
    cases = {topic: spans for topic, spans in tags.evidence.items() if sum(e - s for s, e in spans) <= len(TEXT) / 2}
    assert found.n >= len(cases) > 0
    assert 0 < found.evidence_share <= 0.5
    assert found.evidence != found.other


def test_nothing_given_is_nothing_to_blank(tiny_artifact: Path) -> None:
    assert measure_blanking(Tagger(tiny_artifact, threads=1), [], seed=0).n == 0
