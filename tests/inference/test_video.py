"""Video: a person is followed from frame to frame, and what comes out is calm and complete."""

import csv
import json
import threading
import time
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.data.synthetic.walking import walking_frames
from keras_cpm.inference.frames import (
    Writer,
    frame_rate,
    is_video,
    pipelined,
    read_frames,
    show_in_window,
)
from keras_cpm.inference.smoothing import OneEuro
from keras_cpm.inference.tracking import Follower
from keras_cpm.pose.pose import Pose


class TestOneEuro:
    times = np.arange(0, 4, 0.04)

    def run(self, tracks, smooth=None, height=100.0):
        smooth = smooth or OneEuro()
        return np.array(
            [smooth(points, t, height) for points, t in zip(tracks, self.times, strict=True)]
        )

    def test_what_rests_stays(self):
        tracks = np.tile([[3.0, 4.0], [50.0, 60.0]], (len(self.times), 1, 1))
        np.testing.assert_array_equal(self.run(tracks), tracks)

    def test_jitter_of_a_person_at_rest_is_a_fraction(self):
        noise = np.random.default_rng(0).normal(0, 0.5, (len(self.times), 14, 2))
        calm = self.run(50 + noise)
        assert np.abs(np.diff(calm, axis=0)).mean() < 0.4 * np.abs(np.diff(noise, axis=0)).mean()

    def test_a_walk_lags_by_less_than_two_frames(self):
        """A body height a second, which is a brisk walk."""
        x = 100 * self.times
        tracks = np.stack([x, np.zeros_like(x)], -1)[:, None]
        behind = (tracks - self.run(tracks))[-25:, 0, 0] / 100
        assert 0 < behind.max() < 2 * 0.04

    def test_a_noisy_walk_of_ten_seconds_is_calmed(self):
        """Half the jitter at most; what a network adds is about a hundredth of a person."""
        walk = list(walking_frames(10, 25, (96, 128)))
        truth = np.array([person.keypoints for _, _, person in walk])
        height = walk[0][2].height
        raw = truth + np.random.default_rng(0).normal(0, 0.01 * height, truth.shape)
        smooth = OneEuro()
        calm = np.array(
            [smooth(points, t, height) for points, (t, *_) in zip(raw, walk, strict=True)]
        )
        jitter = [np.abs(np.diff(points - truth, 2, axis=0)).mean() for points in (calm, raw)]
        assert jitter[0] <= 0.5 * jitter[1]
        # nearest to the walk of less than two frames ago
        late = [np.abs(calm[4:] - truth[4 - by : len(truth) - by]).mean() for by in range(5)]
        assert np.argmin(late) < 2

    def test_size_of_the_picture_does_not_matter(self):
        tracks = np.random.default_rng(1).normal(0, 5, (len(self.times), 3, 2)).cumsum(0)
        np.testing.assert_allclose(
            3 * self.run(tracks), self.run(3 * tracks, height=300.0), atol=1e-3
        )

    def test_reset_takes_the_next_as_it_is(self):
        smooth = OneEuro()
        smooth(np.zeros((1, 2)), 0.0, 1.0)
        smooth.reset()
        assert smooth(np.full((1, 2), 9.0), 0.0, 1.0).tolist() == [[9, 9]]

    def test_errors(self):
        smooth = OneEuro()
        smooth(np.zeros((1, 2)), 1.0, 1.0)
        with pytest.raises(ValueError, match=r"`seconds` must be later than the last, 1\.0"):
            smooth(np.zeros((1, 2)), 1.0, 1.0)
        with pytest.raises(ValueError, match="`height` must be positive"):
            smooth(np.zeros((1, 2)), 2.0, 0.0)
        for arguments in ({"min_cutoff": 0}, {"beta": -1}, {"speed_cutoff": 0}):
            with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be"):
                OneEuro(**arguments)


class Seer:
    """A predictor that sees the truth, if it looks near enough to it."""

    parts = ("a", "b", "c", "d")
    shape = np.array([[-20.0, -50.0], [20.0, -50.0], [-20.0, 50.0], [20.0, 50.0]])

    def __init__(self):
        self.truth, self.looked = np.zeros(2), []

    def __call__(self, frame, center=None, person_height=None):
        self.looked.append((center, person_height))
        middle = np.array([160.0, 120.0]) if center is None else np.array(center)
        near = np.hypot(*(middle - self.truth)) < 60
        return Pose(self.truth + self.shape, np.full(4, 0.9 if near else 0.1), self.parts)


FRAME = np.zeros((240, 320, 3), np.uint8)


class TestFollower:
    def test_looks_where_the_person_was(self):
        seer = Seer()
        follow = Follower(seer)
        for number in range(40):
            seer.truth = np.array([150 + 3.0 * number, 120])
            sighting = follow(FRAME, number / 25)
            assert sighting.followed is (number > 0)
            np.testing.assert_array_equal(sighting.raw, seer.truth + seer.shape)
        assert seer.looked[0] == (None, None)
        np.testing.assert_allclose(seer.looked[-1][0], [150 + 3 * 38, 120], atol=1e-6)
        # what stands 100 pixels from part to part is as tall as that says
        assert seer.looked[-1][1] == pytest.approx(100 / 1.04)

    def test_the_height_follows_slowly(self):
        seer = Seer()
        seer.truth = np.array([160.0, 120.0])
        follow = Follower(seer)
        follow(FRAME, 0.0)
        seer.shape = seer.shape * 0.5
        follow(FRAME, 0.1)
        follow(FRAME, 0.2)
        assert 0.8 * 100 / 1.04 < seer.looked[-1][1] < 0.95 * 100 / 1.04

    def test_who_is_lost_is_looked_for_in_the_same_frame(self):
        seer, asked = Seer(), []

        def find(frame):
            asked.append(1)
            return [{"center": tuple(seer.truth), "person_height": 96.0}]

        follow = Follower(seer, find=find, smooth=OneEuro())
        seer.truth = np.array([60.0, 120.0])
        assert follow(FRAME, 0.0).pose.scores[0] > 0.5 and len(asked) == 1
        assert follow(FRAME, 0.1).followed and len(asked) == 1
        seer.truth = np.array([260.0, 120.0])
        sighting = follow(FRAME, 0.2)
        assert len(asked) == 2 and not sighting.followed and sighting.pose.scores[0] > 0.5
        # not smoothed across the jump
        np.testing.assert_allclose(sighting.pose.keypoints, sighting.raw)

    def test_nobody_is_followed_where_nobody_is(self):
        seer = Seer()
        seer.truth = np.array([1000.0, 1000.0])
        follow = Follower(seer)
        assert not any(follow(FRAME, t / 10).followed for t in range(3))
        assert seer.looked == [(None, None)] * 3


def test_items_are_worked_on_in_order_while_others_wait():
    started, written = [], []
    assert pipelined(range(50), lambda i: started.append(i) or 2 * i, written.append) == 50
    assert started == list(range(50)) and written == [2 * i for i in range(50)]


def test_what_is_not_needed_yet_is_not_read():
    read, gate = [], threading.Event()

    def frames():
        for number in range(100):
            read.append(number)
            if number == 20:
                gate.set()
            yield number

    def work(item):
        if item == 0:
            assert not gate.wait(0.5), "all frames were read before the first was done"
        return item

    pipelined(frames(), work, lambda item: None)


def test_of_a_camera_only_the_newest_waits():
    """While the first is worked on, the others come; the last of them is what is worked on next."""
    all_read, worked = threading.Event(), []

    def frames():
        yield "first"
        while not worked:
            time.sleep(0.001)
        yield from ("second", "third", "fourth")
        all_read.set()

    def work(item):
        worked.append(item)
        assert all_read.wait(10)
        return item

    written = []
    assert pipelined(frames(), work, written.append, live=True) == 2
    assert worked == written == ["first", "fourth"]


@pytest.mark.parametrize("where", ["reading", "working", "writing"])
def test_an_error_ends_it_and_is_raised(where):
    def fail(here, item):
        if where == here and item == 20:
            raise ValueError(f"{here} {item}")
        return item

    before = threading.active_count()
    with pytest.raises(ValueError, match=f"{where} 20"):
        pipelined(
            (fail("reading", i) for i in range(1000)),
            lambda item: fail("working", item),
            lambda item: fail("writing", item),
        )
    assert threading.active_count() == before


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_video_comes_back_with_its_clock(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    writer = Writer(path, 12.5)
    for number in range(20):
        writer(np.full((64, 96, 3), (10 * number, 0, 200 - 10 * number), np.uint8))
    writer.close()
    assert is_video(path) and not is_video("a.jpg")
    assert frame_rate(path) == (12.5, 20)
    times, frames = zip(*read_frames(path), strict=True)
    np.testing.assert_allclose(times, np.arange(20) / 12.5, atol=1e-3)
    for number, frame in enumerate(frames):
        assert frame.shape == (64, 96, 3)
        # red grows, blue falls: the channels are RGB
        np.testing.assert_allclose(frame.mean((0, 1)), [10 * number, 0, 200 - 10 * number], atol=12)


def test_what_is_no_video_is_said(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match="cannot be read"):
        next(read_frames(tmp_path / "a.mp4"))
    with pytest.raises(FileNotFoundError, match="There is no video at"):
        next(read_frames(tmp_path / "b.mp4"))
    with pytest.raises(ValueError, match="Camera 97 cannot be opened"):
        next(read_frames(97))
    with pytest.raises(ValueError, match="must end in one of"):
        Writer(tmp_path / "a.png", 25)


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


def test_a_camera_is_shown_recorded_and_ended(monkeypatch, seer, tmp_path):
    """Three frames in 0.4 s: at 25 frames a second the recording has 11, and the window ends it."""
    times, shown, threads = [0.0, 0.2, 0.4, 0.6], [], []

    def camera(source):
        assert source == 0
        for number, seconds in enumerate(times):
            while len(shown) < number:
                time.sleep(0.001)
            yield seconds, np.full((96, 128, 3), 60 * number, np.uint8)

    def show(frame):
        shown.append(frame)
        threads.append(threading.current_thread())
        return len(shown) == 3

    monkeypatch.setattr("keras_cpm.inference.frames.read_frames", camera)
    path = tmp_path / "out.avi"
    sightings = keras_cpm.predict_video(0, seer, show=show, draw=path)
    # one more may have been read before the window's answer was there
    assert [seconds for seconds, _ in sightings[:3]] == times[:3] and len(sightings) <= 4
    assert set(threads) == {threading.main_thread()}
    monkeypatch.undo()
    levels = [np.median(frame) for _, frame in read_frames(path)]
    assert np.round(np.array(levels[:11]) / 60).tolist() == [0] + [1] * 5 + [2] * 5


class Camera:
    """Stands for OpenCV's; every camera has the number of frames that is its number."""

    open_ones: ClassVar = set()

    def __init__(self, number):
        self.left = number
        self.open_ones.add(self)

    def isOpened(self):
        return True

    def get(self, _):
        return 0.0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.zeros((48, 64, 3), np.uint8)

    def release(self):
        self.open_ones.discard(self)


@pytest.fixture
def seer():
    spec = keras_cpm.PoseSpec(box_size=64)
    return keras_cpm.Predictor(keras_cpm.build_cpm(1, spec, width=8), spec)


def test_a_camera_with_a_coarse_clock_has_times_that_grow(monkeypatch):
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    monkeypatch.setattr(time, "perf_counter", lambda: 5.0)
    seconds = [second for second, _ in read_frames(4)]
    assert seconds == pytest.approx([0, 0.04, 0.08, 0.12])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_camera_is_let_go_and_what_it_saw_is_kept(monkeypatch, seer, error):
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    shown = []

    def show(frame):
        shown.append(frame)
        if len(shown) == 2:
            raise error

    if error is KeyboardInterrupt:
        assert len(keras_cpm.predict_video(1000, seer, show=show)) == 2
        assert not Camera.open_ones
    else:
        # the traceback holds on to everything
        with pytest.raises(error) as _kept:
            keras_cpm.predict_video(1000, seer, show=show)
        assert not Camera.open_ones


def test_a_camera_without_a_picture_is_said(monkeypatch, seer):
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    with pytest.raises(ValueError, match="Camera 0 gives no picture"):
        keras_cpm.predict_video(0, seer)


def test_without_a_screen_there_is_a_sentence(monkeypatch):
    """OpenCV would end the process."""
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RuntimeError, match="There is no screen"):
        show_in_window(np.zeros((4, 4, 3), np.uint8))


def test_without_a_screen_a_camera_can_be_written_down(monkeypatch, tmp_path):
    monkeypatch.setattr("cv2.VideoCapture", Camera)
    monkeypatch.setattr("keras_cpm.inference.frames.has_display", lambda: False)
    words = ["predict", "--camera", "3", "--json", str(tmp_path / "out.json")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0 and "There is no screen; Ctrl-C ends" in result.output
    (frames,) = json.loads((tmp_path / "out.json").read_text()).values()
    assert 1 <= len(frames) <= 3


def test_a_video_is_not_written_over(walk, seer):
    before = walk[0].read_bytes()
    with pytest.raises(ValueError, match="`draw` must not be the video itself"):
        keras_cpm.predict_video(walk[0], seer, draw=walk[0].parent / "." / walk[0].name)
    assert walk[0].read_bytes() == before


def test_belief_maps_of_a_video_are_not_kept(walk, seer):
    sightings = keras_cpm.predict_video(walk[0], seer)
    assert {sighting.pose.beliefs for _, sighting in sightings} == {None}


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    path = tmp_path_factory.mktemp("walk") / "walk.avi"
    writer, people = Writer(path, 10), []
    for _, frame, person in walking_frames(1.5, 10, (180, 240), seed=3):
        writer(frame)
        people.append(person)
    writer.close()
    return path, people


class TestVerb:
    def run(self, *words):
        return CliRunner().invoke(main, ["predict", *(str(word) for word in words)])

    def test_a_video_is_drawn_and_written_down(self, walk, tmp_path):
        path, people = walk
        outputs = [tmp_path / name for name in ("out.mp4", "out.json", "out.csv")]
        flags = zip(("--draw", "--json", "--csv"), outputs, strict=True)
        result = self.run(path, *(word for pair in flags for word in pair))
        assert result.exit_code == 0, result.output
        assert (
            result.output.lstrip().startswith("15 frames") and result.output.count("Written") == 3
        )
        drawn, shown = list(read_frames(outputs[0])), list(read_frames(path))
        assert len(drawn) == 15
        changed = [
            np.abs(a[1].astype(int) - b[1]).mean() for a, b in zip(drawn, shown, strict=True)
        ]
        assert min(changed) > 0.1
        (frames,) = json.loads(outputs[1].read_text()).values()
        assert len(frames) == 15 and frames[3]["seconds"] == pytest.approx(0.3)
        rows = list(csv.DictReader(outputs[2].open()))
        assert len(rows) == 15 * 14
        row = rows[3 * 14 + 1]
        point = frames[3]["keypoints"][row["part"]]
        assert (row["frame"], row["seconds"]) == ("3", "0.3000")
        assert (float(row["x"]), float(row["y"])) == (point["x"], point["y"])
        # the head is where it was drawn
        head = frames[-1]["keypoints"]["head"]
        off = np.hypot(*(people[-1].keypoints[0] - [head["x"], head["y"]]))
        assert off < 0.15 * people[-1].height

    def test_names_are_written_into_the_video(self, walk, tmp_path):
        means = []
        for number, flags in enumerate(([], ["--names"])):
            path = tmp_path / f"{number}.avi"
            assert self.run(walk[0], "--draw", path, *flags).exit_code == 0
            means.append(np.mean([frame.mean() for _, frame in read_frames(path)]))
        assert abs(means[1] - means[0]) > 0.2

    def test_people_are_looked_for_unless_the_model_is_ones_own(self, walk, monkeypatch, tmp_path):
        looked, person = [], walk[1][0]
        place = {"center": person.center, "person_height": person.height}
        monkeypatch.setattr(
            "keras_cpm.inference.person_finder.find_people",
            lambda frame, *_: looked.append(frame) or [place],
        )
        assert self.run(walk[0]).exit_code == 0
        assert looked[0].shape == (180, 240, 3) and (count := len(looked)) < 15
        model = keras_cpm.models.bundle.default_bundle()
        assert self.run(walk[0], "--model", model).exit_code == 0 and len(looked) == count
        assert self.run(walk[0], "--model", model, "--people", "auto").exit_code == 0
        assert len(looked) == 2 * count

    def test_smoothing_can_be_left_out(self, walk, tmp_path):
        both = []
        for number, flag in enumerate(("--smooth", "--no-smooth")):
            path = tmp_path / f"{number}.json"
            assert self.run(walk[0], flag, "--json", path).exit_code == 0
            (frames,) = json.loads(path.read_text()).values()
            both.append(frames)
        assert both[0][0] == both[1][0] and both[0][5] != both[1][5]

    @pytest.mark.parametrize(
        "words, sentence",
        [
            ((), "Give IMAGES, or --camera"),
            (("a.jpg", "--camera", 0), "Give IMAGES, or --camera"),
            (("a.mp4", "b.mp4"), "A video goes alone"),
            (("a.mp4", "--box", 1, 2, 3, 4), "A video goes alone"),
            (("a.mp4", "--people", "boxes.json"), "A video goes alone"),
            (("a.mp4", "--height", 5), "A video goes alone"),
            (("a.mp4", "--names"), "--names needs --draw"),
            (("a.jpg", "--csv", "a.csv"), "--csv needs a video"),
            (("a.jpg", "--names"), "--names needs --draw"),
        ],
    )
    def test_what_does_not_go_together(self, words, sentence):
        result = self.run(*words)
        assert result.exit_code == 2 and sentence in result.output

    def test_a_camera_that_is_not_there(self):
        result = self.run("--camera", 97)
        assert result.exit_code == 1 and "Camera 97 cannot be opened" in result.output
