import itertools
import json
import math
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import ROOT, SEEDS, TINY_MAX_LENGTH
from tokenizers import Tokenizer

from data.characters import count_han
from data.paragraphs import read_articles
from data.sources import read_source
from models.artifact import LEXICON_FILE, MODEL_FILE, TAGGER_FILE, TOKENIZER_FILE, file_hash
from models.base import unigram_tokenizer
from models.decisions import DECIMALS
from models.evidence import EVIDENCE_SHARE, is_visible
from models.packaged_base import Piece
from models.tagger import MAX_WINDOWS, Tagger

PARAGRAPHS = [p.text for path in SEEDS for p in read_articles(read_source(path)).paragraphs]
ROOM = TINY_MAX_LENGTH - 2
STEP = ROOM - ROOM // 2


@pytest.fixture(scope="module")
def tagger(tiny_artifact: Path) -> Tagger:
    return Tagger(tiny_artifact, threads=2)


@pytest.fixture
def copy(tiny_artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_artifact, tmp_path / "artifact"))


def chinese(text: str) -> str:
    return "".join(char for char in text if count_han(char))


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Change what `tagger.json` says, the hashes of the other files with it."""
    path = folder / TAGGER_FILE
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    content["files"] = {name: file_hash(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE)}
    path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_one_at_a_time_equals_a_batch_exactly(tagger: Tagger, tiny_artifact: Path) -> None:
    together = tagger.tag(PARAGRAPHS)
    assert [tagger.tag([text])[0] for text in PARAGRAPHS] == together
    assert tagger.tag(PARAGRAPHS[::-1]) == together[::-1]
    assert Tagger(tiny_artifact, threads=1).tag(PARAGRAPHS) == together
    assert np.array_equal(tagger.logits(tagger.encode(PARAGRAPHS))[7], tagger.logits(tagger.encode([PARAGRAPHS[7]]))[0])
    assert len({tags.topics for tags in together}) > 3


def test_no_text_gives_no_answer(tagger: Tagger) -> None:
    assert tagger.tag([]) == []
    assert tagger.encode([]) == []


@pytest.mark.parametrize("text", ["", " \n", "a", "\0\x1b\u202e", "👨‍👩‍👧", "བོད", "党" * 5000])
def test_any_text_is_tagged(text: str, tagger: Tagger) -> None:
    (tags,) = tagger.tag([text])
    assert list(tags.scores) == [topic.id for topic in tagger.artifact.topics]
    assert all(0 <= score <= 1 and round(score, DECIMALS) == score for score in tags.scores.values())


@pytest.mark.parametrize(
    "n", [0, 1, ROOM, ROOM + 1, ROOM + STEP, ROOM + STEP + 1, 500, ROOM + (MAX_WINDOWS - 1) * STEP]
)
def test_windows_cover_every_token(n: int, tagger: Tagger, tiny_artifact: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_artifact / TOKENIZER_FILE))
    # Each Chinese character of the seeds is one token of the tiny vocabulary.
    text = chinese("".join(PARAGRAPHS))[:n]
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert len(ids) == n
    (encoded,) = tagger.encode([text])
    assert not encoded.truncated
    first, last = tokenizer.encode("").ids
    assert {(window[0], window[-1]) for window in encoded.windows} == {(first, last)}
    assert max(map(len, encoded.windows)) <= TINY_MAX_LENGTH
    assert len(encoded.windows) == max(math.ceil((n - ROOM) / STEP), 0) + 1
    assert encoded.n_tokens == sum(map(len, encoded.windows))
    for k, (window, offsets) in enumerate(zip(encoded.windows, encoded.offsets, strict=True)):
        assert list(window[1:-1]) == ids[k * STEP : k * STEP + ROOM]
        places = range(n)[k * STEP : k * STEP + ROOM]
        assert offsets.tolist() == [[0, 0], *([place, place + 1] for place in places), [0, 0]]


def test_text_beyond_the_last_window_is_reported(tagger: Tagger) -> None:
    limit = ROOM + (MAX_WINDOWS - 1) * STEP
    whole, cut = tagger.tag(["党" * limit, "党" * (limit + 1)])
    assert (whole.truncated, cut.truncated) == (False, True)
    (encoded,) = tagger.encode(["党" * (limit + 1)])
    assert len(encoded.windows) == MAX_WINDOWS


def test_a_topic_of_the_last_window_alone_is_found(tagger: Tagger) -> None:
    # Half a window each: in a * 6 + b every window but the last, a + b, reads a + a.
    halves = [chinese(text)[:STEP] for text in PARAGRAPHS if count_han(text) >= STEP][:12]
    ids = [topic.id for topic in tagger.artifact.topics]
    found = 0
    for a, b in itertools.permutations(halves, 2):
        without, last = tagger.tag([a + a, a + b])
        (encoded,) = tagger.encode([a * 6 + b])
        assert len(encoded.windows) == 6
        (tags,) = tagger.decide([encoded])
        assert set(tags.topics) == {*without.topics, *last.topics}
        assert all(tags.scores[topic] == max(without.scores[topic], last.scores[topic]) for topic in ids)
        found += not set(last.topics) <= set(without.topics)
    assert found > 0


def give_all(content: dict[str, Any]) -> None:
    for topic in content["topics"]:
        topic.update(threshold=0.0001, scale=0.0, offset=0.0)


def run_network(folder: Path, window: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (topics,) and token shares (tokens, topics) of one window, straight from the file."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"])
    ids = np.array([window], np.int64)
    logits, shares = session.run(["logits", "token_shares"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    return logits[0], shares[0]


def save_unigram(characters: Sequence[str], folder: Path) -> None:
    """Replace the tokenizer by one in the manner of the default base, with a token for each character."""
    pieces = [Piece(name, 0.0) for name in ("<s>", "</s>", "<pad>", "<unk>")]
    special = {piece.text: place for place, piece in enumerate(pieces)}
    pieces += [Piece("\u2581", -2.0), *(Piece(char, -3.0) for char in characters)]
    unigram_tokenizer(pieces, special).save(str(folder / TOKENIZER_FILE))


def test_evidence_is_the_clause_whose_tokens_hold_most(copy: Path) -> None:
    tagger = Tagger(rewrite(copy, give_all), threads=1)
    ids = [topic.id for topic in tagger.artifact.topics]
    clauses = [chinese(text)[:9] for text in PARAGRAPHS[:60] if count_han(text) > 20]
    seen = set()
    for a, b, c in zip(clauses[::3], clauses[1::3], clauses[2::3], strict=False):
        # One token a character: special, 9 + mark, 9 + mark, 9 + mark, special.
        text = f"{a}，{b}；{c}。"
        (encoded,) = tagger.encode([text])
        (tags,) = tagger.decide([encoded])
        ((_, shares),) = tagger._runtime.run(encoded.windows)
        assert len(shares) == 32
        sums = shares[1:31].reshape(3, 10, -1).sum(1)
        for topic, held in zip(ids, sums.T.tolist(), strict=True):
            taken = sorted(range(3), key=lambda clause: -held[clause])
            while sum(held[clause] for clause in taken[:-1]) >= EVIDENCE_SHARE * sum(held):
                taken.pop()
            marked = {place for start, end in tags.evidence[topic] for place in range(start, end)}
            inside = {10 * clause + k for clause in taken for k in range(9)}
            assert marked - {9, 19} == inside
            seen.add(tuple(sorted(taken)))
    # The test says something only where the clauses differ.
    assert {(0,), (1,), (2,)} <= seen and max(map(len, seen)) > 1


def test_only_topics_that_are_given_have_evidence(tagger: Tagger) -> None:
    found = tagger.tag(PARAGRAPHS)
    for text, tags in zip(PARAGRAPHS, found, strict=True):
        assert tuple(tags.evidence) == tags.topics
        for spans in tags.evidence.values():
            assert spans
            places = [place for span in spans for place in span]
            assert places == sorted(set(places)) and places[-1] <= len(text)
            assert all(text[start:end].strip("。！？!?；;，,：: \n") == text[start:end] for start, end in spans)
    assert len({len(tags.evidence) for tags in found}) > 2


def test_the_window_with_the_largest_logit_gives_the_evidence(copy: Path) -> None:
    tagger = Tagger(rewrite(copy, give_all), threads=1)
    ids = [topic.id for topic in tagger.artifact.topics]
    # With a clause a step, window k holds clauses k and k + 1, and no other.
    clauses = [chinese(text)[: STEP - 1] for text in PARAGRAPHS if count_han(text) >= STEP][:12]
    text = "".join(f"{clause}，" for clause in clauses)
    (encoded,) = tagger.encode([text])
    assert len(encoded.windows) == len(clauses) - 1
    (tags,) = tagger.decide([encoded])
    logits = np.array([run_network(copy, window)[0] for window in encoded.windows])
    assert len(set(logits.argmax(0).tolist())) > 1
    for topic, best in zip(ids, logits.argmax(0).tolist(), strict=True):
        assert best * STEP <= tags.evidence[topic][0][0] < tags.evidence[topic][-1][1] < (best + 2) * STEP


@pytest.mark.parametrize(
    "text",
    [
        "😀👨‍👩‍👧‍👦，直播带货。",
        "３２１元；㈱①½，ﷺ：ｶﾞ",
        "བོད་ཡིག་གི་ཚན་པ། 党建，བོད།",
        "  党建   引领 。\r\n\r\n  电商\u3000\u3000直播 ",
        "e\u0301\u0323，e\u0301！",
        "\u200b党\ufeff建\u00ad，\u202e电商\u202c",
        "！！！",
        "？",
        "，党",
        "𠀀𠮷，𪚥。",
        "\0党\x01，\x0b建\x7f",
        "他说：“发展。”，然后",
    ],
)
@pytest.mark.parametrize("base", ["tiny", "unigram"])
def test_evidence_is_never_empty_and_begins_and_ends_with_something_visible(text: str, base: str, copy: Path) -> None:
    if base == "unigram":
        # Not all characters, so that some are unknown.
        save_unigram(sorted({*text, *unicodedata.normalize("NFKC", text)} - {" "})[::2], copy)
    tagger = Tagger(rewrite(copy, give_all), threads=1)
    (tags,) = tagger.tag([text])
    assert len(tags.evidence) == len(tagger.artifact.topics)
    for spans in tags.evidence.values():
        assert spans
        for start, end in spans:
            assert type(start) is type(end) is int
            assert is_visible(text[start]) and is_visible(text[end - 1])


def test_a_window_of_nothing_visible_gives_no_evidence(copy: Path) -> None:
    save_unigram(["党", "\u00ad"], copy)
    tagger = Tagger(rewrite(copy, give_all), threads=1)
    text = "\u00ad" * 200 + "党"
    (encoded,) = tagger.encode([text])
    logits = [run_network(copy, window)[0] for window in encoded.windows]
    # Of some topic such a window has the largest logit.
    assert len(logits) > 3 and np.argmax(logits, axis=0).min() == 0
    (tags,) = tagger.decide([encoded])
    assert tags.evidence == dict.fromkeys(tags.topics, ((200, 201),)) and tags.topics


@pytest.mark.parametrize("text", ["", " \n", "\u3000"])
def test_without_a_visible_character_there_is_nothing_to_show(text: str, copy: Path) -> None:
    tagger = Tagger(rewrite(copy, give_all), threads=1)
    (tags,) = tagger.tag([text])
    assert tags.evidence == dict.fromkeys(tags.topics, ()) and tags.topics


def test_scores_are_calibrated_logits(copy: Path) -> None:
    def calibrate(content: dict[str, Any]) -> None:
        content["topics"][0].update(scale=2.0, offset=-1.0)

    tagger = Tagger(rewrite(copy, calibrate))
    logits = tagger.logits(tagger.encode(PARAGRAPHS[:5]))
    for tags, row in zip(tagger.tag(PARAGRAPHS[:5]), logits.tolist(), strict=True):
        assert tags.scores["united_front"] == pytest.approx(1 / (1 + math.exp(-(2 * row[0] - 1))), abs=1e-4)
        assert tags.scores["e_commerce"] == pytest.approx(1 / (1 + math.exp(-0.5 * row[4])), abs=1e-4)


@pytest.mark.parametrize(
    ("offset", "threshold", "band", "answer", "given"),
    [
        # With scale 0 the probability is sigmoid(offset): 0.5, 0.7311 and 0.2689 here.
        (0.0, 0.6, (0.1, 0.2), "none", False),
        (0.0, 0.4, (0.1, 0.2), "topics", True),
        (0.0, 0.5, (0.1, 0.2), "topics", True),
        (0.0, 0.6, (0.4, 0.7), "unsure", False),
        (0.0, 0.4, (0.4, 0.7), "unsure", True),
        (0.0, 0.6, (0.5, 0.7), "unsure", False),
        (0.0, 0.6, (0.4, 0.5), "none", False),
        (0.0, 0.5, (0.5, 0.5), "topics", True),
        (1.0, 0.7311, (0.0, 0.1), "topics", True),
        (1.0, 0.7312, (0.0, 0.1), "none", False),
        (-1.0, 0.5, (0.2689, 0.3), "unsure", False),
        (-1.0, 0.5, (0.269, 0.3), "none", False),
    ],
)
def test_thresholds_and_bands_decide(
    offset: float, threshold: float, band: tuple[float, float], answer: str, given: bool, copy: Path
) -> None:
    def decide(content: dict[str, Any]) -> None:
        for topic in content["topics"]:
            topic.update(scale=0.0, offset=-20.0, threshold=0.5, band=[0.5, 0.5])
        content["topics"][2].update(offset=offset, threshold=threshold, band=list(band))

    (tags,) = Tagger(rewrite(copy, decide), threads=1).tag(["党建"])
    assert tags.answer == answer
    assert tags.topics == (("party_building",) if given else ())
    assert tags.scores["united_front"] == 0.0


def test_one_unsure_topic_makes_the_answer_unsure_and_keeps_the_sure_ones(copy: Path) -> None:
    def decide(content: dict[str, Any]) -> None:
        for topic in content["topics"]:
            topic.update(scale=0.0, offset=20.0, threshold=0.5, band=[0.1, 0.2])
        content["topics"][4].update(offset=0.0, threshold=0.6, band=[0.4, 0.6])

    (tags,) = Tagger(rewrite(copy, decide), threads=1).tag(["党建"])
    assert (tags.answer, len(tags.topics), tags.scores["e_commerce"]) == ("unsure", 4, 0.5)


def test_the_artifacts_own_topics_decide(copy: Path) -> None:
    def rename(content: dict[str, Any]) -> None:
        for k, topic in enumerate(content["topics"]):
            topic.update(id=f"topic_{k}", threshold=0.0001)

    (tags,) = Tagger(rewrite(copy, rename), threads=1).tag(["党建"])
    assert tags.topics == tuple(tags.scores) == tuple(f"topic_{k}" for k in range(5))


@pytest.mark.parametrize("text", ["党建\ud800", "\udfff", "a\udc80b"])
def test_invalid_unicode_is_refused(text: str, tagger: Tagger) -> None:
    with pytest.raises(ValueError, match="a paragraph is not valid Unicode text: "):
        tagger.tag(["电商", text])


@pytest.mark.parametrize("name", [MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE])
def test_a_damaged_file_is_named(name: str, copy: Path) -> None:
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    with pytest.raises(ValueError) as error:
        Tagger(copy)
    assert str(error.value).startswith(f"{copy / name}: not the file that tagger.json was written for; ")


def test_a_damaged_tagger_file_is_named(copy: Path) -> None:
    (copy / TAGGER_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(ValueError) as error:
        Tagger(copy)
    assert str(error.value).startswith(f"{copy / TAGGER_FILE}: damaged (")


@pytest.mark.parametrize("name", [TAGGER_FILE, MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE])
def test_a_missing_file_is_named(name: str, copy: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError) as error:
        Tagger(copy)
    assert str(error.value) == f"{copy}: {name} is missing; restore the folder or train again"


@pytest.mark.parametrize("name", [MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE])
@pytest.mark.parametrize("raw", [b"", b"{}", b"no such format"])
def test_a_foreign_file_is_refused(raw: bytes, name: str, copy: Path) -> None:
    (copy / name).write_bytes(raw)
    rewrite(copy, lambda content: None)
    with pytest.raises(ValueError) as error:
        Tagger(copy)
    assert str(error.value).startswith(f"{copy}: the model cannot be loaded (")


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        (("logits", "token_shares"), ""),
        (("logits",), "it does not return token_shares); train again"),
        (("y",), "it does not return logits); train again"),
    ],
)
def test_a_network_with_other_inputs_or_outputs_is_refused(outputs: tuple[str, ...], why: str, copy: Path) -> None:
    def value(name: str) -> onnx.ValueInfoProto:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])

    nodes = [onnx.helper.make_node("Identity", ["x"], [name]) for name in outputs]
    graph = onnx.helper.make_graph(nodes, "other", [value("x")], [value(name) for name in outputs])
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10),
        str(copy / MODEL_FILE),
    )
    rewrite(copy, lambda content: None)
    with pytest.raises(ValueError) as error:
        Tagger(copy)
    assert str(error.value).startswith(f"{copy / MODEL_FILE}: no network of a tagger ({why}")
    assert str(error.value).endswith("); train again")


def test_a_tokenizer_of_another_model_is_refused(copy: Path, tiny_artifact: Path) -> None:
    content = json.loads((tiny_artifact / TOKENIZER_FILE).read_text(encoding="utf-8"))
    content["post_processor"] = None
    (copy / TOKENIZER_FILE).write_text(json.dumps(content), encoding="utf-8")
    rewrite(copy, lambda content: None)
    with pytest.raises(ValueError) as error:
        Tagger(copy)
    assert str(error.value) == f"{copy / TOKENIZER_FILE}: expected one special token at each end, found 0"


def test_another_number_of_topics_is_refused(copy: Path) -> None:
    rewrite(copy, lambda content: content["topics"].pop())
    with pytest.raises(ValueError) as error:
        Tagger(copy)
    assert str(error.value) == f"{copy}: tagger.json lists 4 topics, {MODEL_FILE} returns 5"


@pytest.mark.slow
def test_tagging_imports_no_training_library(tiny_artifact: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import models.tagger\n"
        f"print(len(models.tagger.Tagger(Path({str(tiny_artifact)!r})).tag(['党建', '电商'])))\n"
        "print([name for name in ('torch', 'transformers', 'onnx', 'sklearn', 'datasets') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "2\n[]\n"), done.stderr


def test_the_lexicon_adds_to_what_the_network_says(tiny_artifact: Path) -> None:
    tagger = Tagger(tiny_artifact, threads=1)
    text = "今天甲乙下雨"
    (with_words,) = tagger.logits(tagger.encode([text]))
    (output,) = tagger._runtime.run(tagger.encode([text])[0].windows)
    assert with_words - output.logits == pytest.approx([20, 0, 0, 0, 0], abs=1e-4)
    assert tagger.tag([text])[0].scores["united_front"] > 0.99
