"""model.keras files of strangers: what is in one is looked at before Keras makes a model of it.

Keras checks paths, pickles and compression by itself, and refuses functions (`safe_mode`); here it
is what it would believe: how large the layers are, and that they are a model.
"""

import math
import zipfile

import numpy as np

from ..pose import schema

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# of CONFIG; the largest network of the release has 0.2 MB
_MOST_CONFIG = 16 * 10**6
# how much a member may grow when it is unpacked; Keras does not pack
_MOST_EXPANSION = 100
# configurations of layers and of what they are made with; the largest network has 1,100
_MOST_OBJECTS = 20_000
# numbers of weights are products of these, and of the channels that come in
_SIZES = ("filters", "units", "kernel_size", "depth_multiplier", "input_dim", "output_dim")


def load(path):
    """The model in a file that Keras wrote.

    Args:
        path: of a .keras file.

    Returns:
        `keras.Model`, not compiled.

    Raises:
        ValueError: one sentence with the path: no such file of Keras, no model, layers that ask for
            more weights than the file holds, or weights that are no numbers.

    Example:
        >>> import tempfile, keras_cpm
        >>> from keras_cpm.models import model_file
        >>> path = tempfile.mkdtemp() + "/model.keras"
        >>> keras_cpm.build_cpm(2, width=8).save(path)
        >>> model_file.load(path).output_names
        ['stage1', 'stage2']
    """
    import keras  # what only looks into a file does without it

    look_into(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except MemoryError:
        raise
    # Keras takes the layers' names and numbers as they stand, and meets anything
    except Exception as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ValueError(f"{path} cannot be loaded: {reason:.500}") from error
    if not isinstance(model, keras.Model):
        raise ValueError(f"{path} must hold a keras.Model. Received: {type(model).__name__}")
    check_finite(model, path)
    return model


def check_finite(model, path):
    """Refuses weights that are no numbers, whose beliefs would be none."""
    import keras

    for weight in model.weights:
        check_numbers([keras.ops.convert_to_numpy(weight)], path, weight.path)


def check_numbers(arrays, path, name):
    """`check_finite` of the arrays of one layer."""
    for value in arrays:
        if np.issubdtype(value.dtype, np.integer) or np.isfinite(value).all():
            continue
        raise ValueError(
            f"{path} holds weights that are NaN or infinite, in {name}; train again with a "
            "lower `learning_rate`, or copy it again."
        )


def look_into(path):
    """What a file says of its model, where Keras may believe it.

    Returns:
        dict, the content of its `CONFIG`.

    Raises:
        ValueError: see `load`.

    Example:
        >>> from keras_cpm.models import bundle, model_file
        >>> path = bundle.bundle_directory("cpm-light") / bundle.MODEL_FILE
        >>> model_file.look_into(path)["class_name"]
        'Functional'
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is cut off or no Keras file; copy it again.")
    try:
        return _checked_config(path)
    except MemoryError:
        raise
    # a zip may be damaged anywhere
    except Exception as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ValueError(f"{path} cannot be loaded: {reason:.500}") from error


def _checked_config(path):
    with zipfile.ZipFile(path) as file:
        members = {info.filename: info for info in file.infolist()}
        for name in (CONFIG, WEIGHTS):
            if name not in members:
                raise ValueError(f"it has no {name}; save the model with Keras 3")
        for info in members.values():
            if info.flag_bits & 1:
                raise ValueError(f"its {info.filename} is encrypted; decrypt it")
            if info.file_size > _MOST_EXPANSION * info.compress_size + _MOST_CONFIG:
                raise ValueError(f"its {info.filename} would unpack to {info.file_size} bytes")
        if members[CONFIG].file_size > _MOST_CONFIG:
            raise ValueError(f"its {CONFIG} has more than {_MOST_CONFIG} bytes")
        try:
            config = schema.parse(file.read(CONFIG))
        except ValueError as error:
            raise ValueError(f"its {CONFIG} is no JSON that can be read: {error}") from None
    objects = list(_layers(config))
    if len(objects) > _MOST_OBJECTS:
        raise ValueError(f"its {CONFIG} asks for {len(objects)} objects")
    asked = sum(map(_weights_of, objects))
    # a weight takes a byte or more
    held = members[WEIGHTS].file_size
    if asked > held:
        raise ValueError(f"its layers ask for {asked:g} weights, its {WEIGHTS} has {held} bytes")
    return config


def _layers(config):
    """The configurations of layers and of all that they are made with; without recursion."""
    left = [config]
    while left:
        found = left.pop()
        if isinstance(found, dict):
            if "class_name" in found and isinstance(found.get("config"), dict):
                yield found
            left += found.values()
        elif isinstance(found, list):
            left += found


def _weights_of(layer):
    """About how many weights Keras will make for a layer, which it builds as the file says."""
    sizes = {name: _product(layer["config"].get(name)) for name in _SIZES}
    if all(size is None for size in sizes.values()):
        return 0
    build = layer.get("build_config")
    shapes = _numbers(build.get("input_shape")) if isinstance(build, dict) else []
    channels = float(shapes[-1] if shapes else 1)
    filters = sizes.pop("filters") or 1.0
    others = math.prod(size for size in sizes.values() if size is not None)
    if "Separable" in str(layer["class_name"]):
        # a kernel for each channel, then a number for each pair of channels
        return channels * (others + (sizes["depth_multiplier"] or 1.0) * filters)
    groups = _product(layer["config"].get("groups")) or 1.0
    return channels * filters * others / max(groups, 1.0)


def _product(value):
    """Of the whole numbers in lists of lists, `None` of none."""
    numbers = _numbers(value)
    return math.prod(map(float, numbers)) if numbers else None


def _numbers(value):
    """The whole numbers in lists of lists."""
    left, found = [value], []
    while left:
        one = left.pop(0)
        left = [*one, *left] if isinstance(one, list) else left
        found += [one] if isinstance(one, int) else []
    return found
