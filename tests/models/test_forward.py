"""One way to ask any model, whatever its inputs and outputs, in numbers and in graphs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_cpm
from keras_cpm.models.forward import (
    StageBeliefs,
    centered_map,
    check_form,
    stages_of,
    takes_center_map,
)
from keras_cpm.pose import codec

BOXES = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype("float32")


def build(stages, spec, **options):
    keras.utils.set_random_seed(0)
    return keras_cpm.build_cpm(stages, spec, width=8, **options)


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("center_map", [False, True])
def test_every_stage_of_every_model(tiny_spec, stages, center_map):
    model = build(stages, tiny_spec, center_map=center_map)
    assert takes_center_map(model) is center_map
    inputs = [BOXES]
    if center_map:
        center = codec.encode_center([31.5, 31.5], tiny_spec).numpy()[None]
        inputs.append(np.repeat(center, 3, axis=0))
    expected = stages_of(model(inputs, training=False))
    beliefs_of = StageBeliefs(model, tiny_spec)
    for boxes in (BOXES, tf.constant(BOXES)):
        found = beliefs_of(boxes)
        assert isinstance(found, list) and len(found) == stages
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_in_a_graph_of_any_number_of_boxes_the_center_map_is_a_constant(tiny_model, tiny_spec):
    beliefs_of = StageBeliefs(tiny_model, tiny_spec)
    function = tf.function(
        beliefs_of, input_signature=[tf.TensorSpec([None, 64, 64, 3], tf.float32)]
    ).get_concrete_function()
    center = centered_map(tiny_spec)
    constants = [op for op in function.graph.get_operations() if op.type == "Const"]
    values = [tf.make_ndarray(op.get_attr("value")) for op in constants]
    assert any(v.shape == center.shape and (v == center).all() for v in values)
    for boxes in (BOXES, BOXES[:1]):
        found, expected = function(tf.constant(boxes)), beliefs_of(boxes)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_dropout_sleeps(tiny_spec):
    beliefs_of = StageBeliefs(build(1, tiny_spec, dropout=0.5), tiny_spec)
    np.testing.assert_array_equal(beliefs_of(BOXES)[0], beliefs_of(BOXES)[0])


def test_another_way_to_run_it(tiny_model, tiny_spec):
    """What runs the model gets arrays, so that it can cut them into batches of its own."""
    seen = []

    def run(inputs):
        seen.append([(type(one), one.shape) for one in inputs])
        return "beliefs"

    assert StageBeliefs(tiny_model, tiny_spec, run=run)(BOXES) == ["beliefs"]
    assert seen == [[(np.ndarray, (3, 64, 64, 3)), (np.ndarray, (3, 64, 64, 1))]]


def test_images_of_any_size_where_no_one_is_meant(tiny_spec):
    model = build(2, tiny_spec, center_map=False, input_size="any")
    found = StageBeliefs(model, tiny_spec)(np.zeros((1, 32, 80, 3), "float32"))
    assert [tuple(stage.shape) for stage in found] == [(1, 4, 10, 15)] * 2


def odd_models():
    image, center = keras.Input((64, 64, 3)), keras.Input((64, 64, 1))
    maps = keras.layers.Conv2D(15, 1, strides=8)(image)
    fine = keras.layers.Conv2D(15, 1, strides=4)(image)
    flat = keras.layers.GlobalAveragePooling2D()(maps)
    first = keras.Model(image, maps)
    return {
        "return a plain list .* Received: a dict": keras.Model(image, {"stage1": maps}),
        "return a plain list .* Received: lists in a list": keras.Model(image, [[maps], [maps]]),
        "take a plain list .* Received: a dict": keras.Model({image.name: image}, maps),
        r"take images .* Received: \[\(None, 64, 64, 1\), \(None, 64, 64, 3\)\]": keras.Model(
            [center, image], maps
        ),
        r"return belief maps .* Received: \[\(None, 15\)\]": keras.Model(image, flat),
        "those of all stages of one size": keras.Model(image, [maps, fine]),
        "functional keras.Model.* Received: Own": type(
            "Own", (keras.Model,), {"call": lambda self, x: first(x)}
        )(),
        "functional keras.Model.* Received: function": lambda boxes: boxes,
    }


def test_models_of_another_form_are_refused_in_one_sentence(tiny_spec, tmp_path):
    for message, model in odd_models().items():
        for use in (
            lambda model: keras_cpm.Predictor(model, tiny_spec),
            lambda model: keras_cpm.save_bundle(tmp_path, model, tiny_spec),
            lambda model: keras_cpm.find_people(np.zeros((64, 64, 3)), model, tiny_spec),
        ):
            with pytest.raises(ValueError, match=f"^`model` must .*{message}"):
                use(model)


def test_a_model_in_a_model_is_a_model(tiny_spec):
    inner = build(2, tiny_spec, center_map=False)
    image = keras.Input((64, 64, 3))
    outer = keras.Model(image, inner(keras.layers.Rescaling(1.0)(image)))
    check_form(outer)
    found = keras_cpm.Predictor(outer, tiny_spec)(BOXES[0])
    expected = keras_cpm.Predictor(inner, tiny_spec)(BOXES[0])
    np.testing.assert_allclose(found.beliefs[-1], expected.beliefs[-1], atol=1e-6)
