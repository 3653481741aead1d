"""setup.py, doctor and the tree agree."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

import keras_cpm
from keras_cpm.cli.main import main
from keras_cpm.models import bundle

ROOT = Path(__file__).parents[1]
SETUP = (ROOT / "setup.py").read_text("utf-8")


def lines_of_doctor():
    lines = CliRunner().invoke(main, ["doctor"]).output.splitlines()
    return {line[8:]: line[:8].strip() for line in lines}


@pytest.fixture
def versions(monkeypatch):
    """Function: lets packages have versions, `None` = not installed."""

    def have(**changed):
        of_installed = metadata.version
        there = {name.replace("_", "-"): version for name, version in changed.items()}

        def version(name):
            found = there[name] if name in there else of_installed(name)
            if found is None:
                raise metadata.PackageNotFoundError(name)
            return found

        monkeypatch.setattr(metadata, "version", version)

    return have


@pytest.fixture
def installed():
    """Lines of the metadata; they must be those of setup.py."""
    try:
        lines = metadata.requires("keras-cpm")
    except metadata.PackageNotFoundError:
        pytest.skip("the package is not installed")
    for name, bound in re.findall(r'"([\w-]+)(?:\[\w+\])?(>=[\d.]+)', SETUP):
        found = [line for line in lines if re.match(rf"{name}\b", line)]
        if not any(bound in line for line in found):
            pytest.skip(f"setup.py asks for {name}{bound} since the package was installed")
    return lines


def test_doctor_knows_every_package_that_users_may_need(installed):
    lines = lines_of_doctor()
    others = ("test", "dev", "docs")
    for line in installed:
        needed = Requirement(line)
        extra = re.search(r"extra == ['\"](\w+)", line)
        here = needed.marker is None or needed.marker.evaluate({"extra": extra[1]})
        if not here or (extra and extra[1] in others):
            continue
        told = [text for text in lines if text.startswith(f"{needed.name} ")]
        assert told, line


def test_doctor_knows_old_versions_and_those_that_are_too_new(installed, versions):
    versions(keras="3.9.2", opencv_python="5.0.1", mlflow="2.9")
    lines = lines_of_doctor()
    for begins, remedy in (
        ("keras 3.9.2 is not keras>=", "pip install 'keras>="),
        ("opencv-python 5.0.1 is not opencv-python<5,>=", "pip install 'opencv-python<5,>="),
        ("mlflow 2.9 is not mlflow>=", "pip install 'keras-cpm[mlflow]'"),
    ):
        (line,) = [line for line in lines if line.startswith(begins)]
        assert lines[line] == "mend" and remedy in line


def test_doctor_accepts_what_is_optional_and_refuses_two_builds_of_opencv(installed, versions):
    versions(jax=None, opencv_python_headless="4.14", click=None)
    lines = lines_of_doctor()
    (optional,) = [line for line in lines if line.startswith("jax is not installed (optional")]
    assert lines[optional] == "-" and "pip install 'keras-cpm[jax]'" in optional
    (needed,) = [line for line in lines if line.startswith("click is not installed; pip install")]
    assert lines[needed] == "mend"
    (twice,) = [line for line in lines if "overwrite each other" in line]
    assert lines[twice] == "mend"


def test_doctor_takes_another_build_of_the_same_modules(installed, versions):
    opencv = metadata.version("opencv-python")
    versions(tensorflow=None, tensorflow_cpu="2.21.0")
    versions(opencv_python=None, opencv_python_headless=opencv)
    lines = lines_of_doctor()
    assert lines[f"opencv-python-headless {opencv}"] == "ok"
    assert lines["tensorflow-cpu 2.21.0"] == "ok"
    assert not any(line.startswith(("tensorflow ", "opencv-python ")) for line in lines)


def test_doctor_says_that_the_package_is_not_installed(monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: metadata.version("no-such-package"))
    (line,) = [line for line in lines_of_doctor() if line.startswith("keras-cpm is not installed")]
    assert line.endswith("pip install .")


def test_the_page_of_installation_has_every_extra():
    page = (ROOT / "docs/get-started.md").read_text("utf-8")
    block = SETUP[SETUP.index("EXTRAS = {") : SETUP.index("\n}\n")]
    extras = re.findall(r'^    "(\w+)": \[', block, re.M)
    rows = " ".join(re.findall(r"^\| (`.+?`) \|", page, re.M))
    assert extras and not {*extras} - {*re.findall(r"\w+", rows)}


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


def test_the_version_is_one():
    (written,) = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)
    newest = re.search(r"^## \[(\d.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[1]
    assert keras_cpm.__version__ == written == newest
    assert "version=VERSION" in SETUP


def test_a_release_is_what_was_checked_and_only_its_publication_may_publish():
    yaml = pytest.importorskip("yaml")
    flow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))
    jobs = flow["jobs"]
    assert flow["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in jobs.items()} == {
        "build": None,
        "publish": {"id-token": "write"},
        "pages": {"contents": "write"},
    }
    assert (jobs["publish"]["needs"], jobs["pages"]["needs"]) == ("build", "publish")
    # what is published was built and checked in another job; no password is named
    used = [step.get("uses", "") for step in jobs["publish"]["steps"]]
    assert [name.split("@")[0] for name in used] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]
    assert all("with" not in step or "password" not in step["with"] for step in flow_steps(jobs))
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    runs = " ".join(step.get("run", "") for step in flow_steps(jobs))
    assert {*re.findall(r"\bmake ([\w-]+)", runs)} == {"dist", "docs-release"} <= {*targets}
    # a tag of another number publishes nothing
    assert 'test -f "dist/keras_cpm-${GITHUB_REF_NAME#v}.tar.gz"' in runs


def flow_steps(jobs):
    return [step for job in jobs.values() for step in job["steps"]]
