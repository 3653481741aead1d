"""Displacements are those of sure keypoints, and what is nowhere is far."""

import numpy as np

from keras_cpm.export.displacement import displacements


def test_unsure_keypoints_count_nothing():
    found = np.array([[[3, 4], [6, 8]], [[0, 1], [5, 12]]], float)
    scores = np.array([[0.3, 0.29], [0.0, 2.0]])
    assert displacements(found, np.zeros_like(found), scores).tolist() == [5.0, 13.0]
    assert displacements(found, found, np.zeros((2, 2))).size == 0


def test_a_keypoint_that_is_nowhere_is_as_far_as_can_be():
    for found in ([np.nan, 0], [0, np.inf]):
        assert displacements(np.array([found]), np.zeros((1, 2)), np.ones(1)).tolist() == [np.inf]
