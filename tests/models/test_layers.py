"""What towers and stages are made of, where sizes are odd or not fixed."""

import subprocess
import sys

import numpy as np
import pytest

import keras_cpm


@pytest.mark.parametrize("sides", [(72, 72), (64, 88), (40, 24)])
def test_a_light_network_of_any_size_keeps_its_cells(sides, tiny_spec):
    """Cells that are halved and doubled: also odd numbers of them."""
    options = {"backbone": "light", "stage_block": "light", "width": 8}
    free = keras_cpm.build_cpm(2, tiny_spec, input_size="any", **options)
    inputs = [np.ones((1, *sides, 3), "float32"), np.ones((1, *sides, 1), "float32")]
    cells = tuple(side // 8 for side in sides)
    assert [tuple(output.shape[1:3]) for output in free(inputs)] == [cells, cells]
    if sides[0] == sides[1]:
        fixed = keras_cpm.build_cpm(2, tiny_spec.replace(box_size=sides[0]), **options)
        fixed.set_weights(free.get_weights())
        for a, b in zip(fixed(inputs), free(inputs), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_another_process_knows_the_layers_of_any_size(tiny_spec, tmp_path):
    options = {"backbone": "light", "stage_block": "light", "width": 8, "input_size": "any"}
    keras_cpm.save_bundle(tmp_path, keras_cpm.build_cpm(2, tiny_spec, **options), tiny_spec)
    code = f"import keras_cpm; print(keras_cpm.load({str(tmp_path)!r})[0].output_names)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "['stage1', 'stage2']", run.stderr
