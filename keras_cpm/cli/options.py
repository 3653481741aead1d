"""Types of command-line flags, and flags from the fields of a dataclass: a new field, a new flag."""

import dataclasses
import inspect
import re
from pathlib import Path

import click

PATH = click.Path(path_type=Path)
COUNT = click.IntRange(min=1)


def fields_as_options(spec, leave_out=()):
    """Click options for the fields of a dataclass: type and default from the field, help from its
    docstring.
    """
    text = inspect.cleandoc(spec.__doc__ or "")
    helps = dict(re.findall(r"^    (\w+): (.+?)(?=\n    \w+:|\n\n|\Z)", text, re.M | re.S))

    def decorate(command):
        for field in reversed(dataclasses.fields(spec)):
            if field.name in leave_out:
                continue
            value, numbers = field.default, {}
            if isinstance(value, tuple):
                numbers = {"nargs": len(value), "type": float}
            elif field.name == "stage_weights":
                numbers = {"type": float, "multiple": True}
            elif not isinstance(value, bool):
                numbers = {"type": float if value is None else type(value)}
            flag = "--" + field.name.replace("_", "-")
            names = f"{flag}/--no-{flag[2:]}" if isinstance(value, bool) else flag
            text = " ".join(helps.get(field.name, "").split())
            if numbers.get("multiple"):
                text += " Given once a stage."
            if value is not None:
                text += f" [default: {value}]"
            command = click.option(names, field.name, default=None, help=text, **numbers)(command)
        return command

    return decorate


def given(spec, options):
    """The options of `fields_as_options(spec)` that the user gave; taken out of `options`."""
    given = {f.name: options.pop(f.name) for f in dataclasses.fields(spec) if f.name in options}
    return {name: value for name, value in given.items() if value not in (None, ())}
