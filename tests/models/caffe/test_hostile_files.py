"""Damaged and hostile .caffemodel files: each is refused in one clean sentence, or read as protobuf
reads it, in bounded time and memory.
"""

import re
import time
import tracemalloc

import numpy as np
import pytest

from benchmarks import caffe_files
from benchmarks.caffe_files import message, scalar, varint
from keras_cpm import build_released
from keras_cpm.models.caffe.caffemodel import read_caffemodel
from keras_cpm.models.caffe.weights import load_caffe_weights
from tests.models.caffe.caffe_mutations import MUTATIONS, WELL_FORMED
from tests.models.caffe.test_caffemodel import assert_as_the_oracle, oracle

# network, layout, shapes, packed: every way to write one
BASES = [
    ("flic", "new", "new", True),
    ("flic", "v1", "legacy", True),
    ("flic", "new", "legacy", False),
    ("mpii", "v1", "new", True),
    ("person", "new", "legacy", True),
]
IDS = ["-".join(map(str, base)) for base in BASES]
# one of them without the slow ones
SOME = [pytest.param(i, marks=pytest.mark.slow if i else ()) for i in range(len(BASES))]
EACH = 27  # files per base and kind of mutation


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    path = tmp_path_factory.mktemp("bases") / "base.caffemodel"
    files = []
    for name, layout, shapes, packed in BASES:
        rows = caffe_files.network_rows(name, 8)
        layers = caffe_files.trained_layers(rows, caffe_files.random_caffemodel(rows, 0))
        caffe_files.write_caffemodel(path, layers, layout=layout, shapes=shapes, packed=packed)
        files.append(path.read_bytes())
    assert max(map(len, files)) < 1_000_000
    return files


# what must hold of every file --------------------------------------------------------------------

SENTENCE = re.compile(
    r"[^\n]* at byte (\d+)[;,][^\n]*\.|[^\n]* from byte (0) on; [^\n]*\."
    r"|[^\n]*ends at byte (0)[^\n]*\."
)


def examine(data, path):
    """Reads `data` from a file; returns the layers, or `None` where the file was refused."""
    path.write_bytes(data)
    began = time.process_time()
    layers = attempt(path, len(data))
    seconds = time.process_time() - began
    tracemalloc.start()
    try:
        attempt(path, len(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # the bounds of the specification; milliseconds and twice the file are usual
    assert seconds < 1
    assert peak < 4 * len(data) + 16_000_000
    if layers is not None:
        assert_as_the_oracle(layers, data)
        assert all(np.isfinite(blob).all() for layer in layers for blob in layer.blobs)
    return layers


def attempt(path, size):
    try:
        return read_caffemodel(path)
    except ValueError as error:
        assert type(error) is ValueError
        assert error.__cause__ is None
        found = SENTENCE.fullmatch(str(error))
        assert found and len(str(error)) < 400 and str(path) in str(error), str(error)
        assert 0 <= int(next(filter(None, found.groups()))) <= size, str(error)
        return None


# files grown from networks -----------------------------------------------------------------------


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
@pytest.mark.parametrize("base", SOME, ids=IDS)
def test_mutated(bases, tmp_path, base, mutate):
    for i in range(EACH):
        rng = np.random.default_rng([base, MUTATIONS.index(mutate), i])
        layers = examine(mutate(bases[base], rng), tmp_path / "some.caffemodel")
        assert layers is not None or mutate not in WELL_FORMED


def test_there_are_enough_of_them():
    cut_off = 3 * 100
    assert EACH * len(MUTATIONS) * len(BASES) + cut_off >= 2000


@pytest.mark.parametrize("base", SOME[:3], ids=IDS[:3])
def test_cut_off_at_every_percent(bases, tmp_path, base):
    data = bases[base]
    for percent in range(100):
        part = data[: len(data) * percent // 100]
        # no cut of these falls between two layers
        assert examine(part, tmp_path / "cut.caffemodel") is None


@pytest.fixture(scope="module")
def flic():
    return build_released("flic", width=8)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_network_gets_all_or_nothing(bases, flic, tmp_path, mutate):
    model, path = flic, tmp_path / "some.caffemodel"
    for i in range(4):
        before = model.get_weights()
        rng = np.random.default_rng([99, MUTATIONS.index(mutate), i])
        path.write_bytes(mutate(bases[i % 3], rng))
        try:
            load_caffe_weights(model, path)
        except ValueError as error:
            assert type(error) is ValueError and "\n" not in str(error), error
            for now, old in zip(model.get_weights(), before, strict=True):
                np.testing.assert_array_equal(now, old)
            continue
        for name, _, blobs in oracle(path.read_bytes()):
            if blobs and not name.startswith("conv1_stage"):
                kernel, bias = model.get_layer(name).get_weights()
                np.testing.assert_array_equal(kernel, np.einsum("oiyx->yxio", blobs[0]))
                np.testing.assert_array_equal(bias, blobs[1].ravel())


# files made by hand ------------------------------------------------------------------------------


def net(blob):
    return message(100, message(1, b"conv") + message(7, blob))


def declares(length):
    return varint(100 << 3 | 2) + varint(length)


def shape(*dims):
    return message(7, message(1, b"".join(varint(dim) for dim in dims)))


def nested(depth, field, innermost=b""):
    """`depth` messages of the same field number, one inside the other."""
    heads, size = [], len(innermost)
    for _ in range(depth):
        heads.append(varint(field << 3 | 2) + varint(size))
        size += len(heads[-1])
    return b"".join(reversed(heads)) + innermost


VALUE = b"\x2d" + bytes(4)
FOURS = b"".join(scalar(i, 1) for i in (1, 2, 3, 4))
MEG = 1_000_000
HOSTILE = {
    "nothing": b"",
    "zeros": bytes(MEG),
    "noise": np.random.default_rng(0).bytes(MEG),
    **{
        f"a layer of {n:#x} bytes": declares(n)
        for n in (10**6, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1)
    },
    "values of 2 GB": net(b"\x2a" + varint(2**31 - 4)),
    "a length of 20 bytes": varint(100 << 3 | 2) + b"\xff" * 20,
    **{f"dimension {n:#x}": net(shape(n)) for n in (2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)},
    "a product of 2**64": net(shape(2**16, 2**16, 2**16, 2**16)),
    "a product of 2**32 with 0 in 32 bits": net(shape(2**31 - 1, 2, 2) + VALUE),
    "a product that wraps to the count": net(shape(2**32 + 1) + VALUE),
    "a product of 32 axes": net(shape(*[2**31 - 1] * 32)),
    "nothing of a huge shape": net(shape(0, *[2**31 - 1] * 31)),
    "legacy 2**31": net(scalar(1, 2**31) + scalar(2, 2**31) + VALUE),
    "legacy -1 twice": net(
        scalar(1, 2**64 - 1) + scalar(2, 2**64 - 1) + scalar(3, 1) + scalar(4, 1) + VALUE
    ),
    "legacy 2**32 + 1, which is 1": net(scalar(1, 2**32 + 1) + FOURS[2:] + VALUE),
    "33 axes": net(shape(*[1] * 33)),
    "a million dimensions": net(message(7, message(1, varint(1) * (MEG - 20)))),
    "a million dimensions unpacked": net(message(7, scalar(1, 1) * (MEG // 2 - 20))),
    "nested 100,000 deep": nested(100_000, 7),
    "layers 100,000 deep": nested(100_000, 100),
    "blobs 100,000 deep": message(100, nested(100_000, 7)),
    "shapes 100,000 deep": net(nested(100_000, 7)),
    "unknown fields 100,000 deep": net(nested(100_000, 15)),
    "groups 100,000 deep": b"\x0b" * 100_000,
    "groups in a layer": message(100, b"\x7b" * 100_000 + b"\x7c" * 100_000),
    "a million top fields": scalar(11, 0) * (MEG // 2),
    "empty layers": message(100, b"") * (MEG // 3),
    "empty V1 layers": message(2, b"") * (MEG // 2),
    "the most layers": message(100, message(1, b"n" * 40) + message(7, b"") * 2) * 4999,
    "empty blobs": message(100, message(7, b"") * (MEG // 2 - 9)),
    "names": message(100, message(1, b"a") * (MEG // 3)),
    "one long name": message(100, message(1, b"a" * MEG)),
    "wide names": message(100, message(1, b"a" * 250 + "\U0001f9cd".encode())) * 3900,
    "single values": net(FOURS[:6] + scalar(4, 199_000) + VALUE * 199_000),
    "single values of no shape": net(VALUE * 199_000),
    "single doubles": net(shape(110_000) + (b"\x41" + bytes(8)) * 110_000),
    "single values, cut": net(shape(190_000) + VALUE * 190_000)[:-3],
    "single values in runs of 7": net((VALUE * 7 + scalar(11, 0)) * (MEG // 37)),
    "single values in runs of 8": net((VALUE * 8 + scalar(11, 0)) * (MEG // 42)),
    "single values in runs of 72": net((VALUE * 72 + scalar(11, 0)) * (MEG // 362)),
    "values and differences in turn": net((VALUE + b"\x35" + bytes(4)) * (MEG // 10)),
    "runs of 8 values and 8 differences": net((VALUE * 8 + b"\x35\0\0\0\0" * 8) * (MEG // 80)),
    "pieces of one value": net(shape(160_000) + message(5, bytes(4)) * 160_000),
    "empty pieces": net(message(5, b"") * (MEG // 2 - 9)),
    "keys of 5 bytes": net((b"\xad\x80\x80\x80\x00" + bytes(4)) * (MEG // 9)),
    "numbers of 10 bytes": net((scalar(11, 2**64 - 1)) * (MEG // 11)),
    "infinite": net(shape(1) + b"\x2d\x00\x00\x80\x7f"),
}  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile(data, tmp_path):
    assert len(data) < 1_048_576
    examine(data, tmp_path / "some.caffemodel")
