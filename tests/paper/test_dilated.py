"""Networks of one size that see more or less."""

from keras_cpm.models.receptive_field import receptive_field
from keras_cpm.paper.dilated import DILATIONS, build_dilated


def test_the_same_size_sees_farther(tiny_spec):
    fields, sizes = [], []
    for dilations in DILATIONS:
        model = build_dilated(dilations, tiny_spec)
        fields.append(receptive_field(model, "stage2", "image"))
        sizes.append(model.count_params())
    assert fields == [15, 31, 47, 63, 79, 111]
    assert max(sizes) < 1.05 * min(sizes)
