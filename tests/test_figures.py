"""What /metrics tells of the work, and that the dashboard asks for nothing else."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from promql_parser import AggregateExpr, BinaryExpr, Matcher, MatchOp, VectorSelector
from running_server import ROOT, Server

from models.artifact import read_artifact
from models.tagger import Tagger
from serving import figures
from serving.refusals import Refusal

DASHBOARD = json.loads((ROOT / "serving" / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TEXTS = ["全市安全生产大检查工作会议召开。", "直播带货助力乡村振兴，村民增收。", "长" * 500, "昨夜降雪", "短"]
ARTICLE = "安全生产工作会议召开\n\n全市安全生产大检查工作会议昨日召开，会议部署隐患排查整治。"


def test_models_past_the_limit_are_counted_together(tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_known", set())
    artifact, tagger = read_artifact(tiny_artifact), Tagger(tiny_artifact, threads=1)
    encoded = tagger.encode(TEXTS)
    tags = tagger.decide(encoded)
    for number in range(figures.MAX_MODELS + 20):
        version = f"many-{number}"
        figures.introduce(replace(artifact, version=version))
        figures.count_wait(version, 0.1)
        figures.count_tags(version, encoded, tags, 0.1)
    counted = {sample.labels["model"] for sample in collect() if "model" in sample.labels}
    assert {model for model in counted if model.startswith("many-")} == {f"many-{n}" for n in range(50)}
    assert REGISTRY.get_sample_value("duanbiao_inference_seconds_count", {"model": "other"}) == 20
    assert REGISTRY.get_sample_value("duanbiao_paragraph_tokens_count", {"model": "other"}) == 20 * len(TEXTS)


def test_a_refusal_is_counted_by_route_status_and_code() -> None:
    labels = {"route": "/v1/tag", "status": "418", "code": "teapot"}
    figures.count_refusal("/v1/tag", Refusal(418, "teapot", "no coffee"))
    assert REGISTRY.get_sample_value("duanbiao_refusals_total", labels) == 1


def collect() -> list[Sample]:
    return [sample for metric in REGISTRY.collect() for sample in metric.samples]


@pytest.fixture(scope="module")
def server(tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("figures") / "home", DUANBIAO_MODEL=str(tiny_artifact))
    try:
        running.wait_for("/readyz")
        yield running
    finally:
        running.stop()


def samples_of(server: Server) -> list[Sample]:
    """Return all that /metrics exports."""
    families = text_string_to_metric_families(server.http.get("/metrics").text)
    return [sample for family in families for sample in family.samples]


def value_of(samples: list[Sample], name: str, **labels: str) -> float:
    (value,) = [sample.value for sample in samples if sample.name == name and sample.labels == labels]
    return value


@pytest.mark.slow
def test_a_model_begins_at_zero_and_counts_its_answers(server: Server, tiny_artifact: Path) -> None:
    tagger = Tagger(tiny_artifact, threads=1)
    before = samples_of(server)
    for answer in ("topics", "none", "unsure"):
        assert value_of(before, "duanbiao_paragraphs_total", model="tiny-1", answer=answer) == 0
    assert server.tag(*TEXTS).status_code == 200
    assert server.tag(TEXTS[0]).status_code == 200
    after, sent = samples_of(server), [*TEXTS, TEXTS[0]]
    tags, encoded = tagger.tag(sent), tagger.encode(sent)
    for answer in ("topics", "none", "unsure"):
        count = sum(tag.answer == answer for tag in tags)
        assert value_of(after, "duanbiao_paragraphs_total", model="tiny-1", answer=answer) == count
    for topic in tagger.artifact.topics:
        count = sum(topic.id in tag.topics for tag in tags)
        assert value_of(after, "duanbiao_tags_total", model="tiny-1", topic=topic.id) == count
    tokens = [paragraph.n_tokens for paragraph in encoded]
    assert value_of(after, "duanbiao_paragraph_tokens_sum", model="tiny-1") == sum(tokens)
    short = sum(count <= 16 for count in tokens)
    assert 0 < short < len(tokens)
    assert value_of(after, "duanbiao_paragraph_tokens_bucket", model="tiny-1", le="16.0") == short
    for name in ("queue", "inference"):
        assert value_of(after, f"duanbiao_{name}_seconds_count", model="tiny-1") == 2
        assert value_of(after, f"duanbiao_{name}_seconds_sum", model="tiny-1") > 0


@pytest.mark.slow
def test_no_request_makes_a_new_series_of_its_own(server: Server) -> None:
    def send(word: str) -> set[tuple[str, str]]:
        server.tag(f"{word}召开安全生产会议")
        server.http.post("/v1/tag_article", json={"text": f"{word}{ARTICLE}", "name": f"{word}.txt"})
        server.http.post("/v1/tag", json={"paragraphs": ["x"], word: 1})
        server.http.get(f"/{word}?{word}={word}", headers={"x-forwarded-for": word, "authorization": f"Bearer {word}"})
        server.http.request(word, "/v1/topics", headers={"user-agent": word, "host": word})
        return {(sample.name, str(sample.labels)) for sample in samples_of(server)}

    known = send("first")
    assert send("second") == send("third") == known
    assert "first" not in str(known)


def expressions() -> list[tuple[str, str]]:
    """Return the dashboard's PromQL, Grafana's variables filled in, each with its legend."""
    targets = [(target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
    queries = [variable["query"]["query"] for variable in variables("query")]
    inner = [re.fullmatch(r"label_values\((\w+), (\w+)\)", query) for query in queries]
    targets += [(f"sum by ({match[2]}) ({match[1]})", "") for match in inner if match]
    assert len(inner) == len(queries) and None not in inner
    return [(expr.replace("$__rate_interval", "5m").replace("$model", "tiny-1"), legend) for expr, legend in targets]


def variables(kind: str) -> list[dict[str, Any]]:
    return [variable for variable in DASHBOARD["templating"]["list"] if variable["type"] == kind]


def selects(matcher: Matcher, sample: Sample) -> bool:
    """Whether a label matcher holds for a sample, as Prometheus has it."""
    value = sample.labels.get(matcher.name, "")
    if matcher.op in (MatchOp.Equal, MatchOp.NotEqual):
        holds = value == matcher.value
    else:
        holds = re.fullmatch(matcher.value, value) is not None
    return holds == (matcher.op in (MatchOp.Equal, MatchOp.Re))


def selected(selector: VectorSelector, samples: list[Sample]) -> list[Sample]:
    of_name = [sample for sample in samples if sample.name == selector.name]
    return [sample for sample in of_name if all(selects(one, sample) for one in selector.matchers.matchers)]


def check(expression: promql_parser.Expr, legend: str, samples: list[Sample]) -> None:
    """Check that each selector finds something, and that each label named anywhere is there."""
    found: list[Sample] = []
    named = set(re.findall(r"\{\{(\w+)\}\}", legend))

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, VectorSelector):
            assert selected(node, samples), f"nothing exported for {node}"
            found.extend(selected(node, samples))
            for matcher in node.matchers.matchers:
                assert all(matcher.name in sample.labels for sample in selected(node, samples)), f"{matcher} in {node}"
        if isinstance(node, AggregateExpr) and node.modifier:
            named.update(node.modifier.labels)
        if isinstance(node, BinaryExpr) and node.modifier:
            named.update(node.modifier.matching.labels if node.modifier.matching else [])
        return True

    promql_parser.walk(expression, visit)
    assert found, "it asks for no metric"
    assert named <= {label for sample in found for label in sample.labels}, f"{named} in {expression}"


@pytest.mark.slow
def test_the_dashboard_asks_for_what_is_exported(server: Server) -> None:
    assert server.tag(*TEXTS).status_code == 200
    assert server.http.post("/v1/tag_article", json={"text": ARTICLE}).status_code == 200
    assert server.http.get("/v1/model").status_code == 200
    assert server.http.get("/v1/none").status_code == 404
    samples = samples_of(server)
    for expression, legend in expressions():
        check(promql_parser.parse(expression), legend, samples)
    for wrong in ("no_such_total", 'duanbiao_tags_total{topic="none_such"}', "sum by (nothing) (duanbiao_tags_total)"):
        with pytest.raises(AssertionError):
            check(promql_parser.parse(wrong), "", samples)


@pytest.mark.slow
def test_every_figure_of_the_service_is_on_the_dashboard(server: Server) -> None:
    own = {sample.name for sample in samples_of(server) if sample.name.startswith("duanbiao_")}
    histograms = {name.removesuffix("_bucket") for name in own if name.endswith("_bucket")}
    asked = {name for expression, _ in expressions() for name in re.findall(r"duanbiao_\w+", expression)}
    assert asked == {name for name in own if not any(name in (f"{one}_count", f"{one}_sum") for one in histograms)}


def test_every_panel_asks_the_chosen_prometheus() -> None:
    (source,) = variables("datasource")
    chosen = {"type": "prometheus", "uid": f"${{{source['name']}}}"}
    assert source["query"] == "prometheus"
    asking = [*PANELS, *(target for panel in PANELS for target in panel["targets"]), *variables("query")]
    assert all(one["datasource"] == chosen for one in asking)
    assert all(panel["title"] and panel["description"] for panel in PANELS)


def test_panels_have_their_own_ids_and_places() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in own) < 24 and not own & cells
        cells |= own
