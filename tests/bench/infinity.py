"""An inference server as others maintain it, with our encoder: infinity, installed for this alone."""

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.serving_process import serving

PACKAGES = ("infinity-emb[server,torch]==0.0.78", "transformers<5")
MODEL = "encoder"


class NotInstalled(Exception):
    """It could not be installed; the message says why."""


def install(folder: Path) -> Path:
    """Return the command of infinity in a virtual environment below `folder`, made if there is none.

    Torch is taken from the running environment: the same build for both, and gigabytes less.

    Raises:
        NotInstalled: pip could not do it.
    """
    command = folder / "bin" / "infinity_emb"
    if command.exists():
        return command
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    own = next(folder.glob("lib/python*/site-packages"))
    running = Path(sysconfig.get_path("purelib"))
    for path in (*running.glob("torch"), *running.glob("torch-*.dist-info"), *running.glob("torchgen")):
        (own / path.name).symlink_to(path)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES]
    done = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
        shutil.rmtree(folder)
        raise NotInstalled(f"could not be installed: {(errors or ['pip failed'])[-1]}")
    return command


def measure(base: str, folder: str) -> None:
    """Write our base encoder as the folder of a model that transformers 4 and sentence-transformers read."""
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import logging

    from models.base import load_base

    logging.disable_progress_bar()
    encoder, tokenizer = load_base(base)
    special = dict(_special(tokenizer.get_vocab()))
    encoder.save_pretrained(folder)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=encoder.config.max_position_embeddings, **special
    )
    wrapped.save_pretrained(folder)
    settings = Path(folder) / "tokenizer_config.json"
    content = json.loads(settings.read_text(encoding="utf-8"))
    # transformers 5 writes a name that 4 does not know.
    content["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings.write_text(json.dumps(content), encoding="utf-8")


def _special(vocabulary: dict[str, int]) -> Iterator[tuple[str, str]]:
    names = {
        "cls_token": ("<s>", "[CLS]"),
        "sep_token": ("</s>", "[SEP]"),
        "pad_token": ("<pad>", "[PAD]"),
        "unk_token": ("<unk>", "[UNK]"),
    }
    for role, tokens in names.items():
        yield role, next(token for token in tokens if token in vocabulary)


@contextmanager
def served(command: Path, encoder: Path, log_file: Path, cores: Collection[int]) -> Iterator[str]:
    """Serve the encoder; yields the address that takes `{"model", "input": [text, …]}`.

    Raises:
        TimeoutError: it does not run with these versions; the message has the end of its log.
    """
    options = ["v2", "--model-id", str(encoder), "--served-model-name", MODEL, "--engine", "torch", "--device", "cpu"]
    options += ["--no-bettertransformer", "--host", "127.0.0.1", "--port"]
    # Nothing is reported to anyone, and nothing is asked of the Hugging Face hub.
    variables = {"INFINITY_ANONYMOUS_USAGE_STATS": "0", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    with serving([str(command), *options], "/health", log_file, variables, cores) as address:
        yield f"{address}/embeddings"
