"""Whether a name can be published to is known before the work, and changes nothing."""

import pytest
from huggingface_hub import HfApi, constants

from lgn_hf.hub.errors import PublishError
from lgn_hf.hub.permission import check_can_publish
from lgn_hf.runs.family import FAMILIES
from tests.conftest import PUBLISHED_AS as NAME


@pytest.mark.parametrize("name", [NAME, "lgn-digits", "lab/lgn-digits", "Tester/lgn-digits"])
def test_a_new_name_of_one_s_own_is_fine_and_nothing_is_made(hub_here, name):
    check_can_publish(name)
    assert {request["method"] for request in hub_here.requests()} == {"GET"}
    assert len(hub_here.requests()) == 2


def test_a_repository_of_one_s_own_is_fine(hub_here):
    HfApi().create_repo(NAME)
    check_can_publish(NAME)
    for family in FAMILIES:
        config = f'{{"model_type": "{family}"}}'.encode()
        HfApi().upload_file(path_or_fileobj=config, path_in_repo="config.json", repo_id=NAME)
        check_can_publish(NAME)


@pytest.mark.parametrize("name", ["a/b/c", "lgn digits", "me/lgn--digits"])
def test_a_name_that_cannot_be_one_is_refused_without_asking(hub_here, name):
    with pytest.raises(ValueError, match="must be USER/NAME"):
        check_can_publish(name)
    assert not hub_here.requests()


def test_without_a_token_nothing_is_asked(hub_here, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PublishError, match="not logged in to the Hub: run `hf auth login` or set HF_TOKEN"):
        check_can_publish(NAME)
    assert not hub_here.requests()


@pytest.mark.parametrize(
    ("token", "name", "message"),
    [
        ("hf_unknown", NAME, r"does not accept your token \(401\)"),
        ("hf_test_read", NAME, "your token can only read"),
        ("hf_test_write", "other/model", r"your token may write to tester/\.\.\., lab/\.\.\."),
    ],
)
def test_a_token_that_cannot_write_there_is_refused(hub_here, monkeypatch, token, name, message):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(PublishError, match=message) as error:
        check_can_publish(name)
    assert token not in str(error.value)


def test_what_the_name_holds_is_refused(hub_here):
    HfApi().create_repo(NAME)
    with pytest.raises(ValueError, match=f"{NAME} is public"):
        check_can_publish(NAME, private=True)
    HfApi().upload_file(path_or_fileobj=b'{"model_type": "bert"}', path_in_repo="config.json", repo_id=NAME)
    with pytest.raises(ValueError, match="it holds a model of type 'bert', not an LGN"):
        check_can_publish(NAME)
    check_can_publish(NAME, "dataset")  # another repository


def test_a_hub_that_is_switched_off_is_named(hub_here, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PublishError, match="unset HF_HUB_OFFLINE"):
        check_can_publish(NAME)


def test_a_short_fault_of_the_hub_is_waited_for(hub_here):
    hub_here.fail("GET", "/api/whoami", status=429, headers={"Retry-After": "0"})
    check_can_publish(NAME)
