"""What the processor is said to have."""

import platform

import pytest

from keras_cpm.models.processor import units


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"), reason="named by Linux on x86"
)
def test_every_processor_of_64_bits_has_these():
    assert {"fpu", "sse2", "lm"} <= units()
    assert all(name.replace("_", "").isalnum() for name in units())
