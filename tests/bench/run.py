"""One run of the benchmark: every row after the other, on the same paragraphs and the same cores."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from running_server import Server
from tqdm import tqdm

from bench import infinity, report
from bench.apart import ROOT, apart, pinned
from bench.corpus import Work, load_texts
from bench.figures import Figures, InProcess
from bench.footprint import installed_size, memory_of
from bench.load import Load, closed_loop
from bench.serving_process import serving
from models.artifact import read_artifact

CLIENTS = (1, report.SERVER_CLIENTS, 32)
PARAGRAPHS = (1, 8)
"""Paragraphs a request."""
STARTS = 3
PRODUCT_SHARE = 0.05
"""Part of a row's seconds that each kind of matrix product gets for each size."""
OTHER_STEPS = 6


class Run:
    """What a run measures with, and where."""

    def __init__(self, model: Path, seconds: float, work: Path) -> None:
        """Prepare to measure the artifact `model`, `seconds` a row; `work` keeps what is installed."""
        self.model, self.seconds, self.work = model.resolve(), seconds, work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.texts = load_texts()
        allowed = sorted(os.sched_getaffinity(0))
        self.cores = allowed[:2]
        self.client_cores = allowed[2:] or allowed
        rows = len(self.cores) * len(report.ENGINES) + len(CLIENTS) * len(PARAGRAPHS)
        self._bar = tqdm(total=rows + STARTS + OTHER_STEPS, unit=" rows", file=sys.stderr)

    def measure(self) -> Figures:
        """Measure everything.

        Raises:
            subprocess.CalledProcessError, TimeoutError: something of ours, or the tutorial's service, failed.
        """
        with self._step("count the work"):
            counted = apart("counting", self.cores, model=str(self.model))
        figures = Figures(Work(*(tuple(column) for column in zip(*counted, strict=True))))
        self._in_process(figures)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self._http(figures, folder)
            with self._step("the tutorial's service"):
                figures.rivals["tutorial service"] = self._tutorial(folder)
            with self._step("infinity"):
                figures.rivals["infinity-emb, torch fp32, our encoder"] = self._infinity(folder)
        with self._step("matrix products, 1 core"):
            figures.ceilings = apart("products", self.cores[:1], seconds=PRODUCT_SHARE * self.seconds)
        figures.installed = installed_size(ROOT / "requirements" / "serve.txt")
        self._bar.close()
        return figures

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        self._bar.set_description(what)
        yield
        self._bar.update()

    def _in_process(self, figures: Figures) -> None:
        for engine in report.ENGINES:
            for cores in [self.cores[:number] for number in range(1, len(self.cores) + 1)]:
                with self._step(f"{engine} in process, cores: {len(cores)}"):
                    found = apart("in_process", cores, engine=engine, model=str(self.model), seconds=self.seconds)
                figures.in_process[engine, len(cores)] = InProcess(**found)
        with self._step("answers beside those in fp32"):
            figures.agreement = apart("agreement", self.cores, model=str(self.model))
        with self._step("steps of a request"):
            figures.parts = apart("parts", self.cores[:1], model=str(self.model))

    def _http(self, figures: Figures, folder: Path) -> None:
        for number in range(STARTS):
            last = number == STARTS - 1
            with self._step("start the service"), pinned(self.cores):
                begun = time.perf_counter()
                server = Server(folder / f"home{number}", DUANBIAO_MODEL=str(self.model))
            try:
                server.wait_for("/readyz")
                figures.starts.append(time.perf_counter() - begun)
                if last:
                    self._load(figures, server)
            finally:
                server.stop()

    def _load(self, figures: Figures, server: Server) -> None:
        figures.idle = memory_of(server.processes())
        url = f"http://127.0.0.1:{server.port}/v1/tag"
        for paragraphs in PARAGRAPHS:
            starts = range(0, len(self.texts), paragraphs)
            contents: list[dict[str, object]] = [
                {"paragraphs": self.texts[start : start + paragraphs]} for start in starts
            ]
            # Kernels are made for each length that is met for the first time.
            self._closed_loop(url, contents, report.SERVER_CLIENTS)
            for clients in CLIENTS:
                with self._step(f"ours over HTTP, clients: {clients}, paragraphs a request: {paragraphs}"):
                    figures.http[clients, paragraphs] = self._closed_loop(url, contents, clients)
        figures.loaded, figures.worker = memory_of(server.processes()), memory_of([server.worker()])

    def _closed_loop(self, url: str, contents: list[dict[str, object]], clients: int) -> Load:
        bodies = [json.dumps(content).encode() for content in contents]
        with pinned(self.client_cores):
            return closed_loop(url, bodies, clients, self.seconds)

    def _tutorial(self, folder: Path) -> Load:
        command = [sys.executable, "-m", "bentoml", "serve", "bench.tutorial:Tutorial", "--host", "127.0.0.1", "--port"]
        home = folder / "tutorial"
        home.mkdir()
        variables = {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(ROOT / "tests")}
        with serving(command, "/readyz", home / "log", variables, self.cores) as address:
            contents: list[dict[str, object]] = [{"text": text} for text in self.texts]
            return self._closed_loop(f"{address}/classify", contents, report.SERVER_CLIENTS)

    def _infinity(self, folder: Path) -> Load | str:
        """Return what infinity bore, or why it does not run here."""
        encoder, log_file = folder / "encoder", folder / "infinity.log"
        try:
            command = infinity.install(self.work / "infinity")
            apart("infinity", self.cores, base=read_artifact(self.model).base, folder=str(encoder))
            with infinity.served(command, encoder, log_file, self.cores) as url:
                contents: list[dict[str, object]] = [{"model": infinity.MODEL, "input": [text]} for text in self.texts]
                return self._closed_loop(url, contents, report.SERVER_CLIENTS)
        except (infinity.NotInstalled, TimeoutError) as error:
            return str(error)
