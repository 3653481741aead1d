"""Options from the fields of a dataclass, and sentences in the words of a command."""

import dataclasses

import click
import pytest
from click.testing import CliRunner

from keras_cpm.cli.main import main
from keras_cpm.cli.options import fields_as_options, given, in_flags
from tests.cli.running import run


@dataclasses.dataclass
class Tea:
    """How tea is made.

    Args:
        minutes: how long it draws,
            whatever the leaves.
        milk: whether it gets any.
        sugar_range: least and most.
        name: of the leaves.
    """

    minutes: int = 3
    milk: bool = False
    sugar_range: tuple[float, float] = (0.0, 2.0)
    name: str | None = None


@pytest.fixture
def brew():
    @click.command()
    @fields_as_options(Tea, leave_out=("name",))
    def brew(**options):
        click.echo(repr(Tea(**given(options))))

    return lambda *words: CliRunner().invoke(brew, words)


def test_a_field_is_an_option(brew):
    assert brew().output == f"{Tea()!r}\n"
    tea = Tea(minutes=5, milk=True, sugar_range=(1.0, 3.0))
    words = ("--minutes", "5", "--milk", "--sugar-range", "1", "3")
    assert brew(*words).output == f"{tea!r}\n"
    assert brew("--no-milk").output == f"{Tea()!r}\n"
    assert "'many' is not a valid integer" in brew("--minutes", "many").output
    assert "No such option" in brew("--name", "Assam").output


def test_its_help_is_the_docstring_and_the_default(brew):
    shown = " ".join(brew("--help").output.split())
    assert "how long it draws, whatever the leaves. [default: 3]" in shown


def test_options_of_a_training_come_from_the_fields():
    output = run("train", "--help")
    for flag in (
        "--learning-rate",
        "--part-sigma",
        "--rotation-degrees",
        "--decay-biases",
        "--max-minutes",
    ):
        assert flag in output


def test_arguments_become_flags():
    train, predict = main.commands["train"], main.commands["predict"]
    said = in_flags("`batch_size` was 8; take another `directory` or `keras.Model`.", train)
    assert said == "--batch-size was 8; take another --out or `keras.Model`."
    assert in_flags("`person_height` is missing", predict) == "--height is missing"
