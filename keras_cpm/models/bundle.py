"""A bundle: a trained model and what its numbers mean, in one folder (model.keras, spec.json)."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pose import output, schema
from ..pose.spec import PoseSpec
from . import hub, model_file
from .forward import check_form
from .person import PERSON1

# Keras is imported where it is needed: who asks where a bundle is does not wait for it
if TYPE_CHECKING:
    import keras

MODEL_FILE, SPEC_FILE = "model.keras", "spec.json"
# arguments of `build_cpm`, for those who start from the bundle
NETWORK_FILE = "network.json"
# what others write of it
CARD_FILE = "README.md"
# all that is taken from the hub
FILES = (MODEL_FILE, SPEC_FILE, NETWORK_FILE, CARD_FILE)


def save_bundle(
    directory: Path | str,
    model: keras.Model,
    spec: PoseSpec,
    network: dict[str, Any] | None = None,
) -> None:
    """Writes `model` (weights without optimiser state) and `spec`. Each file appears whole or not
    at all.

    Args:
        directory: made if it is not there; an earlier bundle in it is replaced.
        model: `keras.Model` as `build_cpm` makes it.
        spec: `PoseSpec`.
        network: dict of the arguments of `build_cpm` that made the model, JSON values; kept as
            network.json for trainings that start from the bundle. `None` leaves that file alone.

    Raises:
        ValueError: model and spec do not belong together, a layer that cannot be made again from a
            file, such as a `Lambda`, or a `network` that no model has.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> folder = tempfile.mkdtemp()
        >>> keras_cpm.save_bundle(folder, keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> keras_cpm.load(folder)[1] == spec
        True
    """
    from .fourier.layer import plain_copy

    check_model(model, spec)
    check_layers(model)
    if network is not None:
        _check_network(network)
    directory = Path(directory)
    # Keras' own layers without compile state: users load neither what `fit` needs nor our layers
    plain = plain_copy(model)
    # the largest first: where it does not fit, the bundle that was there stays as it was
    with output.whole(directory / MODEL_FILE) as partial:
        plain.save(partial)
    output.write_text(directory / SPEC_FILE, spec.to_json())
    if network is not None:
        output.write_text(directory / NETWORK_FILE, json.dumps(network, indent=2) + "\n")


def load(
    name_or_directory: Path | str, *, convolution: str = "auto"
) -> tuple[keras.Model, PoseSpec]:
    """Loads a bundle from its folder, by its name in `saved_models/`, or from the hub.

    Args:
        name_or_directory: path, name of a shipped bundle, or "hf://OWNER/NAME" of Hugging Face's
            hub, with "@REVISION" a tag, branch or commit of it. Of a repository the files of a
            bundle are fetched and no others; where the hub is out of reach, the copy that is in
            the cache is loaded.
        convolution: how large kernels are computed, see `build_cpm`.

    Returns:
        model (`keras.Model`, not compiled) and spec (`PoseSpec`).

    Raises:
        FileNotFoundError, ValueError: naming the folder, what is missing in it, and the bundles
            there are; or the file and what is wrong with it: a spec that is not the model's,
            layers that ask for more weights than there are, weights that are no numbers.
        OSError, ImportError: the hub does not give the files; the extra `hub` is not installed.

    Example:
        >>> import tempfile, keras_cpm
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> keras_cpm.save_bundle(folder, keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> model, spec = keras_cpm.load(folder)
        >>> spec.box_size
        64
    """
    # bundles hold layers of ours
    from . import layers  # noqa: F401
    from .fourier.layer import fast_copy

    directory, spec = opened(name_or_directory)
    model = model_file.load(directory / MODEL_FILE)
    try:
        check_model(model, spec)
    except ValueError as error:
        raise ValueError(f"{directory}: {error}") from None
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
    directory, spec = opened(name_or_directory)
    path = directory / NETWORK_FILE
    if not path.is_file():
        return spec, None
    try:
        return spec, _check_network(schema.parse(path.read_text("utf-8")))
    except ValueError as error:
        raise ValueError(f"{path} is damaged; copy it again. {error}") from None


def opened(name_or_directory):
    """The folder of a bundle, where it has what makes one, and its `PoseSpec`; see `load`."""
    directory = bundle_directory(name_or_directory)
    for name in (SPEC_FILE, MODEL_FILE):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"The folder {directory} has no {name}, so it is no bundle; "
                "`keras_cpm.save_bundle` and `keras-cpm train` write complete ones."
            )
    return directory, PoseSpec.load(directory / SPEC_FILE)


def bundle_directory(name_or_directory):
    """The folder of a bundle given by path, by name, or by its address on the hub."""
    if hub.is_address(name_or_directory):
        return hub.fetched(name_or_directory, FILES)
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


def _check_network(network):
    """The arguments of `build_cpm`, if a model has them."""
    from .backbones import BACKBONES
    from .cpm import MOST_STAGES, MOST_WIDTH
    from .fourier.layer import CONVOLUTIONS
    from .stages import STAGE_BLOCKS

    known = {
        "stages": schema.whole(1, MOST_STAGES),
        "backbone": schema.one_of(BACKBONES),
        "stage_block": schema.one_of(STAGE_BLOCKS),
        "width": schema.whole(4, MOST_WIDTH),
        "center_map": schema.FLAG,
        "share_context": schema.FLAG,
        "dropout": schema.number(0, 1),
        "input_size": schema.one_of((None, "any")),
        "convolution": schema.one_of(CONVOLUTIONS),
        "name": schema.TEXT,
    }
    return schema.check(network, known, optional=known)


def check_layers(model):
    """Refuses layers that a file can hold, but no other process make again, such as `Lambda`.

    Raises:
        ValueError: naming the layer.
    """
    import keras

    for layer in model.layers:
        try:
            config = keras.saving.serialize_keras_object(layer)
            # as a layer without weights, which would only take time
            config.pop("build_config", None)
            keras.saving.deserialize_keras_object(json.loads(json.dumps(config)), safe_mode=True)
        # Keras asks somebody's layer, which may answer anything
        except Exception as error:
            raise ValueError(
                "`model` must have layers that a bundle can hold, without Python functions; write "
                "a layer with `get_config`, and `@keras.saving.register_keras_serializable()` "
                f"before it. Received: the {type(layer).__name__} {layer.name!r}, of which Keras "
                f"says: {(str(error) or repr(error)).splitlines()[0].split('. ')[0]:.300}"
            ) from error


def check_model(model, spec):
    """Raises one sentence where `model` and `spec` cannot belong together."""
    check_form(model)
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
    cells = _cells(model, spec)
    if cells != spec.grid_size:
        raise ValueError(
            f"`model` must return belief maps of {spec.grid_size} cells a side, as `spec` says "
            f"(box_size={spec.box_size}, stride={spec.stride}). Received: {cells} cells; mend the "
            "`stride` of the spec."
        )


def _cells(model, spec):
    """Of a side of the belief maps of a box."""
    if model.outputs[0].shape[1] is not None:
        return model.outputs[0].shape[1]
    # one that takes any size
    boxes = [(1, spec.box_size, spec.box_size, image.shape[-1]) for image in model.inputs]
    shapes = model.compute_output_shape(boxes[0] if len(boxes) == 1 else boxes)
    return (shapes[0] if isinstance(shapes[0], (list, tuple)) else shapes)[1]
