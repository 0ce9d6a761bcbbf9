"""Training for real, on a tiny encoder: it learns, it repeats itself, it goes on where it was."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import BertConfig, BertModel

from data.topics import load_topics
from models.export import export_onnx
from models.network import TopicNetwork, snap_weights
from training import fine_tune as fine_tuning
from training.contrast import contrastive_loss
from training.cross_validate import out_of_fold_logits
from training.examples import Examples, from_phrases
from training.fine_tune import fine_tune, new_network, predict_logits, prepare, tokenizer_of
from training.head import pad
from training.settings import TrainSettings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
TEXTS = (
    "政协委员提交提案",
    "检查消防隐患",
    "党支部主题党日",
    "村民种植果树",
    "直播间带货卖货",
    "今天天气晴朗",
    "球队赢得比赛",
    "政协委员下乡助农",
)
TOPICS_OF = ((0,), (1,), (2,), (3,), (4,), (), (), (0, 3))


def eight() -> Examples:
    labels = np.zeros((8, 5), np.float32)
    for row, topics in enumerate(TOPICS_OF):
        labels[row, list(topics)] = 1
    ids = tuple(f"t{row}" for row in range(8))
    return Examples(ids, TEXTS, labels, ids, ("seed",) * 8)


def settings_for(base: Path, **changes: object) -> TrainSettings:
    plain = TrainSettings(base=str(base), max_length=64, batch_size=4, num_train_epochs=3, learning_rate=1e-3)
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def four_layers(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder with four layers, so that some stay as they are and some are trained."""
    folder = tmp_path_factory.mktemp("four-layers")
    shutil.copytree(tiny_base, folder, dirs_exist_ok=True)
    config = BertConfig.from_pretrained(str(tiny_base), num_hidden_layers=4)
    torch.manual_seed(5)
    BertModel(config, add_pooling_layer=False).save_pretrained(str(folder))
    return folder


def state_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_eight_texts_are_learnt_by_heart(tiny_base: Path, tmp_path: Path) -> None:
    settings = settings_for(tiny_base, num_train_epochs=60, learning_rate=1e-2)
    prepared = prepare(eight(), settings)
    logits = predict_logits(fine_tune(prepared, settings, tmp_path), prepared)
    assert ((logits > 0) == (eight().labels > 0.5)).all()


def test_the_same_seed_gives_the_same_network(tiny_base: Path, tmp_path: Path) -> None:
    prepared = prepare(eight(), settings_for(tiny_base))
    runs = [state_of(fine_tune(prepared, settings_for(tiny_base), tmp_path / name)) for name in ("a", "b")]
    assert same(*runs)
    other = state_of(fine_tune(prepared, settings_for(tiny_base, seed=14), tmp_path / "c"))
    assert not same(runs[0], other)


def one_topic_each() -> Examples:
    labels = np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0, 1, 0]]
    return replace(eight(), labels=labels, exclusive=True)


@pytest.mark.parametrize("examples", [eight(), one_topic_each()], ids=["several topics", "one topic each"])
def test_interrupted_training_goes_on_to_the_same_network(
    examples: Examples, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(tiny_base)
    prepared = prepare(examples, settings)
    whole = state_of(fine_tune(prepared, settings, tmp_path / "whole"))

    class Interrupted(fine_tuning.Trainer):  # type: ignore[misc]
        def _save_checkpoint(self, *arguments: object, **named: object) -> None:
            super()._save_checkpoint(*arguments, **named)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fine_tuning, "Trainer", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            fine_tune(prepared, settings, tmp_path / "cut")
    assert [path.name for path in (tmp_path / "cut").glob("checkpoint-*")] == ["checkpoint-2"]
    assert same(whole, state_of(fine_tune(prepared, settings, tmp_path / "cut")))


def test_where_each_text_has_one_topic_those_of_a_topic_come_together(four_layers: Path, tmp_path: Path) -> None:
    settings = settings_for(four_layers)
    prepared = prepare(one_topic_each(), settings)
    topics = torch.from_numpy(prepared.examples.labels).argmax(1)

    def apart(network: TopicNetwork) -> float:
        states, mask = pad(prepared.lower)
        with torch.inference_mode():
            units = network.unit_states(states.float(), mask)
            return float(contrastive_loss(network.last_means(units, mask), topics))

    before = apart(new_network(str(four_layers), 5).eval())
    assert apart(fine_tune(prepared, settings, tmp_path)) < before / 2


@pytest.mark.parametrize(("examples", "first"), [(eight, 3), (one_topic_each, 1)])
def test_lower_layers_stay_as_they_are(
    four_layers: Path, tmp_path: Path, examples: Callable[[], Examples], first: int
) -> None:
    settings = settings_for(four_layers)
    before = state_of(new_network(str(four_layers), 5).encoder)
    network = fine_tune(prepare(examples(), settings), settings, tmp_path)
    assert network.n_lower_layers == first
    trained = tuple(f"encoder.layer.{number}." for number in range(first, len(network.encoder.encoder.layer)))
    after = network.encoder.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items() if not name.startswith(trained))
    changed = f"encoder.layer.{first}.output.dense.weight"
    assert not torch.equal(before[changed], after[changed])


def test_what_is_trained_is_what_ships(four_layers: Path, tmp_path: Path) -> None:
    settings = settings_for(four_layers)
    encoder = fine_tune(prepare(one_topic_each(), settings), settings, tmp_path).encoder
    trained = state_of(encoder)
    snap_weights(encoder)
    # But for the last bit.
    assert all(torch.allclose(value, trained[name], rtol=1e-6, atol=0) for name, value in state_of(encoder).items())


def test_exclusive_examples_and_others_are_not_mixed(four_layers: Path) -> None:
    settings = settings_for(four_layers)
    with pytest.raises(ValueError, match="cannot be joined"):
        prepare(eight(), settings).joined(prepare(one_topic_each(), settings))


def test_finished_folds_are_not_trained_again(tiny_base: Path, tmp_path: Path) -> None:
    settings = settings_for(tiny_base, n_folds=2, num_train_epochs=1)
    paragraphs, phrases = prepare(eight(), settings), prepare(from_phrases(load_topics()), settings)
    first = out_of_fold_logits(paragraphs, phrases, settings, tmp_path)
    for number in (1, 2):
        shutil.rmtree(tmp_path / f"fold-{number}")
    again = out_of_fold_logits(paragraphs, phrases, settings, tmp_path)
    assert np.allclose(first, again)
    assert not (tmp_path / "fold-1").exists()


def test_wrong_data_ends_the_command_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n", encoding="utf-8")
    command = [sys.executable, "-m", "training.train", "--annotations", str(tmp_path / "bad.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "bad.jsonl:1: 'id' is missing" in done.stderr


def test_a_trained_network_exports_to_what_it_is(tiny_base: Path, tmp_path: Path) -> None:
    settings = settings_for(tiny_base)
    network = fine_tune(prepare(eight(), settings), settings, tmp_path / "run")
    snap_weights(network)
    export_onnx(network, tmp_path / "model.onnx")
    tokenizer = tokenizer_of(str(tiny_base))
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), _plain(), providers=["CPUExecutionProvider"])
    for text in TEXTS:
        ids = np.array([tokenizer.encode(text).ids])
        (found,) = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        with torch.inference_mode():
            expected = network(torch.from_numpy(ids), torch.ones(ids.shape, dtype=torch.int64))["logits"].numpy()
        assert np.abs(found - expected).max() < 1e-4


def _plain() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options
