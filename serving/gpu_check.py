"""Show that a GPU tags as the processor does, and how fast: `make gpu-check`.

    python -m serving.gpu_check [--model NAME]

Both tag the test paragraphs. Exit status 1 if there is no usable GPU, or if more than 3 in 1,000 tags differ.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from data.annotations import DEFAULT_TEST, load_annotation_files
from data.topics import load_topics
from models import store
from models.device import VARIABLE, choose_device
from models.tagger import Tagger, Tags

# Rounding moves scores a little, and some stand close to a threshold.
MAX_DIFFERENT = 0.003
# A GPU is not measured on so few paragraphs as a processor is.
REPEATS = 40


@dataclass(frozen=True)
class Comparison:
    """How one tagger's tags differ from another's."""

    decisions: int
    """Paragraphs times topics."""
    different: int
    """Decisions that are not the same."""
    largest: float
    """Largest difference between two probabilities of a topic, 0 to 1."""

    @property
    def good(self) -> bool:
        """Whether no more than `MAX_DIFFERENT` of the decisions differ."""
        return self.different <= MAX_DIFFERENT * self.decisions


def compare(one: Sequence[Tags], other: Sequence[Tags]) -> Comparison:
    """Compare the tags of the same paragraphs."""
    pairs = list(zip(one, other, strict=True))
    differences = [abs(a.scores[topic] - b.scores[topic]) for a, b in pairs for topic in a.scores]
    different = sum(len(set(a.topics) ^ set(b.topics)) for a, b in pairs)
    return Comparison(len(differences), different, max(differences, default=0.0))


def timed(tagger: Tagger, texts: Sequence[str], repeats: int) -> tuple[list[Tags], float]:
    """Return the tags of the texts, and paragraphs a second once all shapes have been met."""
    tags = tagger.tag(texts)
    begun = time.perf_counter()
    tagger.tag(list(texts) * repeats)
    return tags, len(texts) * repeats / (time.perf_counter() - begun)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m serving.gpu_check", description=__doc__.split("\n")[0])
    parser.add_argument("--model", help="name, tag or folder of a model (default: the one in use)")
    options = parser.parse_args(arguments)
    try:
        choose_device({VARIABLE: "cuda"})
        folder = store.resolve(options.model or store.current_name())
        texts = [annotation.text for annotation in load_annotation_files([DEFAULT_TEST], load_topics())]
        found = {"cpu": timed(Tagger(folder, device="cpu"), texts, 1)}
        found["cuda"] = timed(Tagger(folder, device="cuda"), texts, REPEATS)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    comparison = compare(found["cpu"][0], found["cuda"][0])
    report(comparison, {device: rate for device, (_, rate) in found.items()})
    return 0 if comparison.good else 1


def report(comparison: Comparison, rates: dict[str, float]) -> None:
    """Print both, as the README quotes them."""
    share = comparison.different / max(comparison.decisions, 1)
    print(
        f"tags that differ: {comparison.different} of {comparison.decisions:,} ({share:.2%}, allowed {MAX_DIFFERENT:.1%})"
    )
    print(f"largest difference of a probability: {comparison.largest:.3f}")
    for device, rate in rates.items():
        print(f"{device}: {rate:,.0f} paragraphs a second")


if __name__ == "__main__":
    sys.exit(main())
