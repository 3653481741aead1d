"""A SavedModel that could touch a file is told from an export of ours, without running it."""

import pytest
import tensorflow as tf
from click.testing import CliRunner
from tensorflow.core.protobuf import saved_model_pb2

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.export import operations
from keras_cpm.export.artefact import Artefact
from keras_cpm.export.saved_model import signatures_of
from tests.export.networks import sure_network


def test_an_export_has_known_operations(served):
    assert operations.unknown(served / "1") == []


@pytest.mark.parametrize("convolution", [pytest.param("tiles", marks=pytest.mark.slow), "direct"])
def test_every_kind_of_convolution_is_known(convolution, tiny_spec, tmp_path):
    model = keras_cpm.build_cpm(2, tiny_spec, width=8, convolution=convolution)
    keras_cpm.export_saved_model(model, tiny_spec, tmp_path)
    assert operations.unknown(tmp_path / "1") == []


def test_known_operations_touch_no_file():
    for part in (
        "File",
        "Save",
        "Restore",
        "Py",
        "Print",
        "Debug",
        "Send",
        "Recv",
        "Remote",
        "Rpc",
    ):
        assert not [name for name in operations.KNOWN if part in name]


def writes(path):
    tf.io.write_file(str(path), "harm")


def reads(path):
    tf.debugging.assert_none_equal(tf.io.read_file(str(path)), "")


def stores(path):
    tf.raw_ops.SaveV2(
        prefix=str(path), tensor_names=["a"], shape_and_slices=[""], tensors=[tf.zeros([])]
    )


def prints(path):
    tf.print("harm", output_stream=f"file://{path}")


def calls_python(path):
    tf.py_function(lambda: path.write_text("harm"), [], [])


def inside(harm):
    """The same, where a condition within a loop within a data set does it."""

    def act(path):
        def once(row):
            tf.while_loop(lambda i: i < 1, lambda i: i + act_if(row, i), [0])
            return row

        def act_if(row, i):
            def one():
                harm(path)
                return 1

            return tf.cond(row >= tf.cast(i, row.dtype), one, lambda: 1)

        tf.data.Dataset.range(1).map(once).get_single_element()

    return act


HARMS = {
    "WriteFile": writes,
    "ReadFile": reads,
    "SaveV2": stores,
    "PrintV2": prints,
    "EagerPyFunc": calls_python,
}


def harmful(act, path, folder):
    """An export, by its files, whose signature does something else, too."""

    class Served(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
        def serve(self, image):
            act(path)
            return {"keypoints": tf.zeros([tf.size(image), 14, 2])}

    served = Served()
    tf.saved_model.save(served, str(folder / "1"), signatures=served.serve)
    return folder


@pytest.mark.parametrize("name", HARMS)
@pytest.mark.parametrize("wrap", [lambda act: act, inside], ids=["plain", "inside"])
def test_what_touches_files_is_named(name, wrap, tmp_path):
    folder = harmful(wrap(HARMS[name]), tmp_path / "harm.txt", tmp_path / "served")
    assert name in operations.unknown(folder / "1")
    with pytest.raises(ValueError, match=rf"has operations that no export has: .*{name}"):
        operations.check(folder / "1")
    assert not (tmp_path / "harm.txt").exists()


def test_the_function_that_stores_weights_may_be_called_by_nothing_else(served, tmp_path):
    """A signature that calls it would write wherever a request says."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((served / "1/saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    saver = graph.saver_def.save_tensor_name.partition(":")[0]
    (node,) = [one for one in graph.graph_def.node if one.name == saver]
    for others in (graph.graph_def.node, graph.graph_def.library.function[0].node_def):
        another = others.add()
        another.CopyFrom(node)
        another.name = "another"
        (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
        assert "SaveV2" in operations.unknown(tmp_path)
        del others[-1]
    # as a function of its own that a loaded model offers
    offered = graph.object_graph_def.nodes.add().bare_concrete_function
    offered.concrete_function_name = node.attr["f"].func.name
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    assert "SaveV2" in operations.unknown(tmp_path)
    graph.ClearField("object_graph_def")
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    assert "SaveV2" in operations.unknown(tmp_path)


def test_a_damaged_graph_is_said(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 9)
    with pytest.raises(ValueError, match=r"saved_model\.pb is damaged; copy it again"):
        operations.unknown(tmp_path)


@pytest.fixture
def stranger(tmp_path, tiny_spec):
    """What a stranger sends: files, checksums and signatures agree, and it writes harm.txt."""
    folder = tmp_path / "served"
    keras_cpm.export_saved_model(sure_network(tiny_spec), tiny_spec, folder)
    harmful(writes, tmp_path / "harm.txt", folder)
    artefact = Artefact(folder)
    signatures = signatures_of(tf.saved_model.load(str(folder / "1")).signatures)
    artefact.write_manifest("none", signatures)
    return folder, tmp_path / "harm.txt"


@pytest.mark.slow
def test_a_stranger_is_verified_only_where_trusted(stranger):
    folder, harm = stranger
    with pytest.raises(ValueError, match=r"operations that no export has: WriteFile; it is a prog"):
        keras_cpm.verify(folder)
    result = CliRunner().invoke(main, ["verify", str(folder)])
    assert result.exit_code == 1 and "with --trust only if you trust who made it" in result.output
    assert len(result.output.splitlines()) == 1 and not harm.exists()
    CliRunner().invoke(main, ["verify", str(folder), "--trust"])
    assert harm.read_text() == "harm"
