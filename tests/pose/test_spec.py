"""`PoseSpec`: known numbers, what is refused, and the JSON file."""

import json
import re

import numpy as np
import pytest

from keras_cpm import COCO17, CPM14, FLIC9, HAND21, LSP14, MPII16, QUADRUPED17, PoseSpec

SKELETONS = (CPM14, LSP14, MPII16, FLIC9, COCO17, HAND21, QUADRUPED17)


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
        ({"box_size": 365}, "multiple of 8, 8 to 8192, for example 368. Received: box_size=365"),
        ({"box_size": 0}, "multiple of 8, 8 to 8192, for example 368. Received: box_size=0"),
        ({"box_size": True}, "Received: box_size=True"),
        ({"box_size": 8 * 10**8}, "Received: box_size=800000000"),
        ({"box_size": -8}, "Received: box_size=-8"),
        ({"box_size": 368.0}, "Received: box_size=368.0"),
        ({"stride": 0}, "divides box_size=368. Received: stride=0"),
        ({"stride": 7}, "divides box_size=368. Received: stride=7"),
        ({"stride": 8.0}, "Received: stride=8.0"),
        ({"stride": True}, "Received: stride=True"),
        (
            {"person_height": 0},
            "`person_height` must be a number of pixels, 0.001 to 36800 for box_size=368. "
            "Received: person_height=0",
        ),
        ({"person_height": True}, "Received: person_height=True"),
        ({"person_height": 1e300}, "Received: person_height=1e+300"),
        ({"person_height": "92"}, "Received: person_height='92'"),
        ({"part_sigma": 1e-300}, "Received: part_sigma=1e-300"),
        ({"center_sigma": [21]}, "Received: center_sigma=[21]"),
        ({"skeleton": "cpm14"}, "`skeleton` must be a Skeleton. Received: 'cpm14'"),
        ({"pad_value": "grey"}, "Received: pad_value='grey'"),
        ({"pad_value": True}, "Received: pad_value=True"),
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


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_spec_goes_through_json(skeleton):
    spec = PoseSpec(skeleton, 256, 4, 100.5, False, 3.5, 9.25, 7)
    assert PoseSpec.from_json(spec.to_json()) == spec
    assert PoseSpec.from_json(PoseSpec(skeleton).to_json()) == PoseSpec(skeleton)


def test_numbers_of_numpy_are_numbers():
    spec = PoseSpec(
        box_size=np.int64(96),
        person_height=np.float32(92.0),
        part_sigma=np.float64(5.0),
        background=np.bool_(True),
    )
    plain = PoseSpec(box_size=96, person_height=92.0, part_sigma=5.0)
    assert spec == plain and spec.to_json() == plain.to_json()


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
        ('{"version": 1}', "It must have a `skeleton`, an object. Received none"),
        (_spec_text(box_size=365), "Received: box_size=365"),
        (_spec_text(skeleton={"name": "x", "parts": ["a", "a"]}), r"more than once: \['a'\]"),
        (
            _spec_text(skeleton={"name": "x", "parts": ["a"], "colour": 1}),
            "`PoseSpec.to_json` writes.*colour",
        ),
        (_spec_text(skeleton={"name": "x"}), "`PoseSpec.to_json` writes.*parts"),
        (_spec_text(skeleton=None), "`skeleton` must be an object. Received: skeleton=None"),
        (_spec_text(pad_value="grey"), "`pad_value` must be a grey level.*'grey'"),
        (_spec_text(skeleton={"name": "x", "parts": "abcdefghijklmn"}), "`parts` must be a list"),
        (_spec_text(skeleton={"name": "x", "parts": {"a": 1}}), "`parts` must be a list"),
        (_spec_text(person_height=10**400), "`person_height` must be a number of pixels"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_bad_spec_text_is_refused_and_its_file_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        PoseSpec.from_json(text)
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(ValueError, match="spec.json: .*" + message):
        PoseSpec.load(tmp_path / "spec.json")


@pytest.mark.parametrize("field", ["box_size", "person_height", "background", "version"])
def test_a_long_value_in_a_file_is_cut(field, tmp_path):
    """The sentence is read in a terminal."""
    fields = json.loads(PoseSpec().to_json()) | {field: "x" * 100_000}
    (tmp_path / "spec.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=f"spec.json: .*{field}") as caught:
        PoseSpec.load(tmp_path / "spec.json")
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("field", ["name", "parts", "limbs", "flip_pairs", "torso"])
def test_a_long_value_of_a_skeleton_is_cut(field, tmp_path):
    fields = CPM14.to_dict() | {field: ["x" * 100_000]}
    spec = json.loads(PoseSpec().to_json()) | {"skeleton": fields}
    for name, content, load in (
        ("spec.json", spec, PoseSpec.load),
        ("skeleton.json", fields, type(CPM14).load),
    ):
        (tmp_path / name).write_text(json.dumps(content))
        with pytest.raises(ValueError, match=name) as caught:
            load(tmp_path / name)
        assert len(str(caught.value)) < 2000
