"""COCO keypoints: files written here, of people and of other figures."""

import contextlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from keras_cpm import COCO17, LSP14, Skeleton
from keras_cpm.data.formats.coco import coco_skeleton, load_coco
from keras_cpm.data.placement import where_is
from tests.data.mutations import mutated

FISH = ["mouth", "tail fin", "right fin", "left fin"]


def category(keypoints=FISH, **changes):
    return {"id": 1, "name": "fish", "keypoints": list(keypoints)} | changes


def annotation(number=1, **changes):
    return {
        "id": number,
        "image_id": 7,
        "category_id": 1,
        "keypoints": [10, 20, 2, 30.5, 22.25, 1, 0, 0, 0, 12, 50, 2],
        "num_keypoints": 3,
        "bbox": [8, 15.5, 30, 40],
        "iscrowd": 0,
    } | changes


def image(number=7, **changes):
    return {"id": number, "file_name": f"{number}.jpg", "height": 96, "width": 128} | changes


@pytest.fixture
def write(tmp_path):
    def write(annotations=None, **changes):
        content = {
            "categories": [category()],
            "images": [image(7), image(8)],
            "annotations": [annotation()] if annotations is None else annotations,
        } | changes
        path = tmp_path / "fish.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def test_a_record_says_what_the_file_says(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (record,) = load_coco(write(), "pictures", split="validation")
    assert record.image == str(tmp_path / "pictures/7.jpg") and record.size == (96, 128)
    assert record.parts == tuple(FISH)
    assert (record.split, record.dataset) == ("validation", "coco")
    (person,) = record.people
    assert person.keypoints.tolist() == [[10, 20], [30.5, 22.25], [0, 0], [12, 50]]
    assert person.visible.tolist() == [2, 1, 0, 2]
    assert person.box == (8, 15.5, 38, 55.5)
    assert person.center is None and person.height is None
    assert load_coco(write(), "pictures")[0].split == "train"


def test_the_pipeline_finds_the_figure_by_its_box(write, tmp_path):
    assert where_is(load_coco(write(), tmp_path)[0]) == ((23, 35.5), 40)


def test_others_are_of_the_same_image_and_category(write, tmp_path):
    other = category(["a", "b"], id=2, name="pair")
    path = write(
        [
            annotation(1),
            annotation(2, image_id=8),
            annotation(3, bbox=[1, 1, 5, 5]),
            annotation(4, iscrowd=1, bbox=[2, 2, 5, 5]),
            annotation(5, category_id=2, keypoints=[1, 1, 2, 3, 3, 2]),
            annotation(6, keypoints=[0] * 12, num_keypoints=0),
            annotation(7, keypoints=[]),
        ],
        categories=[category(), other, {"id": 3, "name": "boat"}],
    )
    records = load_coco(path, tmp_path, category="fish")
    assert [r.attributes["annotation_id"] for r in records] == [1, 2, 3]
    assert [[p.box[0] for p in r.people] for r in records] == [[8, 1], [8], [1, 8]]
    (pair,) = load_coco(path, tmp_path, category="pair")
    assert pair.parts == ("a", "b") and len(pair.people) == 1


def test_num_keypoints_is_counted(write, tmp_path):
    fields = annotation()
    del fields["num_keypoints"], fields["iscrowd"]
    assert len(load_coco(write([fields]), tmp_path)) == 1


@pytest.mark.parametrize("box", [None, [], [8, 8, 0, 5], [8, 8, 5, -1]])
def test_without_a_box_the_labels_tell_the_place(write, tmp_path, box):
    person = load_coco(write([annotation(bbox=box)]), tmp_path)[0].people[0]
    # x from 10 to 30.5, y from 20 to 50
    assert person.box is None and person.center == (20.25, 35) and person.height == 30


def test_a_single_label_without_a_box_has_no_place(write, tmp_path):
    lone = annotation(keypoints=[10, 20, 2] + [0] * 9, bbox=None)
    person = load_coco(write([lone]), tmp_path)[0].people[0]
    assert (person.box, person.center, person.height) == (None, None, None)


def test_attributes(write, tmp_path):
    own = {"pose": "side", "wet": True, "depth": 2.5, "list": [1], "image_id": "mine"}
    (record,) = load_coco(write([annotation(attributes=own)]), tmp_path)
    assert record.attributes == {
        "pose": "side",
        "wet": True,
        "depth": 2.5,
        "image_id": 7,
        "annotation_id": 1,
    }


def test_size_may_be_unknown(write, tmp_path):
    path = write(images=[{"id": 7, "file_name": "7.jpg"}])
    assert load_coco(path, tmp_path)[0].size is None


def test_noise_in_parts_without_label_is_ignored(write, tmp_path):
    noise = annotation(keypoints=[10, 20, 2, float("nan"), None, 0, 0, 0, 0, 12, 50, 2])
    assert load_coco(write([noise]), tmp_path)[0].people[0].visible.tolist() == [2, 0, 0, 2]


@pytest.mark.parametrize(
    "name", ["train/7.jpg", "train\\7.jpg", "./train/7.jpg", "x/../train/7.jpg"]
)
def test_images_in_folders(write, tmp_path, name):
    path = write(images=[image(file_name=name)])
    (record,) = load_coco(path, tmp_path / "a/../b")
    assert record.image == str(tmp_path / "b/train/7.jpg")


def test_progress_wraps_the_annotations(write, tmp_path):
    seen = []
    path = write([annotation(1), annotation(2, iscrowd=1), annotation(3)])

    def progress(items):
        return (seen.append(item["id"]) or item for item in items)

    assert len(load_coco(path, tmp_path, progress=progress)) == 2 and seen == [1, 2, 3]


# The skeleton


def test_a_skeleton_from_the_file(write):
    skeleton = coco_skeleton(write(categories=[category(skeleton=[[1, 2], [4, 1]])]))
    assert skeleton == Skeleton(
        "fish",
        tuple(FISH),
        limbs=(("mouth", "tail fin"), ("left fin", "mouth")),
        flip_pairs=(("right fin", "left fin"),),
    )


@pytest.mark.parametrize("known", [COCO17, LSP14])
def test_a_built_in_skeleton_in_the_same_order(write, known):
    assert coco_skeleton(write(categories=[category(known.parts)])) is known


def test_a_built_in_skeleton_in_another_order_is_another(write):
    parts = COCO17.parts[::-1]
    skeleton = coco_skeleton(write(categories=[category(parts)]))
    assert skeleton.parts == parts and skeleton.limbs == ()
    assert set(skeleton.flip_pairs) == set(COCO17.flip_pairs)
    assert skeleton.torso == ("left_shoulder", "right_hip")


def test_the_torso_needs_both_ends(write):
    assert coco_skeleton(write(categories=[category(["left_shoulder", "hip"])])).torso is None


@pytest.mark.parametrize(
    "right, left",
    [
        ("right_eye", "left_eye"),
        ("eye-right", "eye-left"),
        ("Right Eye", "Left Eye"),
        ("RIGHT_EYE", "LEFT_EYE"),
        ("R_F_Paw", "L_F_Paw"),
        ("eye.R", "eye.L"),
        ("r eye", "l eye"),
        ("RShoulder", "LShoulder"),
        ("rShoulder", "lShoulder"),
    ],
)
def test_twins(write, right, left):
    skeleton = coco_skeleton(write(categories=[category([left, "nose", right])]))
    assert skeleton.flip_pairs == ((right, left),)


def test_names_that_only_look_like_twins(write):
    names = [
        "upright",
        "rump",
        "lump",
        "Root",
        "Loot",
        "right_eye",
        "ear",
        "eal",
        "hair4r",
        "hair4l",
    ]
    assert coco_skeleton(write(categories=[category(names)])).flip_pairs == ()


def test_records_and_skeleton_agree(write, tmp_path):
    path = write()
    assert load_coco(path, tmp_path)[0].parts == coco_skeleton(path).parts


# Numbers as text, and what is left out


def counts(path, images):
    """The records, and what the reader says besides."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        records = load_coco(path, images)
    return records, [str(warning.message) for warning in said]


def as_text(value):
    return f"0{value}" if value == 7 else str(value)


def test_numbers_as_text_say_the_same(write, tmp_path):
    """As one writes them who made the file from a table; also where only some are text."""
    plain = [annotation(1), annotation(2, image_id=8), annotation(3, bbox=[1, 1, 5, 5])]
    want, said = counts(write(plain), tmp_path)
    assert said == []
    names = ("id", "image_id", "category_id", "iscrowd")
    texts = [{**a, **{name: as_text(a[name]) for name in names}} for a in plain]
    texts[1] |= {name: [str(v) for v in plain[1][name]] for name in ("keypoints", "bbox")}
    image_texts = [image(str(n), file_name=f"{n}.jpg", height="96", width="128.0") for n in (7, 8)]
    for annotations in (texts, [plain[0], *texts[1:]]):
        for images in (image_texts, [image(7), image_texts[1]]):
            for number in (1, "1"):
                path = write(annotations, images=images, categories=[category(id=number)])
                found, said = counts(path, tmp_path)
                assert said == [] and [len(r.people) for r in found] == [2, 1, 2]
                assert [r.to_dict() for r in found] == [r.to_dict() for r in want]


def test_what_is_left_out_is_counted(write, tmp_path):
    path = write(
        [
            annotation(1),
            annotation(2, iscrowd="1"),
            annotation(3, iscrowd=1),
            annotation(4, keypoints=[]),
            annotation(5, category_id=9),
            annotation(6, category_id=None),
            annotation(7, category_id="fish"),
            annotation(8, category_id=2),
        ],
        categories=[category(), {"id": 2, "name": "boat"}],
    )
    records, said = counts(path, tmp_path)
    assert len(records) == 1
    assert said == [
        f"{path}: 1 annotations are read; left out: 2 of a crowd (`iscrowd`), 1 without a "
        "labelled part, 3 whose `category_id` is none of the file's categories."
    ]


@pytest.mark.parametrize(
    "limbs, want, said",
    [
        ([["mouth", "tail fin"], ["left fin", 1]], [(0, 1), (3, 0)], None),
        ([["1", "2"]], [(0, 1)], None),
        ([[0, 1], [0, 3]], [(0, 1), (0, 3)], "counts the keypoints from 0"),
        ([[1, 5]], [], r"no limbs are read, the labels are. Received: \[\[1, 5\]\]"),
        ([[0, 4]], [], "no limbs are read"),
        ([[1, 2, 3]], [], "no limbs are read"),
        ([[1, "beak"]], [], "no limbs are read"),
        ([[1, 2.5]], [], "no limbs are read"),
        ([[1, [2]]], [], "no limbs are read"),
        ([1], [], "no limbs are read"),
        ({"a": 1}, [], "no limbs are read"),
        (5, [], "no limbs are read"),
    ],
)
def test_a_list_of_limbs_costs_a_sentence_at_most(write, tmp_path, limbs, want, said):
    path = write(categories=[category(skeleton=limbs)])
    records, about_records = counts(path, tmp_path)
    assert len(records) == 1 and about_records == []
    with pytest.warns(UserWarning, match=f"fish.json: `skeleton` .*{said}") if said else silence():
        skeleton = coco_skeleton(path)
    assert list(skeleton.limb_indices) == want and skeleton.flip_pairs


@contextlib.contextmanager
def silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_crowd_has_as_many_records_of_its_nearest(write, tmp_path):
    """Records of everybody with everybody would fill the memory."""
    places = np.random.default_rng(0).permutation(200)
    people = [
        annotation(n, bbox=[10 * int(x), 5, 8, 9], keypoints=[10 * int(x) + 4, 9, 2] * 4)
        for n, x in enumerate(places)
    ]
    records, said = counts(write(people), tmp_path)
    assert said == [
        f"{tmp_path / 'fish.json'}: images with more than 32 people: 1; a record holds its person "
        "and the nearest 31 others."
    ]
    assert [r.attributes["annotation_id"] for r in records] == list(range(200))
    for record, x in zip(records, places, strict=True):
        found = [(p.box[0]) / 10 for p in record.people]
        assert found[0] == x and len(set(found)) == 32
        assert max(abs(other - x) for other in found) <= max(16, 31 - min(x, 199 - x))
        # the others stand in the order of the file
        order = [places.tolist().index(other) for other in found[1:]]
        assert order == sorted(order)


def test_a_mutated_file_is_read_or_refused_in_one_sentence(write, tmp_path):
    """A value somewhere is replaced, removed or repeated: no other error, and no record of junk."""
    path = write(
        [annotation(1), annotation(2, image_id=8, attributes={"pose": "side"}), annotation(3)],
        categories=[category(skeleton=[[1, 2], [4, 1]])],
    )
    content = json.loads(path.read_text())
    outcomes = []
    for seed in range(150):
        path.write_text(mutated(content, seed), encoding="utf-8")
        try:
            records, _ = counts(path, tmp_path)
            counts_of = coco_skeleton(path).num_parts
        except ValueError as error:
            assert str(path) in str(error) and len(str(error)) < 2000
            outcomes.append("refused")
            continue
        outcomes.append("read")
        for record in records:
            assert len(record.parts) == counts_of and Path(record.image).is_relative_to(tmp_path)
            for person in record.people:
                assert np.isfinite(person.keypoints).all() and person.labelled.any()
    assert outcomes.count("read") >= 30 and outcomes.count("refused") >= 30


# What is refused


def refused(path, message, **options):
    with pytest.raises(ValueError, match=message) as error:
        load_coco(path, path.parent / "images", **options)
    assert str(path) in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no annotation file at .*none.json; extract"):
        load_coco(tmp_path / "none.json", tmp_path)


@pytest.mark.parametrize("content", ["", "{", "<html>", b"\xff\xfe\x00"])
def test_no_json(tmp_path, content):
    path = tmp_path / "fish.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(path, "is no JSON file")


@pytest.mark.parametrize("changes", [{"images": None}, {"annotations": {}}, {"categories": [1]}])
def test_another_format(write, changes):
    refused(write(**changes), f"must hold '{next(iter(changes))}', a list of objects")


def test_a_list_is_another_format(tmp_path):
    path = tmp_path / "fish.json"
    path.write_text("[]")
    refused(path, "must hold 'categories'")


def test_no_category_with_keypoints(write):
    path = write(categories=[{"id": 1, "name": "fish"}, {"id": 2, "name": "boat", "keypoints": []}])
    refused(
        path, r"must have a category with `keypoints`; .*Received: categories \['fish', 'boat'\]"
    )


def test_several_categories_must_be_named(write):
    path = write(categories=[category(), category(id=2, name="pair"), {"id": 3, "name": "boat"}])
    refused(path, r"`category` must be one of .*\['fish', 'pair'\]. Received: category=None")
    refused(path, r"Received: category='boat'", category="boat")
    with pytest.raises(ValueError, match=r"\['fish', 'pair'\]. Received: category=None"):
        coco_skeleton(path)
    assert coco_skeleton(path, "pair").name == "pair"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"keypoints": ["a", "a"]}, "category 'fish': `parts` must be unique"),
        ({"keypoints": ["a", 1]}, "category 'fish': `keypoints` must be names"),
    ],
)
def test_other_skeletons(write, changes, message):
    refused(write(categories=[category(**changes)]), message)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"keypoints": [1, 2, 2]}, r"`keypoints` must hold .* 12 numbers; .*shape \(3,\)"),
        ({"keypoints": [[1, 2, 2]] * 4}, r"12 numbers; .*shape \(4, 3\)"),
        ({"keypoints": ["a"] * 12}, "`keypoints` must be a list of numbers"),
        ({"keypoints": [10**400, 1, 2] * 4}, "`keypoints` must be a list of numbers; .*10000"),
        ({"keypoints": 5}, r"12 numbers; .*shape \(\)"),
        ({"keypoints": {"x": 1}}, "`keypoints` must be a list of numbers"),
        ({"keypoints": [[1, 2], 3]}, "`keypoints` must be a list of numbers"),
        ({"bbox": 5}, "`bbox` must be four finite numbers"),
        ({"bbox": "wide"}, "`bbox` must be a list of numbers"),
        ({"bbox": [10**400] * 4}, "`bbox` must be a list of numbers"),
        ({"iscrowd": "maybe"}, "`iscrowd` must be 0 or 1; correct it. Received: 'maybe'"),
        ({"iscrowd": [1]}, r"`iscrowd` must be 0 or 1; correct it. Received: \[1\]"),
        ({"category_id": [1]}, r"`category_id` must be a number or a text; .*\[1\]"),
        ({"keypoints": [float("nan"), 1, 2] * 4}, "the points of labelled parts must be finite"),
        ({"keypoints": [1, float("inf"), 1] * 4}, "the points of labelled parts must be finite"),
        ({"keypoints": [1, 2, 3] * 4}, r"visible must be 0, 1 or 2; .*\[3.0, 3.0"),
        ({"keypoints": [1, 2, None] * 4}, "visible must be 0, 1 or 2"),
        ({"bbox": [1, 2, 3]}, r"`bbox` must be four finite numbers .*\[1, 2, 3\]"),
        ({"bbox": [1, 2, 3, float("nan")]}, "`bbox` must be four finite numbers"),
        ({"bbox": [float("-inf"), 2, 3, 4]}, "`bbox` must be four finite numbers"),
        ({"image_id": 99}, "`image_id` must be the id .* Received: image_id=99"),
        ({"image_id": None}, "image_id=None"),
        ({"image_id": [7]}, r"`image_id` must be a number or a text; .*Received: \[7\]"),
    ],
)
def test_other_annotations(write, changes, message):
    refused(
        write([annotation(5), annotation(42, **changes)]), f"fish.json, annotation 42: .*{message}"
    )


@pytest.mark.parametrize(
    "name", ["../7.jpg", "a/../../7.jpg", "/7.jpg", "..\\7.jpg", "", ".", None, 7]
)
def test_images_outside_the_folder(write, name):
    refused(
        write(images=[image(file_name=name)]), "annotation 1: `file_name` must be a path within"
    )


@pytest.mark.parametrize("height", [0, "tall", float("nan"), 10**400, [96]])
def test_other_sizes(write, height):
    refused(write(images=[image(height=height)]), "annotation 1: `size` must be")


@pytest.mark.parametrize("names", ["abcd", {"a": 1}, 5])
def test_what_are_no_names_of_parts(write, names):
    message = "category 'fish': `keypoints` must be names of parts"
    refused(write(categories=[category() | {"keypoints": names}]), message)
    refused(write(categories=[category(id=[1])]), "categories: `id` must be a number or a text")


def test_an_image_id_that_two_images_have(write):
    both = [image(7), image("07", file_name="other.jpg")]
    refused(write(images=both), "image '07': two images have this id; .*'7.jpg' and 'other.jpg'")


def test_nested_too_deep(tmp_path):
    path = tmp_path / "fish.json"
    path.write_text("[" * 100_000)
    refused(path, "nested too deep")


def test_a_file_from_a_windows_editor(write, tmp_path):
    path = write()
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert np.shape(load_coco(path, tmp_path)[0].people[0].keypoints) == (4, 2)
