"""The metadata of a card, for the Hub."""

from __future__ import annotations

from huggingface_hub import EvalResult, ModelCardData

from ...texts import one_line
from .facts import CardFacts

TAGS = ("lgn", "linear-group-network", "group-actions", "equivariance", "sparse-coding")


def card_metadata(name: str, facts: CardFacts) -> ModelCardData:
    """License, task, data, tags and the metrics on the test images."""
    results, data = facts.results, facts.dataset
    task, kind = results.task, facts.config.action if facts.actions else "baseline"
    return ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag=task.pipeline_tag,
        tags=[*TAGS, f"lgn-{kind}"],
        datasets=[data.id] if data.id else None,
        metrics=[task.metrics[0].hub_name],
        model_name=one_line(name),
        eval_results=[
            EvalResult(
                task_type=task.pipeline_tag,
                dataset_type=one_line(str(data)),
                dataset_name=one_line(data.display_name),
                dataset_split="test",
                metric_type=metric.hub_name,
                metric_name=f"test {metric.words}, seed {results.seed}",
                metric_value=results.test(metric.name),
                metric_args={"seed": results.seed},
            )
            for metric in task.metrics
        ],
    )
