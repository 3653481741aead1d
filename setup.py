"""Metadata of the package; tool settings are in pyproject.toml."""

import re
from itertools import chain
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
INIT = (ROOT / "keras_cpm/__init__.py").read_text("utf-8")
VERSION = re.search(r'__version__ = "(.+?)"', INIT)[1]

EXTRAS = {
    # predicts, and runs exported .tflite files, without TensorFlow
    "mobile": ["ai-edge-litert>=1.2"],
    # halves and quarters them
    "quantize": ["ai-edge-quantizer>=0.10"],
    # writes .onnx files, and runs them
    "onnx": ["tf2onnx>=1.17", "onnxruntime>=1.20"],
    # a client of TensorFlow Serving over gRPC
    "serving": ["tensorflow-serving-api>=2.18"],
    # looks inside
    "vis": ["tf-keras-vis>=0.8.7"],
    # predicts photographs by the million
    "bulk": ["ray[data]>=2.50", "pyarrow>=17"],
    # reads what was labelled in SLEAP, DeepLabCut and YOLO
    "labels": ["sleap-io>=0.9", "pyyaml>=6"],
    # the forests of the Pose Machine; the wheel for Linux without NVIDIA's library
    "forest": [
        "xgboost-cpu>=3.2; sys_platform == 'linux'",
        "xgboost>=3.2; sys_platform != 'linux'",
    ],
    # COCO's metric
    "coco": ["faster-coco-eval>=1.8"],
    # trackers of experiments; pillow for their pictures
    "tensorboard": ["tensorboard>=2.18"],
    "wandb": ["wandb>=0.31", "pillow>=10"],
    "mlflow": ["mlflow>=3.17", "pillow>=10"],
    # loads models of Hugging Face's hub, and writes them there
    "hub": ["huggingface_hub>=1.0"],
    # trains
    "jax": ["jax>=0.4.30"],
}

setup(
    name="keras-cpm",
    version=VERSION,
    description="Convolutional Pose Machines for Keras: train, evaluate, predict and export",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    # the one place that knows where the project lives; whoever forks it changes this line
    url="https://github.com/OWNER/keras_cpm",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=[*find_packages(include=["keras_cpm", "keras_cpm.*"]), "keras_cpm.saved_models"],
    # trained bundles live beside the package in the repository and inside it in a wheel
    package_dir={"keras_cpm.saved_models": "saved_models"},
    package_data={"keras_cpm": ["py.typed"], "keras_cpm.saved_models": ["*.md", "*/*"]},
    install_requires=[
        "tensorflow>=2.18",
        # older ones can be made to run code or read files by a model file: CVE-2026-1669 and kin
        "keras>=3.15.1",
        "numpy>=1.26",
        # 5 drops the Caffe importer that the tests compare with
        "opencv-python>=4.9,<5",
        "click>=8.1",
        "rich>=13",
        # one training a folder
        "filelock>=3.13",
        # doctor reads the bounds of all these
        "packaging>=22",
        # .mat files of the data sets; those of version 7.3 are HDF5
        "scipy>=1.11",
        "h5py>=3.10",
    ],
    extras_require={
        **EXTRAS,
        # a page in the browser; 190 MB, and a pillow older than the one that images are compared
        # with, so its tests are skipped where it is not
        "app": ["gradio>=6.31,<7"],
        # an oracle of the tests, at the end of its life; tf-keras holds TensorFlow below 2.22
        "addons": [
            "tensorflow-addons==0.23.0; python_version < '3.12'",
            "tf-keras>=2.18,<2.22; python_version < '3.12'",
        ],
        "test": [
            *chain.from_iterable(EXTRAS.values()),
            "pytest>=8",
            "pytest-xdist>=3",
            "opencv-python>=4.14,<5",
            "pillow>=10",
            # which the tests compare COCO's metric with
            "pycocotools>=2.0.8",
            # examples/serving
            "dockerfile-parse>=2",
            # the pods of examples/bulk
            "kubernetes-validate>=1.33",
            # examples/several_hosts and examples/tuning
            *("ray[train]>=2.50", "optuna>=5"),
            # notebooks
            *("jupytext>=1.16", "nbclient>=0.10", "ipykernel>=6", "matplotlib>=3.8"),
        ],
        "dev": [
            *("mypy>=2.3", "pre-commit>=4", "ruff>=0.17,<0.18"),
            # `make dist`
            *("build>=1.2", "setuptools>=69", "twine>=6"),
        ],
        # the pages of docs/
        "docs": [
            "mkdocs>=1.6,<2",
            "mkdocs-material>=9.5,<10",
            "mkdocstrings[python]>=0.26",
            # one set of pages a version
            "mike>=2.1",
            "nbconvert>=7.16",
        ],
    },
    entry_points={"console_scripts": ["keras-cpm=keras_cpm.cli.main:main"]},
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    keywords=["pose estimation", "convolutional pose machines", "keras", "keypoints"],
)
