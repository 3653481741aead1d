"""A bundle: a trained model and what its numbers mean, in one folder (model.keras, spec.json)."""

import json
import os
import zipfile
from importlib import resources
from pathlib import Path

import keras

from ..pose.spec import PoseSpec
from . import layers  # noqa: F401 bundles hold layers of ours
from .fourier.layer import fast_copy, plain_copy
from .person import PERSON1

MODEL_FILE, SPEC_FILE = "model.keras", "spec.json"
# arguments of `build_cpm`, for those who start from the bundle
NETWORK_FILE = "network.json"


def save_bundle(directory, model, spec, network=None):
    """Writes `model` (weights without optimiser state) and `spec`. Each file appears whole or not
    at all.

    Args:
        directory: made if it is not there; an earlier bundle in it is replaced.
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec`.
        network: dict of the arguments of `build_cpm` that made the model, JSON values; kept as
            network.json for trainings that start from the bundle. `None` leaves that file alone.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> folder = tempfile.mkdtemp()
        >>> keras_cpm.save_bundle(folder, keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> keras_cpm.load(folder)[1] == spec
        True
    """
    check_model(model, spec)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # Keras' own layers without compile state: users load neither what `fit` needs nor our layers
    plain = plain_copy(model)
    if network is not None:
        text = json.dumps(network, indent=2) + "\n"
        _write_whole(directory / NETWORK_FILE, lambda path: path.write_text(text, "utf-8"))
    _write_whole(directory / MODEL_FILE, plain.save)
    _write_whole(directory / SPEC_FILE, spec.save)


def _write_whole(path, write):
    partial = path.with_name(f"partial.{path.name}")
    write(partial)
    os.replace(partial, path)


def load(name_or_directory, *, convolution="auto"):
    """Loads a bundle from its folder, or by its name in `saved_models/`.

    Args:
        name_or_directory: path, or name of a shipped bundle.
        convolution: how large kernels are computed, see `build_cpm`.

    Returns:
        model (`keras.Model`, not compiled) and spec (`PoseSpec`).

    Raises:
        FileNotFoundError, ValueError: naming the folder, what is missing in it, and the bundles
            there are.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> keras_cpm.save_bundle(folder, keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> model, spec = keras_cpm.load(folder)
        >>> spec.box_size
        64
    """
    directory = _complete(bundle_directory(name_or_directory))
    spec = PoseSpec.load(directory / SPEC_FILE)
    path = directory / MODEL_FILE
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is cut off or no Keras file; copy it again.")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} cannot be loaded: {(str(error) or repr(error)).splitlines()[0]}"
        ) from error
    check_model(model, spec)
    return fast_copy(model, convolution), spec


def describe(name_or_directory):
    """What a bundle says of its model, which is not read.

    Returns:
        spec (`PoseSpec`), and the arguments of `build_cpm` that made the model, a dict, or `None`
        where the bundle does not know them.

    Raises:
        FileNotFoundError, ValueError: see `load`.

    Example:
        >>> from keras_cpm.models import bundle
        >>> spec, network = bundle.describe("cpm-light-lsp")
        >>> spec.skeleton.name, network["stages"]
        ('cpm14', 3)
    """
    directory = _complete(bundle_directory(name_or_directory))
    spec, path = PoseSpec.load(directory / SPEC_FILE), directory / NETWORK_FILE
    if not path.is_file():
        return spec, None
    try:
        return spec, json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged; copy it again. {error}") from None


def _complete(directory):
    """The folder of a bundle, where it has what makes one."""
    for name in (SPEC_FILE, MODEL_FILE):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"The folder {directory} has no {name}, so it is no bundle; "
                "`keras_cpm.save_bundle` and `keras-cpm train` write complete ones."
            )
    return directory


def bundle_directory(name_or_directory):
    """The folder of a bundle given by path or by name."""
    directory = Path(name_or_directory)
    if directory.is_dir():
        return directory
    shipped = shipped_bundles()
    if str(name_or_directory) in shipped:
        return shipped[str(name_or_directory)]
    raise FileNotFoundError(
        f"There is no folder {name_or_directory}, and no shipped bundle of that name. "
        f"Shipped: {sorted(shipped) or 'none'}."
    )


def shipped_bundles():
    """dict of name -> folder of the bundles in `saved_models/`."""
    folder = Path(str(resources.files("keras_cpm.saved_models")))
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{SPEC_FILE}"))}


def default_bundle():
    """The name of the shipped bundle where none is named: the first that gives poses."""
    posing = [name for name, finds in _shipped_kinds() if not finds]
    if not posing:
        raise ValueError(
            "This version ships no trained model; name one with --model (`keras-cpm demo` and "
            "`keras-cpm train` make one)."
        )
    return posing[0]


def default_person_bundle():
    """The name of the first shipped bundle that finds people in whole photographs."""
    finding = [name for name, finds in _shipped_kinds() if finds]
    if not finding:
        raise ValueError(
            "No person network with weights is here, so people cannot be found automatically: name "
            "one with --person-model (`keras-cpm import-caffe pose_iter_70000.caffemodel --net "
            "person --out BUNDLE` makes it), or give boxes with --people BOXES.json."
        )
    return finding[0]


def _shipped_kinds():
    """(name, whether it finds people rather than their parts) of each shipped bundle."""
    specs = {name: PoseSpec.load(path / SPEC_FILE) for name, path in shipped_bundles().items()}
    return [(name, specs[name].skeleton.parts == PERSON1.parts) for name in sorted(specs)]


def check_model(model, spec):
    """Raises one sentence where `model` and `spec` cannot belong together."""
    channels = [output.shape[-1] for output in model.outputs]
    if any(count != spec.num_channels for count in channels):
        raise ValueError(
            f"`model` must have {spec.num_channels} belief channels, as `spec` says "
            f"({spec.num_parts} parts of {spec.skeleton.name!r}"
            f"{' and background' if spec.background else ''}). Received: {channels[0]} channels; "
            "build it with `build_cpm(spec=spec)`."
        )
    side = model.inputs[0].shape[1]
    if side not in (None, spec.box_size):
        raise ValueError(
            f"`model` must take boxes of {spec.box_size} pixels, as `spec` says. Received: {side}; "
            "build it with `build_cpm(spec=spec)`."
        )
