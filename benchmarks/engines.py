"""The 6-stage network at 368x368 in several engines, same random weights, batch 1, two threads.

    python benchmarks/engines.py [--rounds 7] [--engines tiles,direct] [--json FILE]

Engines take turns in one process, so that a noisy machine is noisy for all; medians count. The peers,
PyTorch, ONNX Runtime and OpenVINO, take part where they are installed; their networks are built from
the table of layers in caffe_files.py. The largest difference of any stage is relative to the largest
value of the direct network. Peak memory is that of a process of its own, imports included.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import caffe_files
import numpy as np

THREADS = 2
ROWS = caffe_files.network_rows("mpii")
ENDS = caffe_files.belief_layers(ROWS)


def inputs():
    """A photograph's worth of noise (1, 368, 368, 3), RGB 0..255, and the map of a centred person."""
    from keras_cpm import PoseSpec, codec

    image = np.random.default_rng(1).uniform(0, 255, (1, 368, 368, 3)).astype("float32")
    spec = PoseSpec()
    return image, codec.encode_center([spec.center] * 2, spec)[None].numpy()


def blob(image, center):
    """What Caffe's networks read: (1, 4, 368, 368), BGR / 256 - 0.5 and the center map."""
    channels = np.concatenate([image[..., ::-1] / 256 - 0.5, center], axis=-1)
    return np.ascontiguousarray(channels.transpose(0, 3, 1, 2), np.float32)


# --- engines: each makes a function from inputs to the list of all stages, (1, 46, 46, 15) -----------


def _model(convolution):
    import keras_cpm
    from keras_cpm.models.caffe import load_caffe_weights

    model = keras_cpm.build_released("mpii")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "random.caffemodel")
        weights = caffe_files.random_caffemodel(ROWS, 0)
        caffe_files.write_caffemodel(path, caffe_files.trained_layers(ROWS, weights))
        load_caffe_weights(model, path)
    from keras_cpm.models.fast_conv import set_convolution

    set_convolution(model, convolution)
    return model


def _predictor(convolution):
    from keras_cpm.inference import Inference

    model = _model(convolution)
    inference = Inference(model)
    # the function holds the model, an Inference does not
    return lambda image, center, model=model: inference([image, center])


def tiles():
    return _predictor("auto")


def small_tiles():
    return _predictor("small-tiles")


def saved_model():
    import tensorflow as tf

    folder = tempfile.mkdtemp()
    command = (
        "import engines, keras_cpm; keras_cpm.export_saved_model("
        f"engines._model('auto'), keras_cpm.PoseSpec(), {folder!r})"
    )
    # exporting takes more memory than serving
    subprocess.run([sys.executable, "-c", command], cwd=Path(__file__).parent, check=True)
    loaded = tf.saved_model.load(f"{folder}/1")
    beliefs = loaded.signatures["beliefs"]

    def run(image, center, loaded=loaded):
        del center  # a constant of the graph
        outputs = beliefs(image=tf.constant(image))
        return [outputs[f"stage{t}"].numpy() for t in range(1, len(ENDS) + 1)]

    return run


def direct():
    import tensorflow as tf

    model = _model("direct")
    function = tf.function(lambda image, center: model([image, center], training=False))
    return lambda *arrays: [stage.numpy() for stage in function(*map(tf.constant, arrays))]


def pytorch():
    import torch

    torch.set_num_threads(THREADS)
    network = torch_network().eval().to(memory_format=torch.channels_last)

    def run(image, center):
        data = torch.from_numpy(blob(image, center)).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return [stage.permute(0, 2, 3, 1).numpy() for stage in network(data)]

    return run


def torch_network():
    """`torch.nn.Module` of the table's layers: (n, 4, 368, 368) -> list of stages, NCHW."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleDict()
            for row in ROWS:
                if row.kind == "Convolution":
                    kernel, bias = (torch.from_numpy(a) for a in WEIGHTS[row.name])
                    layer = nn.Conv2d(*kernel.shape[1::-1], row.kernel, padding=row.kernel // 2)
                    layer.weight.data, layer.bias.data = kernel, bias
                    self.layers[row.name] = layer

        def forward(self, data):
            values = {"image": data[:, :3], "center_map": data[:, 3:]}
            for row in ROWS:
                read = [values[name] for name in row.bottoms if name != "data"]
                if row.kind == "Convolution":
                    values[row.tops[0]] = self.layers[row.name](read[0])
                elif row.kind == "ReLU":
                    values[row.tops[0]] = torch.relu(read[0])
                elif row.kind == "Concat":
                    values[row.tops[0]] = torch.cat(read, 1)
                elif row.kind == "MAX":
                    values[row.tops[0]] = nn.functional.max_pool2d(
                        read[0], row.kernel, row.stride, ceil_mode=True
                    )
                elif row.kind == "AVE":
                    values[row.tops[0]] = nn.functional.avg_pool2d(
                        read[0], row.kernel, row.stride, ceil_mode=True, count_include_pad=False
                    )
            return [values[name] for name in ENDS]

    return Network()


WEIGHTS = caffe_files.random_caffemodel(ROWS, 0)


def onnx_model():
    """Bytes of an ONNX model of the table's layers."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, names = [], [], {"image": "image", "center_map": "center_map"}
    starts = [("image", [0], [3]), ("center_map", [3], [4])]
    constants.append(numpy_helper.from_array(np.array([1]), "channel_axis"))
    for name, first, last in starts:
        for kind, value in (("first", first), ("last", last)):
            constants.append(numpy_helper.from_array(np.array(value), f"{name}_{kind}"))
        read = ["data", f"{name}_first", f"{name}_last", "channel_axis"]
        nodes.append(helper.make_node("Slice", read, [name]))
    for row in ROWS:
        read = [names[name] for name in row.bottoms if name != "data"]
        output = f"{row.name}_out"
        if row.kind == "Convolution":
            for i, array in enumerate(WEIGHTS[row.name]):
                constants.append(numpy_helper.from_array(array, f"{row.name}_{i}"))
            read += [f"{row.name}_0", f"{row.name}_1"]
            node = helper.make_node("Conv", read, [output], pads=[row.kernel // 2] * 4)
        elif row.kind == "ReLU":
            node = helper.make_node("Relu", read, [output])
        elif row.kind == "Concat":
            node = helper.make_node("Concat", read, [output], axis=1)
        elif row.kind in ("MAX", "AVE"):
            settings = {"kernel_shape": [row.kernel] * 2, "strides": [row.stride] * 2}
            kind = "MaxPool" if row.kind == "MAX" else "AveragePool"
            node = helper.make_node(kind, read, [output], ceil_mode=1, **settings)
        else:
            continue
        nodes.append(node)
        names[row.tops[0]] = output
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 4, 368, 368])
    ends = [helper.make_tensor_value_info(names[end], TensorProto.FLOAT, None) for end in ENDS]
    graph = helper.make_graph(nodes, "mpii", [data], ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return model.SerializeToString()


def onnxruntime():
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(onnx_model(), options, providers=["CPUExecutionProvider"])
    return lambda *arrays: [
        stage.transpose(0, 2, 3, 1) for stage in session.run(None, {"data": blob(*arrays)})
    ]


def openvino():
    import openvino as ov

    settings = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}
    core = ov.Core()
    compiled = core.compile_model(core.read_model(onnx_model()), "CPU", settings)
    return lambda *arrays: [
        np.array(stage).transpose(0, 2, 3, 1) for stage in compiled([blob(*arrays)]).values()
    ]


ENGINES = {
    "tiles": tiles,
    "tiles-saved-model": saved_model,
    "small-tiles": small_tiles,
    "direct": direct,
    "pytorch": pytorch,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
}
OURS = ("tiles", "tiles-saved-model", "small-tiles")
PACKAGES = {"pytorch": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino"}


def limit_threads():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def take_turns(functions, rounds):
    """Medians in milliseconds of functions of nothing, called in turn."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def infer(names, rounds):
    limit_threads()
    arrays = inputs()
    functions = {name: ENGINES[name]() for name in names}
    outputs = {name: function(*arrays) for name, function in functions.items()}
    medians = take_turns({n: (lambda f=f: f(*arrays)) for n, f in functions.items()}, rounds)
    truth = outputs.get("direct") or next(iter(outputs.values()))
    differences = {
        name: max(
            float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(stages, truth, strict=True)
        )
        for name, stages in outputs.items()
    }
    return {
        name: {
            "milliseconds": medians[name],
            "difference": differences[name],
            "peak_gb": peak_memory(name),
        }
        for name in names
    }


def peak_memory(name):
    """GB of a process that makes the engine and runs it thrice."""
    command = [sys.executable, __file__, "--memory-of", name]
    return float(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = [n for n in ENGINES if n not in PACKAGES or importlib.util.find_spec(PACKAGES[n])]
    parser.add_argument("--engines", default=",".join(here), help="names with commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the table here, too")
    parser.add_argument("--memory-of", choices=list(ENGINES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        limit_threads()
        run, arrays = ENGINES[options.memory_of](), inputs()
        for _ in range(3):
            run(*arrays)
        # not getrusage, which counts what the parent had when it forked
        status = Path("/proc/self/status").read_text("utf-8")
        print(int(status.split("VmHWM:")[1].split()[0]) / 1e6)
        return
    table = infer(options.engines.split(","), options.rounds)
    others = [row["milliseconds"] for name, row in table.items() if name not in OURS]
    print(
        f"{'engine':18s} {'median':>9s} {'fastest direct':>15s} {'difference':>11s} {'memory':>8s}"
    )
    for name, row in table.items():
        ratio = f"{min(others) / row['milliseconds']:.2f} x" if others else "-"
        print(
            f"{name:18s} {row['milliseconds']:6.0f} ms {ratio:>15s} {row['difference']:11.1e} "
            f"{row['peak_gb']:5.2f} GB"
        )
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
