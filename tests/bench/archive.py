"""A generated archive: paragraphs spliced from sentences of the seeds and the written paragraphs."""

import json
import os
import random
import re
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench.corpus import DATA, SEED

FILES = (DATA / "annotations.jsonl", DATA / "written.jsonl")
AT_ONCE = 256
"""Paragraphs given to the tagger at once in process."""


def paragraphs() -> Iterator[str]:
    """Yield paragraphs without end, always the same ones; each has as many sentences as some real one."""
    lines = [line for file in FILES for line in file.read_text(encoding="utf-8").splitlines()]
    cut = [re.findall(r"[^。！？]+[。！？]?", str(json.loads(line)["text"])) for line in lines]
    sentences = [sentence for one in cut for sentence in one]
    chance = random.Random(SEED)
    while True:
        yield "".join(chance.choices(sentences, k=len(chance.choice(cut))))


def write_archive(path: Path, size: int) -> None:
    """Write the first `size` paragraphs as JSON lines that `make tag` takes."""
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(islice(paragraphs(), size)):
            file.write(json.dumps({"id": f"p{number}", "text": text}, ensure_ascii=False) + "\n")


def measure(model: str, size: int) -> dict[str, Any]:
    """Tag the first `size` paragraphs in this process; return the seconds it took, without loading."""
    from models.tagger import Tagger

    tagger = Tagger(Path(model), threads=len(os.sched_getaffinity(0)))
    source = islice(paragraphs(), size)
    tagger.tag([next(paragraphs())])
    begun = time.perf_counter()
    while texts := list(islice(source, AT_ONCE)):
        tagger.tag(texts)
    return {"seconds": time.perf_counter() - begun}
