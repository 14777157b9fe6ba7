"""From a folder to a repository: publishing is one commit or none, and errors say what to do."""

import re
import shutil
import time
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

from lgn_hf.hub.errors import PublishError
from lgn_hf.hub.folder import contents
from lgn_hf.hub.retry import retry
from lgn_hf.hub.upload import publish, upload
from tests.conftest import PUBLISHED_AS as NAME
from tests.conftest import read_folder

# Publishing


def uploads(hub) -> list[str]:
    return [request["path"] for request in hub.requests() if request["method"] == "PUT"]


def wait(seconds: float) -> None:
    raise AssertionError(f"waited {seconds} s for nothing")


def test_publishing_is_one_commit_and_the_same_again_is_none(folder, hub_here, caplog):
    url = publish(folder, NAME, pause=wait)
    first, initial = hub_here.commits(NAME)
    assert url == f"{hub_here.url}/{NAME}/commit/{first}"
    files = hub_here.files(NAME)
    assert {path: content for path, content in files.items() if path != ".gitattributes"} == read_folder(folder)
    hub_here.forget()
    with caplog.at_level("INFO", "lgn_hf.hub.upload"):
        assert publish(folder, NAME, pause=wait) == url
    assert "is up to date" in caplog.text
    assert hub_here.commits(NAME) == [first, initial]
    assert not uploads(hub_here)


def test_only_what_differs_is_uploaded_and_only_what_is_ours_goes(folder, hub_here):
    """An older publication had another figure, a baseline and other modules; its owner has added files."""
    code = folder / "modeling_lgn.py"
    newer = code.read_text()
    code.write_text(f"from .older import f\n{newer}")
    (folder / "older.py").write_text("from .oldest import f\n")
    (folder / "oldest.py").write_text("f = 1\n")
    (folder / "figures" / "older.png").write_bytes(b"older")
    shutil.copy(folder / "all_results.json", folder / "baseline_results.json")
    publish(folder, NAME, pause=wait)
    names = ("notes.md", "handler.py", "figures/nested/mine.png", "older/code.py", "LICENSE")
    theirs = dict.fromkeys(names, b"mine")
    for path, content in theirs.items():
        HfApi().upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=NAME)
    for name in ("figures/older.png", "baseline_results.json", "older.py", "oldest.py"):
        (folder / name).unlink()
    code.write_text(newer)
    (folder / "figures" / "gallery.png").write_bytes(b"newer")
    hub_here.forget()
    before = len(hub_here.commits(NAME))
    publish(folder, NAME, pause=wait)
    assert len(hub_here.commits(NAME)) == before + 1
    files = hub_here.files(NAME)
    assert {path: files[path] for path in theirs} == theirs
    assert files.keys() == {*contents(folder), *theirs, ".gitattributes"}
    assert sum(request["received"] for request in hub_here.requests()) < 100_000
    assert len(uploads(hub_here)) == 1  # the figure's, not the weights'


def test_a_private_model_stays_private(folder, hub_here):
    publish(folder, NAME, private=True, pause=wait)
    assert HfApi().model_info(NAME).private
    publish(folder, NAME, private=True, pause=wait)
    HfApi().create_repo("tester/public")
    with pytest.raises(ValueError, match="tester/public is public"):
        publish(folder, "tester/public", private=True, pause=wait)
    assert len(hub_here.commits("tester/public")) == 1


def test_a_branch_is_made_and_main_is_left_alone(folder, hub_here):
    for _ in range(2):
        publish(folder, NAME, revision="v1", pause=wait)
    assert len(hub_here.commits(NAME)) == 1
    assert len(hub_here.commits(NAME, revision="v1")) == 2


def test_a_pull_request_leaves_main_alone(folder, hub_here):
    url = publish(folder, NAME, create_pr=True, pause=wait)
    assert url == f"{hub_here.url}/{NAME}/discussions/1"
    assert len(hub_here.commits(NAME)) == 1
    assert len(hub_here.commits(NAME, revision="refs/pr/1")) == 2
    publish(folder, NAME, revision="refs/pr/1", pause=wait)
    assert len(hub_here.commits(NAME, revision="refs/pr/1")) == 2


def test_a_model_is_added_to_a_collection_once(folder, hub_here):
    for _ in range(2):
        publish(folder, NAME, collection="tester/Linear groups", pause=wait)
    collections = {request["path"] for request in hub_here.requests() if request["path"].endswith("/items")}
    slug = collections.pop().removeprefix("/api/collections/").removesuffix("/items")
    assert not collections
    assert [item.item_id for item in HfApi().get_collection(slug).items] == [NAME]
    publish(folder, "tester/second", collection=slug, pause=wait)
    assert [item.item_id for item in HfApi().get_collection(slug).items] == [NAME, "tester/second"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("config.json", b'{"model_type": "bert"}', "it holds a model of type 'bert', not an LGN"),
        ("config.json", b"[", "it holds a model of type 'unknown', not an LGN"),
        ("data.csv", b"1,2", r"it holds other files \(\.gitattributes, data\.csv, \.\.\.\), not an LGN"),
    ],
)
def test_a_name_that_something_else_has_is_refused(folder, hub_here, path, content, message):
    HfApi().create_repo(NAME)
    HfApi().upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=NAME)
    with pytest.raises(ValueError, match=f"{NAME} is taken: {message}"):
        publish(folder, NAME, pause=wait)
    assert len(hub_here.commits(NAME)) == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a/b/c", {}, "repo_id='a/b/c': must be USER/NAME"),
        (NAME, {"create_pr": True, "revision": "v1"}, "a pull request is always against main"),
        (NAME, {"collection": "Linear groups"}, "must be a slug, or USER/TITLE"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_sent(folder, hub_here, name, options, message):
    with pytest.raises(ValueError, match=message):
        publish(folder, name, **options)
    assert not hub_here.requests()


def failed(folder: Path, name: str = NAME, **options) -> str:
    """The message of a publication that fails: one line, no token, and the command that continues it at its end."""
    with pytest.raises(PublishError) as error:
        publish(folder, name, **{"pause": lambda seconds: None, **options})
    message = str(error.value)
    assert "\n" not in message
    assert "hf_test" not in message
    assert error.value.__cause__ is None  # nor in a traceback
    before, command = message.split("lgn-hf publish ")
    assert command.startswith(f"{folder} {name}")
    return before


@pytest.mark.parametrize(
    ("method", "path", "fault", "message"),
    [
        ("POST", "/api/repos/create", {"status": 401}, r"does not accept your token \(401\)"),
        ("POST", "/api/repos/create", {"status": 500}, r"out of order \(500\)"),
        ("POST", "/api/repos/create", {"drop_after_bytes": 0}, "connection to the Hub broke off"),
        ("POST", "/api/validate-yaml", {"status": 502, "body": "<html>"}, "cannot be read|out of order"),
        ("POST", "/commit/main", {"status": 401}, r"does not accept your token \(401\)"),
        ("POST", "/commit/main", {"status": 403}, r"may not write to tester/lgn-digits \(403\)"),
        ("POST", "/commit/main", {"status": 404}, r"knows no tester/lgn-digits \(404\)"),
        ("POST", "/commit/main", {"status": 409}, r"taken, or being changed at this moment \(409\)"),
        ("POST", "/commit/main", {"status": 412}, r"changed by someone else during the upload \(412\)"),
        ("POST", "/commit/main", {"status": 418, "body": "hf_test_write\nno"}, r"refused \(418"),
        ("POST", "/commit/main", {"status": 503}, r"out of order \(503\)"),
        ("POST", "/commit/main", {"status": 429, "headers": {"Retry-After": "7"}}, r"\(429\): wait 7 seconds"),
        ("POST", "/commit/main", {"drop_after_bytes": 2000}, "connection to the Hub broke off"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_each_failure_is_one_clear_message_and_the_command_continues(folder, hub_here, method, path, fault, message):
    before = read_folder(folder)
    hub_here.fail(method, path, times=100, **fault)
    assert re.search(message, failed(folder))
    assert read_folder(folder) == before
    hub_here.reset_faults()
    publish(folder, NAME, pause=wait)
    assert len(hub_here.commits(NAME)) == 2


@pytest.mark.parametrize(("method", "path"), [("PUT", "/_lfs/"), ("POST", "/commit/main")])
def test_an_upload_that_fails_leaves_no_empty_repository(folder, hub_here, method, path):
    hub_here.fail(method, path, times=100, status=403)
    failed(folder)
    assert not HfApi().repo_exists(NAME)


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_an_upload_that_is_interrupted_leaves_no_empty_repository(kind, folder, hub_here, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(HfApi, "create_commit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        publish(folder, NAME) if kind == "model" else upload(folder, ["README.md"], NAME, kind)
    assert "/api/repos/create" in {request["path"] for request in hub_here.requests()}
    assert not HfApi().repo_exists(NAME, repo_type=kind)


def test_an_upload_that_fails_leaves_a_repository_that_was_there(folder, hub_here):
    HfApi().create_repo(NAME)
    hub_here.fail("POST", "/commit/main", times=100, status=403)
    failed(folder)
    assert HfApi().repo_exists(NAME)


def test_a_repository_that_cannot_be_removed_is_named(folder, hub_here):
    hub_here.fail("POST", "/commit/main", times=100, status=403)
    hub_here.fail("DELETE", "/api/repos/delete", times=100, status=403)
    assert f"the new repository {NAME} stays on the Hub, maybe empty" in failed(folder)


def test_a_hub_without_xet_storage_is_told_apart_from_a_broken_connection(folder, hub_here, monkeypatch):
    """huggingface_hub#4507: the client does not fall back to another way of uploading."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    assert "does not have Xet storage: set HF_HUB_DISABLE_XET=1" in failed(folder, pause=wait)


@pytest.mark.slow
def test_the_address_of_the_hub_may_end_with_a_slash(folder, hub):
    """huggingface_hub#2721"""
    script = f"from lgn_hf.hub.upload import publish; print(publish({str(folder)!r}, {NAME!r}))"
    done = hub.run(["-c", script], HF_ENDPOINT=f"{hub.url}/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{hub.url}/{NAME}/commit/")


def test_a_quota_that_is_used_up_is_not_waited_for(folder, hub_here):
    """huggingface_hub#3071, datasets#6257"""
    hub_here.fail("POST", "/commit/main", times=9, status=429, headers={"Retry-After": "3600"})
    assert "too many requests (429): wait 3600 seconds" in failed(folder, pause=wait)


def test_a_name_of_somebody_else_cannot_be_used(folder, hub_here):
    assert "(403)" in failed(folder, "other/model")


def test_without_a_token_nothing_is_sent(folder, hub_here, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert "not logged in to the Hub" in failed(folder)
    assert not hub_here.requests()


def test_a_token_is_not_published(folder, hub_here):
    (folder / "README.md").write_text((folder / "README.md").read_text() + f"\n{hub_here.token}\n")
    with pytest.raises(ValueError, match=r"README\.md holds your token"):
        publish(folder, NAME)
    assert not hub_here.requests()


@pytest.mark.slow
def test_a_collection_that_fails_says_that_the_model_is_published(folder, hub_here):
    hub_here.fail("POST", "/api/collections", times=100, status=403)
    message = failed(folder, collection="tester/Groups")
    assert message.startswith(f"published at {hub_here.url}/{NAME}/commit/")
    assert "but not in tester/Groups" in message


@pytest.mark.parametrize(
    ("fault", "pauses"),
    [
        ({"status": 503}, [1, 2]),
        ({"status": 429, "headers": {"Retry-After": "5"}}, [5, 5]),
        ({"drop_after_bytes": 100}, [1, 2]),
    ],
    ids=["503", "429", "dropped"],
)
@pytest.mark.parametrize("path", ["/api/repos/create", "/commit/main"])
def test_what_passes_is_waited_for(folder, hub_here, path, fault, pauses):
    waited = []
    hub_here.fail("POST", path, times=2, **fault)
    publish(folder, NAME, pause=waited.append)
    assert waited == pauses
    assert len(hub_here.commits(NAME)) == 2


def test_a_connection_that_drops_in_the_middle_of_the_weights_is_taken_up_again(folder, hub_here):
    hub_here.fail("PUT", "/_lfs/", drop_after_bytes=1000)
    publish(folder, NAME, pause=lambda seconds: None)
    assert hub_here.files(NAME)["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert len(hub_here.commits(NAME)) == 2


def test_a_commit_whose_answer_is_lost_is_not_made_twice(folder, hub_here):
    waited = []
    hub_here.fail("POST", "/commit/main", cut_after_bytes=0)
    publish(folder, NAME, pause=waited.append)
    assert waited == [1]
    assert len(hub_here.commits(NAME)) == 2


def test_a_pull_request_whose_answer_is_lost_is_not_opened_twice(folder, hub_here):
    hub_here.fail("POST", "/commit/main", cut_after_bytes=0)
    assert "broke off" in failed(folder, create_pr=True, pause=wait)
    assert len(hub_here.commits(NAME, revision="refs/pr/1")) == 2  # and it is not removed with the new repository
    with pytest.raises(Exception, match=r"404"):
        hub_here.commits(NAME, revision="refs/pr/2")


@pytest.mark.slow
def test_a_publication_killed_before_its_commit_is_continued_without_uploading_again(folder, hub_here):
    hub_here.fail("POST", "/commit/main", delay=600)
    script = f"from lgn_hf.hub.upload import publish; publish({str(folder)!r}, {NAME!r})"
    process = hub_here.start(["-c", script])
    deadline = time.monotonic() + 120
    while not any("/commit/" in request["path"] for request in hub_here.requests()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert uploads(hub_here)
    assert len(hub_here.commits(NAME)) == 1
    hub_here.reset_faults()
    hub_here.forget()
    publish(folder, NAME, pause=wait)
    assert len(hub_here.commits(NAME)) == 2
    assert not uploads(hub_here)


# Using what was published


STRANGER = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "lgn_hf":
            raise ModuleNotFoundError(name)
if "without" in sys.argv:
    sys.meta_path.insert(0, Hidden())
else:
    import lgn_hf
from PIL import Image
from transformers import AutoModelForImageClassification, pipeline
trust = {"trust_remote_code": "without" in sys.argv}
image = Image.linear_gradient("L").resize((8, 8))
found = pipeline("image-classification", model=NAME, **trust)(image)
model = AutoModelForImageClassification.from_pretrained(NAME, **trust)
print(model.group_actions().double().sum().item(), found)
"""


@pytest.mark.slow
def test_a_stranger_uses_it_from_the_hub_and_from_the_cache(folder, hub_here):
    """Processes of their own with an empty cache: the package's code, the repository's own, and that without the Hub."""
    publish(folder, NAME)
    script = f"NAME = {NAME!r}{STRANGER}"
    said = []
    for argument, environment in (("with", {}), ("without", {}), ("without", {"HF_HUB_OFFLINE": "1"})):
        if not environment:
            hub_here.fresh_home()
        hub_here.forget()
        done = hub_here.run(["-W", "ignore", "-c", script, argument], **environment)
        assert done.returncode == 0, done.stderr
        assert bool(hub_here.requests()) == (not environment)
        said.append(done.stdout)
    assert said[0].splitlines()[-1] == said[1].splitlines()[-1] == said[2].splitlines()[-1]


# Waiting


class Clock:
    def __init__(self):
        self.now, self.pauses = 0.0, []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def unreachable():
    raise ConnectionError("no route")


@pytest.mark.parametrize(
    ("options", "pauses"),
    [({}, [1, 2, 4, 8]), ({"attempts": 3}, [1, 2]), ({"total": 6}, [1, 2]), ({"once": True}, [])],
)
def test_waiting_ends(options, pauses):
    clock = Clock()
    with pytest.raises(ConnectionError):
        retry(unreachable, pause=clock.pause, clock=clock, **options)
    assert clock.pauses == pauses


def test_what_waiting_does_not_help_is_not_tried_again():
    clock, calls = Clock(), []

    def wrong():
        calls.append(1)
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        retry(wrong, pause=clock.pause, clock=clock)
    assert (len(calls), clock.pauses) == (1, [])
