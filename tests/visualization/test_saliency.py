"""What a part looks at: against networks of which that is known."""

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.visualization import saliency
from keras_cpm.visualization.saliency import (
    METHODS,
    concentration,
    effective_receptive_field,
    explain,
)

pytest.importorskip("tf_keras_vis")

SPEC = keras_cpm.PoseSpec(keras_cpm.Skeleton("two", ("a", "b")), box_size=64, background=False)


@pytest.fixture(scope="module")
def red_and_blue():
    """Stage 1 believes in "a" where the box is red and in "b" where it is blue; stage 2 in "a"
    where it is blue.
    """
    image = keras.Input((64, 64, 3), name="image")
    center = keras.Input((64, 64, 1), name="center_map")
    cells = keras.layers.AveragePooling2D(8)(image)
    outputs = []
    for stage, channels in ((1, (0, 2)), (2, (2, 0))):
        weights = np.zeros((1, 1, 3, 2), np.float32)
        weights[0, 0, channels, (0, 1)] = 1 / 255
        convolution = keras.layers.Conv2D(2, 1, use_bias=False, name=f"conv{stage}")
        outputs.append(keras.layers.Identity(name=f"stage{stage}")(convolution(cells)))
        convolution.set_weights([weights])
    return keras.Model([image, center], outputs)


@pytest.fixture
def box():
    """A red square above on the left, a blue one below on the right, on grey."""
    picture = np.full((64, 64, 3), 20, np.uint8)
    picture[8:24, 8:24] = (250, 20, 20)
    picture[40:56, 40:56] = (20, 20, 250)
    return picture


RED, BLUE = (slice(8, 24),) * 2, (slice(40, 56),) * 2


@pytest.mark.parametrize("method", ["saliency", "smoothgrad"])
@pytest.mark.parametrize("part, stage, square", [("a", 1, RED), ("b", 1, BLUE), ("a", 2, BLUE)])
def test_gradients_lie_in_the_cell_of_the_peak(red_and_blue, box, method, part, stage, square):
    heat = explain(red_and_blue, SPEC, box, part, stage=stage, method=method)
    assert heat.shape == (64, 64) and heat.max() == 1 and heat.min() >= 0
    assert heat[square].sum() / heat.sum() > 0.999


def test_noise_is_the_same_every_time(red_and_blue, box):
    first, second = (explain(red_and_blue, SPEC, box, "a", method="smoothgrad") for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_point_may_be_named_instead_of_the_peak(red_and_blue, box):
    heat = explain(red_and_blue, SPEC, box, "a", stage=1, at=(36.5, 27.5))
    rows, columns = np.indices(heat.shape)
    assert (heat * columns).sum() / heat.sum() == pytest.approx(36.5, abs=0.1)
    assert (heat * rows).sum() / heat.sum() == pytest.approx(27.5, abs=0.1)
    assert heat[RED].sum() < 0.05 * heat.sum()


@pytest.mark.parametrize("method", ["gradcam++", "scorecam"])
def test_features_of_the_squares_count(red_and_blue, box, method):
    heat = explain(red_and_blue, SPEC, box, "a", stage=1, method=method)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert heat.shape == (64, 64) and 8 <= row < 24 and 8 <= column < 24


def test_stage_1_of_the_paper_sees_its_receptive_field_and_no_more():
    from keras_cpm.models.receptive_field import receptive_field

    spec = keras_cpm.PoseSpec(box_size=368)
    keras.utils.set_random_seed(0)
    model = keras_cpm.build_cpm(2, spec, width=16)
    boxes = np.random.default_rng(0).integers(0, 255, (1, 368, 368, 3))
    field = effective_receptive_field(model, spec, "neck", boxes, stage=1)
    assert field.sum() == pytest.approx(1, abs=1e-4)
    rows, columns = (np.flatnonzero(field.sum(axis)) for axis in (1, 0))
    side, cell = receptive_field(model, "stage1", "image"), 8 * (46 // 2) + 3.5
    for seen in (rows, columns):
        assert len(seen) > side - 16 and seen.max() - seen.min() < side
        assert abs((seen.min() + seen.max()) / 2 - cell) < 8
    # the middle third moves it most
    third = len(rows) // 3
    assert field[rows[third : 2 * third]].sum() > 0.5


def test_climbing_finds_what_a_part_likes(red_and_blue):
    liked = saliency.maximize(red_and_blue, SPEC, "a", stage=1, steps=20)
    assert liked.shape == (64, 64, 3) and liked.dtype == np.uint8
    middle = liked[24:40, 24:40].astype(float).mean((0, 1))
    assert middle[0] > middle[2] + 20


def test_concentration_is_a_share_against_an_area():
    heat = np.zeros((100, 100))
    heat[30, 70] = 1
    area = np.mean(np.hypot(*np.meshgrid(np.arange(100) - 70, np.arange(100) - 30)) <= 10)
    assert concentration(heat, (70, 30), 10) == pytest.approx(1 / area)
    assert concentration(heat, (30, 70), 10) == 0
    assert concentration(np.ones((9, 9)), (4, 4), 3) == pytest.approx(1)


def test_errors_name_the_remedy(red_and_blue, box):
    for arguments, sentence in (
        ({"method": "lime"}, "`method` must be one of"),
        ({"stage": 3}, r"`stage` must be in 1\.\.2"),
        ({"at": "middle"}, "`at` must be"),
        ({"at": (300, 30)}, r"`at` must be a point of the network box, 0\.\.63"),
    ):
        with pytest.raises(ValueError, match=sentence):
            explain(red_and_blue, SPEC, box, "a", **arguments)
    with pytest.raises(ValueError, match="nose"):
        explain(red_and_blue, SPEC, box, "nose")
    with pytest.raises(ValueError, match="must be the network box"):
        explain(red_and_blue, SPEC, box[:32], "a")


def test_a_stage_that_joins_several_is_said(box):
    image, center = keras.Input((64, 64, 3)), keras.Input((64, 64, 1))
    cells = keras.layers.AveragePooling2D(8)(image)
    branches = [keras.layers.Conv2D(2, 1)(cells) for _ in range(2)]
    model = keras.Model([image, center], keras.layers.Add(name="stage1")(branches))
    with pytest.raises(ValueError, match=r"with one convolution.*'stage1', which joins several"):
        explain(model, SPEC, box, "a")


def test_another_backend_is_said(red_and_blue, box, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        explain(red_and_blue, SPEC, box, "a")


def test_no_method_writes_to_stdout(red_and_blue, box, capfd):
    for method in METHODS:
        explain(red_and_blue, SPEC, box, "a", method=method)
    assert capfd.readouterr().out == ""


def test_the_verb_names_the_parts(drawn_records):
    words = ["cpm-light-lsp", drawn_records[0].image, "--part", "background"]
    result = CliRunner().invoke(main, ["explain", *words])
    assert result.exit_code == 2 and "--part must be one of head, neck" in result.output


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=() if name == "smoothgrad" else pytest.mark.slow)
        for name in METHODS
    ],
)
def test_the_verb_draws_every_method(method, drawn_records, tmp_path):
    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    keras_cpm.save_bundle(tmp_path / "bundle", model, spec)
    words = [str(tmp_path / "bundle"), drawn_records[0].image, "--part", "neck", "--method", method]
    picture = tmp_path / "out/explained.png"
    result = CliRunner().invoke(main, ["explain", *words, "--draw", str(picture)])
    assert result.exit_code == 0, result.output
    assert result.output.count("times more") == 2 and picture.stat().st_size > 5000
