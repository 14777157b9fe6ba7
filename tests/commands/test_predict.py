"""`lgn-hf predict`: probabilities of labels, as a table or a file."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import cast

import pytest
import torch
from huggingface_hub import HfApi
from PIL import Image

from lgn_hf import LGNForImageClassification, LGNImageProcessor
from lgn_hf.image_files import find_images
from lgn_hf.prediction import Prediction, predict
from lgn_hf.texts import one_line
from tests.commands.conftest import LABELS, check_error


def load(folder: Path) -> LGNForImageClassification:
    return cast(LGNForImageClassification, LGNForImageClassification.from_pretrained(folder))


class TestPredict:
    def test_gives_the_models_probabilities(self, models, images):
        model = load(models / "classifier")
        processor = LGNImageProcessor.from_pretrained(models / "classifier")
        with torch.no_grad():
            pixels = processor([Image.open(path) for path in images], return_tensors="pt").pixel_values
            expected = model.eval()(pixels).logits.softmax(-1)
        found = predict(models / "classifier", images, top=10)
        assert len(found) == 3
        for row, predictions in zip(expected, found, strict=True):
            assert [p.label for p in predictions] == [LABELS[i] for i in row.argsort(descending=True).tolist()]
            assert [p.probability for p in predictions] == pytest.approx(
                row.sort(descending=True).values.tolist(), abs=1e-5
            )

    def test_gives_the_same_for_many_images(self, models, images):
        assert predict(models / "classifier", [images[0]] * 70, top=1)[-1] == pytest.approx(
            predict(models / "classifier", images[:1], top=1)[0]
        )

    def test_prints_a_table(self, lgn, models, images, monkeypatch):
        from lgn_hf import prediction

        answer = [[Prediction("[red]two", 0.75), Prediction("three\x1b[2J", 0.25)]] * 2
        monkeypatch.setattr(prediction, "predict", lambda model, images, **options: answer)
        result = lgn("predict", models / "classifier", "a.png", "b.png", "--top", 2)
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines() if "│" in line]
        assert cells == [
            ["a.png", "[red]two", "75.00%"],
            ["", "three [2J", "25.00%"],
            ["b.png", "[red]two", "75.00%"],
            ["", "three [2J", "25.00%"],
        ]

    @pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\nxxxx"])
    def test_names_an_image_that_cannot_be_read(self, lgn, models, images, tmp_path, content):
        (tmp_path / "broken.png").write_bytes(content)
        result = lgn("predict", models / "classifier", images[0], tmp_path / "broken.png")
        check_error(result, f"{tmp_path / 'broken.png'} cannot be read as an image")

    @pytest.mark.slow
    def test_names_an_image_that_is_a_bomb(self, lgn, models, tmp_path):
        Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
        check_error(lgn("predict", models / "classifier", tmp_path / "bomb.png"), "bomb.png cannot be read", "bomb")

    def test_names_an_image_that_is_not_there(self, lgn, models, tmp_path):
        check_error(lgn("predict", models / "classifier", "nowhere.png"), "nowhere.png is not a file")
        check_error(lgn("predict", models / "classifier", tmp_path), f"the folder {tmp_path} holds no image")

    def test_names_what_is_not_a_model(self, lgn, images, tmp_path):
        check_error(lgn("predict", tmp_path, images[0]), f"{tmp_path} is not a model: it has no config.json")

    def test_goes_on_after_images_that_cannot_be_read(self, lgn, models, images, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"no image")
        result = lgn(
            "predict", models / "classifier", "nowhere.png", images[0], tmp_path / "broken.png", images[1], "--top", 1
        )
        assert result.code == 1
        first, second = result.error.splitlines()
        assert first.startswith("lgn-hf: nowhere.png is not a file")
        assert second.startswith(f"lgn-hf: {tmp_path / 'broken.png'} cannot be read as an image")
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines() if "│" in line]
        alone = predict(models / "classifier", images[:2], top=1)
        assert [row[:2] for row in cells] == [[str(images[i]), one_line(alone[i][0].label)] for i in range(2)]

    def test_raises_in_python_unless_it_is_told_who_listens(self, models, images, tmp_path):
        (tmp_path / "broken.png").write_bytes(b"no image")
        given, said = [tmp_path / "broken.png", images[0]], []
        with pytest.raises(ValueError, match=r"broken\.png cannot be read as an image"):
            predict(models / "classifier", given)
        found = predict(models / "classifier", given, on_error=lambda image, error: said.append(image))
        assert found == [[], *predict(models / "classifier", images[:1])]
        assert said == [str(tmp_path / "broken.png")]

    def test_reads_the_images_in_folders(self, lgn, models, images, tmp_path):
        (tmp_path / "b" / ".thumbnails").mkdir(parents=True)
        for name in ("z.PNG", "b/a.jpg", "b/.thumbnails/a.png"):
            Image.open(images[0]).convert("L").save(tmp_path / name)
        (tmp_path / "labels.csv").write_text("not an image")
        assert find_images([tmp_path, "https://host/a.png"]) == [
            str(tmp_path / "b" / "a.jpg"), str(tmp_path / "z.PNG"), "https://host/a.png"
        ]  # fmt: skip
        result = lgn("predict", models / "classifier", tmp_path, "--top", 1)
        assert result.code == 0
        assert [line for line in result.out.splitlines() if "labels.csv" in line or ".thumbnails" in line] == []
        assert result.out.count("%") == 2

    @pytest.mark.parametrize("ending", ["json", "csv"])
    def test_writes_a_file(self, lgn, models, images, tmp_path, ending):
        (tmp_path / "broken.png").write_bytes(b"no image")
        output = tmp_path / f"labels.{ending}"
        for code, given in (
            (0, images[:2]),
            (1, [images[0], tmp_path / "broken.png"]),
        ):  # the second replaces the first
            result = lgn("predict", models / "classifier", *given, "--top", 2, "--output", output)
            assert (result.code, result.out) == (code, f"{output}\n")
        [best, second] = predict(models / "classifier", images[:1], top=2)[0]
        if ending == "json":
            first, failed = json.loads(output.read_text())
            assert first == {"image": str(images[0]), "predictions": [asdict(best), asdict(second)]}
            assert failed["image"] == str(tmp_path / "broken.png")
            assert "cannot be read as an image" in failed["error"]
        else:
            with open(output, newline="") as file:
                rows = list(csv.DictReader(file))
            assert [row["rank"] for row in rows] == ["1", "2", ""]
            assert (rows[0]["label"], float(rows[0]["probability"])) == (best.label, best.probability)
            assert "cannot be read as an image" in rows[2]["error"]

    @pytest.mark.parametrize("name", ["labels.txt", "nowhere/labels.csv", "mine.csv", "mine.json"])
    def test_writes_over_nothing_but_earlier_predictions(self, lgn, models, images, tmp_path, name):
        for file in ("mine.csv", "mine.json"):
            (tmp_path / file).write_text("mine")
        check_error(
            lgn("predict", models / "classifier", images[0], "--output", tmp_path / name), f"--output {tmp_path}"
        )
        assert (tmp_path / "mine.csv").read_text() == (tmp_path / "mine.json").read_text() == "mine"

    @pytest.mark.parametrize(
        ("name", "kind"), [("decoder", "LGNForImageReconstruction"), ("backbone", "LGNModel")]
    )  # fmt: skip
    def test_needs_a_classifier(self, lgn, models, images, name, kind):
        check_error(lgn("predict", models / name, images[0]), f"{models / name} is not a classifier but {kind}")

    def test_needs_images_and_labels(self, models, images):
        with pytest.raises(ValueError, match="images is empty"):
            predict(models / "classifier", [])
        with pytest.raises(ValueError, match="top=0"):
            predict(models / "classifier", images, top=0)

    def test_refuses_an_answer_that_is_no_number(self, models, images, tmp_path):
        model = load(models / "classifier")
        with torch.no_grad():
            model.lgn.threshold.fill_(-1e38)
            model.classifier.weight.fill_(3e38)
        model.save_pretrained(tmp_path)
        LGNImageProcessor(image_size=7).save_pretrained(tmp_path)
        with pytest.raises(ValueError, match=f"{images[0]}: the model's answer is not finite"):
            predict(tmp_path, images)

    def test_reads_a_revision_of_a_repository(self, models, images, hub_here):
        api = HfApi(endpoint=hub_here.url)
        api.create_repo("tester/classifier")
        api.create_branch("tester/classifier", branch="v1")
        api.upload_folder(repo_id="tester/classifier", folder_path=models / "classifier", revision="v1")
        found = predict("tester/classifier", images[:1], revision="v1")
        assert found == predict(models / "classifier", images[:1])

    def test_reads_a_revision_on_the_command_line(self, lgn, models, images, hub_here):
        api = HfApi(endpoint=hub_here.url)
        api.create_repo("tester/classifier", private=True)
        for revision, name in (("main", "other"), ("v1", "classifier")):
            api.create_branch("tester/classifier", branch=revision, exist_ok=True)
            api.upload_folder(repo_id="tester/classifier", folder_path=models / name, revision=revision)
        result = lgn("predict", "tester/classifier@v1", images[0])
        assert result.out == lgn("predict", models / "classifier", images[0]).out
        assert result.out != lgn("predict", "tester/classifier", images[0]).out
        table = lgn("compare", "tester/classifier@v1", models / "classifier", "--top", 1).out
        assert re.search(r"all +│ 0\.000", table)
        check_error(lgn("actions", "tester/classifier@v2"), "tester/classifier is neither a folder nor a repository")
