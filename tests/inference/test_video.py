"""A pose for every frame of a video or a camera, drawn and kept."""

import itertools
import threading
import time
import warnings

import cv2
import numpy as np
import pytest

import keras_cpm
from keras_cpm.data.synthetic.walking import walking_frames
from keras_cpm.inference import frames
from keras_cpm.inference.frames import frame_rate, read_frames
from keras_cpm.inference.video import as_json
from tests.inference.clips import Camera, write_uneven, write_walk


@pytest.fixture
def predictor():
    spec = keras_cpm.PoseSpec(box_size=64)
    return keras_cpm.Predictor(keras_cpm.build_cpm(1, spec, width=8), spec)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    path = tmp_path_factory.mktemp("walk") / "walk.avi"
    write_walk(path)
    return path


def test_a_camera_is_shown_recorded_and_ended(monkeypatch, predictor, tmp_path):
    """Three frames in 0.4 s: at 25 frames a second the recording has 11, and the window ends it."""
    times, shown, threads, clock = [0.0, 0.2, 0.4, 0.6], [], [], [0.0]
    of_a_file = cv2.VideoCapture

    class Timed(Camera):
        """Each frame comes when the one before has been shown."""

        def __init__(self, number):
            super().__init__(len(times))

        def read(self):
            number = len(times) - self.left
            while len(shown) < number:
                time.sleep(0.001)
            self.left -= 1
            if number == len(times):
                return False, None
            clock[0] = times[number]
            return True, np.full((96, 128, 3), 60 * number, np.uint8)

    def show(frame):
        shown.append(frame)
        threads.append(threading.current_thread())
        return len(shown) == 3

    monkeypatch.setattr("cv2.VideoCapture", lambda of: (Timed if of == 0 else of_a_file)(of))
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    path = tmp_path / "out.avi"
    sightings = keras_cpm.predict_video(0, predictor, show=show, draw=path)
    # one more may have been read before the window's answer was there
    assert [seconds for seconds, _ in sightings[:3]] == times[:3] and len(sightings) <= 4
    assert set(threads) == {threading.main_thread()}
    monkeypatch.undo()
    levels = [np.median(frame) for _, frame in read_frames(path)]
    assert np.round(np.array(levels[:11]) / 60).tolist() == [0] * 5 + [1] * 5 + [2]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_camera_is_let_go_and_what_it_saw_is_kept(monkeypatch, predictor, error):
    shown = []

    class Patient(Camera):
        """Its second and third frame come when the one before has been shown."""

        def read(self):
            while len(shown) < min(2, 1000 - self.left):
                time.sleep(0.001)
            return super().read()

    monkeypatch.setattr("cv2.VideoCapture", Patient)

    def show(frame):
        shown.append(frame)
        if len(shown) == 2:
            raise error

    if error is KeyboardInterrupt:
        assert len(keras_cpm.predict_video(1000, predictor, show=show)) == 2
        assert not Camera.open_ones
    else:
        # the traceback holds on to everything
        with pytest.raises(error) as _kept:
            keras_cpm.predict_video(1000, predictor, show=show)
        assert not Camera.open_ones


def test_a_camera_without_a_picture_is_said(monkeypatch, predictor):
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    with pytest.raises(ValueError, match="Camera 0 gives no picture"):
        keras_cpm.predict_video(0, predictor)


def test_a_video_is_not_written_over(walk, predictor):
    before = walk.read_bytes()
    with pytest.raises(ValueError, match="`draw` must not be the video itself"):
        keras_cpm.predict_video(walk, predictor, draw=walk.parent / "." / walk.name)
    assert walk.read_bytes() == before


def test_belief_maps_of_a_video_are_not_kept(walk, predictor):
    sightings = keras_cpm.predict_video(walk, predictor)
    assert {sighting.pose.beliefs for _, sighting in sightings} == {None}


def test_a_drawing_lasts_as_long_as_its_clip(predictor, tmp_path):
    """Frames of an uneven clip are repeated and left out by its own clock."""
    times = [0, 40, 80, 500, 1500, 3000]
    write_uneven(tmp_path / "a.mkv", times)
    sightings = keras_cpm.predict_video(tmp_path / "a.mkv", predictor, draw=tmp_path / "o.avi")
    assert [round(1000 * seconds) for seconds, _ in sightings] == times
    rate = frame_rate(tmp_path / "a.mkv")[0]
    drawn = list(read_frames(tmp_path / "o.avi"))
    assert drawn[-1][0] == pytest.approx(3.0, abs=2 / rate)
    for seconds, frame in drawn:
        # what is to be seen then, to the nearest frame of the drawing
        early, late = 1000 * (seconds - 0.51 / rate), 1000 * (seconds + 0.51 / rate)
        seen = [
            20 * number
            for number, (comes, goes) in enumerate(itertools.pairwise([*times, 4000]))
            if comes <= late and goes > early
        ]
        assert min(abs(np.median(frame) - level) for level in seen) < 6


def test_an_even_clip_is_drawn_frame_by_frame(walk, predictor, tmp_path):
    keras_cpm.predict_video(walk, predictor, draw=tmp_path / "o.avi")
    times = [seconds for seconds, _ in read_frames(tmp_path / "o.avi")]
    np.testing.assert_allclose(times, np.arange(15) / 10, atol=1e-3)


def test_a_clip_that_was_cut_off_is_said(walk, predictor, tmp_path):
    data = walk.read_bytes()
    (tmp_path / "half.avi").write_bytes(data[: len(data) // 2])
    with pytest.warns(UserWarning, match=r"half.avi declares 1.5 s, .*it may be cut off; copy"):
        sightings = keras_cpm.predict_video(tmp_path / "half.avi", predictor)
    assert 3 <= len(sightings) <= 12
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert len(keras_cpm.predict_video(walk, predictor)) == 15


@pytest.mark.slow
def test_everybody_is_followed_and_drawn(tmp_path):
    """Two drawn people, each walking in a half of the picture, the second from the fifth frame."""
    halves = [list(walking_frames(1.5, 10, (240, 240), seed=seed)) for seed in (7, 8)]
    writer, places = frames.Writer(tmp_path / "in.avi", 10), []
    for number, ((_, left, one), (_, right, other)) in enumerate(zip(*halves, strict=True)):
        x, y = other.center
        places.append([{"center": one.center, "person_height": one.height}])
        if number >= 5:
            places[-1].append({"center": (x + 240, y), "person_height": other.height})
        writer(np.hstack([left, right if number >= 5 else np.full_like(right, 128)]))
    writer.close()
    predictor, kept = keras_cpm.Predictor(*keras_cpm.load("cpm-light-lsp")), []

    def find(frame):
        return places[len(kept)]

    found = keras_cpm.follow_poses(
        tmp_path / "in.avi",
        predictor,
        find,
        person_threshold=0.4,
        smooth=False,
        draw=tmp_path / "out.avi",
        kept=kept,
    )
    assert found is kept and len(found) == 15
    assert [person.id for person in found[0][1]] == [1]
    assert {person.id for _, people in found for person in people} == {1, 2}
    assert sum(len(people) for _, people in found) >= 15 + 7
    for number, (_, people) in enumerate(found):
        for person in people:
            truth = halves[person.id - 1][number][2]
            points = truth.keypoints + ((person.id - 1) * 240, 0)
            off = np.linalg.norm(person.raw - points, axis=1) / truth.height
            assert np.median(off) < 0.2 and person.pose.beliefs is None
    entries = as_json(found)
    assert [entry["seconds"] for entry in entries] == [n / 10 for n in range(15)]
    assert [one["id"] for one in entries[-1]["people"]] == [1, 2]
    drawn, shown = (list(frames.read_frames(tmp_path / f"{name}.avi")) for name in ("out", "in"))
    changed = np.abs(drawn[2][1].astype(int) - shown[2][1])
    # the second is not drawn before it is there
    assert changed[:, :240].mean() > 2 * changed[:, 240:].mean()
