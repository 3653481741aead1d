"""Reads the layers of a .caffemodel file, without Caffe and without the protobuf package.

Only the messages that hold weights are descended into; numbers of fields and meanings are those of
caffe.proto: NetParameter > layer (or `layers`, the V1 format) > blobs > data and shape. Whatever a
file says, reading it takes less than 4 times its size and 16 MB, and the file's length decides how
long it takes: every limit below is far above what any network has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .wire import AGAIN, FIXED32, FIXED64, LENGTH, VARINT, Values, Wire, signed

_MOST_BYTES = 2**31 - 1  # of a protobuf message
_MOST = {"fields": 50_000, "layers": 2_500, "blobs": 5_000}
_MOST_AXES, _MOST_VALUES = 32, 2**31 - 1  # of a blob: blob.hpp, blob.cpp

# what users hand over by mistake, by its first bytes; no NetParameter begins with any of them
_LOOKS = (
    ((b"<",), "a web page, as a dead host sends", AGAIN),
    ((b"version https://git-lfs",), "a Git LFS pointer", "fetch the file with `git lfs pull`"),
    ((b"\x89HDF\r\n",), "an HDF5 file", "give the .caffemodel, not its .h5 form or Keras weights"),
    ((b"PK\x03\x04", b"\x1f\x8b"), "an archive or a .keras file", "give the .caffemodel itself"),
    ((b"name:", b"input", b"layer", b"#"), "a prototxt", "give the .caffemodel that belongs to it"),
    ((b"\x08",), "a .solverstate", "give the .caffemodel of the same iteration"),
)

# V1 types as `type` says them today; the others carry no weights of a pose network
_V1_KINDS = {
    3: "Concat",
    4: "Convolution",
    5: "Data",
    6: "Dropout",
    7: "EuclideanLoss",
    14: "InnerProduct",
    17: "Pooling",
    18: "ReLU",
    22: "Split",
    33: "Slice",
    39: "Deconvolution",
}


# arrays have no single answer to ==
@dataclass(frozen=True, eq=False, slots=True)
class CaffeLayer:
    """One layer of a .caffemodel file.

    Args:
        name: as in the prototxt, for example "conv1_stage1".
        kind: Caffe's name of its type, for example "Convolution"; "V1 type 8" for types of the old
            format that have no weights.
        blobs: float32 arrays in Caffe's shape, for a convolution (out, in, height, width) and
            (out,), or (1, 1, 1, out) in old files. Views of the file's bytes: read only, perhaps
            not aligned.
        offset: byte of the file at which the layer begins.
    """

    name: str
    kind: str
    blobs: tuple[np.ndarray, ...]
    offset: int


def read_caffemodel(path) -> list[CaffeLayer]:
    """Reads the layers of a .caffemodel file, of Caffe's present format or V1.

    Args:
        path: of the file.

    Returns:
        The layers in the order of the file, also those without weights.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: one sentence with the file, the byte and the remedy: a file of another kind,
            cut off, damaged or hostile, a shape that does not fit its values, a weight that is not
            finite.

    Example:
        >>> from pathlib import Path
        >>> from keras_cpm.models.caffe.caffemodel import read_caffemodel
        >>> blob = bytes([0x08, 1, 0x10, 1, 0x18, 1, 0x20, 2, 0x2A, 8]) + bytes([0, 0, 128, 63] * 2)
        >>> layer = b"\\x0a\\x05conv1\\x12\\x0bConvolution\\x3a" + bytes([len(blob)]) + blob
        >>> size = Path("one.caffemodel").write_bytes(b"\\xa2\\x06" + bytes([len(layer)]) + layer)
        >>> layer = read_caffemodel("one.caffemodel")[0]
        >>> layer.name, layer.kind, layer.blobs[0].tolist()
        ('conv1', 'Convolution', [[[[1.0, 1.0]]]])
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}; give the path of a .caffemodel file.")
    if not path.is_file():
        raise ValueError(f"{path} is a folder or a device; give the path of a .caffemodel file.")
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(
            f"{path} has {size} bytes and no caffemodel reaches beyond byte {_MOST_BYTES}; "
            "give the path of a .caffemodel file."
        )
    with path.open("rb", buffering=0) as stream:
        _check_looks(path, stream.read(64))
        stream.seek(0)
        return _net(Wire(path, stream.read(), dict(_MOST)))


def _check_looks(path, start):
    if not start:
        raise ValueError(f"{path} is empty: it ends at byte 0; {AGAIN}.")
    page = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if page.startswith(b"<"):
        start = page
    for beginnings, what, remedy in _LOOKS:
        if start.startswith(beginnings):
            raise ValueError(f"{path} looks like {what} from byte 0 on; {remedy}.")


def _net(wire):
    """NetParameter: `layers` is field 2 (V1) and `layer` is field 100."""
    layers, formats = [], set()
    for field in wire.fields(0, len(wire.data)):
        if field.number in (2, 100):
            wire.expect(field, "a layer", LENGTH)
            wire.count("layers", field.begin)
            formats.add(field.number)
            if len(formats) > 1:
                raise wire.error(field.begin, "a layer of another format than those before it")
            layers.append((_layer if field.number == 100 else _v1_layer)(wire, field))
    if not layers:
        raise wire.error(len(wire.data), "no layer up to the end", "give a .caffemodel file")
    return layers


def _layer(wire, message):
    """LayerParameter: name 1, type 2, blobs 7."""
    name, kind, blobs = "", "", []
    for field in wire.fields(message.value, message.stop):
        if field.number == 1:
            name = wire.text(field, "a layer's name")
        elif field.number == 2:
            kind = wire.text(field, "a layer's type")
        elif field.number == 7:
            blobs.append(_blob(wire, field))
    return _checked(wire, CaffeLayer(name, kind, tuple(blobs), message.begin))


def _v1_layer(wire, message):
    """V1LayerParameter: name 4, type 5, blobs 6; 1 is a layer of the format before that."""
    name, kind, blobs = "", "", []
    for field in wire.fields(message.value, message.stop):
        if field.number == 4:
            name = wire.text(field, "a layer's name")
        elif field.number == 5:
            wire.expect(field, "a layer's type", VARINT)
            number = signed(field.value, 32)
            kind = _V1_KINDS.get(number, f"V1 type {number}")
        elif field.number == 6:
            blobs.append(_blob(wire, field))
        elif field.number == 1:
            remedy = "if it is from 2013, convert it with Caffe's upgrade_net_proto_binary"
            raise wire.error(field.begin, "a layer of Caffe's first format", remedy)
    return _checked(wire, CaffeLayer(name, kind, tuple(blobs), message.begin))


def _checked(wire, layer):
    for i, blob in enumerate(layer.blobs):
        if not np.isfinite(blob).all():
            found = f"a weight that is not finite in blob {i} of layer {layer.name[:64]!r}"
            raise wire.error(layer.offset, found)
    return layer


def _blob(wire, message):
    """BlobProto: legacy dimensions 1 to 4, data 5, shape 7, double_data 8."""
    wire.expect(message, "a blob", LENGTH)
    wire.count("blobs", message.begin)
    legacy, dims = {}, []
    floats, doubles = Values(wire, "<f4", FIXED32), Values(wire, "<f8", FIXED64)
    for field in wire.fields(message.value, message.stop):
        if field.number in (1, 2, 3, 4):
            wire.expect(field, "a dimension", VARINT)
            legacy[field.number] = signed(field.value, 32)
        elif field.number == 5:
            floats.add(field)
        elif field.number == 7:
            _add_dims(wire, field, dims)
        elif field.number == 8:
            doubles.add(field)
    # as Blob::FromProto: one legacy dimension makes the shape legacy, doubles go before floats
    values = (doubles if len(doubles) else floats).array()
    shape = tuple(legacy.get(i, 0) for i in (1, 2, 3, 4)) if legacy else tuple(dims)
    if not legacy and not dims and not values.size:
        return values
    for dim in shape:
        if not 0 <= dim <= _MOST_VALUES:
            raise wire.error(message.begin, f"a blob of dimension {dim}")
    if math.prod(shape) != values.size or math.prod(filter(None, shape)) > _MOST_VALUES:
        brief = shape if len(shape) < 9 else f"of {len(shape)} dimensions"
        raise wire.error(message.begin, f"a blob of shape {brief} with {values.size} values")
    return values.reshape(shape)


def _add_dims(wire, message, dims):
    """BlobShape: dim 1, packed or not. Where a blob has several shapes, protobuf joins them."""
    wire.expect(message, "a shape", LENGTH)
    for field in wire.fields(message.value, message.stop):
        if field.number != 1:
            continue
        wire.expect(field, "a dimension", VARINT, LENGTH)
        at, end = (field.value, field.stop) if field.wire == LENGTH else (0, 0)
        if field.wire == VARINT:
            dims.append(signed(field.value, 64))
        while at < end and len(dims) <= _MOST_AXES:
            dim, at = wire.varint(at, end)
            dims.append(signed(dim, 64))
        if len(dims) > _MOST_AXES:
            raise wire.error(field.begin, f"a blob of more than {_MOST_AXES} dimensions")
