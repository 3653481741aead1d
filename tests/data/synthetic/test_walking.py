"""A walk is labelled where it is drawn, and is one person's."""

import numpy as np

import keras_cpm
from keras_cpm.data.synthetic.walking import walking_frames


def test_the_walk_is_labelled_where_it_is_drawn():
    frames = list(walking_frames(2.0, 10, (180, 240), seed=3))
    assert [round(10 * t) for t, _, _ in frames] == list(range(20))
    for _, frame, person in frames:
        assert frame.shape == (180, 240, 3)
        assert (person.keypoints >= 0).all() and (person.keypoints < [240, 180]).all()
        x0, y0, x1, y1 = person.box
        assert (person.keypoints > [x0, y0]).all() and (person.keypoints < [x1, y1]).all()
    people = np.stack([person.keypoints for _, _, person in frames])
    # no part jumps, all of them move
    steps = np.hypot(*np.moveaxis(np.diff(people, axis=0), -1, 0))
    assert steps.max() < 0.2 * 180 and (np.ptp(people[..., 0], axis=0) > 20).all()
    # a leg is in front and then behind
    skeleton = keras_cpm.CPM14
    legs = people[:, skeleton.index("right_ankle")] - people[:, skeleton.index("left_ankle")]
    assert legs[:, 0].min() < -10 < 10 < legs[:, 0].max()


def test_a_colour_of_the_walk_stays():
    """The scene is one: what is beside the person does not change but for the camera's way."""
    first, *_, last = [frame for _, frame, _ in walking_frames(0.4, 10, (96, 128), seed=1)]
    shifts = [np.abs(first[:, s:].astype(int) - last[:, : 128 - s]).mean() for s in range(30)]
    back = [np.abs(last[:, s:].astype(int) - first[:, : 128 - s]).mean() for s in range(30)]
    assert min(shifts + back) < 12
