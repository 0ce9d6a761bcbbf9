"""Review files for Label Studio: tasks with predictions out, its JSON or JSON-MIN export back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from data.review.judgements import NO_TOPIC, Judgement, ReviewFile, ReviewItem, TopicNames
from data.topics import Topic

# Names of the controls in the labelling configuration; exports name their results so.
TOPICS, NOTE, TEXT = "topics", "note", "text"
# Label Studio has an `id` of its own for tasks.
PARAGRAPH = "paragraph"


def labelling_config(topics: Sequence[Topic]) -> str:
    """Return the labelling configuration of a project for these topics, as XML."""
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in [*(t.name for t in topics), NO_TOPIC])
    return (
        "<View>\n"
        '  <Header value="$why"/>\n'
        f'  <Text name="{TEXT}" value="${TEXT}"/>\n'
        f'  <Choices name="{TOPICS}" toName="{TEXT}" choice="multiple" required="true">\n{choices}\n  </Choices>\n'
        f'  <TextArea name="{NOTE}" toName="{TEXT}" placeholder="备注" maxSubmissions="1"/>\n'
        "</View>\n"
    )


def write_tasks(items: Sequence[ReviewItem], topics: Sequence[Topic], path: Path, model: str) -> None:
    """Write the items as tasks; what `model` (its version) suggests is each one's prediction."""
    names = TopicNames(topics)
    tasks = [
        {
            "data": {
                PARAGRAPH: item.id,
                TEXT: item.text,
                "why": item.why,
                "annotated": names.write(item.annotated),
            },
            "predictions": [
                {
                    "model_version": model,
                    "result": [
                        {
                            "from_name": TOPICS,
                            "to_name": TEXT,
                            "type": "choices",
                            "value": {"choices": names.listed(item.suggested)},
                        }
                    ],
                }
            ],
        }
        for item in items
    ]
    path.write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_export(path: Path, topics: Sequence[Topic]) -> ReviewFile:
    """Read an export in JSON or JSON-MIN; a task gives as many judgements as it has annotations.

    Skipped tasks count as not judged.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no export; what is wrong with single tasks is in the result.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}); export the project as JSON again") from None
    if not isinstance(tasks, list):
        raise ValueError(f"{path}: not a list of tasks; export the project as JSON")
    names = TopicNames(topics)
    judgements: list[Judgement] = []
    problems = []
    for number, task in enumerate(tasks, start=1):
        try:
            judgements += _read_task(task, f"task {number}", names)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = (
                error if isinstance(error, ValueError) else f"no task of 'make review' ({error!r}); export it again"
            )
            problems.append(f"{path.name}, task {number}: {reason}")
    return ReviewFile(tuple(judgements), tuple(problems))


def _read_task(task: dict[str, Any], where: str, names: TopicNames) -> list[Judgement]:
    if "data" in task:
        said = [_of_results(one) for one in task.get("annotations", []) if not one.get("was_cancelled")]
        return _judgements(task["data"], said, where, names)
    return _judgements(task, [(_flat(task.get(TOPICS), "choices"), _flat(task.get(NOTE), "text"))], where, names)


def _judgements(
    data: dict[str, Any], said: list[tuple[list[str], list[str]]], where: str, names: TopicNames
) -> list[Judgement]:
    annotated = names.read(str(data["annotated"]))
    return [
        Judgement(
            where,
            str(data[PARAGRAPH]),
            str(data[TEXT]),
            annotated,
            names.read_list(choices) if choices else None,
            " ".join(notes),
        )
        for choices, notes in said or [([], [])]
    ]


def _of_results(annotation: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the choices and the notes of one annotation."""
    choices: list[str] = []
    notes: list[str] = []
    for result in annotation["result"]:
        if result["from_name"] == TOPICS:
            choices += result["value"]["choices"]
        elif result["from_name"] == NOTE:
            notes += _flat(result["value"], "text")
    return choices, notes


def _flat(value: Any, key: str) -> list[str]:
    """Return the texts of a value of JSON-MIN: a text, {key: texts}, or a list of these."""
    if value is None:
        return []
    if isinstance(value, list):
        return [text for part in value for text in _flat(part, key)]
    return _flat(value[key], key) if isinstance(value, dict) else [str(value)]
