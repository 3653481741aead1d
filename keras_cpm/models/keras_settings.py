"""How Keras is set up here, by the environment or by its file, and whether this package runs so.

Looks without importing Keras, which an unknown backend ends with an error of its own.
"""

import json
import os
import sys
from pathlib import Path

BACKENDS = ("tensorflow", "jax")
# what layers and files of this package take for granted, and Keras has unless told otherwise
_WANTED = {
    "backend": BACKENDS,
    "image_data_format": ("channels_last",),
    "floatx": ("float32",),
}


def backend():
    """The name of Keras' backend: that of the loaded Keras, else that of the next one.

    Example:
        >>> from keras_cpm.models import keras_settings
        >>> keras_settings.backend() in keras_settings.BACKENDS
        True
    """
    return _settings()["backend"][0]


def check():
    """Raises one sentence where Keras is set up as this package cannot run.

    Raises:
        ValueError: naming the setting, and the file or the variable that it comes from.

    Example:
        >>> from keras_cpm.models import keras_settings
        >>> keras_settings.check()
    """
    for name, (value, origin) in _settings().items():
        if value not in _WANTED[name]:
            wanted = " or ".join(json.dumps(known) for known in _WANTED[name])
            raise ValueError(
                f"keras_cpm needs Keras' `{name}` to be {wanted}; {origin} sets "
                f"it, before Keras is imported. Received: {name}={value!r}"
            )


def _settings():
    """dict of name -> (value, what sets it)."""
    keras = sys.modules.get("keras")
    if hasattr(keras, "config"):
        by = {"backend": "the environment variable KERAS_BACKEND"}
        return {
            name: (getattr(keras.config, name)(), f"{_file()} or {by.get(name, '`keras.config`')}")
            for name in _WANTED
        }
    said = _said_in_file()
    settings = {name: (said.get(name, known[0]), _file()) for name, known in _WANTED.items()}
    if variable := os.environ.get("KERAS_BACKEND"):
        settings["backend"] = (variable, "the environment variable KERAS_BACKEND")
    return settings


def _file():
    """The file that Keras reads."""
    if home := os.environ.get("KERAS_HOME"):
        return Path(home).expanduser() / "keras.json"
    home = Path.home() if os.access(os.path.expanduser("~"), os.W_OK) else Path("/tmp")
    return home / ".keras" / "keras.json"


def _said_in_file():
    try:
        said = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):  # Keras goes on without it
        return {}
    if not isinstance(said, dict):
        raise ValueError(
            f'{_file()} must hold an object such as {{"backend": "tensorflow"}}; mend or delete '
            f"it. Received: {said!r:.100}"
        )
    return said
