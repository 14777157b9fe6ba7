"""What the configurations of all families share: they refuse misspelt fields, and files that are not theirs."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import PreTrainedConfig
from transformers.backbone_utils import BackboneConfigMixin


class FamilyConfig(BackboneConfigMixin, PreTrainedConfig):
    """The base of the configurations of all families: how they are read and written."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs):  # pyrefly: ignore[bad-override]
        """As in transformers, but a file that does not hold such a configuration is an error of one line.

        Raises:
            OSError: the configuration is missing or is not JSON.
            ValueError: it is JSON of another form, or a field has a wrong value.
        """
        with errors_of_one_line(pretrained_model_name_or_path, f"an {cls.__name__.removesuffix('Config')}"):
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs):
        """As in transformers. The configuration of another kind of network is an error."""
        check_model_type(config_dict, cls.model_type)
        return super().from_dict(config_dict, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """As in transformers. What a backbone returns is left out unless it differs from the default."""
        fields = super().to_dict()
        if fields["out_features"] == self.stage_names[-1:]:
            del fields["out_features"], fields["out_indices"]
        return fields


def check_field_names(given: Collection[str], own: Collection[str]) -> None:
    """Refuse misspelt fields, and fields that would hide a method. transformers keeps whatever else it is given.

    Raises:
        ValueError: a name is like one of the `own` names, but another.
    """
    for name in given:
        if name.startswith("__") or callable(getattr(PreTrainedConfig, name, None)):
            raise ValueError(f"unknown field {name!r:.80}: it would hide a method")
        near = difflib.get_close_matches(name, own, n=1, cutoff=0.8)
        if near and not hasattr(PreTrainedConfig, name):
            raise ValueError(f"unknown field {name!r}: did you mean {near[0]!r}?")


def check_model_type(fields: dict[str, Any], own: str) -> None:
    """Refuse the configuration of another kind of network.

    Raises:
        ValueError: its `model_type` is another one.
    """
    if fields.get("model_type", own) != own:
        raise ValueError(f"model_type={fields['model_type']!r:.80}: must be {own!r}; AutoConfig reads all kinds")


@contextmanager
def errors_of_one_line(place: Any, kind: str) -> Iterator[None]:
    """Make the errors of a file that is JSON, but not a configuration, a ValueError of one line.

    Args:
        place: the folder or repository.
        kind: whose configuration it should be, such as `an LGN`.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{place}: config.json is not the configuration of {kind} ({type(error).__name__}: {error!s:.200})"
        ) from error
