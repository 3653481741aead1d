"""The encoded photographs of records, in a tf.data pipeline: of files, and of shards, which memory
holds where they are small; and their size, from the header.
"""

import os
import struct
import sys

import numpy as np

from ..images import decode, limits, shards, transcode
from ..pose import geometry
from ..pose.arithmetic import tf

# Reading more than this takes a second or more.
_MANY_BYTES = 500_000_000
# SOF0..SOF15 without DHT, JPG and DAC: the segments of a JPEG file that hold its size.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Photographs:
    """Encoded bytes by the number of the record.

    What lies in shards is read once, into memory; of more than `limits.MAX_HELD_BYTES` each when it
    is needed.

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
        size = _size({shard for shard, _ in packed.values()})
        places = {path: i for i, path in enumerate(packed)}
        # bytes: a name may be in another encoding than UTF-8
        self._paths = tf.constant([os.fsencode(path) for path in paths])
        self._places = tf.constant([places.get(path, -1) for path in paths])
        if size > limits.MAX_HELD_BYTES:
            self._packed = shards.Members([*packed.values()])
            return
        if size >= _MANY_BYTES:
            text = f"Reading {size / 1e9:.1f} GB of packed photographs into memory"
            print(text, file=sys.stderr, flush=True)
        self._packed = tf.constant([decode.encoded(path) for path in packed], tf.string)

    def read(self, number):
        """The bytes of a photograph, a scalar string tensor; WebP and TIFF come as BMP.

        Args:
            number: scalar integer tensor, of the record.
        """
        place = self._places[number]
        data = tf.cond(
            place < 0,
            lambda: tf.io.read_file(self._paths[number]),
            lambda: self._from_shard(place),
        )
        return transcode.readable(data)

    def _from_shard(self, place):
        if isinstance(self._packed, tf.Tensor):
            return self._packed[place]
        data = tf.numpy_function(self._packed.read, [place], tf.string, stateful=False)
        return tf.ensure_shape(data, [])


def within(folder, name, field) -> str:
    """The path of a photograph that a data set names: within its folder, whatever the set says.

    Args:
        folder: that names are relative to.
        name: as the data set has it; what was written on Windows may have backslashes.
        field: of the data set that holds it.

    Raises:
        ValueError: no text, or a path that leads out of the folder.

    Example:
        >>> from keras_cpm.data.photographs import within
        >>> within("/photographs", "summer\\\\a.jpg", "file_name")
        '/photographs/summer/a.jpg'
    """
    folder = os.path.abspath(folder)
    path = os.path.normpath(os.path.join(folder, str(name).replace("\\", "/")))
    if not isinstance(name, str) or "\0" in name or not path.startswith(os.path.join(folder, "")):
        raise ValueError(
            f"`{field}` must be a path within the folder of the images, {folder}; correct it. "
            f"Received: {field}={name!r:.200}"
        )
    return path


def found(names, folders) -> str:
    """The path of a photograph that somebody labelled, perhaps on another machine.

    Args:
        names: what it may be called, with or without folders, as Unix or Windows write them; the
            first that is there counts.
        folders: where to look: for the name with as many of its last folders as there are.

    Raises:
        FileNotFoundError: it is nowhere.

    Example:
        >>> import pathlib, tempfile
        >>> from keras_cpm.data.photographs import found
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> (folder / "fish").mkdir()
        >>> (folder / "fish" / "a.png").touch()
        >>> found(["C:\\\\labels\\\\fish\\\\a.png"], [folder]) == str(folder / "fish" / "a.png")
        True
    """
    for name in names:
        steps = [step for step in str(name).replace("\\", "/").split("/") if step.strip(".")]
        ends = (os.path.join(*steps[i:]) for i in range(len(steps)))
        places = [os.path.join(folder, end) for end in ends for folder in folders]
        for path in (*([name] if os.path.isabs(name) else []), *places):
            if os.path.isfile(path):
                return os.path.abspath(path)
    raise FileNotFoundError(
        f"There is no {names[0]} in {', '.join(map(str, folders))}; name the folder of the images "
        "with `images`."
    )


def jpeg_size(path) -> tuple[int, int]:
    """Reads how large a photograph is from its header, without decoding it.

    Args:
        path: of a JPEG file.

    Returns:
        (height, width) in pixels, as stored: a turn that EXIF asks for is not made. The photographs
        of LSP and LSPET ask for none.

    Raises:
        ValueError: no JPEG file, or one that ends before its size.

    Example:
        >>> import pathlib, tempfile
        >>> from keras_cpm.data.photographs import jpeg_size
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.jpg")
        >>> _ = path.write_bytes(bytes.fromhex("ffd8 ffc0 000b 08 0060 0080"))
        >>> jpeg_size(path)
        (96, 128)
    """
    with open(path, "rb") as file:
        is_jpeg = file.read(2) == b"\xff\xd8"
        for _ in range(limits.MAX_BLOCKS if is_jpeg else 0):
            head = file.read(9)
            if len(head) < 9 or head[0] != 0xFF:
                break
            if head[1] in _FRAME_HEADERS:
                return struct.unpack(">HH", head[5:])
            # A segment is its marker and as many bytes as it says; 0xFF before a marker is filling.
            length = 1 if head[1] == 0xFF else 2 + int.from_bytes(head[2:4], "big")
            file.seek(length - len(head), 1)
    raise ValueError(f"{path} must be a whole JPEG file; extract the data set's archive again.")


def _size(paths):
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))


def upright_size(path) -> tuple[int, int]:
    """(height, width) of a photograph, pixels, turned upright; where possible from its header.

    Raises:
        FileNotFoundError, ValueError: as `decode.open_image`.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records
        >>> from keras_cpm.data.photographs import upright_size
        >>> record, = draw_records(tempfile.mkdtemp(), 1)
        >>> upright_size(record.image) == record.size
        True
    """
    try:
        _, size, turn = decode.header_of(decode.encoded(path))
        matrix = geometry.upright_from_stored(turn, size)
    except tf.errors.InvalidArgumentError:
        pixels, matrix = decode.open_image(path)
        size = tf.shape(pixels)[:2]
    height, width = np.asarray(geometry.upright_size(size, matrix)).tolist()
    return height, width


def find_unreadable(records):
    """The first record's image that cannot be decoded, as a sentence, or `None`."""
    for record in records:
        try:
            decode.open_image(record.image)
        except (ValueError, OSError) as error:
            return str(error)
    return None
