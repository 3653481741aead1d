"""How the page in `examples/web` finds everybody, against ours, without a browser."""

import json

import numpy as np
import pytest

from keras_cpm import PoseSpec
from keras_cpm.inference import tracking
from keras_cpm.models import person
from keras_cpm.pose import codec, geometry, lattice, multiscale, search
from tests.examples.test_web import mapped, needs_node

# a network that sees people, each with parts and scores that fade in a wrong size
SEARCH = """
const lookOf = (people) => ({x, y, height}) => {
  const far = (one) => Math.hypot(one.x - x, one.y - y);
  const one = people.reduce((best, other) => (far(other) < far(best) ? other : best));
  const fade = 0.3 * Math.abs(Math.log(height / one.height));
  const at = ([dx, dy]) => [one.x + one.height * dx, one.y + one.height * dy];
  return {keypoints: one.parts.flatMap(at), scores: one.scores.map((score) => score - fade)};
};
const answer = ({people, places, image}) => {
  const look = lookOf(people);
  return everybody(look, look, places, image);
};
"""


@needs_node
def test_the_numbers_are_ours():
    script = "const answer = () => Object.fromEntries(Object.entries(people));"
    (found,) = mapped(script, [None])
    numbers = {name: value for name, value in found.items() if name.isupper()}
    followed = numbers.pop("FOLLOWED")
    assert (followed["SURE"], followed["ENOUGH"]) == (tracking.SURE, tracking.ENOUGH)
    rooms = (person, lattice, search)
    ours = {n: v for room in rooms for n, v in vars(room).items() if n in numbers}
    assert len(numbers) == 16
    assert numbers == json.loads(json.dumps(ours))


@needs_node
def test_of_tiles_each_cell_is_seen_well_inside_of_one_or_at_the_edge_of_the_photograph():
    script = """
    const answer = ([rows, columns]) => stitch(rows, columns, 24, (top, left) =>
      Array.from({length: 576}, (_, i) => {
        const [row, column] = [Math.floor(i / 24), i % 24];
        const margin = (cell, first, all) =>
          Math.min(first === 0 ? 99 : cell, first + 24 >= all ? 99 : 23 - cell);
        const seen = Math.min(margin(row, top, rows), margin(column, left, columns)) >= 4;
        return seen ? 1000 * (top + row) + left + column : -1;
      })).then((map) => Array.from(map));
    """
    cases = [(9, 5), (24, 24), (25, 41), (48, 72), (34, 203)]
    for (rows, columns), answer in zip(cases, mapped(script, cases), strict=True):
        cells = 1000 * np.arange(rows)[:, None] + np.arange(columns)
        np.testing.assert_array_equal(answer, cells.ravel())


@needs_node
def test_the_places_are_ours():
    script = """
    const answer = ({maps, image, spec}) => surestPlaces(maps.flatMap(({beliefs, zoom}) =>
      placesInZoom(beliefs.flat(), beliefs.length, beliefs[0].length, image, zoom, spec)));
    """
    random, cases, expected = np.random.default_rng(0), [], []
    for height, width in ((60, 90), (333, 517), (801, 301)):
        maps, ours = [], []
        for zoom in person.ZOOMS:
            _, size = geometry.network_from_whole_image(
                (height, width), person.PERSON_SPEC, zoom=zoom
            )
            beliefs = random.uniform(-0.3, 0.6, (-(-int(size[0]) // 8), int(size[1]) // 8)) ** 3
            # of equal pixels the first counts
            beliefs[3:6, 1:4] = np.diag([0.0, 0.9, 0.0])
            maps.append({"beliefs": beliefs.tolist(), "zoom": zoom})
            limits = {"zoom": zoom, "threshold": person.POSSIBLE}
            ours.append(
                search.places_in_zoom(beliefs, (height, width), person.PERSON_SPEC, **limits)
            )
        fields = json.loads(person.PERSON_SPEC.to_json())
        image = {"height": height, "width": width}
        cases.append({"maps": maps, "image": image, "spec": fields})
        expected.append(search.surest_places(ours))
    for answer, ours in zip(mapped(script, cases), expected, strict=True):
        assert len(answer) == len(ours.beliefs) > 5
        found = np.array([[one["x"], one["y"], one["height"], one["belief"]] for one in answer])
        theirs = np.column_stack([ours.centers, ours.heights, ours.beliefs])
        # of float32, equal beliefs need not be equal: their order is no one's
        order = [np.lexsort(np.round(rows, 2).T) for rows in (found, theirs)]
        np.testing.assert_allclose(found[order[0]], theirs[order[1]], rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(found[:, 3], theirs[:, 3], atol=1e-5)


@needs_node
def test_a_peak_is_ours():
    script = "const answer = ([map, rows, columns]) => findPeaks(map, rows, columns, 8, 0.2);"
    random = np.random.default_rng(1)
    maps = [random.uniform(-0.5, 1, shape) for shape in ((1, 1), (1, 6), (5, 1), (9, 7), (24, 40))]
    answers = mapped(script, [[one.ravel().tolist(), *one.shape] for one in maps])
    for one, answer in zip(maps, answers, strict=True):
        peaks, heights = multiscale.find_peaks(one, person.PERSON_SPEC, threshold=0.2)
        np.testing.assert_allclose([peak["belief"] for peak in answer], heights, atol=1e-5)
        found = np.reshape([(peak["x"], peak["y"]) for peak in answer], (-1, 2))
        np.testing.assert_array_equal(found, peaks)


def scenes(count):
    """Crowds that are hard to tell apart, as `SEARCH` takes them."""
    random = np.random.default_rng(2)
    for _ in range(count):
        people = [
            {
                "x": random.uniform(-10, 130),
                "y": random.uniform(0, 90),
                "height": random.uniform(20, 80),
                "parts": random.normal(0, 0.15, (5, 2)).tolist(),
                "scores": random.uniform(0.1, 1.2, 5).tolist(),
            }
            for _ in range(12)
        ]
        heights = [one["height"] * random.uniform(0.6, 1.6) for one in people]
        places = [
            {"x": one["x"] + random.normal(0, 5), "y": one["y"], "height": height}
            for one, height in zip(people, heights, strict=True)
        ]
        yield {"people": people, "places": places, "image": {"width": 120, "height": 90}}


def look_of(people):
    """The `lookOf` of `SEARCH`."""

    def one(center, height):
        x, y = center
        best = min(people, key=lambda p: np.hypot(p["x"] - x, p["y"] - y))
        keypoints = np.add((best["x"], best["y"]), best["height"] * np.array(best["parts"]))
        fade = 0.3 * abs(np.log(height / best["height"]))
        return np.column_stack([keypoints, np.array(best["scores"]) - fade])

    def look(centers, heights):
        heights = np.asarray(heights)
        rows = zip(np.asarray(centers), np.reshape(heights, (len(heights), -1)), strict=True)
        seen = np.float32([[one(center, height) for height in row] for center, row in rows])
        seen = seen.reshape(*heights.shape, -1, 3)
        return seen[..., :2], seen[..., 2]

    return look


@needs_node
def test_the_search_is_ours():
    cases, total = list(scenes(40)), 0
    for case, answer in zip(cases, mapped(SEARCH, cases), strict=True):
        columns = np.float32([[one[k] for k in ("x", "y", "height")] for one in case["places"]])
        places = search.Places(columns[:, :2], columns[:, 2], np.zeros(len(columns)))
        limits = {"threshold": person.THRESHOLD, "most": person.MOST_PEOPLE}
        look = look_of(case["people"])
        seen = search.everybody(look, look, places, (90, 120), **limits)
        found = [[one["score"], one["x"], one["y"], one["height"]] for one in answer]
        ours = np.column_stack([seen.person_scores, seen.centers, seen.heights])
        np.testing.assert_allclose(np.reshape(found, (-1, 4)), ours, rtol=1e-4, atol=1e-3)
        keypoints = np.reshape([one["keypoints"] for one in answer], (-1, 5, 2))
        np.testing.assert_allclose(keypoints, seen.keypoints, atol=1e-3)
        total += len(answer)
    assert 40 < total < 40 * 12
    assert mapped(SEARCH, [{**cases[0], "places": []}]) == [[]]


@needs_node
def test_where_a_camera_looks_next_is_ours():
    script = "const answer = ([pose, before]) => nextPlace(pose, before);"
    keypoints = np.random.default_rng(3).uniform(0, 90, (10, 2))
    for sure, before in ((10, None), (6, 50.0), (4, 20.0), (3, 20.0)):
        scores = [0.31] * sure + [0.29] * (10 - sure)
        pose = {"keypoints": keypoints.ravel().tolist(), "scores": scores}
        (answer,) = mapped(script, [[pose, before]])
        if sure < 4:  # of ten parts
            assert answer is None
            continue
        box = search.boxes_around(keypoints[:sure], np.ones(sure)).numpy()
        ours = tracking.next_place(box, before)
        np.testing.assert_allclose([answer["x"], answer["y"]], ours["center"], rtol=1e-5)
        assert answer["height"] == pytest.approx(ours["person_height"], rel=1e-5)


@needs_node
def test_the_average_of_several_sizes_and_its_pose_are_ours():
    script = """
    const answer = ({beliefs, zooms, spec}) => {
      const merged = mergeZooms(beliefs.map((one) => one.flat(2)), zooms, spec);
      return {merged: [...merged], ...decode(merged, spec.stride / 4, spec.skeleton.parts.length)};
    };
    """
    spec = PoseSpec(box_size=64)
    beliefs = np.random.default_rng(4).uniform(-0.2, 1, (3, 8, 8, 15)).astype(np.float32)
    case = {"zooms": search.LAST, "spec": json.loads(spec.to_json())}
    (answer,) = mapped(script, [{"beliefs": beliefs.tolist(), **case}])
    merged, fine = multiscale.merge_zooms(list(beliefs[:, None]), search.LAST, spec)
    ours = np.moveaxis(merged[0, ..., :14].numpy(), -1, 0)
    np.testing.assert_allclose(np.reshape(answer["merged"], ours.shape), ours, atol=1e-5)
    keypoints, scores = codec.decode(merged, fine)
    np.testing.assert_allclose(np.reshape(answer["keypoints"], (14, 2)), keypoints[0], atol=1e-3)
    np.testing.assert_allclose(answer["scores"], scores[0], atol=1e-5)
