"""Everybody in a clip keeps a number: points that move, and somebody who sees them."""

import pickle

import numpy as np
import pytest

from keras_cpm.inference.crowd import CrowdFollower
from keras_cpm.inference.people import FoundPerson
from keras_cpm.inference.smoothing import OneEuro
from keras_cpm.pose.pose import Pose

HEIGHT = 60.0
PARTS = ("head", "hand", "hip", "foot")
SHAPE = HEIGHT * np.array([[0.0, -0.5], [0.2, 0.0], [0.0, 0.1], [-0.1, 0.5]])


class Clip:
    """People by name, each a function of seconds to (x, y), or to `None` while out of sight.

    Of two who stand before each other only the one of the earlier name is seen.
    """

    def __init__(self, people, noise=0.0):
        self.people, self.searches, self.where = people, 0, {}
        self.noise, self.random = noise, np.random.default_rng(0)

    def look(self, frame, places):
        return [self.see(**place) for place in places]

    def search(self, frame):
        self.searches += 1
        return [self.see(place, HEIGHT) for place in self.where.values()]

    def see(self, center, person_height):
        """The person nearest to the middle."""
        assert person_height == pytest.approx(HEIGHT, rel=0.2)
        off = [(np.hypot(*np.subtract(place, center)), place) for place in self.where.values()]
        distance, place = min(off, default=(np.inf, center))
        score = 0.9 - distance / HEIGHT if distance < 0.5 * HEIGHT else 0.1
        points = place + SHAPE + self.random.normal(0, 1, SHAPE.shape) * self.noise
        pose = Pose(np.float32(points), np.full(len(PARTS), score, np.float32), PARTS)
        return FoundPerson(pose, score, tuple(center), person_height)

    def follow(self, *, seconds, rate=10, **options):
        """A frame: its seconds, and the people found there by the name of whom they are on."""
        follow, frames = CrowdFollower(self.look, self.search, **options), []
        for time in np.arange(round(seconds * rate)) / rate:
            self.where = {}
            for name, place in sorted(self.people.items()):
                at = place(time)
                if at and all(np.hypot(*np.subtract(at, o)) > 15 for o in self.where.values()):
                    self.where[name] = at
            named = {}
            for person in follow(None, time):
                off = {
                    name: np.abs(person.raw - place - SHAPE).mean()
                    for name, place in self.where.items()
                }
                name = min(off, key=off.get)
                assert off[name] < 0.1 * HEIGHT and name not in named
                named[name] = person
            assert [one.id for one in named.values()] == sorted(o.id for o in named.values())
            frames.append((time, named))
        self.follower = follow
        return frames


def ids(frames, name):
    return {people[name].id for _, people in frames if name in people}


def still(x, y=80.0):
    return lambda time: (x, y)


def walk(start, speed, y=80.0):
    return lambda time: (start + speed * time, y)


def gone(place, start, end):
    return lambda time: None if start - 1e-6 <= time < end - 1e-6 else place(time)


@pytest.mark.parametrize("rate", [10, 30])
@pytest.mark.parametrize("speed", [20, 40, 90, 150])
def test_who_cross_keep_their_ids(rate, speed):
    """One walks behind the other and is not seen meanwhile, for half a second at most."""
    way = 60 / speed
    clip = Clip(
        {"a": walk(120 - 60, speed), "b": walk(120 + 60, -speed, y=84.0)}, noise=0.01 * HEIGHT
    )
    frames = clip.follow(seconds=2 * way, rate=rate)
    assert {len(ids(frames, name)) for name in "ab"} == {1}
    assert ids(frames, "a") | ids(frames, "b") == {1, 2}
    assert len(frames[0][1]) == len(frames[-1][1]) == 2


@pytest.mark.parametrize("rate", [10, 30])
@pytest.mark.parametrize("seconds, expected", [(0.6, {1}), (1.5, {1, 2})])
@pytest.mark.parametrize("speed", [0, 60, -90])
def test_who_comes_back_within_a_second_is_known(rate, seconds, expected, speed):
    clip = Clip({"a": gone(walk(200, speed), 1.0, 1.0 + seconds)})
    frames = clip.follow(seconds=3.5, rate=rate)
    assert ids(frames, "a") == expected
    # and is seen again soon
    assert all(people for time, people in frames if time < 0.99 or time > 1.21 + seconds)


def test_a_newcomer_gets_a_new_id_in_half_a_second_and_nobody_an_old_one():
    clip = Clip(
        {
            "a": still(40.0),
            "b": gone(still(120.0), 0.0, 1.1),
            "c": gone(gone(still(200.0), 0.0, 2.0), 2.5, 4.0),
        }
    )
    frames = clip.follow(seconds=5.0)
    assert [ids(frames, name) for name in "abc"] == [{1}, {2}, {3, 4}]
    assert all("b" in people for time, people in frames if time >= 1.6)
    assert [one.to_dict()["id"] for one in frames[-1][1].values()] == [1, 2, 4]


def test_ids_do_not_depend_on_the_rate():
    def run(rate):
        clip = Clip(
            {
                "a": walk(40.0, 30),
                "b": gone(still(120.0, 20.0), 0.0, 0.7),
                "c": gone(walk(200.0, -20.0), 1.5, 3.0),
                "d": gone(still(20.0, 200.0), 2.0, 2.7),
            }
        )
        frames = clip.follow(seconds=4.0, rate=rate)
        return [ids(frames, name) for name in clip.people]

    assert run(10) == run(30) == run(25)


def test_people_are_looked_at_where_they_are_expected():
    """And the whole frame is searched twice a second, or not while nobody else may come."""
    clip = Clip({"a": walk(40, 60), "b": still(250.0)})
    frames = clip.follow(seconds=3.0, rate=30)
    assert clip.searches == 6
    assert not any(person.followed for person in frames[0][1].values())
    assert sum(person.followed for _, people in frames for person in people.values()) > 160
    middle = (SHAPE.min(axis=0) + SHAPE.max(axis=0)) / 2
    np.testing.assert_allclose(
        frames[59][1]["a"].center, middle + (40 + 60 * 59 / 30, 80.0), atol=0.1
    )
    clip.searches = 0
    assert {len(people) for _, people in clip.follow(seconds=3.0, most=2)} == {2}
    assert clip.searches == 1
    assert {len(people) for _, people in clip.follow(seconds=3.0, most=1)} == {1}
    assert clip.searches == 2


@pytest.mark.parametrize("rate", [10, 30])
def test_while_nobody_is_there_a_clip_is_searched_five_times_a_second(rate):
    clip = Clip({})
    assert not any(people for _, people in clip.follow(seconds=2.0, rate=rate))
    assert 9 <= clip.searches <= 10


def test_after_a_cut_everybody_is_new_in_the_very_frame():
    clip = Clip(
        {
            "a": gone(still(40.0, 40.0), 1.1, 9.0),
            "b": gone(still(90.0, 150.0), 1.1, 9.0),
            "c": gone(still(190.0, 110.0), 0.0, 1.1),
        }
    )
    frames = clip.follow(seconds=2.0)
    assert [ids(frames, name) for name in clip.people] == [{1}, {2}, {3}]
    assert [len(people) for _, people in frames] == [2] * 11 + [1] * 9


def test_of_two_on_one_pose_one_is_lost():
    """One walks up to the other and goes no further."""
    clip = Clip({"a": still(120.0), "b": lambda time: (min(40 + 70 * time, 120), 80.0)})
    frames = clip.follow(seconds=4.0)
    assert ids(frames, "a") == {1} and ids(frames, "b") == {2}
    assert all(list(people) == ["a"] for time, people in frames if time > 1.2)


def test_who_has_parts_of_somebody_else_is_no_newcomer():
    """As a look in the wrong size finds: a head that is known, and the rest elsewhere."""
    clip = Clip({"a": still(120.0)})
    parts = np.float32([120, 80] + SHAPE + [[1, 0], [0, 1], [0.5 * HEIGHT, 0], [HEIGHT, 0]])
    pose = Pose(parts, np.full(len(PARTS), 0.8, np.float32), PARTS)
    mixed, search = FoundPerson(pose, 0.8, (140.0, 80.0), HEIGHT), clip.search
    clip.search = lambda frame: [*(search(frame) if not clip.searches else []), mixed]
    found = clip.follow(seconds=1.0, threshold=0.3)
    assert [[person.id for person in people.values()] for _, people in found] == [[1]] * 10


def test_a_skeleton_of_one_part_will_do():
    pose = Pose(np.float32([[5, 6]]), np.float32([0.8]), ("dot",))
    dot = FoundPerson(pose, 0.8, (5.0, 6.0), 4.0)
    follow = CrowdFollower(lambda frame, places: [dot for _ in places], lambda frame: [dot])
    assert [[one.id for one in follow(None, time)] for time in (0.0, 0.1, 0.6)] == [[1]] * 3


def test_who_is_followed_may_be_less_sure_than_a_newcomer():
    clip = Clip({"a": still(120.0)})
    see, scores = clip.see, [0.9]
    clip.see = lambda *where, **place: _with_score(see(*where, **place), scores[0])
    follow = CrowdFollower(clip.look, clip.search, threshold=0.5)
    clip.where = {"a": (120.0, 80.0)}
    found = []
    for time, score in enumerate((0.9, 0.35, 0.25, 0.35, 0.55)):
        scores[0] = score
        found.append(len(follow(None, time / 10)))
    assert found == [1, 1, 0, 0, 1]


def _with_score(person, score):
    return FoundPerson(person.pose, score, person.center, person.person_height)


def test_each_is_smoothed_alone_and_anew_after_an_absence():
    clip = Clip({"a": still(60.0), "b": gone(walk(180.0, 20), 1.0, 1.3)}, noise=1.5)
    frames = clip.follow(seconds=3.0, smooth=OneEuro)
    raw, calm = (
        np.array([get(people["a"]) for _, people in frames])
        for get in (lambda one: one.raw, lambda one: one.pose.keypoints)
    )
    assert np.abs(np.diff(calm, axis=0)).mean() < 0.5 * np.abs(np.diff(raw, axis=0)).mean()
    back = next(people["b"] for time, people in frames if time > 1.25 and "b" in people)
    np.testing.assert_array_equal(back.raw, back.pose.keypoints)
    assert np.abs(frames[-1][1]["b"].raw - frames[-1][1]["b"].pose.keypoints).max() > 0.1


def test_memory_is_bounded():
    """Four hundred people who come and go leave nothing behind."""
    places = np.random.default_rng(0).uniform(0, 1e5, (400, 2))

    def somebody(time):
        return tuple(places[int(time / 0.5)])

    sizes, clip = [], Clip({"a": somebody})
    for seconds in (5.0, 200.0):
        frames = clip.follow(seconds=seconds)
        clip.follower.look = clip.follower.search = None
        sizes.append(len(pickle.dumps(clip.follower)))
    assert len(ids(frames, "a")) == 400
    assert sizes[1] < 2 * sizes[0]


def test_errors():
    clip = Clip({})
    follow = CrowdFollower(clip.look, clip.search)
    assert follow(None, 1.0) == []
    with pytest.raises(ValueError, match=r"`seconds` must be later than the last, 1\.0; `reset`"):
        follow(None, 1.0)
    follow.reset()
    assert follow(None, 0.0) == []
    with pytest.raises(ValueError, match=r"`most` must be at least 1\. Received: 0"):
        CrowdFollower(clip.look, clip.search, most=0)
