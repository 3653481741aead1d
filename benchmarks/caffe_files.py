"""The released networks as Caffe knows them: prototxt text, random weights and .caffemodel files.

Written from the tables of the release (pose_deploy_centerMap.prototxt, _trained_FLIC/
pose_deploy.prototxt, pose_deploy_resize.prototxt, pose_deploy_copy_4sg_resize.prototxt) and from
the field numbers of caffe.proto, without a look at our own networks or reader, so that they can
serve as the other side of a comparison.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One layer of a prototxt; `kernel`, `stride` and `filters` where its kind has them."""

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    kernel: int = 0
    stride: int = 1
    filters: int = 0


class TrainedLayer(NamedTuple):
    """One layer of a .caffemodel file; most have no blobs."""

    row: Row
    blobs: tuple[np.ndarray, ...] = ()


# (name, kernel, filters at width 128) of the networks that grew out of VGG-19; each layer reads the
# one before, and what is called a pool is one
_VGG19 = (
    [("conv1_1", 3, 64), ("conv1_2", 3, 64), ("pool1_stage1", 2, 0)]
    + [("conv2_1", 3, 128), ("conv2_2", 3, 128), ("pool2_stage1", 2, 0)]
    + [("conv3_1", 3, 256), ("conv3_2", 3, 256), ("conv3_3", 3, 256), ("conv3_4", 3, 256)]
    + [("pool3_stage1", 2, 0), ("conv4_1", 3, 512), ("conv4_2", 3, 512)]
)
_MPII_VGG = (
    [("conv4_3_CPM", 3, 256), ("conv4_4_CPM", 3, 256), ("conv4_5_CPM", 3, 256)]
    + [("conv4_6_CPM", 3, 256), ("conv4_7_CPM", 3, 128)]
    + [("conv5_1_CPM", 1, 512), ("conv5_2_CPM", 1, "beliefs")]
)
_PERSON = [
    ("conv4_3", 3, 512),
    ("conv4_4", 3, 512),
    ("conv5_1", 3, 512),
    ("conv5_2_CPM", 3, 128),
] + [("conv6_1_CPM", 1, 512), ("conv6_2_CPM", 1, "beliefs")]
# stages, belief channels
_SIZES = {"mpii": (6, 15), "flic": (4, 10), "mpii-vgg": (6, 15), "person": (4, 1)}
NETWORKS = tuple(_SIZES)


def network_rows(name, width=128) -> list[Row]:
    """The layers of a released network in the order of its prototxt.

    Args:
        name: one of `NETWORKS`.
        width: filters; 128 is the release, others scale all but the belief channels.
    """
    stages, beliefs = _SIZES[name]
    chain = _Chain(width, beliefs)
    if name != "person":
        chain.rows += [
            Row("image", "Slice", ("data",), ("image", "center_map")),
            Row("pool_center_lower", "AVE", ("center_map",), ("pool_center_lower",), 9, 8),
        ]
    if name in ("mpii", "flic"):
        _paper(chain, stages)
    else:
        _vgg(chain, stages, name)
    return chain.rows


class _Chain:
    """Rows under construction; each layer reads the one before unless told otherwise."""

    def __init__(self, width, beliefs):
        self.width, self.beliefs = width, beliefs
        self.rows, self.last = [], "image"

    def conv(self, name, kernel, filters, relu=None):
        linear = filters == "beliefs"
        count = self.beliefs if linear else filters * self.width // 128
        self.rows.append(Row(name, "Convolution", (self.last,), (name,), kernel, 1, count))
        if not linear:
            self.rows.append(Row(relu or f"{name}_relu", "ReLU", (name,), (name,)))
        self.last = name

    def pool(self, name, kernel):
        self.rows.append(Row(name, "MAX", (self.last,), (name,), kernel, 2))
        self.last = name

    def concat(self, name, bottoms):
        self.rows.append(Row(name, "Concat", bottoms, (name,)))
        self.last = name


def _paper(chain, stages):
    for stage in (1, 2):
        chain.last = "image"
        for i in (1, 2, 3):
            chain.conv(f"conv{i}_stage{stage}", 9, 128, f"relu{i}_stage{stage}")
            chain.pool(f"pool{i}_stage{stage}", 3)
        chain.conv(f"conv4_stage{stage}", 5, 32, f"relu4_stage{stage}")
        if stage == 1:
            chain.conv("conv5_stage1", 9, 512, "relu5_stage1")
            chain.conv("conv6_stage1", 1, 512, "relu6_stage1")
            chain.conv("conv7_stage1", 1, "beliefs")
    for stage in range(2, stages + 1):
        features, beliefs = "conv4_stage2", "conv7_stage1"
        if stage > 2:
            features, beliefs = f"conv1_stage{stage}", f"Mconv5_stage{stage - 1}"
            chain.last = "pool3_stage2"
            chain.conv(features, 5, 32, f"relu1_stage{stage}")
        chain.concat(f"concat_stage{stage}", (features, beliefs, "pool_center_lower"))
        for i, kernel in enumerate((11, 11, 11, 1), 1):
            chain.conv(f"Mconv{i}_stage{stage}", kernel, 128, f"Mrelu{i}_stage{stage}")
        chain.conv(f"Mconv5_stage{stage}", 1, "beliefs")


def _vgg(chain, stages, name):
    for layer, kernel, filters in _VGG19 + (_PERSON if name == "person" else _MPII_VGG):
        if layer.startswith("pool"):
            chain.pool(layer, kernel)
        else:
            chain.conv(layer, kernel, filters, layer.replace("conv", "relu"))
    beliefs, features, center = "conv5_2_CPM", "conv4_7_CPM", ("pool_center_lower",)
    if name == "person":
        beliefs, features, center = "conv6_2_CPM", "conv5_2_CPM", ()
    for stage in range(2, stages + 1):
        chain.concat(f"concat_stage{stage}", (beliefs, features, *center))
        for i, kernel in enumerate((7, 7, 7, 7, 7, 1), 1):
            # the names of the person network's ReLUs are one ahead
            relu = f"Mrelu{i + (name == 'person')}_stage{stage}"
            chain.conv(f"Mconv{i}_stage{stage}", kernel, 128, relu)
        beliefs = f"Mconv7_stage{stage}"
        chain.conv(beliefs, 1, "beliefs")


def belief_layers(rows) -> list[str]:
    """Names of the layers that end a stage: the convolutions without ReLU, in order."""
    relus = {row.bottoms[0] for row in rows if row.kind == "ReLU"}
    return [row.name for row in rows if row.kind == "Convolution" and row.name not in relus]


def deploy_prototxt(name, width=128, size=(368, 368)) -> str:
    """Text of the deploy prototxt of a released network for one image of (height, width) `size`."""
    person = name == "person"
    shape = "".join(f"input_dim: {n}\n" for n in (1, 3 if person else 4, *size))
    head = f'name: "{name}"\ninput: "{"image" if person else "data"}"\n{shape}'
    return head + "".join(map(_layer_text, network_rows(name, width)))


def _layer_text(row):
    kind = "Pooling" if row.kind in ("MAX", "AVE") else row.kind
    lines = [f'name: "{row.name}"', f'type: "{kind}"']
    lines += [f'bottom: "{bottom}"' for bottom in row.bottoms]
    lines += [f'top: "{top}"' for top in row.tops]
    if kind == "Pooling":
        # Caffe rounds the number of windows up; pad is 0
        options = f"pool: {row.kind} kernel_size: {row.kernel} stride: {row.stride}"
        lines.append(f"pooling_param {{ {options} }}")
    elif kind == "Convolution":
        options = f"num_output: {row.filters} pad: {row.kernel // 2} kernel_size: {row.kernel}"
        lines.append(f"convolution_param {{ {options} }}")
    elif kind == "Slice":
        lines.append("slice_param { axis: 1 slice_point: 3 }")
    elif kind == "Concat":
        lines.append("concat_param { axis: 1 }")
    return "layer {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def random_caffemodel(rows, seed) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel (out, in, k, k) and bias (out,) of every convolution, float32.

    Drawn so that the size of values stays about the same through the network: by He et al. 2015
    before a ReLU, half that variance in the linear layers.
    """
    rng = np.random.default_rng(seed)
    channels, weights = {"image": 3, "center_map": 1}, {}
    linear = set(belief_layers(rows))
    for row in rows:
        if row.kind == "Slice":
            continue
        read = sum(channels[bottom] for bottom in row.bottoms)
        channels[row.tops[0]] = row.filters or read
        if row.kind == "Convolution":
            shape = (row.filters, read, row.kernel, row.kernel)
            scale = math.sqrt((1 if row.name in linear else 2) / math.prod(shape[1:]))
            kernel = rng.standard_normal(shape, np.float32) * np.float32(scale)
            bias = rng.standard_normal(row.filters, np.float32) * np.float32(0.1)
            weights[row.name] = kernel, bias
    return weights


def trained_layers(rows, weights) -> list[TrainedLayer]:
    """The layers of a trained file: those of the prototxt and, as files of a training have them,
    its data, dropout and loss layers.
    """
    layers = [TrainedLayer(Row("data", "CPMData", (), ("data", "label")))]
    layers += [TrainedLayer(row, weights.get(row.name, ())) for row in rows]
    layers += [TrainedLayer(Row("drop1_stage1", "Dropout", ("conv5_stage1",), ("conv5_stage1",)))]
    for stage, name in enumerate(belief_layers(rows), 1):
        row = Row(f"loss_stage{stage}", "EuclideanLoss", (name, "label"), (f"loss_stage{stage}",))
        layers.append(TrainedLayer(row))
    return layers


# writing .caffemodel files ---------------------------------------------------------------------

# LayerType of V1LayerParameter; the fork's data layer is younger, so Data stands for it
_V1_KINDS = {"Concat": 3, "Convolution": 4, "CPMData": 5, "Dropout": 6, "EuclideanLoss": 7,
             "MAX": 17, "AVE": 17, "ReLU": 18, "Slice": 33}  # fmt: skip


def write_caffemodel(path, layers, *, layout="new", shapes="new", packed=True):
    """Writes a .caffemodel file as Caffe does: the fields in ascending order.

    Args:
        path: of the file.
        layers: list of `TrainedLayer`.
        layout: "new" (`layer`, field 100) or "v1" (`layers`, field 2).
        shapes: "new" (BlobShape) or "legacy" (num, channels, height, width; a bias: 1, 1, 1, n).
        packed: writes values as one field, as Caffe does, or one field each.
    """
    encode = {"new": _new_layer, "v1": _v1_layer}[layout]
    with open(path, "wb") as stream:
        stream.write(message(1, b"CPM"))
        for layer in layers:
            blobs = [blob_proto(blob, shapes=shapes, packed=packed) for blob in layer.blobs]
            stream.write(encode(layer.row, blobs))


def varint(number):
    """A whole number >= 0 as protobuf writes it: 7 bits a byte, lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def scalar(field, number):
    """A field of wire type 0."""
    return varint(field << 3) + varint(number)


def message(field, payload):
    """A field of wire type 2: a message, a text or packed numbers."""
    return varint(field << 3 | 2) + varint(len(payload)) + payload


def blob_proto(values, *, shapes="new", packed=True):
    """BlobProto of an array."""
    values = np.asarray(values, "<f4")
    if packed:
        data = message(5, values.tobytes())
    else:
        records = np.empty((values.size, 5), np.uint8)
        records[:, 0] = 5 << 3 | 5
        records[:, 1:] = values.reshape(-1, 1).view(np.uint8)
        data = records.tobytes()
    if shapes == "new":
        return data + message(7, message(1, b"".join(map(varint, values.shape))))
    legacy = (1,) * (4 - values.ndim) + values.shape
    return b"".join(scalar(i, n) for i, n in enumerate(legacy, 1)) + data


def _new_layer(row, blobs):
    kind = "Pooling" if row.kind in ("MAX", "AVE") else row.kind
    payload = message(1, row.name.encode()) + message(2, kind.encode())
    payload += b"".join(message(3, bottom.encode()) for bottom in row.bottoms)
    payload += b"".join(message(4, top.encode()) for top in row.tops)
    # lr_mult and decay_mult
    rates = b"\x1d" + np.float32(1).tobytes() + b"\x25" + np.float32(0).tobytes()
    payload += message(6, rates) * len(blobs)
    payload += b"".join(message(7, blob) for blob in blobs)
    payload += scalar(10, 0)
    return message(100, payload + _parameters(row, 106))


def _v1_layer(row, blobs):
    payload = b"".join(message(2, bottom.encode()) for bottom in row.bottoms)
    payload += b"".join(message(3, top.encode()) for top in row.tops)
    payload += message(4, row.name.encode()) + scalar(5, _V1_KINDS[row.kind])
    payload += b"".join(message(6, blob) for blob in blobs)
    payload += (b"\x3d" + np.float32(1).tobytes()) * len(blobs)  # blobs_lr
    return message(2, payload + _parameters(row, 10))


def _parameters(row, field):
    if row.kind != "Convolution":
        return b""
    return message(
        field, scalar(1, row.filters) + scalar(3, row.kernel // 2) + scalar(4, row.kernel)
    )
