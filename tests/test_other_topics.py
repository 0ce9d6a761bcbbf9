"""The same command on another topic set, one topic a text: trains, reports on a test file, ships."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from models.artifact import Artifact, read_artifact
from models.tagger import Tagger

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
TOPICS = """
[[topic]]
id = "101"
name = "体育"
[[topic]]
id = "102"
name = "天气"
definition = "天气预报和气候。"
phrases = ["明天多云转晴"]
[[topic]]
id = "103"
name = "财经"
"""
TEXTS = {
    "101": (
        "球队赢得联赛冠军",
        "选手打破百米纪录",
        "主场三比一获胜",
        "教练公布首发名单",
        "半程马拉松鸣枪开跑",
        "女排晋级决赛",
    ),
    "102": ("明天阴有小雨", "北风四到五级", "气温下降六度", "今夜有大雾", "周末天气晴好", "台风将在后天登陆"),
    "103": ("股市小幅收高", "央行下调利率", "公司公布季度利润", "债券收益率上升", "人民币汇率走稳", "基金规模增长"),
}


class Trained(NamedTuple):
    folder: Path
    artifact: Artifact
    printed: str


def lines(first: int, last: int, article: str) -> str:
    rows = [
        {"id": f"{topic}-{number}", "source": "x", "article": article, "index": number, "text": text,
         "topics": [topic], "annotators": 1, "agreed": True, "origin": "written"}
        for topic, texts in TEXTS.items() for number, text in enumerate(texts[first:last], start=first)
    ]  # fmt: skip
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


@pytest.fixture(scope="module")
def trained(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("other")
    (folder / "topics.toml").write_text(TOPICS, encoding="utf-8")
    # All texts of one article, as in a set that knows of none.
    (folder / "train.jsonl").write_text(lines(0, 4, "all"), encoding="utf-8")
    (folder / "test.jsonl").write_text(lines(4, 6, "all"), encoding="utf-8")
    command = [sys.executable, "-m", "training.train", "--name", "news", "--base", str(tiny_base), "--max_length", "64"]
    files = ["--topics", "topics.toml", "--annotations", "train.jsonl", "--test", "test.jsonl"]
    paths = [str(folder / item) if "." in item else item for item in files]
    environment = {**os.environ, "DUANBIAO_MODELS": str(folder)}
    done = subprocess.run([*command, *paths], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    tag, version = (folder / "current").read_text(encoding="utf-8").split()[0].split(":")
    model = folder / "store" / "models" / tag / version
    return Trained(model, read_artifact(model), done.stdout)


def test_topics_exclude_each_other_and_the_command_says_so(trained: Trained) -> None:
    assert trained.artifact.exclusive
    assert "the topics exclude each other" in trained.printed
    assert [topic.id for topic in trained.artifact.topics] == ["101", "102", "103"]


def test_the_test_file_is_reported_and_was_not_trained_on(trained: Trained) -> None:
    figures = trained.artifact.metrics["test"]
    assert figures["n_paragraphs"] == 6
    tagger = Tagger(trained.folder)
    right = sum(tagger.tag([text])[0].topics == (topic,) for topic, texts in TEXTS.items() for text in texts[4:6])
    assert figures["accuracy"] == pytest.approx(right / 6, abs=1e-4)
    assert "test: 6 paragraphs" in trained.printed
    assert trained.artifact.metrics["written, out of fold"]["n_paragraphs"] == 12


def test_each_text_gets_exactly_one_topic(trained: Trained) -> None:
    texts = ["随便一句话", "央行", "", "今天的比赛因为大雨推迟，票款将退回"]
    for tags in Tagger(trained.folder).tag(texts):
        assert len(tags.topics) == 1
        assert sum(tags.scores.values()) == pytest.approx(1, abs=1e-3)
        assert tags.topics[0] == max(tags.scores, key=lambda topic: tags.scores[topic])
