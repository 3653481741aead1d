"""`Skeleton` and `PoseSpec`: known orders and numbers, what is refused, and the JSON file."""

import json
import re
from dataclasses import FrozenInstanceError

import pytest

from keras_cpm import COCO17, CPM14, FLIC9, HAND21, LSP14, MPII16, QUADRUPED17, PoseSpec, Skeleton

SKELETONS = (CPM14, LSP14, MPII16, FLIC9, COCO17, HAND21, QUADRUPED17)
PAIRS = {
    CPM14: {(2, 5), (3, 6), (4, 7), (8, 11), (9, 12), (10, 13)},
    LSP14: {(0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9)},
    MPII16: {(0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)},
    FLIC9: {(0, 3), (1, 4), (2, 5), (6, 7)},
    COCO17: {(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)},
    HAND21: set(),
    QUADRUPED17: {(5, 8), (6, 9), (7, 10), (11, 14), (12, 15), (13, 16)},
}
each = pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)


# Skeleton


@each
def test_number_of_parts_is_in_the_name(skeleton):
    assert skeleton.num_parts == len(skeleton.parts) == int(re.search(r"\d+$", skeleton.name)[0])


@each
def test_flip_is_an_involution_of_the_known_pairs(skeleton):
    flip = skeleton.flip_permutation
    assert [flip[flip[i]] for i in range(skeleton.num_parts)] == list(range(skeleton.num_parts))
    assert {(i, j) for i, j in enumerate(flip) if i < j} == PAIRS[skeleton]


@each
def test_flip_exchanges_right_and_left_and_keeps_the_rest(skeleton):
    other = {"right": "left", "left": "right"}
    for part, j in zip(skeleton.parts, skeleton.flip_permutation, strict=True):
        side, _, rest = part.partition("_")
        expected = f"{other[side]}_{rest}" if side in other else part
        assert skeleton.parts[j] == expected


@each
def test_limbs_join_different_parts_once(skeleton):
    limbs = skeleton.limb_indices
    assert len(limbs) == len(skeleton.limbs) > 0
    assert all(0 <= i < skeleton.num_parts and 0 <= j < skeleton.num_parts for i, j in limbs)
    assert len({frozenset(limb) for limb in limbs}) == len(limbs)
    assert all(i != j for i, j in limbs)


def test_limbs_of_the_release():
    # config.m, 1-based
    assert {tuple(i + 1 for i in limb) for limb in CPM14.limb_indices} == {
        *[(1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11), (12, 13), (13, 14)]
    }
    assert {tuple(i + 1 for i in limb) for limb in FLIC9.limb_indices} == {
        *[(1, 2), (2, 3), (4, 5), (5, 6)]
    }


def test_orders_of_the_data_sets():
    # cpm order from MPII ids, and LSP's 1-based places of cpm's parts
    assert [MPII16.index(part) for part in CPM14.parts] == [
        9,
        8,
        12,
        11,
        10,
        13,
        14,
        15,
        2,
        1,
        0,
        3,
        4,
        5,
    ]
    lsp = [14, 13, 9, 8, 7, 10, 11, 12, 3, 2, 1, 4, 5, 6]
    assert [LSP14.index(part) + 1 for part in CPM14.parts] == lsp
    assert MPII16.parts[6:8] == ("pelvis", "thorax")
    assert COCO17.parts[:5] == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert COCO17.parts[9] == "left_wrist" and COCO17.parts[16] == "right_ankle"
    assert FLIC9.parts[0] == "left_shoulder" and FLIC9.parts[8] == "nose"


@pytest.mark.parametrize("skeleton", (CPM14, LSP14, MPII16, FLIC9, COCO17), ids=lambda s: s.name)
def test_torso_is_left_shoulder_to_right_hip(skeleton):
    assert skeleton.torso == ("left_shoulder", "right_hip")


def test_index():
    assert [CPM14.index(part) for part in CPM14.parts] == list(range(14))
    with pytest.raises(ValueError, match=r"must be one of \['head'.*part='beak'"):
        CPM14.index("beak")


def test_subset_keeps_order_given_and_drops_what_is_broken():
    subset = CPM14.subset(["left_wrist", "right_wrist", "left_elbow", "right_hip", "left_shoulder"])
    assert subset.parts == ("left_wrist", "right_wrist", "left_elbow", "right_hip", "left_shoulder")
    assert set(subset.limbs) == {("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")}
    assert subset.flip_permutation == (1, 0, 2, 3, 4)
    assert subset.torso == CPM14.torso and subset.name == "cpm14-5"
    assert CPM14.subset(["head", "left_shoulder"]).torso is None
    assert HAND21.subset(["wrist"]).limbs == ()


def test_subset_refuses_unknown_and_repeated_parts():
    with pytest.raises(ValueError, match="part='beak'"):
        CPM14.subset(["head", "beak"])
    with pytest.raises(ValueError, match=r"more than once: \['head'\]"):
        CPM14.subset(["head", "head"])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"parts": ()}, "at least one part. Received: ()"),
        ({"parts": ("a", "b", "a")}, "`parts` must be unique. Received more than once: ['a']"),
        ({"limbs": (("a", "z"),)}, "`limbs` must hold pairs of names"),
        ({"limbs": (("a", "z"),)}, "Received: ('a', 'z')"),
        ({"limbs": (("a", "b", "c"),)}, "Received: ('a', 'b', 'c')"),
        ({"flip_pairs": (("z", "b"),)}, "`flip_pairs` must hold pairs of names"),
        ({"flip_pairs": (("a",),)}, "Received: ('a',)"),
        (
            {"flip_pairs": (("a", "b"), ("c", "a"))},
            "one pair of `flip_pairs` only. Received twice: ['a']",
        ),
        ({"flip_pairs": (("a", "a"),)}, "Received twice: ['a']"),
        ({"torso": ("a", "z")}, "`torso` must hold pairs of names"),
        ({"torso": ("a",)}, "Received: ('a',)"),
    ],
)
def test_bad_skeletons_are_refused_with_the_value(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Skeleton(**({"name": "x", "parts": ("a", "b", "c")} | changes))


def test_skeletons_compare_by_value_and_are_frozen():
    again = Skeleton("x", ["a", "b"], [["a", "b"]], [["a", "b"]], ["a", "b"])
    assert again == Skeleton("x", ("a", "b"), (("a", "b"),), (("a", "b"),), ("a", "b"))
    assert len({again, Skeleton("x", ["a", "b"], [["a", "b"]], [["a", "b"]], ["a", "b"])}) == 1
    with pytest.raises(FrozenInstanceError):
        CPM14.name = "other"


@each
def test_skeleton_goes_through_json(skeleton):
    assert Skeleton(**json.loads(json.dumps(skeleton.to_dict()))) == skeleton


# PoseSpec


def test_defaults_are_the_release_s():
    spec = PoseSpec()
    assert (spec.box_size, spec.stride, spec.grid_size, spec.center) == (368, 8, 46, 183.5)
    assert spec.person_height == pytest.approx(234.2857, abs=1e-4)
    assert (spec.num_parts, spec.num_channels) == (14, 15)
    assert (spec.part_sigma, spec.center_sigma, spec.pad_value) == (7, 21, 128)


def test_other_boxes_and_skeletons():
    spec = PoseSpec(FLIC9, box_size=184, background=False)
    assert (spec.grid_size, spec.center, spec.num_channels) == (23, 91.5, 9)
    assert spec.person_height == pytest.approx(117.1429, abs=1e-4)
    assert PoseSpec(stride=4).grid_size == 92


def test_replace_keeps_the_person_s_share_of_the_box():
    spec = PoseSpec(person_height=92, part_sigma=5)
    assert spec.replace(box_size=736).person_height == 184
    assert spec.replace(box_size=736).part_sigma == 5
    assert spec.replace(box_size=736, person_height=10).person_height == 10
    assert spec.replace(background=False).person_height == 92
    assert spec.replace() == spec


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"box_size": 365}, "multiple of 8, for example 368. Received: box_size=365"),
        ({"box_size": 0}, "multiple of 8, for example 8. Received: box_size=0"),
        ({"box_size": -8}, "Received: box_size=-8"),
        ({"box_size": 368.0}, "Received: box_size=368.0"),
        ({"stride": 0}, "divides box_size=368. Received: stride=0"),
        ({"stride": 7}, "divides box_size=368. Received: stride=7"),
        ({"stride": 8.0}, "Received: stride=8.0"),
        (
            {"person_height": 0},
            "`person_height` must be positive and finite. Received: person_height=0",
        ),
        ({"person_height": float("nan")}, "Received: person_height=nan"),
        ({"part_sigma": -1}, "Received: part_sigma=-1"),
        ({"center_sigma": float("inf")}, "Received: center_sigma=inf"),
        ({"pad_value": 256}, "grey level 0..255. Received: pad_value=256"),
        ({"pad_value": -1}, "Received: pad_value=-1"),
        ({"version": 2}, "reads specs of version 1; install the one that wrote this file"),
    ],
)
def test_bad_specs_are_refused_with_the_value(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        PoseSpec(**changes)
    with pytest.raises(ValueError, match=re.escape(message)):
        PoseSpec().replace(**changes)


@each
def test_spec_goes_through_json(skeleton):
    spec = PoseSpec(skeleton, 256, 4, 100.5, False, 3.5, 9.25, 7)
    assert PoseSpec.from_json(spec.to_json()) == spec
    assert PoseSpec.from_json(PoseSpec(skeleton).to_json()) == PoseSpec(skeleton)


def test_spec_file(tmp_path):
    spec = PoseSpec(HAND21, 184)
    spec.save(tmp_path / "spec.json")
    assert PoseSpec.load(tmp_path / "spec.json") == spec
    assert json.loads((tmp_path / "spec.json").read_text())["skeleton"]["name"] == "hand21"


def test_missing_spec_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no spec at .*spec.json"):
        PoseSpec.load(tmp_path / "spec.json")


def _spec_text(**changes):
    return json.dumps(json.loads(PoseSpec().to_json()) | changes)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "A spec must be JSON as `PoseSpec.to_json` writes it"),
        ("[1]", "reads specs of version 1"),
        ("{}", "Received: version=None"),
        (_spec_text(version=9), "Received: version=9"),
        (_spec_text(colour=3, belief=1), r"Received also: \['belief', 'colour'\]"),
        ('{"version": 1}', "A spec must have a `skeleton`"),
        (_spec_text(box_size=365), "Received: box_size=365"),
        (_spec_text(skeleton={"name": "x", "parts": ["a", "a"]}), r"more than once: \['a'\]"),
        (
            _spec_text(skeleton={"name": "x", "parts": ["a"], "colour": 1}),
            "`PoseSpec.to_json` writes.*colour",
        ),
        (_spec_text(skeleton={"name": "x"}), "`PoseSpec.to_json` writes.*parts"),
        (_spec_text(skeleton=None), "`PoseSpec.to_json` writes.*mapping"),
        (_spec_text(pad_value="grey"), "`PoseSpec.to_json` writes.*str"),
    ],
)
def test_bad_spec_text_is_refused_and_its_file_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        PoseSpec.from_json(text)
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(ValueError, match="spec.json: .*" + message):
        PoseSpec.load(tmp_path / "spec.json")
