"""Every public name has types, and type checkers and editors see them."""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import keras_cpm

PACKAGE = Path(keras_cpm.__file__).parent


def functions(name):
    """(name, function) of a public function, or of the constructor and methods of a class."""
    value = getattr(keras_cpm, name)
    if inspect.isfunction(value):
        yield name, value
    if not inspect.isclass(value):
        return
    for key, member in vars(value).items():
        if key in ("__init__", "__call__") or not key.startswith("_"):
            member = getattr(member, "fget", None) or getattr(member, "func", member)
            member = inspect.unwrap(getattr(member, "__func__", member))
            if inspect.isfunction(member):
                yield f"{name}.{key}", member


@pytest.mark.parametrize("name", keras_cpm.__all__)
def test_every_parameter_and_return_has_a_type(name):
    bare = []
    for called, function in functions(name):
        signature = inspect.signature(function)
        bare += [
            f"{called}: {parameter.name}"
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
        ]
        # what a dataclass makes has `None` for its return
        if signature.return_annotation is signature.empty:
            bare.append(f"{called}: what it returns")
    assert not bare


def test_type_checkers_see_every_public_name():
    """`import keras_cpm` finds the names when they are used; type checkers read this block."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    # "import x as x" is what makes a name public to them
    seen = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in block.body
        for alias in node.names
        if node.level == 1
    }
    assert seen == {
        **{name: f"{home}.{name}" for name, home in keras_cpm._HOME.items()},
        **keras_cpm._MODULES,
    }
    assert sorted(seen) == keras_cpm.__all__


SCRIPT = """\
import keras_cpm
from keras_cpm import PoseSpec, Predictor, evaluate, load, read_records

model, spec = load("lsp")
reveal_type(spec)
predictor = Predictor(model, spec, flip=True)
reveal_type(predictor("runner.jpg", box=(0, 0, 90, 120)))
reveal_type(evaluate(model, read_records("test.jsonl"), spec).scores(0.2)["stage1"])
reveal_type(keras_cpm.plan_training(read_records("train.jsonl"), width=8).spec)
reveal_type(keras_cpm.Client("http://localhost:8501", spec).predict_many(["a.jpg"]))
reveal_type(keras_cpm.geometry.invert)
keras_cpm.draw_records("pictures", 8, size=(64, 64))
PoseSpec(box_size="368")
keras_cpm.Predicter
"""

# what a user's own check reads of other packages is not what is tested: as in our own check
UNTYPED = ",".join(
    tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"][
        "overrides"
    ][0]["module"]
)
CONFIG = f"""\
[mypy]
follow_imports = silent

[mypy-{UNTYPED}]
follow_imports = skip
ignore_missing_imports = True
"""


@pytest.mark.slow
def test_a_type_checker_understands_a_users_script(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "mine.py").write_text(SCRIPT)
    (tmp_path / "mypy.ini").write_text(CONFIG)
    options = ["--config-file", tmp_path / "mypy.ini", "--cache-dir", tmp_path / "cache"]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, tmp_path / "mine.py"],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
    )
    said = re.findall(r"mine\.py:(\d+): (\w+): (.+)", run.stdout)
    lines = SCRIPT.splitlines()
    types = {lines[int(line) - 1]: text for line, kind, text in said if kind == "note"}
    revealed = [types[line] for line in lines if line.startswith("reveal_type")]
    expected = (
        "keras_cpm.pose.spec.PoseSpec",
        "keras_cpm.pose.pose.Pose",
        "dict[str, dict[str, Any]]",
        "keras_cpm.pose.spec.PoseSpec",
        "list[keras_cpm.pose.pose.Pose | ValueError]",
        "def (matrix: Any) -> Any",
    )
    assert revealed == [f'Revealed type is "{type}"' for type in expected], run.stdout
    errors = {lines[int(line) - 1]: text for line, kind, text in said if kind == "error"}
    assert list(errors) == lines[-3:], run.stdout
    wrong_keyword, wrong_type, wrong_name = errors.values()
    assert '"size" for "draw_records"' in wrong_keyword
    assert '"str"; expected "int"' in wrong_type
    assert 'no attribute "Predicter"' in wrong_name
