"""A file of records: nothing changes on the way through it, and a bad line is named."""

import json
import re

import numpy as np
import pytest

from keras_cpm import Person, read_records, write_records
from tests.data.mutations import mutated
from tests.data.test_records import PARTS, person_with, record_with


def _line(**changes):
    """A valid line as a dictionary; `person` merges into its only person."""
    person = {"keypoints": [[1, 2, 2], [3, 4, 1], [0, 0, 0]]} | changes.pop("person", {})
    return {"image": "a.jpg", "parts": list(PARTS), "people": [person]} | changes


def _write(path, *lines):
    text = "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines)
    path.write_text(text, encoding="utf-8")
    return path


def _same(a, b):
    """Whether two records say the same, without their `to_dict`."""
    fields = ("size", "parts", "split", "dataset", "attributes", "version")
    assert [getattr(a, f) for f in fields] == [getattr(b, f) for f in fields]
    assert len(a.people) == len(b.people)
    for p, q in zip(a.people, b.people, strict=True):
        np.testing.assert_array_equal(p.keypoints, q.keypoints)
        np.testing.assert_array_equal(p.visible, q.visible)
        fields = ("center", "height", "box", "head_size", "attributes")
        assert [getattr(p, f) for f in fields] == [getattr(q, f) for f in fields]


def test_round_trip(tmp_path):
    path = tmp_path / "deep/records.jsonl"
    bare = Person([(1, 2), (3, 4), (5, 6)], [0, 0, 0])
    records = [
        record_with(
            str(tmp_path / "deep/images/a.jpg"),
            (person_with(), bare, person_with(visible=[0, 2, 1])),
        ),
        record_with(str(tmp_path / "b.jpg"), (bare,), size=None, split="train", attributes={}),
    ]
    write_records(records, path)
    back = read_records(path)
    assert [r.image for r in back] == [r.image for r in records]
    for before, after in zip(records, back, strict=True):
        _same(before, after)
    assert back[1].size is None and back[1].people[0].keypoints.tolist() == [[0, 0]] * 3
    assert back[1].people[0].center is back[1].people[0].height is back[1].people[0].box is None


def test_a_file_keeps_every_bit_of_a_keypoint(tmp_path):
    """Rounded to three decimals, one keypoint of LSP crosses its threshold of PCK@0.1."""
    points = np.random.default_rng(0).uniform(-5, 2000, (3, 2)).astype(np.float32)
    write_records(
        [record_with(str(tmp_path / "a.jpg"), (person_with(keypoints=points, visible=[2] * 3),))],
        tmp_path / "r.jsonl",
    )
    (back,) = read_records(tmp_path / "r.jsonl")
    np.testing.assert_array_equal(back.people[0].keypoints, points)


def test_a_line_is_documented_json(tmp_path):
    write_records([record_with(str(tmp_path / "images/a.jpg"))], tmp_path / "r.jsonl")
    (line,) = (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    fields = json.loads(line)
    assert fields["image"] == "images/a.jpg" and fields["version"] == 1
    assert fields["parts"] == list(PARTS) and fields["size"] == [96, 128]
    assert fields["people"][0]["keypoints"] == [[10.5, 20.125, 2], [12, 40, 1], [0, 0, 0]]


def test_paths_are_relative_in_the_file_and_absolute_out_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    write_records([record_with("images/a.jpg")], "lists/r.jsonl")
    assert json.loads((tmp_path / "lists/r.jsonl").read_text())["image"] == "../images/a.jpg"
    assert read_records("lists/r.jsonl")[0].image == str(tmp_path / "images/a.jpg")
    # the folder moves with its images
    (tmp_path / "lists").rename(tmp_path / "moved")
    monkeypatch.chdir("/")
    assert read_records(tmp_path / "moved/r.jsonl")[0].image == str(tmp_path / "images/a.jpg")


def test_absolute_paths_in_a_file_stay(tmp_path):
    path = _write(tmp_path / "r.jsonl", _line(image="/elsewhere/a.jpg"))
    assert read_records(path)[0].image == "/elsewhere/a.jpg"


def test_a_minimal_line_and_blank_lines_are_read(tmp_path):
    path = _write(tmp_path / "r.jsonl", _line(), "", "   ", _line(image="b.jpg"))
    first, second = read_records(path)
    assert (first.size, first.split, first.version) == (None, "train", 1)
    assert second.image == str(tmp_path / "b.jpg")


@pytest.mark.parametrize(
    "line, message",
    [
        (_line(person={"keypoints": [[1, 2, 2]]}), "person 0 .* 3 parts. Received: 1 keypoints"),
        (
            _line(person={"keypoints": [[1, 2, 2], [float("nan"), 4, 2], [0, 0, 0]]}),
            r"person 0, part 'tail': the point is \[nan, 4, 2\]; give finite pixels, "
            r"or \[0, 0, 0\]",
        ),
        (
            _line(person={"keypoints": [[1, 2, 2], [3, 4], [0, 0, 0]]}),
            r"part 'tail': a keypoint is three numbers \[x, y, visible\]. Received: \[3, 4\]",
        ),
        (
            _line(person={"keypoints": [[1, 2, 2], ["3", 4, 2], [0, 0, 0]]}),
            "'tail': .*three numbers",
        ),
        (
            _line(person={"keypoints": [[1, 2, 2], [3, 4, 3], [0, 0, 0]]}),
            r"person 0, part 'tail': visible must be 0 \(not labelled\).*Received: 3",
        ),
        (_line(person={"height": 0}), "person 0: `height` must be a positive .* or null"),
        (_line(person={"height": -1.5}), "Received: height=-1.5"),
        (_line(person={"box": [5, 2, 4, 9]}), "person 0: `box` must be .* with x0 < x1"),
        (_line(person={"box": [5, 2, 4]}), "`box` must be 4 numbers"),
        (
            _line(person={"age": 5}),
            "person 0 has no field 'age'; put other values under `attributes`",
        ),
        (_line(person={"visible": [2, 1, 0]}), "person 0: in a file `visible` is the third number"),
        (_line(weather="dry"), "a record has no field 'weather'; put .* under `attributes`"),
        (_line(version=2), "records of version 1 are read; install .* Received: version=2"),
        (_line(people=[]), "at least the primary person"),
        (_line(people=[3]), "person 0 must be a JSON object. Received: 3"),
        ({"image": "a.jpg", "parts": []}, "a record needs the field 'people'"),
        ([1, 2], "a record must be a JSON object"),
        (_line(size=[1, 2, 3]), r"`size` must be \(height, width\).*Received: size=\[1, 2, 3\]"),
        (_line(size=[0, 2]), r"`size` must be \(height, width\).*Received: size=\[0, 2\]"),
        (_line(size="12"), r"`size` must be \(height, width\).*Received: size='12'"),
        (json.dumps(_line())[:-9], "not a JSON object .* the file may be cut off: write it again"),
    ],
)
def test_a_bad_line_is_named_with_its_remedy(tmp_path, line, message):
    path = _write(tmp_path / "bad.jsonl", _line(), "", line)
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 3: ") + ".*" + message):
        read_records(path)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_empty_file(tmp_path, text):
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"r.jsonl holds no records; `keras-cpm prepare` makes"):
        read_records(tmp_path / "r.jsonl")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file of records at .*gone.jsonl; `keras-cpm"):
        read_records(tmp_path / "gone.jsonl")
    with pytest.raises(FileNotFoundError):
        read_records(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "r.jsonl"
    write_records([record_with(str(tmp_path / "old.jpg"))], path)
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_records([record_with(), record_with(attributes={"x": float("nan")})], path)
    assert path.read_bytes() == before

    def stopping():
        yield record_with()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(stopping(), path)
    assert path.read_bytes() == before
    with pytest.raises(KeyboardInterrupt):
        write_records(stopping(), tmp_path / "new.jsonl")
    assert not (tmp_path / "new.jsonl").exists()


def test_a_write_replaces_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "r.jsonl"
    write_records([record_with(), record_with()], path)
    write_records([record_with(str(tmp_path / "new.jpg"))], path)
    assert [r.image for r in read_records(path)] == [str(tmp_path / "new.jpg")]
    assert [p.name for p in tmp_path.iterdir()] == ["r.jsonl"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\x7f"])
def test_only_a_line_break_ends_a_line(tmp_path, separator):
    """JSON allows the separators of Unicode in its texts; web pages are full of them."""
    lines = [_line(attributes={"note": f"one{separator}two"}), _line(image=f"a{separator}b.jpg")]
    text = "\r\n".join(json.dumps(line, ensure_ascii=separator < " ") for line in lines)
    (tmp_path / "r.jsonl").write_bytes(text.encode("utf-8"))
    first, second = read_records(tmp_path / "r.jsonl")
    assert first.attributes == {"note": f"one{separator}two"}
    assert second.image == str(tmp_path / f"a{separator}b.jpg")
    write_records([first, second], tmp_path / "again.jsonl")
    assert [r.to_dict() for r in read_records(tmp_path / "again.jsonl")] == [
        first.to_dict(),
        second.to_dict(),
    ]


def test_a_line_without_end_and_one_too_deep(tmp_path):
    with (tmp_path / "zeros.jsonl").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"zeros.jsonl has a line of 134217728 characters or more"):
        read_records(tmp_path / "zeros.jsonl")
    path = _write(tmp_path / "deep.jsonl", _line(), "[" * 100_000)
    with pytest.raises(ValueError, match=r"deep.jsonl, line 2: nested too deep"):
        read_records(path)


@pytest.mark.parametrize(
    "line, message",
    [
        (_line(person={"keypoints": [[10**400, 2, 2], [3, 4, 1], [0, 0, 0]]}), "finite pixels"),
        (_line(person={"center": [10**400, 2]}), "`center` must be finite pixels"),
        (_line(person={"height": 10**400}), "`height` must be a positive number"),
        (_line(size=[10**400, 5]), "`size` must be"),
        (_line(parts=["a", "b", ["c"]]), "`parts` must be unique names"),
        (_line(attributes=[1]), "a record: `attributes` must be a JSON object. Received: .1"),
        (_line(person={"attributes": "x"}), "person 0: `attributes` must be a JSON object"),
        (_line(split=5), "`split` must be a text. Received: 5"),
        (_line(dataset=None), "`dataset` must be a text. Received: None"),
        (_line(image="a\0.jpg"), "`image` must be a path"),
    ],
)
def test_a_value_of_another_kind_is_named(tmp_path, line, message):
    path = _write(tmp_path / "bad.jsonl", line)
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 1: ") + ".*" + message):
        read_records(path)


def _numbers(value):
    """Of attributes, which may hold anything."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [number for item in inner for number in _numbers(item)]
    return [value] if isinstance(value, float) else []


def test_a_mutated_file_is_read_or_refused_in_one_sentence(tmp_path):
    write_records(
        [record_with(str(tmp_path / "a.jpg"), (person_with(), person_with(visible=[0, 2, 1])))],
        tmp_path / "whole.jsonl",
    )
    content = json.loads((tmp_path / "whole.jsonl").read_text())
    path, outcomes = tmp_path / "r.jsonl", []
    for seed in range(150):
        path.write_text(mutated(content, seed) + "\n")
        try:
            (record,) = read_records(path)
        except ValueError as error:
            assert f"{path}, line 1: " in str(error) and len(str(error)) < 2000
            outcomes.append("refused")
            continue
        outcomes.append("read")
        free = [record.attributes, *(person.attributes for person in record.people)]
        if not np.isfinite(_numbers(free)).all():
            continue
        # what was read can be written, and is then the same
        write_records([record], tmp_path / "again.jsonl")
        _same(read_records(tmp_path / "again.jsonl")[0], record)
        assert all(np.isfinite(person.keypoints).all() for person in record.people)
    assert outcomes.count("read") >= 15 and outcomes.count("refused") >= 50


def test_a_crowd_is_in_memory_once(tmp_path):
    """Its people stand in the lines of all."""
    crowd = [person_with(keypoints=np.full((3, 2), i), visible=[2] * 3) for i in range(20)]
    records = [record_with(str(tmp_path / "a.jpg"), (*crowd[i:], *crowd[:i])) for i in range(20)]
    write_records(records, tmp_path / "r.jsonl")
    back = read_records(tmp_path / "r.jsonl")
    assert len({id(person) for record in back for person in record.people}) == 20
    for before, after in zip(records, back, strict=True):
        _same(before, after)


def test_a_record_of_very_many_people_is_read(tmp_path):
    """What compares each with each takes hours."""
    people = [{"keypoints": [[i, 2, 2], [3, i, 1], [0, 0, 0]]} for i in range(5_000)]
    (record,) = read_records(_write(tmp_path / "r.jsonl", _line(people=people)))
    assert len(record.people) == 5_000 and record.people[-1].keypoints[0].tolist() == [4_999, 2]
