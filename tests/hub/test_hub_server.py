"""The Hub server for tests, as the unmodified clients see it."""

from __future__ import annotations

import hashlib
import io
import json
import time
from pathlib import Path

import httpx2
import pytest
import torch
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub._commit_api import _send_commit
from huggingface_hub.errors import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import get_session

from tests.support.hub import Hub
from tests.support.networks import make_used_model

WEIGHTS = bytes(range(256)) * 300
CARD = "---\nlicense: apache-2.0\ntags: [lgn]\n---\n# A model\n"
FILES = {"README.md": CARD.encode(), "config.json": b'{"model_type": "lgn"}\n', "model.safetensors": WEIGHTS}
MODEL = "tester/model"


@pytest.fixture
def api(hub_here: Hub) -> HfApi:
    return HfApi(endpoint=hub_here.url, token=hub_here.token)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to upload."""
    for name, content in {**FILES, "figures/gallery.png": b"\x89PNG\r\n\x1a\n\0"}.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "folder"


@pytest.fixture
def published(api: HfApi, folder: Path) -> HfApi:
    """The interface to a Hub that has the folder as a model."""
    api.create_repo(MODEL)
    api.upload_folder(repo_id=MODEL, folder_path=folder)
    return api


def commit(api: HfApi, repo_id: str = MODEL, repo_type: str = "model", **contents) -> str:
    operations = [CommitOperationAdd(name, content) for name, content in contents.pop("files").items()]
    return api.create_commit(repo_id, operations, commit_message="more", repo_type=repo_type, **contents).oid


def status(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


class TestTokens:
    def test_say_who_asks(self, api: HfApi, hub: Hub):
        assert api.whoami()["name"] == "tester"
        assert api.whoami()["auth"]["accessToken"]["role"] == "write"
        assert api.whoami(token=hub.read_token)["auth"]["accessToken"]["role"] == "read"

    def test_are_checked(self, api: HfApi, folder: Path):
        with pytest.raises(HfHubHTTPError, match="Invalid user token") as error:
            api.whoami(token="hf_nobody")
        assert status(error) == 401
        with pytest.raises(HfHubHTTPError, match="Invalid credentials") as error:
            api.create_repo(MODEL, token="hf_nobody")
        assert status(error) == 401

    def test_that_read_cannot_write(self, published: HfApi, hub: Hub):
        with pytest.raises(HfHubHTTPError, match="write token") as error:
            published.create_repo("tester/another", token=hub.read_token)
        assert status(error) == 403
        with pytest.raises(HfHubHTTPError, match="write token") as error:
            published.upload_file(
                path_or_fileobj=b"x", path_in_repo="x", repo_id=MODEL, token=hub.read_token, repo_type="model"
            )
        assert status(error) == 403

    def test_write_in_their_namespaces_only(self, published: HfApi, hub: Hub):
        published.create_repo("lab/model")
        for repo_id in ("other/model", "lab/other"):
            token = hub.token if repo_id == "other/model" else hub.other_token
            with pytest.raises(HfHubHTTPError, match="rights to create a model under the namespace") as error:
                published.create_repo(repo_id, token=token)
            assert status(error) == 403
        with pytest.raises(HfHubHTTPError, match="permission") as error:
            published.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id=MODEL, token=hub.other_token)
        assert status(error) == 403


class TestRepositories:
    def test_are_made_once(self, api: HfApi, hub: Hub):
        url = api.create_repo(MODEL)
        assert (url.repo_id, url.repo_type, str(url)) == (MODEL, "model", f"{hub.url}/{MODEL}")
        with pytest.raises(HfHubHTTPError, match="already created") as error:
            api.create_repo(MODEL)
        assert status(error) == 409
        assert str(api.create_repo(MODEL, exist_ok=True)) == str(url)

    def test_of_three_kinds_have_names_of_their_own(self, api: HfApi, hub: Hub):
        api.create_repo(MODEL)
        assert str(api.create_repo(MODEL, repo_type="dataset")) == f"{hub.url}/datasets/{MODEL}"
        assert str(api.create_repo(MODEL, repo_type="space", space_sdk="static")) == f"{hub.url}/spaces/{MODEL}"
        assert list(hub.files(MODEL)) == [".gitattributes"]
        assert b"*.png filter=lfs" in hub.files(MODEL, "dataset")[".gitattributes"]
        assert list(hub.files(MODEL, "space")) == [".gitattributes", "README.md", "index.html", "style.css"]
        space = api.space_info(MODEL)
        assert (space.sdk, space.runtime and space.runtime.stage) == ("static", "RUNNING")

    @pytest.mark.parametrize("name", ["a--b", "..", "ä", "a/b", ""])
    def test_with_bad_names_are_refused(self, api: HfApi, name: str):
        headers = {"Authorization": f"Bearer {api.token}"}
        answer = get_session().post(f"{api.endpoint}/api/repos/create", headers=headers, json={"name": name})
        assert (answer.status_code, answer.json()["error"][:23]) == (400, "Invalid repository name")

    def test_are_deleted_and_listed(self, published: HfApi):
        published.create_repo("lab/model")
        assert [found.id for found in published.list_models(author="tester")] == [MODEL]
        published.delete_repo(MODEL)
        assert [found.id for found in published.list_models()] == ["lab/model"]
        assert not published.repo_exists(MODEL)

    def test_that_are_private_are_not_found_by_others(self, api: HfApi, hub: Hub):
        api.create_repo(MODEL, private=True)
        commit(api, files=FILES)
        assert api.model_info(MODEL).private
        assert api.model_info(MODEL, token=hub.read_token).private
        for token, expected in ((hub.other_token, 404), (False, 401)):
            with pytest.raises(RepositoryNotFoundError) as error:
                api.model_info(MODEL, token=token)
            assert status(error) == expected
            with pytest.raises(RepositoryNotFoundError):
                api.hf_hub_download(MODEL, "config.json", token=token)
        api.update_repo_settings(MODEL, private=False)
        assert not api.model_info(MODEL, token=False).private

    def test_tell_what_is_in_them(self, published: HfApi):
        info = published.model_info(MODEL, files_metadata=True)
        assert info.sha == published.list_repo_commits(MODEL)[0].commit_id
        assert info.card_data is not None
        assert info.card_data.license == "apache-2.0"
        assert info.tags == ["lgn", "license:apache-2.0"]
        assert info.config == {"model_type": "lgn"}
        sizes = {each.rfilename: (each.size, each.lfs is not None) for each in info.siblings or []}
        assert sizes["model.safetensors"] == (len(WEIGHTS), True)
        assert sizes["config.json"] == (len(FILES["config.json"]), False)


class TestUploads:
    def test_arrive_in_one_commit(self, published: HfApi, hub: Hub):
        files = hub.files(MODEL)
        assert {name: files[name] for name in FILES} == FILES
        assert len(hub.commits(MODEL)) == 2
        paths = [each["path"] for each in hub.requests() if each["method"] in ("POST", "PUT")]
        steps = ["/_lfs/" if "/_lfs/" in path else path for path in paths]
        assert list(dict.fromkeys(steps)) == [
            "/api/repos/create",
            "/api/validate-yaml",
            f"/api/models/{MODEL}/preupload/main",
            f"/{MODEL}.git/info/lfs/objects/batch",
            "/_lfs/",
            f"/{MODEL}.git/info/lfs/objects/verify",
            f"/api/models/{MODEL}/commit/main",
        ]

    def test_of_binary_files_go_through_lfs(self, published: HfApi, hub: Hub):
        entries = {e.path: e for e in published.list_repo_tree(MODEL, recursive=True) if isinstance(e, RepoFile)}
        assert {path for path, entry in entries.items() if entry.lfs} == {"model.safetensors", "figures/gallery.png"}
        weights, config = entries["model.safetensors"], entries["config.json"]
        assert weights.lfs is not None
        assert weights.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
        assert config.blob_id == hashlib.sha1(b"blob 22\0" + FILES["config.json"]).hexdigest()  # as `git hash-object`
        assert b"\nfigures/gallery.png filter=lfs" in hub.files(MODEL)[".gitattributes"]

    def test_of_what_is_there_send_nothing_and_commit_nothing(self, published: HfApi, hub: Hub, folder: Path):
        before = hub.commits(MODEL)
        hub.forget()
        info = published.upload_folder(repo_id=MODEL, folder_path=folder)
        assert hub.commits(MODEL) == before
        assert info.oid == before[0]
        assert not [each for each in hub.requests() if "/commit/" in each["path"] or each["method"] == "PUT"]

    def test_send_only_what_differs(self, published: HfApi, hub: Hub, folder: Path):
        (folder / "config.json").write_text("{}")
        hub.forget()
        published.upload_folder(repo_id=MODEL, folder_path=folder, delete_patterns=["figures/*"])
        sent = [each for each in hub.requests() if "/commit/" in each["path"]]
        assert [each["received"] < 1000 for each in sent] == [True]
        assert not [each for each in hub.requests() if each["method"] == "PUT"]
        assert hub.files(MODEL)["config.json"] == b"{}"

    def test_delete_files_and_folders(self, published: HfApi, hub: Hub):
        operations = [CommitOperationDelete("figures/"), CommitOperationDelete("config.json")]
        published.create_commit(MODEL, operations, commit_message="less")
        assert list(hub.files(MODEL)) == [".gitattributes", "README.md", "model.safetensors"]
        with pytest.raises(EntryNotFoundError, match="doesn't exist"):
            published.create_commit(MODEL, [CommitOperationDelete("nothing")], commit_message="less")

    def test_can_be_empty_commits(self, published: HfApi, hub: Hub):
        made = _send_commit(
            operations=[],
            files_to_copy={},
            commit_message="nothing",
            commit_description="",
            repo_type="model",
            repo_id=MODEL,
            headers={"Authorization": f"Bearer {hub.token}"},
            revision="main",
            endpoint=hub.url,
        )
        assert hub.commits(MODEL)[0] == made.oid

    def test_open_pull_requests(self, published: HfApi, hub: Hub):
        before = hub.commits(MODEL)
        operations = [CommitOperationAdd("new.bin", WEIGHTS[::-1])]
        info = published.create_commit(
            MODEL, operations, commit_message="new", create_pr=True, token=hub.other_token
        )  # by somebody who may not write
        assert info.pr_url == f"{hub.url}/{MODEL}/discussions/1"
        assert info.pr_revision == "refs/pr/1"
        assert hub.commits(MODEL) == before
        assert "new.bin" in hub.files(MODEL, revision="refs/pr/1")
        path = published.hf_hub_download(MODEL, "new.bin", revision="refs/pr/1")
        assert Path(path).read_bytes() == WEIGHTS[::-1]

    def test_go_to_branches(self, published: HfApi, hub: Hub):
        with pytest.raises(RevisionNotFoundError):
            commit(published, files={"a": b"a"}, revision="trial")
        published.create_branch(MODEL, branch="trial")
        with pytest.raises(HfHubHTTPError) as error:
            published.create_branch(MODEL, branch="trial")
        assert status(error) == 409
        made = commit(published, files={"a": b"a"}, revision="trial")
        published.create_tag(MODEL, tag="v1", revision="trial")
        assert "a" not in hub.files(MODEL)
        refs = published.list_repo_refs(MODEL, include_pull_requests=True)
        assert {branch.name: branch.target_commit for branch in refs.branches}["trial"] == made
        assert [tag.target_commit for tag in refs.tags] == [made]
        assert published.model_info(MODEL, revision="v1").sha == made

    def test_onto_a_parent_that_is_not_the_newest_are_refused(self, published: HfApi, hub: Hub):
        old = hub.commits(MODEL)[0]
        commit(published, files={"a": b"a"}, parent_commit=old)
        with pytest.raises(HfHubHTTPError, match="A commit has happened since") as error:
            commit(published, files={"b": b"b"}, parent_commit=old)
        assert status(error) == 412

    def test_of_weights_that_never_came_are_refused(self, api: HfApi, hub: Hub):
        """Committing what a killed upload left out does not work."""
        api.create_repo(MODEL)
        operation = CommitOperationAdd("model.safetensors", WEIGHTS)
        hub.fail("POST", "/objects/batch", status=200, body=json.dumps({"objects": []}))
        with pytest.raises(BadRequestError, match="does not exist"):
            api.create_commit(MODEL, [operation], commit_message="weights")
        assert len(hub.commits(MODEL)) == 1

    def test_of_bad_cards_are_refused(self, published: HfApi, hub: Hub):
        before = hub.commits(MODEL)
        with pytest.raises(ValueError, match='"license" must be one of'):
            commit(published, files={"README.md": b"---\nlicense: mine\n---\n"})
        assert hub.commits(MODEL) == before


RESULT = {
    "task": {"type": "image-classification"},
    "dataset": {"type": "ylecun/mnist", "name": "MNIST"},
    "metrics": [{"type": "accuracy", "value": 0.98}],
}


def card(**metadata) -> str:
    return f"---\n{json.dumps(metadata)}\n---\n"  # JSON is YAML


def without(field: str) -> dict:
    return {name: value for name, value in RESULT.items() if name != field}


class TestCards:
    def test_with_results_are_accepted(self, api: HfApi):
        index = [{"name": "lgn", "results": [RESULT]}]
        about = {"license": "mit", "datasets": ["ylecun/mnist"], "pipeline_tag": "image-classification"}
        api._validate_yaml(card(**about, **{"model-index": index}))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("---\na: [\n---\n", "Invalid YAML"),
            ("---\n- a\n---\n", "must be a mapping"),
            (card(license="mine"), "license.* must be one of"),
            (card(tags="lgn"), "tags.* must be an array"),
            (card(datasets=["../data/mnist"]), r"datasets\[0\].* not valid"),
            (card(**{"model-index": {}}), "must be an array"),
            (card(**{"model-index": [{"results": [RESULT]}]}), r"model-index\[0\]\.name.* is required"),
            (card(**{"model-index": [{"name": "a"}]}), "results.* is required"),
            (card(**{"model-index": [{"name": "a", "results": [without("task")]}]}), "task.* is required"),
            (card(**{"model-index": [{"name": "a", "results": [without("dataset")]}]}), "dataset.* is required"),
            (card(**{"model-index": [{"name": "a", "results": [{**RESULT, "metrics": []}]}]}), "metrics.* empty"),
            (
                card(**{"model-index": [{"name": "a", "results": [{**RESULT, "metrics": [{"type": "a"}]}]}]}),
                r"metrics\[0\]\.value.* is required",
            ),
        ],
    )
    def test_that_are_wrong_are_refused(self, api: HfApi, text: str, message: str):
        with pytest.raises(ValueError, match=message):
            api._validate_yaml(text)

    def test_that_are_odd_are_warned_about(self, api: HfApi):
        for text, message in (
            (card(pipeline_tag="image-to-nothing"), "official list"),
            ("# Nothing\n", "empty or miss"),
        ):
            with pytest.warns(UserWarning, match=message):
                api._validate_yaml(text)

    def test_of_spaces_name_their_sdk(self, api: HfApi):
        api._validate_yaml(card(sdk="static", colorFrom="red"), repo_type="space")
        for text in (card(title="Atlas"), card(sdk="html"), card(sdk="static", colorTo="black")):
            with pytest.raises(ValueError, match="must be one of"):
                api._validate_yaml(text, repo_type="space")


class TestDownloads:
    def test_are_what_was_uploaded(self, published: HfApi, hub: Hub):
        for name, content in FILES.items():
            assert Path(hf_hub_download(MODEL, name)).read_bytes() == content
        path = Path(snapshot_download(MODEL))
        assert path.name == hub.commits(MODEL)[0]
        assert (path / "figures" / "gallery.png").read_bytes().startswith(b"\x89PNG")

    def test_do_not_send_the_token_to_the_storage(self, published: HfApi, hub: Hub):
        hub.forget()
        hf_hub_download(MODEL, "model.safetensors")
        users = {each["path"].split("/")[1]: each["user"] for each in hub.requests()}
        assert users == {"tester": "tester", "_cdn": None}

    def test_of_old_revisions(self, published: HfApi, hub: Hub):
        old = hub.commits(MODEL)[0]
        commit(published, files={"config.json": b"{}"})
        assert Path(hf_hub_download(MODEL, "config.json")).read_bytes() == b"{}"
        assert Path(hf_hub_download(MODEL, "config.json", revision=old)).read_bytes() == FILES["config.json"]
        expanded = published.get_paths_info(MODEL, ["README.md", "figures", "nothing"], expand=True)
        assert [(each.path, each.last_commit and each.last_commit.oid) for each in expanded] == [
            ("README.md", old),
            ("figures", old),
        ]

    def test_of_what_is_missing(self, published: HfApi):
        with pytest.raises(EntryNotFoundError):
            hf_hub_download(MODEL, "nothing.json")
        with pytest.raises(RevisionNotFoundError):
            hf_hub_download(MODEL, "config.json", revision="nothing")
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download("tester/nothing", "config.json")
        assert not published.file_exists(MODEL, "nothing.json")
        assert not published.revision_exists(MODEL, "nothing")

    def test_are_read_in_parts(self, published: HfApi, hub: Hub):
        system = HfFileSystem(endpoint=published.endpoint, token=published.token, skip_instance_cache=True)
        with system.open(f"{MODEL}/model.safetensors", block_size=1000) as file:
            file.seek(70_000)
            assert file.read(500) == WEIGHTS[70_000:70_500]
            file.seek(-10, io.SEEK_END)
            assert file.read() == WEIGHTS[-10:]
        assert 206 in [each["status"] for each in hub.requests()]
        assert system.ls(f"{MODEL}/figures", detail=False) == [f"{MODEL}/figures/gallery.png"]


def test_a_former_name_is_redirected(published: HfApi, hub: Hub):
    published.move_repo(MODEL, "lab/renamed")
    assert published.model_info(MODEL).id == "lab/renamed"
    assert Path(hf_hub_download(MODEL, "model.safetensors")).read_bytes() == WEIGHTS
    with pytest.raises(HfHubHTTPError) as error:
        published.move_repo("lab/renamed", "other/renamed")
    assert status(error) == 403


class TestCollections:
    def test_are_made_and_filled_once(self, published: HfApi, hub: Hub):
        collection = published.create_collection("Linear Group Networks", namespace="lab", description="All of them")
        assert collection.slug.startswith("lab/linear-group-networks-")
        with pytest.raises(HfHubHTTPError) as error:
            published.create_collection("Linear Group Networks", namespace="lab")
        assert status(error) == 409
        again = published.create_collection("Linear Group Networks", namespace="lab", exists_ok=True)
        assert again.slug == collection.slug
        published.add_collection_item(collection.slug, MODEL, "model", note="the first")
        with pytest.raises(HfHubHTTPError) as error:
            published.add_collection_item(collection.slug, MODEL, "model")
        assert status(error) == 409
        published.add_collection_item(collection.slug, MODEL, "model", exists_ok=True)
        items = published.get_collection(collection.slug).items
        assert [(item.item_id, item.item_type, item.note) for item in items] == [(MODEL, "model", "the first")]

    def test_hold_what_there_is(self, published: HfApi, hub: Hub):
        collection = published.create_collection("Networks")
        with pytest.raises(HfHubHTTPError) as error:
            published.add_collection_item(collection.slug, "tester/nothing", "model")
        assert status(error) == 404
        with pytest.raises(HfHubHTTPError) as error:
            published.add_collection_item(collection.slug, MODEL, "model", token=hub.other_token)
        assert status(error) == 403
        published.delete_collection(collection.slug)
        with pytest.raises(HfHubHTTPError) as error:
            published.get_collection(collection.slug)
        assert status(error) == 404


class TestFaults:
    def test_come_as_often_as_asked(self, published: HfApi, hub: Hub):
        hub.fail("GET", f"/api/models/{MODEL}$", times=2, status=403, body='{"error": "no"}')
        for _ in range(2):
            with pytest.raises(HfHubHTTPError, match="403"):
                published.model_info(MODEL)
        assert published.model_info(MODEL).id == MODEL
        hub.fail("*", ".*", times=99, status=500)
        hub.reset_faults()
        assert published.model_info(MODEL).id == MODEL

    def test_of_503_are_tried_again_by_the_client(self, published: HfApi, hub: Hub):
        hub.fail("POST", "/preupload/", status=503, headers={"Retry-After": "0"})
        hub.forget()
        commit(published, files={"a": b"a"})
        assert [each["status"] for each in hub.requests() if "/preupload/" in each["path"]] == [503, 200]

    def test_drop_uploads_on_their_way(self, api: HfApi, hub: Hub):
        api.create_repo(MODEL)
        hub.fail("PUT", "/_lfs/", drop_after_bytes=20_000)
        commit(api, files={"model.safetensors": WEIGHTS})
        puts = [each for each in hub.requests() if each["method"] == "PUT"]
        assert [each["status"] for each in puts] == [None, 200]
        assert 20_000 <= puts[0]["received"] < len(WEIGHTS)
        assert hub.files(MODEL)["model.safetensors"] == WEIGHTS

    def test_cut_downloads_on_their_way(self, published: HfApi, hub: Hub):
        hub.fail("GET", "/_cdn/", cut_after_bytes=30_000)
        hub.forget()
        assert Path(hf_hub_download(MODEL, "model.safetensors")).read_bytes() == WEIGHTS
        assert [each["status"] for each in hub.requests() if each["method"] == "GET"] == [200, 200]

    def test_lose_the_answer_to_a_commit_that_is_made(self, published: HfApi, hub: Hub):
        hub.fail("POST", "/commit/", cut_after_bytes=0)
        with pytest.raises(httpx2.TransportError):
            commit(published, files={"a": b"a"})
        made = hub.commits(MODEL)
        assert "a" in hub.files(MODEL)
        assert commit(published, files={"a": b"a"}) == made[0]
        assert hub.commits(MODEL) == made

    @pytest.mark.slow
    def test_leave_time_to_kill_between_upload_and_commit(self, api: HfApi, hub: Hub):
        api.create_repo(MODEL)
        upload = "from huggingface_hub import HfApi; HfApi().upload_file(path_or_fileobj=bytes(9999), "
        upload += f"path_in_repo='model.safetensors', repo_id='{MODEL}')"
        hub.fail("POST", "/commit/", status=504, delay=1)
        with hub.start(["-c", upload]) as process:
            while not [each for each in hub.requests() if "/commit/" in each["path"]]:
                time.sleep(0.05)
            process.kill()
        assert len(hub.commits(MODEL)) == 1
        hub.forget()
        assert hub.run(["-c", upload]).returncode == 0
        assert len(hub.commits(MODEL)) == 2
        assert not [each for each in hub.requests() if each["method"] == "PUT"]  # the weights had come already


DATASET = "tester/pictures"

PUSH = f"""
import numpy as np
from datasets import Dataset, Features, Image, Value
from PIL import Image as Picture
pictures = [Picture.fromarray(np.full((5, 5), i, np.uint8)) for i in range(8)]
features = Features({{"image": Image(), "score": Value("float32")}})
data = Dataset.from_dict({{"image": pictures, "score": list(range(8))}}, features=features)
data.push_to_hub("{DATASET}", split="train")
data.select(range(3)).push_to_hub("{DATASET}", split="test")
"""

LOAD = f"""
import json
import numpy as np
from datasets import load_dataset
whole = load_dataset("{DATASET}")
streamed = list(load_dataset("{DATASET}", split="train", streaming=True))
print(json.dumps({{
    "rows": {{split: len(data) for split, data in whole.items()}},
    "pixels": [int(np.array(row["image"]).max()) for row in whole["train"]],
    "streamed": [int(np.array(row["image"]).max()) for row in streamed],
    "scores": [row["score"] for row in streamed],
}}))
"""


@pytest.mark.slow
def test_data_sets_are_pushed_loaded_and_streamed(hub: Hub):
    pushed = hub.run(["-c", PUSH])
    assert pushed.returncode == 0, pushed.stderr
    assert [name for name in hub.files(DATASET, "dataset") if name.endswith(".parquet")] == [
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    ]
    hub.fresh_home()
    loaded = hub.run(["-c", LOAD])
    assert loaded.returncode == 0, loaded.stderr
    assert 206 in [each["status"] for each in hub.requests()]  # streaming reads parts of files
    everything = list(range(8))
    assert json.loads(loaded.stdout) == {
        "rows": {"train": 8, "test": 3},
        "pixels": everything,
        "streamed": everything,
        "scores": everything,
    }


def test_spaces_are_served(api: HfApi, hub: Hub):
    api.create_repo("tester/atlas", repo_type="space", space_sdk="static")
    page = b"<!doctype html><title>Atlas</title>"
    files = {"index.html": page, "README.md": b"---\ntitle: Atlas\nsdk: static\n---\n"}
    commit(api, "tester/atlas", "space", files=files)
    host = api.space_info("tester/atlas").host
    assert host is not None
    answer = get_session().get(host)
    assert (answer.content, answer.headers["Content-Type"]) == (page, "text/html")


USE = f"""
import sys
sys.modules["lgn_hf"] = None
import torch
from transformers import AutoModelForImageClassification
model = AutoModelForImageClassification.from_pretrained("{MODEL}", trust_remote_code=True).eval()
print(type(model).__module__.startswith("transformers_modules"))
with torch.no_grad():
    print(model(torch.arange(49.0, dtype=model.dtype).reshape(1, 1, 7, 7) / 49).logits.flatten().tolist())
"""


@pytest.mark.slow
def test_a_model_is_pushed_and_used_without_the_package(hub_here: Hub):
    model = make_used_model("learned").float().eval()
    model.push_to_hub(repo_id=MODEL, private=True)
    assert "modeling_lgn.py" in hub_here.files(MODEL)
    with torch.no_grad():
        expected = model(torch.arange(49.0).reshape(1, 1, 7, 7) / 49).logits.flatten()
    used = hub_here.run(["-c", USE])
    assert used.returncode == 0, used.stderr
    remote, logits = used.stdout.splitlines()[-2:]
    assert remote == "True"
    torch.testing.assert_close(torch.tensor(json.loads(logits)), expected)
