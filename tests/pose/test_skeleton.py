"""`Skeleton`: known orders and pairs, and what is refused."""

import itertools
import json
import re
from dataclasses import FrozenInstanceError

import pytest

from keras_cpm import COCO17, CPM14, FLIC9, HAND21, LSP14, MPII16, QUADRUPED17, Skeleton
from keras_cpm.pose.skeleton import mirror_pairs, skeleton_of

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


@pytest.mark.parametrize(
    "right, left",
    [
        ("right_fin", "left_fin"),
        ("Right_Fin", "Left_Fin"),
        ("RIGHT FIN", "LEFT FIN"),
        ("fin-right", "fin-left"),
        ("R_fin", "L_fin"),
        ("r fin", "l fin"),
        ("fin.R", "fin.L"),
        ("fin_r", "fin_l"),
        ("RFin", "LFin"),
        ("rFin", "lFin"),
        ("finR", "finL"),
        ("finR4", "finL4"),
        ("fin_R2", "fin_L2"),
        ("R1", "L1"),
        ("R3_tip", "L3_tip"),
        ("right", "left"),
        ("R", "L"),
    ],
)
def test_one_rule_of_names_makes_mirror_pairs(right, left):
    assert mirror_pairs([left, "nose", right]) == ((right, left),)
    skeleton = skeleton_of([left, "nose", right])
    assert skeleton.flip_permutation == (2, 1, 0)


def test_names_that_only_look_like_pairs():
    assert (
        mirror_pairs(["upright", "rump", "lump", "Root", "Loot", "right_eye", "ear", "eal"]) == ()
    )
    # each stands in one pair at most
    assert mirror_pairs(["right_R", "left_L", "right_L"]) == (("right_R", "left_L"),)


def test_a_skeleton_of_very_many_parts_is_made_at_once():
    """Thirty thousand: what compares each with each takes minutes."""
    parts = [f"{side}_{i}" for i in range(15_000) for side in ("right", "left")]
    skeleton = skeleton_of(parts)
    assert skeleton.flip_permutation[:4] == (1, 0, 3, 2)
    limbs = Skeleton("s", parts, limbs=itertools.pairwise(parts)).limb_indices
    assert limbs[-1] == (29_998, 29_999)
    assert skeleton.subset(parts[2:]).num_parts == 29_998


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": "abcdefghijklmn"},
        {"parts": {"a": 1}},
        {"parts": 5},
        {"parts": ["a", 1]},
        {"parts": [["a"]]},
        {"limbs": "ab"},
        {"limbs": ["ab"]},
        {"limbs": 5},
        {"flip_pairs": [5]},
        {"flip_pairs": [[["a"], "b"]]},
        {"torso": "ab"},
        {"name": ["s"]},
    ],
)
def test_what_is_no_list_of_names_is_refused(tmp_path, changes):
    fields = {"name": "s", "parts": ["a", "b"]} | changes
    message = f"`{next(iter(changes))}` must"
    with pytest.raises(ValueError, match=message):
        Skeleton(**fields)
    (tmp_path / "s.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=f"must hold a skeleton .*{message}"):
        Skeleton.load(tmp_path / "s.json")
    (tmp_path / "s.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="must hold a skeleton"):
        Skeleton.load(tmp_path / "s.json")
