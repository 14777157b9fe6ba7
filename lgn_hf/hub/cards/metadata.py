"""The metadata of a card, for the Hub."""

from __future__ import annotations

from huggingface_hub import EvalResult, ModelCardData

from ...texts import one_line
from .facts import CardFacts
from .families import family_card


def card_metadata(name: str, facts: CardFacts) -> ModelCardData:
    """License, task, data, tags and the metrics on the test images.

    The data are those of the training, so a model that was trained elsewhere has none; its base model may be known.
    """
    results, data, run, evaluation = facts.results, facts.dataset, facts.run, facts.evaluation
    task, family = results.task, family_card(facts.config)
    return ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag=task.pipeline_tag,
        tags=[*family.tags, family.tag(facts)],
        base_model=evaluation.model.base_model if evaluation else None,
        datasets=[data.id] if data.id and run else None,
        metrics=[task.metrics[0].hub_name],
        model_name=one_line(name),
        eval_results=[
            EvalResult(
                task_type=task.pipeline_tag,
                dataset_type=one_line(str(data)),
                dataset_name=one_line(data.display_name),
                dataset_split="test",
                metric_type=metric.hub_name,
                metric_name=f"test {metric.words}" + (f", seed {run.seed}" if run else ""),
                metric_value=results.test(metric.name),
                metric_args={"seed": run.seed} if run else None,
            )
            for metric in task.metrics
        ],
    )
