"""Sigmas: COCO's, estimates from people labelled twice or more, and files."""

import dataclasses
import json

import numpy as np
import pytest

import keras_cpm
from keras_cpm.evaluation.sigmas import COCO_SIGMAS, read_sigmas


def labelled(count, sigmas, seed, area=10_000.0):
    """Two-part people, each labelled with an error of the known sigma: `seed` is who labels."""
    truth = np.random.default_rng(0).uniform(0, 500, (count, 2, 2))
    draw = np.random.default_rng(seed)
    # sigma is of the distance, each coordinate has its share
    errors = draw.normal(0, 1, truth.shape) * np.array(sigmas)[:, None] * np.sqrt(area / 2)
    return [
        keras_cpm.Record(
            f"{number}.jpg",
            (600, 600),
            ("eye", "tail"),
            (keras_cpm.Person(points, [2, 2], attributes={"area": area}),),
        )
        for number, points in enumerate(truth + errors)
    ]


def test_cocos_are_those_of_pycocotools():
    from pycocotools.cocoeval import Params

    np.testing.assert_allclose(list(COCO_SIGMAS.values()), Params("keypoints").kpt_oks_sigmas)
    assert tuple(COCO_SIGMAS) == keras_cpm.COCO17.parts


@pytest.mark.parametrize("people", [2, 3, 5])
def test_an_estimate_finds_the_sigmas_that_were_put_in(people):
    """Of 1,000 people a sigma is known to 1.6 percent or less, however many labelled each."""
    several = [labelled(1000, (0.03, 0.09), seed) for seed in range(1, people + 1)]
    sigmas = keras_cpm.estimate_sigmas(several)
    assert sigmas["eye"] == pytest.approx(0.03, rel=0.06)
    assert sigmas["tail"] == pytest.approx(0.09, rel=0.06)


def test_two_labels_by_hand():
    """Of two labels d apart, d^2 / 2 over the area."""
    once = labelled(10, (0, 0), 0)
    person = [dataclasses.replace(r.people[0], keypoints=r.people[0].keypoints + 6) for r in once]
    again = [dataclasses.replace(r, people=(p,)) for r, p in zip(once, person, strict=True)]
    expected = np.sqrt(72 / 2 / 10_000)
    assert keras_cpm.estimate_sigmas([once, again])["eye"] == pytest.approx(expected, rel=1e-4)


def test_what_cannot_be_estimated_is_refused():
    once, again = labelled(12, (0.1, 0.1), 1), labelled(12, (0.1, 0.1), 2)
    for one_set in ([once], [], [once, once], [once, once, once], [once[:2], once[:2]]):
        with pytest.raises(ValueError, match=r"[Oo]ne set of labels cannot say how far people"):
            keras_cpm.estimate_sigmas(one_set)
    with pytest.raises(ValueError, match="12 and 11 people"):
        keras_cpm.estimate_sigmas([once, again[:11]])
    with pytest.raises(ValueError, match=r"record 0 is of 0.jpg and 11.jpg"):
        keras_cpm.estimate_sigmas([once, again[::-1]])
    with pytest.raises(ValueError, match=r"takes 10 people or more.*label more of \['eye', 'tail"):
        keras_cpm.estimate_sigmas([once[:9], again[:9]])
    # what one of them did not label does not count
    without = [
        dataclasses.replace(r, people=(dataclasses.replace(r.people[0], visible=[0, 2]),))
        for r in again
    ]
    with pytest.raises(ValueError, match=r"label more of \['eye'\]"):
        keras_cpm.estimate_sigmas([once, without])


def test_files_of_sigmas(tmp_path):
    path = tmp_path / "fish.json"
    path.write_text(json.dumps({"eye": 0.03}))
    assert read_sigmas(path) == {"eye": 0.03}
    for content, sentence in (("[1]", "must hold"), ("{", "must be JSON"), ("[" * 9999, "JSON")):
        path.write_text(content)
        with pytest.raises(ValueError, match=sentence):
            read_sigmas(path)
    with pytest.raises(FileNotFoundError, match="no file of sigmas"):
        read_sigmas(tmp_path / "nowhere.json")
