"""The reader of .caffemodel files reads what protobuf reads, or it says what is wrong."""

import re
import tracemalloc

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from benchmarks import caffe_files
from benchmarks.caffe_files import message, scalar, varint
from keras_cpm.models.caffe.caffemodel import read_caffemodel

# the oracle --------------------------------------------------------------------------------------

# the messages of caffe.proto with the fields that matter; an enum is an int32 on the wire
_SCHEMA = {
    "Shape": [("dim", 1, "int64", "packed")],
    "Blob": [
        ("num", 1, "int32", ""),
        ("channels", 2, "int32", ""),
        ("height", 3, "int32", ""),
        ("width", 4, "int32", ""),
        ("data", 5, "float", "packed"),
        ("shape", 7, "Shape", ""),
        ("double_data", 8, "double", "packed"),
    ],
    "V1": [("name", 4, "string", ""), ("type", 5, "int32", ""), ("blobs", 6, "Blob", "repeated")],
    "Layer": [
        ("name", 1, "string", ""),
        ("type", 2, "string", ""),
        ("blobs", 7, "Blob", "repeated"),
    ],
    "Net": [("layers", 2, "V1", "repeated"), ("layer", 100, "Layer", "repeated")],
}  # fmt: skip


def _net_class():
    file = descriptor_pb2.FileDescriptorProto(name="caffe_oracle.proto", package="oracle")
    for message_name, fields in _SCHEMA.items():
        described = file.message_type.add(name=message_name)
        for name, number, kind, label in fields:
            field = described.field.add(name=name, number=number, label=3 if label else 1)
            if kind in _SCHEMA:
                field.type, field.type_name = 11, f".oracle.{kind}"
            else:
                field.type = {"double": 1, "float": 2, "int64": 3, "int32": 5, "string": 9}[kind]
            field.options.packed = label == "packed"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("oracle.Net"))


NET = _net_class()
KINDS = {3: "Concat", 4: "Convolution", 5: "Data", 6: "Dropout", 7: "EuclideanLoss", 17: "Pooling",
         18: "ReLU", 33: "Slice", 0: ""}  # fmt: skip


def oracle(data):
    """What protobuf reads from the same bytes: list of (name, kind, blobs)."""
    net = NET.FromString(data)
    layers = [(layer.name, layer.type, layer.blobs) for layer in net.layer]
    layers += [(layer.name, KINDS.get(layer.type), layer.blobs) for layer in net.layers]
    return [(name, kind, [_array(blob) for blob in blobs]) for name, kind, blobs in layers]


def _array(blob):
    legacy = ("num", "channels", "height", "width")
    with np.errstate(over="ignore"):
        values = np.array(blob.double_data or blob.data).astype(np.float32)
    if any(blob.HasField(name) for name in legacy):
        return values.reshape([getattr(blob, name) for name in legacy])
    return values.reshape(list(blob.shape.dim)) if values.size or blob.shape.dim else values


def assert_as_the_oracle(layers, data):
    expected = oracle(data)
    assert [layer.name for layer in layers] == [name for name, *_ in expected]
    for layer, (name, kind, blobs) in zip(layers, expected, strict=True):
        assert kind is None or layer.kind == kind, name
        assert [blob.shape for blob in layer.blobs] == [blob.shape for blob in blobs], name
        for found, value in zip(layer.blobs, blobs, strict=True):
            assert found.dtype == np.float32 and not (found.size and found.flags.writeable)
            assert found.tobytes() == value.tobytes(), name


# whole files -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flic():
    rows = caffe_files.network_rows("flic", 8)
    return rows, caffe_files.random_caffemodel(rows, 0)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "some.caffemodel"


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("shapes", ["new", "legacy"])
@pytest.mark.parametrize("layout", ["new", "v1"])
def test_every_format(flic, file, layout, shapes, packed):
    rows, weights = flic
    written = caffe_files.trained_layers(rows, weights)
    caffe_files.write_caffemodel(file, written, layout=layout, shapes=shapes, packed=packed)
    layers = read_caffemodel(file)
    assert_as_the_oracle(layers, file.read_bytes())
    assert [layer.name for layer in layers] == [layer.row.name for layer in written]
    found = {layer.name: layer for layer in layers if layer.blobs}
    assert found.keys() == weights.keys()
    for name, (kernel, bias) in weights.items():
        assert found[name].kind == "Convolution"
        read_kernel, read_bias = found[name].blobs
        np.testing.assert_array_equal(read_kernel, kernel)
        assert read_bias.shape == ((1, 1, 1, bias.size) if shapes == "legacy" else bias.shape)
        np.testing.assert_array_equal(read_bias.ravel(), bias)
        # the key of the layer stands at its offset, and its name soon after
        data = file.read_bytes()[found[name].offset :][:150]
        assert data.startswith(varint((100 if layout == "new" else 2) << 3 | 2))
        assert name.encode() in data


def test_weights_are_not_copied(flic, file):
    rows, weights = flic
    caffe_files.write_caffemodel(file, caffe_files.trained_layers(rows, weights))
    size = file.stat().st_size
    tracemalloc.start()
    layers = read_caffemodel(file)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.2 * size and peak < 1.5 * size
    with pytest.raises(ValueError, match="read-only"):
        layers[3].blobs[0][0] = 0


# single messages ---------------------------------------------------------------------------------


def layer(payload, name=b"conv"):
    return message(100, message(1, name) + message(2, b"Convolution") + payload)


def blob(payload):
    return layer(message(7, payload))


def floats(*values):
    return np.array(values, "<f4").tobytes()


def shape(*dims):
    return message(7, message(1, b"".join(varint(dim) for dim in dims)))


def single(value):
    return b"\x2d" + floats(value)


TWO, FOUR = message(5, floats(1, 2)), message(5, floats(1, 2, 3, 4))
DOUBLES = np.array([0.1, 1 / 3], "<f8").tobytes()
ACCEPTED = {
    "pieces of packed values": blob(TWO + shape(2, 2) + message(5, b"") + TWO),
    "packed, single, packed": blob(shape(6) + TWO + single(7) + single(8) + TWO),
    "single, packed": blob(shape(3) + single(7) + TWO),
    "a run of single values": blob(shape(25) + b"".join(map(single, range(25)))),
    "a run cut by another field": blob(
        shape(40)
        + b"".join(map(single, range(30)))
        + scalar(11, 5)
        + b"".join(map(single, range(10)))
    ),
    "single values among differences": blob(shape(20) + (single(3) + b"\x35" + floats(9)) * 20),
    "a run of differences": blob(shape(2) + (b"\x35" + floats(9)) * 2000 + TWO),
    "a run of doubles": blob(shape(20) + (b"\x41" + DOUBLES[:8]) * 20),
    "unpacked dimensions": blob(TWO + message(7, scalar(1, 1) + scalar(1, 2))),
    "two shapes are one": blob(FOUR + shape(2) + shape(1, 2)),
    "one legacy dimension makes it legacy": blob(scalar(1, 0) + shape(2)),
    "legacy goes before shape": blob(
        scalar(1, 2) + scalar(2, 1) + scalar(3, 1) + scalar(4, 1) + shape(9) + TWO
    ),
    "the last of two legacy dimensions counts": blob(
        b"".join(scalar(i, 1) for i in (1, 2, 3, 4)) + scalar(3, 4) + FOUR
    ),
    "legacy dimensions have 32 bits": blob(
        b"".join(scalar(i, 2**32 + 1) for i in (1, 2, 3, 4)) + single(3)
    ),
    "doubles": blob(shape(2) + message(8, DOUBLES)),
    "doubles go before floats": blob(shape(2) + message(8, DOUBLES) + FOUR),
    "a scalar": blob(message(5, floats(5))),
    "no values": blob(shape(3, 0)),
    "an empty blob": blob(b""),
    "32 axes": blob(shape(*[1] * 31, 2) + TWO),
    "the last name counts": layer(message(1, "cönv2".encode())),
    "the last type counts": message(100, message(2, b"ReLU") + message(2, b"Pooling")),
    "an empty layer": message(100, b""),
    "a type of V1 without weights": message(2, scalar(5, 8) + message(4, b"flat")),
    "unknown fields of every wire type": scalar(19, 1 << 63)
    + (b"\x59" + bytes(8) + b"\xa5\x01" + bytes(4) + message(2000, b"?") + blob(TWO + shape(2))),
}  # fmt: skip


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_read_as_protobuf_reads(data, file):
    file.write_bytes(data)
    assert_as_the_oracle(read_caffemodel(file), data)


GOOD = blob(shape(2) + TWO)
REFUSED = {
    "a number that reaches past the end, byte 2,": (b"\xa2\x86", 0),
    "a number that reaches past the end, byte 4,": (message(100, b"\x58") + scalar(11, 1), 4),
    "a number of more than 10 bytes": (scalar(11, 1)[:1] + b"\xff" * 12, 1),
    "a number of more than 64 bits": (scalar(11, 1)[:1] + b"\xff" * 9 + b"\x02", 1),
    "a number of more than 5 bytes": (b"\x80" * 8 + b"\x01", 0),
    "a field of number 0": (b"\x02\x00", 0),
    "a field of wire type 3": (GOOD + b"\x5b", len(GOOD)),
    "a field of wire type 4": (b"\x5c", 0),
    "a field of wire type 7": (b"\x5f", 0),
    "a field of 4 bytes that reaches past the end": (GOOD + b"\x5d\0\0\0", len(GOOD)),
    "a field of 8 bytes that reaches past the end": (GOOD + b"\x59\0\0\0", len(GOOD)),
    "a layer as a varint instead of a length": (scalar(100, 1), 0),
    "a layer of another format than those before it": (GOOD + message(2, b""), len(GOOD)),
    "a layer of Caffe's first format": (message(2, message(1, b"")), 2),
    "a layer's name as a varint": (message(100, scalar(1, 1)), 3),
    "a layer's name that is no UTF-8": (message(100, message(1, b"\xff")), 3),
    "a layer's name of 257 bytes": (message(100, message(1, b"a" * 257)), 4),
    "a layer's type as a varint": (message(100, scalar(2, 4)), 3),
    "a layer's type as a length": (message(2, message(5, b"Convolution")), 2),
    "a blob as a varint": (message(100, scalar(7, 1)), 3),
    "a shape as a varint": (message(100, message(7, scalar(7, 1))), 5),
    "a dimension as a length": (message(100, message(7, message(1, b""))), 5),
    "a dimension as 4 bytes": (message(100, message(7, message(7, b"\x0d\0\0\0\0"))), 7),
    "values as a varint": (message(100, message(7, scalar(5, 1))), 5),
    "values as 8 bytes instead of a length": (message(100, message(7, b"\x29" + bytes(8))), 5),
    "7 bytes of values of 4 bytes": (message(100, message(7, message(5, bytes(7)))), 5),
    "a blob of dimension -1": (message(100, message(7, shape(2**64 - 1))), 3),
    "a blob of dimension -2": (message(100, message(7, scalar(1, 2**32 - 2))), 3),
    "a blob of dimension 2147483648": (message(100, message(7, shape(2**31))), 3),
    "a blob of shape (2, 2) with 2 values": (message(100, message(7, shape(2, 2) + TWO)), 3),
    "a blob of shape () with 2 values": (message(100, message(7, TWO)), 3),
    "a blob of shape (1, 0, 0, 0) with 2 values": (message(100, message(7, scalar(1, 1) + TWO)), 3),
    "a blob of shape (2147483647, 2, 0) with 0": (
        message(100, message(7, shape(2**31 - 1, 2, 0))), 3),
    "a blob of more than 32 dimensions": (message(100, message(7, shape(*[1] * 33))), 7),
    "not finite in blob 1 of layer 'conv'": (
        layer(message(7, shape(2) + TWO) + message(7, shape(1) + single(np.nan))), 0),
    "not finite in blob 0 of layer": (blob(shape(1) + message(8, np.float64(1e300).tobytes())), 0),
    "more fields than any network has": (scalar(11, 0) * 60_000, 100_000),
    "more layers than any network has": (message(100, b"") * 3_000, 7_500),
    "more blobs than any network has": (message(100, message(7, b"") * 6_000), 10_004),
    "no layer up to the end": (scalar(11, 1), 2),
}  # fmt: skip


@pytest.mark.parametrize("found", REFUSED)
def test_refused(found, file):
    data, offset = REFUSED[found]
    file.write_bytes(data)
    name, found = re.escape(str(file)), re.escape(found)
    expected = rf"^{name} is damaged or no caffemodel: .*{found}.* at byte {offset}; .*\.$"
    with pytest.raises(ValueError, match=expected):
        read_caffemodel(file)


# other things than caffemodels -------------------------------------------------------------------

MISTAKES = {
    "a web page": b"\xef\xbb\xbf\r\n <!DOCTYPE html><html><body>404 Not Found</body></html>",
    "a web page, as a dead host sends": b"<html><head><title>Moved</title></head></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "an archive or a .keras file": b"PK\x03\x04" + bytes(40),
    "a prototxt": b'name: "MPII"\ninput: "data"\n',
    "a .solverstate": scalar(1, 320_000) + message(2, b"pose_iter_320000.caffemodel"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_files_of_another_kind(what, file):
    file.write_bytes(MISTAKES[what])
    with pytest.raises(
        ValueError, match=rf"some\.caffemodel looks like {what}.* from byte 0 on; .*\.$"
    ):
        read_caffemodel(file)


def test_names_that_only_seem_to_be_a_mistake(file):
    """A network's name is field 1, whose key is a line feed; its length may be one, too."""
    for name in (b"layer4net9", b"input4net", b"#13 4 a net of 32 characters end"):
        file.write_bytes(message(1, name) + GOOD)
        assert len(read_caffemodel(file)) == 1


def test_nothing_there(tmp_path, file):
    with pytest.raises(
        FileNotFoundError, match=r"There is no file .*some\.caffemodel; give the path"
    ):
        read_caffemodel(file)
    with pytest.raises(
        ValueError, match=r"is a folder or a device; give the path of a \.caffemodel"
    ):
        read_caffemodel(tmp_path)
    file.write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"is empty: it ends at byte 0; download or copy it again\."
    ):
        read_caffemodel(file)


def test_more_than_protobuf_can_hold(file):
    with file.open("wb") as stream:
        stream.truncate(2**31)  # a hole: takes no place on the disk
    with pytest.raises(
        ValueError,
        match="has 2147483648 bytes and no caffemodel reaches beyond byte 2147483647; give",
    ):
        read_caffemodel(file)
