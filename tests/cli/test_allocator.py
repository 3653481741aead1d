"""The settings of glibc's allocator; what they are worth is measured by `benchmarks.engines`."""

import subprocess
import sys


def test_a_running_process_takes_the_settings():
    script = "from keras_cpm.cli.allocator import apply, is_glibc; print(apply() == is_glibc())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_another_c_library_is_left_alone(monkeypatch):
    from keras_cpm.cli import allocator

    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    assert not allocator.is_glibc() and allocator.apply() is False
