"""The house: thirteen sub-packages whose imports go down only, and heavy packages that stay where
they belong.
"""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "keras_cpm"

# lowest first; a module imports from its own room and from those before it
ROOMS = (
    *("pose", "images", "models", "data", "visualization", "inference"),
    *("evaluation", "training", "export", "serving", "paper", "addons", "cli"),
)
# package -> modules or whole rooms that may import it
HEAVY = {
    "cv2": (
        *("images.transcode", "images.opencv", "images.resampling", "inference.frames"),
        *("visualization", "data.synthetic.draw"),
        *("paper.hand_features", "paper.context_features", "paper.pose_machine"),
    ),
    "scipy": ("data.formats.matlab", "data.placement", "inference.crowd"),
    "h5py": ("data.formats.matlab", "models.litert"),
    "sleap_io": ("data.formats.sleap",),
    "yaml": ("data.formats.yolo",),
    "click": ("cli",),
    "rich": ("cli.console",),
    "tf_keras_vis": ("visualization.saliency",),
    "tensorflow_addons": ("addons",),
    "tf_keras": ("addons",),
    "wandb": ("training.trackers",),
    "mlflow": ("training.trackers",),
    "faster_coco_eval": ("evaluation.coco",),
    "huggingface_hub": ("models.hub",),
    "ai_edge_litert": ("export.litert", "models.litert"),
    "flatbuffers": ("models.litert",),
    "ai_edge_quantizer": ("export.quantize",),
    "onnxruntime": ("export.onnx_runtime", "export.onnx_file"),
    "tf2onnx": ("export.onnx_file",),
    "jax": ("training.processes", "training.joining", "training.throughput"),
    "grpc": ("serving.over_grpc",),
    "gradio": ("serving.app",),
    "xgboost": ("paper.forests",),
    "ray": ("inference.bulk",),
    "pyarrow": ("inference.bulk", "inference.blocks", "inference.looking"),
    "tensorflow_serving": ("serving.over_grpc", "export.saved_model"),
}
# these train under any backend of Keras
BACKEND_FREE = ("models", "training.losses", "training.optimizers", "evaluation.metrics")
LINES = 330


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "__init__.py":
            yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), path


MODULES = dict(modules())


def imports(name, *, inside=True):
    """(package, module of this package or None) for every import in a file, also inside
    functions.
    """
    package = ["keras_cpm", *name.split(".")[:-1]]
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    for node in ast.walk(tree) if inside else tree.body:
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = [*base, *(node.module or "").split(".")] if node.module else base
            if target[0] != "keras_cpm":
                yield target[0], None
                continue
            for alias in node.names:
                inner = [".".join([*target[1:], alias.name]), ".".join(target[1:])]
                yield "keras_cpm", next((full for full in inner if full in MODULES), None)


IMPORTS = {name: list(imports(name)) for name in MODULES}


def room(name):
    return name.split(".")[0]


def within(name, places):
    return any(name == place or name.startswith(f"{place}.") for place in places)


@pytest.fixture(autouse=True, scope="module")
def count(request):
    yield
    inner = sum(target is not None for found in IMPORTS.values() for _, target in found)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{len(MODULES)} modules in {len(ROOMS)} rooms, {inner} imports between them")


def test_imports_go_down():
    upwards = [
        f"{name} imports {target}"
        for name, found in IMPORTS.items()
        for _, target in found
        if target and name != "__main__" and ROOMS.index(room(target)) > ROOMS.index(room(name))
    ]
    assert not upwards


def test_models_and_data_know_only_the_spec():
    apart = {"models", "data"}
    assert not [
        f"{name} imports {target}"
        for name, found in IMPORTS.items()
        for _, target in found
        if target and {room(name), room(target)} == apart
    ]


def test_no_circles():
    graph = {name: {t for _, t in found if t and t != name} for name, found in IMPORTS.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}")


def test_heavy_packages_stay_in_their_rooms():
    assert not [
        f"{name} imports {package}"
        for name, found in IMPORTS.items()
        for package, _ in found
        if package in HEAVY and not within(name, HEAVY[package])
    ]


def test_networks_train_under_any_backend():
    """A function that runs only under TensorFlow may import it; the file that holds it does not."""
    free = [name for name in MODULES if within(name, BACKEND_FREE)]
    assert not [
        name
        for name in free
        if any(package == "tensorflow" for package, _ in imports(name, inside=False))
    ]


def test_the_top_level_is_thirteen_rooms_and_a_door():
    here = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert here == {*ROOMS, "__init__.py", "__main__.py", "py.typed"}
    # lazy: nothing costs before it is used
    inits = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    assert all(not path.read_text("utf-8") for path in inits)


def test_no_room_has_the_name_of_a_public_function():
    import keras_cpm

    rooms = {folder.name for folder in PACKAGE.rglob("*") if (folder / "__init__.py").is_file()}
    assert not rooms & set(keras_cpm.__all__)


def test_no_file_is_a_drawer():
    banned = {"utils", "helpers", "common", "base", "misc"}
    assert not banned & {part for name in MODULES for part in name.split(".")}


def test_a_file_reads_at_a_glance():
    long = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert not {name: lines for name, lines in long.items() if lines > LINES}


def test_functions_are_short():
    """At most sixty lines of code in a body: neither docstring nor comments nor empty lines
    count.
    """
    long = {
        f"{name}.{node.name}": lines
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := code_lines(node, path)) > 60
    }
    assert not long


def code_lines(function, path):
    text = path.read_text("utf-8").splitlines()
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    lines = text[body[0].lineno - 1 : function.end_lineno]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in lines)
