"""Types of options, options from the fields of a dataclass (a new field, a new option), and the
library's sentences in their words.
"""

import dataclasses
import inspect
import re
from pathlib import Path

import click

PATH = click.Path(path_type=Path)
COUNT = click.IntRange(min=1)

# Python arguments that have another name on the command line
_FLAGS = {
    "export": {"path": "--out"},
    "predict": {"path": "--draw", "person_height": "--height"},
    "train": {"directory": "--out"},
}


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


def given(options):
    """Those of `options` that the user gave, or that have a default of their own."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def in_flags(sentence, command):
    """A sentence of the library in the words of a command: `batch_size` becomes --batch-size."""
    flags = {
        option.name: max(option.opts, key=len)
        for option in command.params
        if isinstance(option, click.Option)
    }
    flags |= _FLAGS.get(command.name, {})
    return re.sub(r"`(\w+)`", lambda name: flags.get(name[1], name[0]), sentence)
