"""What was measured as tables, and beside what is demanded."""

from bench.figures import Figures
from bench.load import Load
from bench.tables import Table

SERVER_CLIENTS = 8
ENGINES = {
    "ours": "ours",
    "torch": "our network, torch fp32, one paragraph at a time",
    "onnx": "our network, ONNX Runtime fp32, with the lexicon",
}


def tables(figures: Figures, cores: int) -> list[Table]:
    """Return all tables; `cores` are the most that were measured on."""
    return [
        _in_process(figures),
        _agreement(figures),
        _parts(figures),
        _http(figures),
        _side_by_side(figures, cores),
        _ceilings(figures),
        _share(figures),
        _footprint(figures),
        _demands(figures, cores),
    ]


def _cores(number: int) -> str:
    return "1 core" if number == 1 else f"{number} cores"


def _in_process(figures: Figures) -> Table:
    rows = []
    for (engine, cores), found in figures.in_process.items():
        tokens = found.rate * figures.work.mean_tokens(found.paragraphs)
        memory = f"{found.peak_memory / 1e6:.0f} MB"
        rows.append((ENGINES[engine], _cores(cores), f"{found.rate:.1f}", f"{tokens:.0f}", memory))
    heads = ("in one process", "on", "paragraphs/s", "tokens/s", "peak memory")
    note = "Torch's memory is mostly that of making its network from the base."
    return Table("In process", heads, rows, note)


def _agreement(figures: Figures) -> Table:
    found = figures.agreement
    rows = [
        (
            "tags that differ",
            f"{found['flips']} of {found['decisions']:,}",
            f"{found['flips'] / found['decisions']:.2%}",
        ),
        ("macro F1, ours", f"{found['macro_f1']:.4f}", f"{found['macro_f1'] - found['macro_f1_reference']:+.4f}"),
        ("macro F1, fp32", f"{found['macro_f1_reference']:.4f}", ""),
    ]
    title = f"Answers beside those of the same network in fp32, {found['paragraphs']} test paragraphs"
    return Table(title, ("", "", "share, difference"), rows)


def _parts(figures: Figures) -> Table:
    whole = sum(figures.parts.values())
    rows = [(step, f"{1e3 * seconds:.2f} ms", f"{seconds / whole:.1%}") for step, seconds in figures.parts.items()]
    note = "One paragraph after the other on one core, without HTTP; what the server adds shows in the next table."
    return Table("Where the time of a request of one paragraph goes", ("step", "mean", "share"), rows, note)


def _load_cells(load: Load, paragraphs: int) -> tuple[str, ...]:
    return (
        f"{len(load.latencies):,}",
        f"{load.rate * paragraphs:.1f}",
        f"{1000 * load.quantile(0.5):.1f} ms",
        f"{1000 * load.quantile(0.99):.1f} ms",
        str(load.errors),
        f"{load.client_share:.0%}",
    )


LOAD_HEADS = ("answers", "paragraphs/s", "p50", "p99", "errors", "client's use of a core")


def _http(figures: Figures) -> Table:
    rows = [
        (str(clients), str(paragraphs), *_load_cells(load, paragraphs))
        for (clients, paragraphs), load in figures.http.items()
    ]
    note = "Each client sends its next request when it has its answer. Where there are no other cores, the clients take theirs from the service."
    return Table("Ours over HTTP", ("clients", "paragraphs a request", *LOAD_HEADS), rows, note)


def _side_by_side(figures: Figures, cores: int) -> Table:
    ours = _best_http(figures)
    rows = [("ours over HTTP, best of the above", f"{ours:.1f}", "1.0")]
    for name, load in figures.rivals.items():
        if isinstance(load, str):
            rows.append((name, load, ""))
        else:
            errors = f", {load.errors} errors" if load.errors else ""
            label = f"{name}, {SERVER_CLIENTS} clients, p99 {load.quantile(0.99):.2f} s{errors}"
            rows.append((label, f"{load.rate:.1f}", f"{ours / load.rate:.1f}" if load.rate else ""))
    for engine, label in ENGINES.items():
        rate = figures.in_process[engine, cores].rate
        rows.append((f"{label}, in process", f"{rate:.1f}", f"{ours / rate:.1f}"))
    return Table(f"Side by side on {_cores(cores)}", ("", "paragraphs/s", "ours over HTTP is so many times it"), rows)


def _ceilings(figures: Figures) -> Table:
    kinds = list(dict.fromkeys(kind for row in figures.ceilings for kind in row["rates"]))
    rows = [
        (
            f"{row['tokens']} tokens by {row['shape'][0]}x{row['shape'][1]}",
            *(f"{row['rates'][kind]:.0f}" if kind in row["rates"] else "does not run" for kind in kinds),
        )
        for row in figures.ceilings
    ]
    note = "10^9 operations a second. OpenVINO: a chain of products forth and back, numbers made int8 between them."
    return Table("Ceilings: matrix products on 1 core", ("product", *kinds), rows, note)


def _int8_ceiling(figures: Figures) -> float:
    return max(rate for row in figures.ceilings for kind, rate in row["rates"].items() if kind.startswith("int8"))


def _reached(figures: Figures) -> float:
    ours = figures.in_process["ours", 1]
    return ours.rate * figures.work.mean_operations(ours.paragraphs) / 1e9


def _share(figures: Figures) -> Table:
    ours = figures.in_process["ours", 1]
    operations, reached = figures.work.mean_operations(ours.paragraphs) / 1e9, _reached(figures)
    rows = [
        ("matrix products of our network for a paragraph", f"{operations:.2f} x 10^9 operations"),
        ("ours in process", f"{reached:.0f} x 10^9 operations/s"),
        ("best int8 rate above", f"{_int8_ceiling(figures):.0f} x 10^9 operations/s"),
        ("share of the int8 ceiling", f"{reached / _int8_ceiling(figures):.0%}"),
    ]
    return Table("How near the ceiling ours is on 1 core", ("", ""), rows)


def _footprint(figures: Figures) -> Table:
    packages, size = figures.installed
    starts = ", ".join(f"{seconds:.1f}" for seconds in figures.starts)
    rows = [
        ("process start until /readyz is 200", f"{starts} s"),
        ("all processes of the service, idle", str(figures.idle)),
        ("all processes of the service, after the load", str(figures.loaded)),
        ("of these the process that tags", str(figures.worker)),
        (f"the {packages} packages that serving installs", f"{size / 1e6:.0f} MB"),
    ]
    return Table("Start and size", ("", ""), rows)


def _best_http(figures: Figures) -> float:
    return max(load.rate * paragraphs for (_, paragraphs), load in figures.http.items())


def _demands(figures: Figures, cores: int) -> Table:
    http, in_process = figures.http, figures.in_process
    tutorial = figures.rivals["tutorial service"]
    assert isinstance(tutorial, Load)
    lone, busy = http[1, 1], http[SERVER_CLIENTS, 1].quantile(0.99)
    ready = sorted(figures.starts)[len(figures.starts) // 2]
    torch = min(in_process["ours", number].rate / in_process["torch", number].rate for number in (1, cores))
    rows = [
        _demand(
            "throughput over HTTP, best of the above, beside the tutorial's service",
            25,
            _best_http(figures) / tutorial.rate,
        ),
        _demand("throughput in process beside our network in torch fp32, worse of the numbers of cores", 4, torch),
        _demand("share of the int8 ceiling in process, 1 core", 0.55, _reached(figures) / _int8_ceiling(figures)),
        _demand(
            f"throughput over HTTP, {SERVER_CLIENTS} clients with 1 paragraph each, beside in process, {_cores(cores)}",
            0.8,
            http[SERVER_CLIENTS, 1].rate / in_process["ours", cores].rate,
        ),
        # Paragraphs differ in length, so a slow request may be slow alone as well.
        *(
            _demand(f"p99 with {SERVER_CLIENTS} clients beside the {name} of a lone request", 4, beside, at_most=True)
            for name, beside in (("median", busy / lone.quantile(0.5)), ("p99", busy / lone.quantile(0.99)))
        ),
        _demand(
            "memory of all serving processes after the load, shared pages once, MB",
            300,
            figures.loaded.proportional / 1e6,
            at_most=True,
        ),
        _demand("seconds until ready, median", 3, ready, at_most=True),
    ]
    return Table("What is demanded", ("", "demanded", "reached", ""), rows)


def _demand(what: str, bound: float, reached: float, at_most: bool = False) -> tuple[str, ...]:
    holds = reached <= bound if at_most else reached >= bound
    return what, f"{'at most' if at_most else 'at least'} {bound:g}", f"{reached:.3g}", "yes" if holds else "no"
