"""Requests made from the service's own OpenAPI document, right and wrong ones, by schemathesis."""

import re
import subprocess
import sys
from pathlib import Path

from attack.bounds import Finding

CONFIG = Path(__file__).with_name("schemathesis.toml")


def run_cases(url: str, examples: int, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Send up to `examples` fuzzed requests to each route, besides those that cover the document.

    Checks that no answer is a 5xx, that all are as the document says, that what it allows is
    taken and what it does not is refused. Exit status 0: all hold. Files go into `folder`.
    """
    command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    options = ["--phases", "coverage,fuzzing", "--max-examples", str(examples), "--request-timeout", "60"]
    return subprocess.run(
        [*command, "--config-file", str(CONFIG), "run", f"{url.rstrip('/')}/docs.json", *options, "--no-color"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def count_cases(report: str) -> int:
    """Return how many requests a run has sent."""
    found = re.search(r"(\d+) generated", report)
    return int(found.group(1)) if found else 0


def property_cases(url: str, examples: int, folder: Path) -> Finding:
    """Send the requests; what they found wrong goes to standard error."""
    done = run_cases(url, examples, folder)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    cases = count_cases(done.stdout)
    measured = f"{cases:,} requests, {'no fault' if not done.returncode else 'faults, see above'}"
    return Finding(
        "requests by the OpenAPI document", measured, "no 5xx, as described", not done.returncode and cases > 0
    )
