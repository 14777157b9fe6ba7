"""Actions as a data set, and back."""

import copy
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset
from huggingface_hub import DatasetCard, HfApi
from PIL import Image

from lgn_hf import Actions
from lgn_hf.actions import SCORES
from lgn_hf.hub.action_columns import FEATURES, MEANINGS
from lgn_hf.hub.action_dataset import (
    CARD_NAME,
    DATA_NAME,
    actions_dataset,
    build_actions_dataset,
    load_actions_dataset,
    push_actions_dataset,
)
from lgn_hf.hub.upload import PublishError
from lgn_hf.model.filters import rotation_matrix
from lgn_hf.plotting import matrix_thumbnail, orbit_thumbnail
from lgn_hf.runs.trained_model import TrainedModel
from tests.support.networks import make_model


def source(name: str, network: str = "learned", actions: Actions | None = None, **recipe) -> TrainedModel:
    actions = actions or make_model(network).actions()
    return TrainedModel(name, actions, {"recipe": recipe} if recipe else {}, Path(name))


@pytest.fixture(scope="module")
def sources() -> list[TrainedModel]:
    """d = 9 with a quarter turn, d = 16 that rotates, d = 9 with three channels to an action; no results, no basis."""
    planted = make_model("learned").actions()
    planted.matrices[1, 0, 0] = rotation_matrix(3, 90)
    return [
        source("user/planted", actions=planted, dataset="uoft-cs/cifar10", task="classification"),
        source("rotating", "rotation-60", dataset="rot-mnist:../data/mnist", task="classification"),
        source("shared", "learned-shared"),
        source("bare", actions=Actions(torch.randn(1, 1, 1, 4, 4), 3)),
    ]


@pytest.fixture(scope="module")
def rows(sources) -> Dataset:
    return actions_dataset(sources)


class TestRows:
    def test_are_the_actions_with_every_diagnostic(self, sources, rows):
        assert len(rows) == sum(len(source.actions) for source in sources)
        assert rows.features == FEATURES
        expected = [row for source in sources for row in source.actions.table()]
        records = [record for source in sources for record in source.actions.diagnose()]
        for row, table, record in zip(rows, expected, records, strict=True):
            assert {name: row[name] for name in table if name != "nearest"} == {
                name: value for name, value in table.items() if name != "nearest"
            }
            assert row["nearest_operation"] == record["nearest"][0]["operation"]
            assert json.loads(row["nearest_parameters"]) == record["nearest"][0]["parameters"]
            assert row["nearest_z"] == record["nearest"][0]["z"]
            for name in ("key", "cyclic_order", "power_separation", "singular_values", "eigenvalues"):
                assert row[name] == record[name]

    def test_answer_the_viewers_questions(self, rows):
        """All rotations above z = 5 on CIFAR-10."""
        found = rows.filter(
            lambda row: (
                (row["nearest"] or "").startswith("rotation")
                and row["nearest_z"] > 5
                and row["dataset"] == "uoft-cs/cifar10"
                and row["label"]
            )
        )
        assert [(row["model"], row["layer"], row["nearest"]) for row in found] == [
            ("user/planted", 1, "rotation by 90 degrees")
        ]

    def test_name_data_but_not_where_it_lay(self, rows):
        found = dict(zip(rows["model"], zip(rows["dataset"], rows["task"], strict=True), strict=True))
        assert found == {
            "user/planted": ("uoft-cs/cifar10", "classification"),
            "rotating": ("rot-mnist:mnist", "classification"),
            "shared": (None, None),
            "bare": (None, None),
        }

    def test_name_data_alike_from_wherever_they_are_read(self, tmp_path, monkeypatch):
        (tmp_path / "user" / "mnist").mkdir(parents=True)
        given = [source(name, dataset=name) for name in ("user/mnist", "data/mnist", "rotated:~/mnist/", "digits")]
        found = [actions_dataset(given)["dataset"][:]]
        monkeypatch.chdir(tmp_path)
        found.append(actions_dataset(given)["dataset"][:])
        assert [list(dict.fromkeys(names)) for names in found] == [
            ["user/mnist", "mnist", "rotated:mnist", "digits"]
        ] * 2

    def test_come_from_models_of_different_names(self, sources):
        for wrong in ([], [sources[0], sources[0]]):
            with pytest.raises(ValueError, match="each needs another name"):
                actions_dataset(wrong)


class TestPictures:
    def test_are_those_of_the_actions(self, sources, rows):
        actions = [action for source in sources for action in source.actions]
        for row, action in zip(rows, actions, strict=True):
            assert row["heat_map"].format == "PNG"
            assert row["heat_map"].tobytes() == matrix_thumbnail(action.matrix).tobytes()
            if action.basis is not None:
                assert row["orbit"].tobytes() == orbit_thumbnail(action).tobytes()

    def test_of_an_orbit_are_missing_without_basis_filters(self, rows):
        assert rows[-1]["orbit"] is None
        assert rows[-1]["basis"] is None


class TestScores:
    """Files of another version may have fewer scores, and others."""

    def test_that_are_missing_are_null_and_unknown_ones_are_left_out(self, tmp_path):
        actions = make_model("learned").actions()
        actions._records = copy.deepcopy(actions.diagnose())
        for record in actions._records:
            del record["scores"]["toeplitz"]
            record["scores"]["newer_score"] = {"value": 0.5, "z": 1e3}
        other = source("other", actions=actions)
        rows = actions_dataset([other])
        assert rows.features == FEATURES
        assert set(rows["toeplitz"]) == set(rows["toeplitz_z"]) == {None}
        assert rows["circulant"] == [record["scores"]["circulant"]["value"] for record in actions._records]
        check_same([other], load_actions_dataset(build_actions_dataset([other], tmp_path)))


def check_same(sources: list[TrainedModel], found: dict[str, Actions]) -> None:
    assert list(found) == [source.name for source in sources]
    for source_, actions in zip(sources, found.values(), strict=True):
        assert torch.equal(actions.matrices, source_.actions.matrices)
        assert actions.order == source_.actions.order
        assert actions.keys == source_.actions.keys
        assert actions.rotation_angle == source_.actions.rotation_angle
        if source_.actions.basis is None:
            assert actions.basis is None
        else:
            assert actions.basis is not None
            assert torch.equal(actions.basis, source_.actions.basis)


class TestRoundTrip:
    def test_in_memory(self, sources, rows):
        check_same(sources, load_actions_dataset(rows))

    def test_through_a_folder(self, sources, tmp_path):
        check_same(sources, load_actions_dataset(build_actions_dataset(sources, tmp_path / "data set")))

    def test_of_some_layers_and_groups(self, tmp_path):
        part = source("part", actions=make_model("learned-colour").actions()[1:, :, 1:])
        check_same([part], load_actions_dataset(actions_dataset([part])))

    def test_of_subnormal_numbers_and_negative_zeros(self):
        matrices = torch.tensor([1e-45, -0.0, 3.4e38, 1 / 3]).repeat(4).view(1, 1, 1, 4, 4)
        found = load_actions_dataset(actions_dataset([source("odd", actions=Actions(matrices, 2))]))["odd"].matrices
        assert found.numpy().tobytes() == matrices.numpy().tobytes()

    def test_needs_all_actions_of_a_model(self, rows):
        with pytest.raises(ValueError, match="does not hold all actions of 'user/planted'"):
            load_actions_dataset(rows.select(range(1, len(rows))))

    def test_needs_a_data_set_of_actions(self):
        with pytest.raises(ValueError, match="has no layer, group"):
            load_actions_dataset(Dataset.from_dict({"model": ["a"]}))

    @pytest.mark.parametrize(
        "config", ["{}", "[]", "x", None, '{"group_order": 3, "action": "rotation"}', "[" * 10**5]
    )
    def test_needs_a_configuration(self, rows, config):
        one = rows.select(range(len(rows) - 1, len(rows))).remove_columns("config").add_column("config", [config])
        with pytest.raises(ValueError, match="the config of 'bare' is not that of a model"):
            load_actions_dataset(one)


class TestRepository:
    def test_is_the_same_whenever_it_is_built(self, sources, tmp_path):
        first, second = (build_actions_dataset(sources, tmp_path / name, "me/actions") for name in "ab")
        for name in (CARD_NAME, DATA_NAME):
            assert (first / name).read_bytes() == (second / name).read_bytes()
        assert sorted(path.relative_to(first).as_posix() for path in first.rglob("*.*")) == [CARD_NAME, DATA_NAME]

    def test_has_pictures_and_their_type_in_its_parquet(self, sources, tmp_path):
        table = pq.read_table(build_actions_dataset(sources, tmp_path) / DATA_NAME)
        for cell in table["heat_map"].to_pylist():
            assert Image.open(io.BytesIO(cell["bytes"])).format == "PNG"
        said = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        assert said["heat_map"]["_type"] == said["orbit"]["_type"] == "Image"

    def test_has_a_card_for_the_viewer(self, sources, tmp_path):
        card = DatasetCard.load(build_actions_dataset(sources, tmp_path, "me/actions") / CARD_NAME)
        metadata = card.data.to_dict()
        assert metadata["license"] == "apache-2.0"
        assert metadata["size_categories"] == ["n<1K"]
        assert metadata["configs"] == [
            {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}
        ]
        assert 'load_dataset("me/actions", split="train")' in card.text
        for source_ in sources:
            assert f"| {source_.name} |" in card.text

    def test_opens_each_classifier_in_the_lab_of_a_space(self, sources, tmp_path):
        card = (build_actions_dataset(sources, tmp_path, "me/actions", "me/My.Atlas") / CARD_NAME).read_text()
        table = [line for line in card.splitlines() if line.startswith("| ") and "user/planted" in line]
        address = "https://me-my-atlas.static.hf.space/lab.html#model=user%2Fplanted"
        assert table == [f"| user/planted | uoft-cs/cifar10 | classification | 6 | [Open in the lab]({address}) |"]
        assert card.count("Open in the lab") == 2, "the other models do not classify"
        assert "lab" not in (build_actions_dataset(sources, tmp_path, "me/actions") / CARD_NAME).read_text().replace(
            "label", ""
        )

    def test_describes_every_column(self):
        described = {name for names in MEANINGS for name in names.split(", ")}
        described |= {"nearest_operation", "nearest_parameters", *(f"{name}_z" for name in SCORES)}
        assert described - {"..._z"} == set(FEATURES)

    def test_escapes_what_comes_from_models(self, tmp_path):
        evil = source("a|<script>alert(1)</script>\n# b", dataset="]x[\n", task="<b>")
        card = (build_actions_dataset([evil], tmp_path) / CARD_NAME).read_text()
        text = DatasetCard(card).text
        assert "<script>" not in text
        assert "<b>" not in text
        assert "\n# b" not in text


READ = """
import sys, json
from lgn_hf.hub.action_dataset import load_actions_dataset
for name, actions in load_actions_dataset(sys.argv[1]).items():
    print(json.dumps([name, actions.matrices.numpy().tobytes().hex()]))
"""
PUSH = """
import sys
from datasets import load_dataset
load_dataset("parquet", data_files=sys.argv[1], split="train").push_to_hub(sys.argv[2])
"""


def check_read(hub, repo_id: str, sources: list[TrainedModel]) -> None:
    found = hub.run(["-c", READ, repo_id])
    assert found.returncode == 0, found.stderr
    assert [json.loads(line) for line in found.stdout.splitlines()] == [
        [source.name, source.actions.matrices.numpy().tobytes().hex()] for source in sources
    ]


class TestHub:
    @pytest.mark.slow
    def test_publishes_in_one_commit_and_none_where_nothing_differs(self, hub_here, sources, tmp_path):
        hub = hub_here
        url = push_actions_dataset(sources, tmp_path, "tester/actions")
        assert url == f"{hub.url}/datasets/tester/actions"
        assert len(hub.commits("tester/actions", "dataset")) == 2  # with the Hub's own
        assert push_actions_dataset(sources, tmp_path, "tester/actions") == url
        assert len(hub.commits("tester/actions", "dataset")) == 2
        assert {CARD_NAME, DATA_NAME} <= hub.files("tester/actions", "dataset").keys()
        check_read(hub, "tester/actions", sources)

    @pytest.mark.slow
    def test_gives_the_same_matrices_when_datasets_pushed_them(self, hub, sources, tmp_path):
        path = build_actions_dataset(sources, tmp_path) / DATA_NAME
        pushed = hub.run(["-c", PUSH, str(path), "tester/pushed"])
        assert pushed.returncode == 0, pushed.stderr
        check_read(hub, "tester/pushed", sources)

    def test_leaves_other_data_sets_alone(self, hub_here, sources, tmp_path):
        (tmp_path / "other.csv").write_text("a\n1\n")
        (tmp_path / "README.md").write_text("---\nlicense: mit\n---\nmine\n")
        api = HfApi(endpoint=hub_here.url)
        api.create_repo("tester/other", repo_type="dataset")
        api.upload_folder(repo_id="tester/other", repo_type="dataset", folder_path=tmp_path)
        with pytest.raises(ValueError, match=r"tester/other holds other files \(other.csv\)"):
            push_actions_dataset(sources, tmp_path / "built", "tester/other")
        assert hub_here.files("tester/other", "dataset")["README.md"].endswith(b"mine\n")

    def test_does_not_make_a_private_thing_public(self, hub_here, sources, tmp_path):
        push_actions_dataset(sources[:1], tmp_path, "tester/open")
        with pytest.raises(ValueError, match="tester/open is public"):
            push_actions_dataset(sources, tmp_path, "tester/open", private=True)

    def test_says_what_went_wrong(self, hub_here, sources, tmp_path):
        hub_here.fail("POST", "/commit/", times=9, status=403)
        with pytest.raises(PublishError, match=r"tester/actions is not published: your token may not write") as error:
            push_actions_dataset(sources[:1], tmp_path, "tester/actions")
        assert hub_here.token not in str(error.value)
