"""setup.py, doctor and the tree agree."""

import re
import subprocess
import sys
from pathlib import Path

import keras_cpm
from keras_cpm.cli.commands import doctor
from keras_cpm.models import bundle

ROOT = Path(__file__).parents[1]
SETUP = (ROOT / "setup.py").read_text("utf-8")


def test_doctor_asks_for_what_setup_asks_for():
    # the first bound of a package is what users need, those of the tests may be higher
    bounds = dict(reversed(re.findall(r'"([\w-]+)(?:\[\w+\])?>=([\d.]+)', SETUP)))
    for name, lowest, _ in doctor._PACKAGES:
        assert bounds[name] == lowest, name


def test_doctor_knows_old_versions_and_names_the_remedy(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: "3.9.2" if name == "keras" else "99.1")
    lines = dict(doctor.diagnose())
    (line,) = [line for line in lines if line.startswith("keras 3.9.2")]
    assert not lines[line] and "pip install 'keras>=" in line


def test_doctor_accepts_what_is_optional_and_refuses_two_builds_of_opencv(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "jax" else "99.1")
    lines = dict(doctor.diagnose())
    assert any(
        fine is None and line.startswith("jax is not installed (optional")
        for line, fine in lines.items()
    )
    assert any(fine is False and "overwrite each other" in line for line, fine in lines.items())


def test_importing_the_package_loads_nothing_heavy():
    script = (
        "import sys, keras_cpm; sys.exit(bool({'tensorflow', 'keras', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_the_folder_of_bundles_is_part_of_the_package():
    assert Path(sys.modules[bundle.__name__].__file__).is_file()
    assert all((folder / "model.keras").is_file() for folder in bundle.shipped_bundles().values())
    assert '"keras_cpm.saved_models": "saved_models"' in SETUP


def test_unknown_names_are_attribute_errors():
    assert not hasattr(keras_cpm, "build_openpose")
    assert set(keras_cpm.__all__) <= set(dir(keras_cpm))
