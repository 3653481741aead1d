"""Several people in one photograph: where they are."""

import numpy as np
import pytest

import keras_cpm
from keras_cpm.inference.person_finder import find_people
from keras_cpm.models import bundle
from keras_cpm.models.forward import takes_center_map
from keras_cpm.models.person import PERSON_SPEC
from keras_cpm.pose import geometry
from tests.inference.glows import person_network, photograph
from tests.threads import answers_of_threads


def test_everybody_is_found_at_the_release_scale():
    spec = keras_cpm.released_spec("person")
    people = [(60.0, 90.0), (150.0, 40.0), (290.0, 120.0)]
    places = find_people(photograph(people), person_network(spec), spec)
    found = sorted(place["center"] for place in places)
    np.testing.assert_allclose(found, people, atol=1.0)
    # the pose network looks at scale 1 of the photograph that is 368 pixels high
    for place in places:
        matrix = geometry.network_from_image(*place.values(), keras_cpm.PoseSpec())
        assert float(matrix[0, 0]) == pytest.approx(368 / 184, rel=1e-6)


def test_what_is_not_sure_is_nobody():
    spec = keras_cpm.released_spec("person")
    dim = person_network(spec, gain=0.5)
    assert find_people(photograph([(60, 90)]), dim, spec) == []
    sure = find_people(photograph([(60, 90)]), dim, spec, threshold=0.2)
    assert len(sure) == 1


@pytest.mark.parametrize("size", [(368, 655), (100, 33), (8, 9), (400, 4)])
def test_any_photograph_fits_the_network(size):
    matrix, (height, width) = geometry.network_from_whole_image(size, keras_cpm.PoseSpec())
    width = int(width)
    assert height == 368 and width % 8 == 0
    corner = geometry.apply(matrix, [size[1] - 0.5, size[0] - 0.5]).numpy()
    np.testing.assert_allclose(corner[1], 367.5, atol=1e-3)
    assert width - 8 < corner[0] + 0.5 <= width + 1e-2


def test_a_pose_network_cannot_find_people(tiny_model, tiny_spec):
    with pytest.raises(ValueError, match="must be a person network"):
        find_people(np.zeros((64, 64, 3)), tiny_model, tiny_spec)


def test_a_panorama_is_refused():
    spec = keras_cpm.released_spec("person")
    with pytest.raises(ValueError, match="no wider than 10 times its height"):
        find_people(np.zeros((8, 100, 3)), person_network(spec), spec)


def test_a_zoom_says_how_tall_people_are():
    """Small glows are seen at the zoom at which they are as large as the network knows them."""
    matrix, (height, width) = geometry.network_from_whole_image((300, 400), PERSON_SPEC, zoom=2.0)
    assert (height, width) == (384, 512)
    np.testing.assert_allclose(geometry.apply(matrix, [399.5, 299.5]), [511.5, 383.5], atol=1e-3)
    found = find_people(
        photograph([(60, 90)]), person_network(PERSON_SPEC), PERSON_SPEC, zooms=(2,)
    )
    # of 184 pixels in height 384 are made, in which people are 80 tall
    assert [place["person_height"] for place in found] == [pytest.approx(80 * 184 / 384)]
    np.testing.assert_allclose(found[0]["center"], (60, 90), atol=1)


def test_of_several_zooms_the_surest_counts():
    people = [(60.0, 90.0), (230.0, 60.0)]
    network = person_network(PERSON_SPEC)
    found = find_people(photograph(people), network, PERSON_SPEC)
    alone = find_people(photograph(people), network, PERSON_SPEC, zooms=(2.0,))
    # a glow is brightest in the mean over the cells of the finest zoom
    assert found == alone and len(found) == 2


def test_the_shipped_finder_is_the_default_and_knows_no_box():
    name = bundle.default_person_bundle()
    model, spec = bundle.load(name)
    assert spec.num_parts == 1 and not takes_center_map(model)
    # nobody in an empty photograph of any shape
    for size in ((120, 300), (300, 120)):
        assert find_people(np.full((*size, 3), 120, np.uint8), model, spec) == []
    assert bundle.default_bundle() == "cpm-light"


@pytest.mark.slow
def test_threads_get_the_answers_of_one():
    network = person_network(PERSON_SPEC)
    crowds = [[(60.0, 90.0)], [(230.0, 60.0), (60.0, 90.0)], [(150.0, 40.0)]]
    questions = [photograph(crowd) for crowd in crowds]
    found = answers_of_threads(lambda image: find_people(image, network, PERSON_SPEC), questions)
    alone = [find_people(image, network, PERSON_SPEC) for image in questions]
    assert [len(places) for places in alone] == [1, 2, 1]
    for number, places in found:
        assert [place["center"] for place in places] == [
            pytest.approx(place["center"], abs=1e-3) for place in alone[number]
        ]
