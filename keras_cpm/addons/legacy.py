"""tensorflow-addons, which ended in May 2024, beside Keras 3. Nothing of the package needs it; it
is good for checking our numbers against somebody else's.
"""

import contextlib
import importlib.util
import os
import sys
import types
import warnings
from pathlib import Path


def load_addons() -> types.ModuleType:
    """The module `tensorflow_addons`, whose own `import` fails under Keras 3.

    The library is of Keras 2. So `tf.keras` becomes Keras 2 in this process, by tf-keras, as
    TF_USE_LEGACY_KERAS=1 makes it. `import keras`, and so this package, stays Keras 3; neither
    takes the other's layers, models or optimisers. What the library has in Python works: nearly all
    of `image`, `optimizers` and `losses`. What it compiled for TensorFlow 2.15 does not:
    `image.connected_components`, `image.euclidean_dist_transform` and `image.resampler` raise
    `NotFoundError` when they are called.

    Returns:
        `tensorflow_addons`; from then on `import tensorflow_addons` works, too.

    Raises:
        ImportError: without the extra `addons`, which is for Python 3.11.
        RuntimeError: `tf.keras` is Keras 3 already, since something has used it before.

    Example:
        >>> import keras_cpm
        >>> tfa = keras_cpm.load_addons()  # doctest: +SKIP
        >>> tfa.image.gaussian_filter2d([[[8.0], [0.0]]], 3)  # doctest: +SKIP
    """
    if not all(map(importlib.util.find_spec, ("tensorflow_addons", "tf_keras"))):
        raise ImportError(
            "tensorflow-addons needs Python 3.11, and tf-keras beside it: "
            "pip install 'keras-cpm[addons]'"
        )
    import tensorflow as tf

    with _holding(os.environ, "TF_USE_LEGACY_KERAS", "1"):
        if not tf.keras.Model.__module__.startswith("tf_keras"):
            raise RuntimeError(
                "`load_addons` comes too late, something has used `tf.keras`, which is Keras 3 "
                "now; call it earlier, or set TF_USE_LEGACY_KERAS=1 before Python starts"
            )
    import tf_keras.api._v2.keras
    from tf_keras.src.engine import keras_tensor

    # where TensorFlow looks for `tensorflow.keras`, had the flag been set when it was imported
    folder = str(Path(tf_keras.api._v2.keras.__file__).parents[1])
    if folder not in tf.__path__:
        tf.__path__.insert(0, folder)
    # a module of Keras 2 for which the library asks by name
    engine = types.ModuleType("keras.src.engine")
    vars(engine)["keras_tensor"] = keras_tensor
    with _holding(sys.modules, engine.__name__, engine), warnings.catch_warnings():
        # of the end of life, and of every TensorFlow after 2.15
        warnings.simplefilter("ignore")
        import tensorflow_addons
    return tensorflow_addons


@contextlib.contextmanager
def _holding(mapping, key, value):
    before = mapping.get(key)
    mapping[key] = value
    try:
        yield
    finally:
        del mapping[key]
        if before is not None:
            mapping[key] = before
