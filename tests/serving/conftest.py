"""A SavedModel, and what stands in for a server of it."""

import keras
import pytest

import keras_cpm


@pytest.fixture(scope="session")
def made(tiny_spec, tmp_path_factory):
    """Model, spec and folder of the SavedModel."""
    keras.utils.set_random_seed(1)
    model = keras_cpm.build_cpm(2, tiny_spec, backbone="light", stage_block="light", width=8)
    # so that it is sure of every part
    model.get_layer("Mconv6_stage2").bias.assign([0.8] * tiny_spec.num_channels)
    folder = tmp_path_factory.mktemp("served") / "cpm"
    # marks a place in any photograph
    spec = keras_cpm.PoseSpec(
        keras_cpm.Skeleton("person1", ("center",)),
        box_size=64,
        person_height=30.0,
        background=False,
    )
    network = {"backbone": "light", "stage_block": "light", "width": 8, "center_map": False}
    person = keras_cpm.build_cpm(1, spec, input_size="any", **network)
    person.get_layer("conv7_2_CPM").bias.assign([0.5])
    keras_cpm.export_saved_model(model, tiny_spec, folder, person=(person, spec))
    return model, tiny_spec, folder


@pytest.fixture(scope="session")
def double(made):
    """The double, and its addresses by "grpc" and "rest"."""
    pytest.importorskip("tensorflow_serving")
    from tests.serving.serving_double import serving

    with serving(made[2] / "1") as (double, grpc_url, rest_url):
        yield double, {"grpc": grpc_url, "rest": rest_url}
