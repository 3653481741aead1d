"""How mkdocstrings reads the package's docstrings; see mkdocs.yml."""

import re

import griffe


class Examples(griffe.Extension):
    """Takes "Example:" for a section of Python sessions; to Google's style it is "Examples:"."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^( *)Example:$", r"\1Examples:", obj.docstring.value)
