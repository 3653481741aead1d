"""A SavedModel, and what stands in for a server of it."""

import keras
import pytest

import keras_cpm


def _export(spec, folder, person=None):
    keras.utils.set_random_seed(1)
    model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    # so that it is sure of every part
    model.get_layer("Mconv6_stage2").bias.assign([0.8] * spec.num_channels)
    keras_cpm.export_saved_model(model, spec, folder, person=person)
    return model, spec, folder


@pytest.fixture(scope="session")
def made(tiny_spec, tmp_path_factory):
    """Model, spec and folder of the SavedModel."""
    return _export(tiny_spec, tmp_path_factory.mktemp("served") / "cpm")


@pytest.fixture(scope="session")
def made_for_everybody(tiny_spec, tmp_path_factory):
    """The same, and it finds people: a mark in any photograph."""
    spec = keras_cpm.PoseSpec(
        keras_cpm.Skeleton("person1", ("center",)),
        box_size=64,
        person_height=30.0,
        background=False,
    )
    network = {"backbone": "light", "stage_block": "light", "width": 8, "center_map": False}
    person = keras_cpm.build_cpm(1, spec, input_size="any", **network)
    person.get_layer("conv7_2_CPM").bias.assign([0.5])
    folder = tmp_path_factory.mktemp("served") / "everybody"
    return _export(tiny_spec, folder, (person, spec))


def _double(folder):
    pytest.importorskip("tensorflow_serving")
    from tests.serving.serving_double import serving

    with serving(folder / "1") as (double, grpc_url, rest_url):
        yield double, {"grpc": grpc_url, "rest": rest_url}


@pytest.fixture(scope="session")
def double(made):
    """The double, and its addresses by "grpc" and "rest"."""
    yield from _double(made[2])


@pytest.fixture(scope="session")
def double_for_everybody(made_for_everybody):
    yield from _double(made_for_everybody[2])
