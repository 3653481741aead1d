"""`keras-cpm doctor`: what is installed, and one line to mend what is missing. Nothing heavy."""

import importlib
import platform
import re
import shutil
import sys
from importlib import metadata

import click

from ...models import keras_settings
from ..console import echo

# package, lowest version that is tested, what it is for; None = the package needs it
_PACKAGES = (
    ("tensorflow", "2.18", None),
    ("keras", "3.15.1", None),
    ("numpy", "1.26", None),
    ("opencv-python", "4.9", None),
    ("scipy", "1.11", None),
    ("h5py", "3.10", None),
    (
        "ai-edge-litert",
        "1.2",
        "runs .tflite files without TensorFlow: pip install 'keras-cpm[mobile]'",
    ),
    ("jax", "0.4.30", "trains under KERAS_BACKEND=jax: pip install 'keras-cpm[jax]'"),
    ("ray", "2.50", "predicts photographs by the million: pip install 'keras-cpm[bulk]'"),
    ("faster-coco-eval", "1.8", "scores as COCO does: pip install 'keras-cpm[coco]'"),
    ("sleap-io", "0.9", "reads labels of SLEAP and DeepLabCut: pip install 'keras-cpm[labels]'"),
    ("tf-keras-vis", "0.8.7", "looks inside a network: pip install 'keras-cpm[vis]'"),
)


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
    for name, lowest, purpose in _PACKAGES:
        yield _package(name, lowest, purpose)
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


def _package(name, lowest, purpose):
    found = _version(name)
    if found is None:
        if purpose:
            return f"{name} is not installed (optional; {purpose})", None
        return f"{name} is not installed; pip install '{name}>={lowest}'", False
    if _numbers(found) < _numbers(lowest):
        return (
            f"{name} {found} is older than the tested {lowest}; pip install '{name}>={lowest}'",
            False,
        )
    return f"{name} {found}", True


def _one_opencv():
    builds = [
        n
        for n in ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
        if _version(n)
    ]
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


def _numbers(version):
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
