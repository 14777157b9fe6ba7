"""Tells griffe that a section `Example:` of a docstring is one of examples, which it calls `Examples:`."""

from typing import Any

from griffe import Extension, Object


class ExampleSections(Extension):
    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
