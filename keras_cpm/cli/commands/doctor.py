"""`keras-cpm doctor`: what is installed, and one line to mend what is missing. Nothing heavy."""

import importlib
import platform
import shutil
import sys
from importlib import metadata

import click
from packaging.requirements import Requirement

from ...models import keras_settings
from ..console import echo

# what the extras of setup.py are for; what they ask for is in the package's metadata
_EXTRAS = {
    "mobile": "predicts, and runs .tflite files, without TensorFlow",
    "quantize": "halves and quarters .tflite files",
    "onnx": "writes and runs .onnx files",
    "serving": "asks TensorFlow Serving over gRPC",
    "vis": "looks inside a network",
    "bulk": "predicts photographs by the million",
    "labels": "reads labels of SLEAP, DeepLabCut and YOLO",
    "forest": "grows the Pose Machine",
    "coco": "scores as COCO does",
    "tensorboard": "follows a training in TensorBoard",
    "wandb": "follows a training in W&B",
    "mlflow": "follows a training in MLflow",
    "app": "shows a page to people in a browser",
    "hub": "loads models of the hub, and writes them there",
    "addons": "tensorflow-addons, beside which the tests set our numbers",
    "jax": "trains under KERAS_BACKEND=jax",
}

# other builds of the same modules: smaller, or without windows
_BUILDS = {
    "tensorflow": ("tensorflow-cpu",),
    "opencv-python": (
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
}


@click.command()
def doctor():
    """Says which versions are here and what is missing, with one line to mend each."""
    healthy = True
    for line, fine in diagnose():
        echo({True: "ok      ", None: "-       ", False: "mend    "}[fine] + line)
        healthy &= fine is not False
    raise SystemExit(0 if healthy else 1)


def diagnose():
    """Yields (line, fine) for each thing that matters; `None` for what is optional and absent."""
    yield _python()
    try:
        needed = [Requirement(line) for line in metadata.requires("keras-cpm") or ()]
    except metadata.PackageNotFoundError:
        needed = []
        yield "keras-cpm is not installed, and what it needs is not known; pip install .", False
    told = set()
    for extra in ("", *_EXTRAS):
        for requirement in needed:
            here = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
            if here and requirement.name not in told:
                told.add(requirement.name)
                yield _package(requirement, extra)
    yield _one_opencv()
    yield _backend()
    yield _disk()


def _python():
    fine = sys.version_info >= (3, 11)
    remedy = "" if fine else "; install Python 3.11 or newer"
    return (
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}{remedy}",
        fine,
    )


def _package(requirement, extra):
    bounds = requirement.specifier
    name = next(iter(_builds(requirement.name)), requirement.name)
    found = _version(name)
    remedy = f"pip install 'keras-cpm[{extra}]'" if extra else f"pip install '{name}{bounds}'"
    if found is None and extra:
        return f"{name} is not installed (optional; {_EXTRAS[extra]}: {remedy})", None
    if found is None:
        return f"{name} is not installed; {remedy}", False
    if not bounds.contains(found, prereleases=True):
        return f"{name} {found} is not {name}{bounds}, which is tested; {remedy}", False
    return f"{name} {found}", True


def _builds(name):
    """Those of a package that are installed."""
    return [one for one in (name, *_BUILDS.get(name, ())) if _version(one)]


def _one_opencv():
    builds = _builds("opencv-python")
    if len(builds) > 1:
        return f"{' and '.join(builds)} overwrite each other; pip uninstall all but one", False
    try:
        importlib.import_module("cv2")
    except ImportError as error:
        return f"OpenCV does not load ({error}); install libgl1, or opencv-python-headless", False
    return "one build of OpenCV, and it loads", True


def _backend():
    try:
        keras_settings.check()
    except ValueError as error:
        return str(error), False
    backend = keras_settings.backend()
    if backend == "tensorflow":
        return "Keras backend tensorflow", True
    if _version("jax"):
        return "Keras backend jax: trains and predicts; exports need KERAS_BACKEND=tensorflow", True
    return "Keras backend jax, which is not installed; pip install 'keras-cpm[jax]'", False


def _disk():
    free = shutil.disk_usage(".").free / 1e9
    fine = free > 1
    return f"{free:.0f} GB free here" + ("" if fine else "; make room for checkpoints"), fine


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
