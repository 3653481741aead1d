"""The encoded photographs of records in a tf.data pipeline: packed ones in memory, others as files."""

import os
import sys

import tensorflow as tf

from ..images import decode, shards

# Reading more than this takes a second or more.
_MANY_BYTES = 500_000_000


class Photographs:
    """Encoded bytes by the number of the record; what lies in shards is read here, once, into memory.

    Args:
        paths: of the photographs, one a record; the same one may come several times.

    Raises:
        FileNotFoundError, ValueError: a shard or its member is missing or damaged.

    Example:
        >>> import keras_cpm, tempfile, tensorflow as tf
        >>> from keras_cpm.data.photographs import Photographs
        >>> record, = keras_cpm.draw_records(tempfile.mkdtemp(), 1)
        >>> tf.strings.substr(Photographs([record.image]).read(0), 0, 2).numpy().hex()
        'ffd8'
    """

    def __init__(self, paths):
        packed = {path: place for path in paths if (place := shards.split(path))}
        _tell({shard for shard, _ in packed.values()})
        places = {path: i for i, path in enumerate(packed)}
        self._paths = tf.constant(paths)
        self._places = tf.constant([places.get(path, -1) for path in paths])
        self._packed = tf.constant([decode.encoded(path) for path in packed], tf.string)

    def read(self, number):
        """The bytes of a photograph, a scalar string tensor.

        Args:
            number: scalar integer tensor, of the record.
        """
        place = self._places[number]
        return tf.cond(
            place < 0,
            lambda: tf.io.read_file(self._paths[number]),
            lambda: self._packed[place],
        )


def _tell(paths):
    size = sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
    if size >= _MANY_BYTES:
        text = f"Reading {size / 1e9:.1f} GB of packed photographs into memory"
        print(text, file=sys.stderr, flush=True)
