"""`plan_training`: which network, settings and start a training has unless told otherwise."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.models.person import PERSON1, PERSON_NETWORK, PERSON_SPEC
from keras_cpm.training.recipes import MODERN, RELEASE

PAPER = {
    "stages": 6,
    "backbone": "cpm",
    "stage_block": "classic",
    "width": 128,
    "dropout": 0.5,
}
LIGHT = {"stages": 3, "backbone": "light", "stage_block": "light", "width": 64, "dropout": 0.0}


def with_parts(parts):
    person = keras_cpm.Person(np.zeros((len(parts), 2)), [2] * len(parts))
    return [keras_cpm.Record("a.jpg", None, parts, (person,))]


PEOPLE, CENTERS = with_parts(keras_cpm.CPM14.parts), with_parts(PERSON1.parts)


@pytest.fixture
def pose_bundle(tiny_spec, tmp_path):
    """An untrained bundle of poses that knows its network."""
    network = {"stages": 2, "backbone": "light", "stage_block": "light", "width": 8}
    model = keras_cpm.build_cpm(spec=tiny_spec, **network)
    keras_cpm.save_bundle(tmp_path / "pose", model, tiny_spec, network)
    return tmp_path / "pose"


def test_what_is_trained_unless_told_otherwise():
    plan = keras_cpm.plan_training(PEOPLE)
    assert (plan.spec, plan.network) == (keras_cpm.PoseSpec(), LIGHT)
    assert (plan.recipe, plan.augment) == (MODERN, keras_cpm.AugmentSpec())
    assert (plan.start, plan.initializer) == (None, "keras")


def test_changes_go_where_they_belong():
    changes = {"width": 8, "box_size": 64, "shift": 0.1, "epochs": 3, "stage_weights": (1, 2, 3)}
    plan = keras_cpm.plan_training(PEOPLE, recipe="release", **changes)
    assert plan.network == PAPER | {"width": 8}
    assert plan.spec == keras_cpm.PoseSpec(box_size=64)
    assert plan.augment == keras_cpm.AugmentSpec(shift=0.1)
    assert plan.recipe == dataclasses.replace(RELEASE, epochs=3, stage_weights=(1, 2, 3))
    assert plan.initializer == "release"


def test_the_recipe_of_the_release_is_the_papers_training_whole():
    plan = keras_cpm.plan_training(PEOPLE, recipe="release")
    assert (plan.spec, plan.network, plan.recipe) == (keras_cpm.PoseSpec(), PAPER, RELEASE)
    # turned by 40 degrees, 0.7 to 1.3 times as large, mirrored: Section 4.2
    augment = keras_cpm.AugmentSpec(rotation_degrees=40, scale_range=(0.7, 1.3), shift=0.0)
    assert plan.augment == augment and augment.flip_probability == 0.5
    assert plan.build().count_params() == 31_219_866


def test_every_change_has_one_place():
    """So that no name means two things."""
    kinds = (keras_cpm.PoseSpec, keras_cpm.AugmentSpec, keras_cpm.TrainSpec)
    names = [field.name for kind in kinds for field in dataclasses.fields(kind)]
    names += [*LIGHT, "center_map", "input_size", "share_context"]
    assert len(set(names)) == len(names)


def test_a_bundle_gives_its_box_its_peaks_and_its_network(pose_bundle, tiny_spec):
    plan = keras_cpm.plan_training(with_parts(keras_cpm.FLIC9.parts), init=pose_bundle)
    assert plan.spec == tiny_spec.replace(skeleton=keras_cpm.FLIC9)
    assert plan.network["width"] == 8 and plan.start == pose_bundle
    plan = keras_cpm.plan_training(PEOPLE, init=pose_bundle, part_sigma=9.0, stages=4)
    assert plan.spec == tiny_spec.replace(part_sigma=9.0) and plan.network["stages"] == 4


def test_a_bundle_without_its_network_is_taken_for_a_light_one(pose_bundle):
    (pose_bundle / "network.json").unlink()
    assert keras_cpm.plan_training(PEOPLE, init=pose_bundle).network == LIGHT


def test_skeletons_by_name_by_file_and_of_ones_own(tmp_path):
    fish = keras_cpm.Skeleton("fish", ("mouth", "left_fin", "right_fin"))
    fish.save(tmp_path / "fish.json")
    for skeleton in (fish, tmp_path / "fish.json"):
        assert keras_cpm.plan_training(PEOPLE, skeleton=skeleton).spec.skeleton == fish
    plan = keras_cpm.plan_training(PEOPLE, skeleton="flic9")
    assert plan.spec.skeleton == keras_cpm.FLIC9
    with pytest.raises(ValueError, match="name the `skeleton` to train"):
        keras_cpm.plan_training([*PEOPLE, *CENTERS])


def test_centers_alone_make_a_network_that_finds_people():
    plan = keras_cpm.plan_training(CENTERS, width=8)
    assert (plan.spec, plan.network) == (PERSON_SPEC, PERSON_NETWORK | {"width": 8})
    # what has no label is not there, unless told otherwise
    assert plan.recipe == dataclasses.replace(MODERN, missing="zero")
    assert keras_cpm.plan_training(CENTERS, missing="ignore").recipe == MODERN


def test_a_network_that_finds_people_takes_features_or_all_of_its_start(pose_bundle, tmp_path):
    plan = keras_cpm.plan_training(CENTERS, init=pose_bundle)
    assert plan.spec == PERSON_SPEC
    network = json.loads((pose_bundle / "network.json").read_text())
    assert plan.network == network | {"center_map": False, "input_size": "any"}
    finder = keras_cpm.plan_training(CENTERS, width=8, box_size=96)
    keras_cpm.save_bundle(tmp_path / "finder", finder.build(), finder.spec, finder.network)
    again = keras_cpm.plan_training(CENTERS, init=tmp_path / "finder")
    assert (again.spec, again.network) == (finder.spec, finder.network)


def test_weights_of_the_start_and_of_the_recipe(pose_bundle):
    lines = []
    plan = keras_cpm.plan_training(PEOPLE, init=pose_bundle, recipe="release")
    started, source = plan.build(say=lines.append), keras_cpm.load(pose_bundle)[0]
    assert lines == [f"Started from {pose_bundle}; new layers: none"]
    for ours, theirs in zip(started.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    by_recipe = keras_cpm.plan_training(PEOPLE, recipe="release", width=8, box_size=64).build()
    kernel = by_recipe.get_layer("conv1_stage1").kernel.numpy()
    assert 0.005 < kernel.std() < 0.015


def test_the_seed_of_the_recipe_is_that_of_the_weights():
    plans = [keras_cpm.plan_training(PEOPLE, width=8, box_size=64, seed=s) for s in (1, 1, 2)]
    first, same, other = (plan.build().get_weights()[0] for plan in plans)
    np.testing.assert_array_equal(first, same)
    assert not (first == other).all()


def test_notes_tell_what_may_surprise():
    assert keras_cpm.plan_training(PEOPLE, part_sigma=8.0).notes == []
    (sigma,) = keras_cpm.plan_training(PEOPLE).notes
    assert sigma.startswith("`part_sigma` is 7 pixels, less than a cell of the belief maps (8)")
    (mirror,) = keras_cpm.plan_training(CENTERS).notes
    assert mirror.startswith("No part has a mirror partner")
    assert keras_cpm.plan_training(CENTERS, flip_probability=0.0).notes == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "best"}, r"one of \['modern', 'release'\]. Received: recipe='best'"),
        ({"colour": 1}, "`changes` must be among .*, .width.]. Received: colour=1"),
        ({"skeleton": "snake"}, "snake"),
        ({"backbone": lambda image, **_: image}, "`backbone` must be a name"),
        ({"box_size": 100}, "multiple of 8"),
        ({"init": "nowhere"}, "no shipped bundle of that name"),
    ],
)
def test_mistakes(changes, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        keras_cpm.plan_training(PEOPLE, **changes)


@pytest.mark.slow
def test_an_interrupted_training_leaves_a_bundle_to_start_from(drawn_records, tmp_path):
    class Interrupted(Exception):
        pass

    def interrupt(epoch, logs):
        if epoch == 1:
            raise Interrupted

    changes = {"width": 8, "stages": 1, "box_size": 64, "batch_size": 3, "epochs": 2}
    plan = keras_cpm.plan_training(drawn_records, **changes)
    stop = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    with pytest.raises(Interrupted):
        plan.train(plan.build(), drawn_records, directory=tmp_path, verbose=0, callbacks=[stop])
    again = keras_cpm.plan_training(drawn_records, init=tmp_path)
    assert again.network == plan.network == LIGHT | {"width": 8, "stages": 1}
    lines = []
    again.build(say=lines.append)
    assert lines == [f"Started from {tmp_path}; new layers: none"]
