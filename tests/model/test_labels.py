"""Labels of a classifier: classes, several at once, and numbers, with and without `problem_type`."""

import copy

import pytest
import torch
import torch.nn.functional as F
from transformers import pipeline

from lgn_hf import LGNForImageClassification, LGNImageProcessor
from tests.support.networks import make_config, make_images, make_used_model

MULTIPLE = torch.tensor([[1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 1, 0]])
CLASSES = torch.tensor([0, 3, 1])
NUMBERS = torch.tensor([0.5, -1.0, 2.0])


def loss_of(labels, num_labels=4, **fields):
    """The task loss of a model in float32 in training mode, its logits and the gradient of its classifier."""
    model = make_used_model("learned", num_labels=num_labels, **fields).float().train()
    outputs = model(make_images(model.config).float(), labels=labels)
    outputs.loss.backward()
    assert model.classifier.weight.grad.isfinite().all()
    assert outputs.task_loss.dtype == torch.float32
    return outputs.task_loss.detach(), outputs.logits.detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.float16], ids=str)
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
@pytest.mark.parametrize("problem_type", [None, "regression"])
def test_a_single_label_is_a_number(dtype, shape, problem_type):
    labels = NUMBERS.to(dtype).reshape(shape)
    loss, logits = loss_of(labels, num_labels=1, problem_type=problem_type)
    torch.testing.assert_close(loss, F.mse_loss(logits.flatten(), labels.flatten().float()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool], ids=str)
@pytest.mark.parametrize("problem_type", [None, "multi_label_classification"])
def test_several_labels_at_once(dtype, problem_type):
    loss, logits = loss_of(MULTIPLE.to(dtype), problem_type=problem_type)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(logits, MULTIPLE.float()))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8], ids=str)
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
@pytest.mark.parametrize("problem_type", [None, "single_label_classification"])
def test_classes(dtype, shape, problem_type):
    loss, logits = loss_of(CLASSES.to(dtype).reshape(shape), problem_type=problem_type)
    torch.testing.assert_close(loss, F.cross_entropy(logits, CLASSES))


def test_several_numbers():
    labels = torch.randn(3, 4)
    loss, logits = loss_of(labels, problem_type="regression")
    torch.testing.assert_close(loss, F.mse_loss(logits, labels))


@pytest.mark.parametrize(
    ("labels", "problem_type"),
    [
        (MULTIPLE.float(), "single_label_classification"),
        (CLASSES.float(), "single_label_classification"),
        (CLASSES, "multi_label_classification"),
        (NUMBERS, None),
        (MULTIPLE[:, :3], None),
        (CLASSES[:2], None),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, problem_type):
    with pytest.raises(ValueError, match=r"labels are torch\.\w+ \([\d, ]+\): problem_type=.* takes") as error:
        loss_of(labels, problem_type=problem_type)
    assert "\n" not in str(error.value)


def test_training_remembers_the_type_but_not_in_a_configuration_that_others_share():
    config = make_config("learned")
    images = make_images(config).float()
    one, other = LGNForImageClassification(config).train(), LGNForImageClassification(config).train()
    one(images, labels=MULTIPLE.float())
    other(images, labels=CLASSES)
    assert config.problem_type is None
    assert one.config.problem_type == "multi_label_classification"
    assert other.config.problem_type == "single_label_classification"
    one.config.output_hidden_states = True  # still the configuration of all its parts
    assert len(one(images).hidden_states) == config.num_layers


def test_evaluation_remembers_nothing():
    model = make_used_model("learned").float().eval()
    images = make_images(model.config).float()
    before = copy.deepcopy(model.config.to_dict())
    losses = [model(images, labels=labels).loss for labels in (MULTIPLE.float(), CLASSES, MULTIPLE.float())]
    assert losses[0] == losses[2]
    assert model.config.to_dict() == before


def test_a_pipeline_scores_several_labels_one_by_one(tmp_path):
    config = make_config("learned")
    model = LGNForImageClassification(config).train()
    model(make_images(config).float(), labels=MULTIPLE.float())
    model.eval().save_pretrained(tmp_path)
    processor = LGNImageProcessor(image_size=config.image_size)
    processor.save_pretrained(tmp_path)
    classify = pipeline("image-classification", str(tmp_path), trust_remote_code=False)
    image = processor.post_process_reconstruction(make_images(config, 1).float())[0]
    scores = {answer["label"]: answer["score"] for answer in classify(image)}
    logits = model(**processor(image, return_tensors="pt")).logits[0]
    expected = {config.id2label[i]: value.item() for i, value in enumerate(logits.sigmoid())}
    assert scores == pytest.approx(expected, abs=1e-5)
