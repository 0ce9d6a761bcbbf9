"""The model that ships: small, whole, and right on plain cases."""

import numpy as np
import pytest
from bench.reference import Reference

from data.annotations import load_annotation_files
from data.topics import load_topics
from models.decisions import decide
from models.store import RELEASED
from models.tagger import Tagger
from training.metrics import macro_f1
from training.split_guard import TEST_FILES

MAX_BYTES = 40_000_000
# Against the network with unrounded states, on the test paragraphs.
MAX_FLIPS, MAX_LOSS = 0.003, 0.003


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(RELEASED)


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in RELEASED.iterdir()) < MAX_BYTES


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("市委统战部召开党外人士座谈会，听取各民主党派、工商联负责人对经济工作的意见建议。", {"united_front"}),
        ("县应急管理局执法人员深入化工园区，逐一检查储罐和消防设施，责令两家企业限期整改隐患。", {"safety_inspection"}),
        ("社区党支部开展主题党日活动，组织全体党员重温入党誓词，集中学习纪律处分条例。", {"party_building"}),
        ("村里流转土地八百亩种上了蜜桃，合作社统一管护，村民每年人均增收三千多元。", {"rural_revitalization"}),
        ("今年前三季度全市网络零售额同比增长百分之十二，跨境电商企业备货海外仓。", {"e_commerce"}),
        ("受冷空气影响，今天夜里到明天白天全市多云转阴，最低气温零下三度。", set()),
    ],
)
def test_plain_cases(tagger: Tagger, text: str, topics: set[str]) -> None:
    (tags,) = tagger.tag([text])
    assert set(tags.topics) == topics
    assert tags.answer == ("topics" if topics else "none")


@pytest.mark.slow
def test_integers_flip_few_tags(tagger: Tagger) -> None:
    test = load_annotation_files(TEST_FILES, load_topics())
    texts = [one.text for one in test]
    given = decide(tagger.artifact.topics, tagger.logits(tagger.encode(texts))).given
    expected = Reference(RELEASED, threads=2).decide(texts).given
    truth = np.array([[topic.id in one.topics for topic in tagger.artifact.topics] for one in test])
    assert (given != expected).mean() <= MAX_FLIPS
    assert macro_f1(truth, given) >= macro_f1(truth, expected) - MAX_LOSS
