"""Convolutional Pose Machines (Wei, Ramakrishna, Kanade, Sheikh, CVPR 2016) for Keras.

Public names are loaded when they are first used, so that `import keras_cpm` costs nothing and the
parts that need no TensorFlow work without it.
"""

import contextlib
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING

from .models import keras_settings

__version__ = "1.0.0"

_HOME = {
    name: module
    for module, names in {
        "pose.skeleton": "Skeleton CPM14 LSP14 MPII16 FLIC9 COCO17 HAND21 QUADRUPED17",
        "pose.spec": "PoseSpec",
        "training.losses": "BeliefL2 belief_l2 stage_losses",
        "evaluation.metrics": "BeliefPCK pck pckh auc reference_length",
        "models.cpm": "build_cpm initialize_release",
        "models.released": "build_released released_spec",
        "models.caffe.weights": "load_caffe_weights",
        "data.records": "Person Record",
        "data.jsonl": "read_records write_records",
        "data.formats.lsp": "load_lsp",
        "data.formats.mpii": "load_mpii",
        "data.formats.flic": "load_flic",
        "data.formats.coco": "load_coco coco_skeleton",
        "data.formats.coco_writer": "write_coco",
        "data.formats.coco_results": "read_coco_results",
        "data.formats.release_json": "load_release",
        "data.formats.labels": "load_labels labels_skeleton",
        "data.formats.predictions": "read_predictions write_predictions",
        "data.synthetic.figures": "Figure Bone Panel Color PERSON HAND QUADRUPED",
        "data.synthetic.draw": "draw_figure draw_records",
        "data.augment": "AugmentSpec",
        "data.pipeline": "make_dataset num_steps",
        "models.bundle": "save_bundle load",
        "models.push": "push",
        "training.recipes": "TrainSpec MODERN RELEASE",
        "models.transfer": "transfer_weights",
        "inference.predictor": "Predictor",
        "pose.pose": "Pose",
        "inference.person_finder": "find_people",
        "inference.people": "find_poses FoundPerson",
        "visualization.pose": "draw_pose",
        "visualization.beliefs": "draw_beliefs draw_stages",
        "training.train": "compile_cpm train",
        "training.plan": "TrainingPlan plan_training",
        "data.pack": "pack",
        "evaluation.scores": "Evaluation",
        "evaluation.evaluate": "evaluate evaluate_predictions predict_records mean_pose",
        "evaluation.coco": "evaluate_coco CocoScores",
        "evaluation.sigmas": "estimate_sigmas",
        "export.saved_model": "export_saved_model",
        "export.tflite": "export_tflite",
        "export.litert": "LiteRTModel",
        "export.onnx_file": "export_onnx",
        "export.onnx_runtime": "ONNXModel",
        "export.verify": "verify",
        "serving.client": "Client",
        "serving.app": "launch_app",
        "inference.video": "predict_video follow_poses",
        "inference.crowd": "FollowedPerson",
        "inference.bulk": "predict_many",
        "visualization.saliency": "explain effective_receptive_field",
        "addons.legacy": "load_addons",
    }.items()
    for name in names.split()
}

# modules of coordinates and belief maps
_MODULES = {"geometry": "pose.geometry", "codec": "pose.codec"}

__all__ = sorted([*_HOME, *_MODULES])


# what type checkers and editors see; to them `__getattr__` would be a name for anything
if TYPE_CHECKING:
    from .addons.legacy import load_addons as load_addons
    from .data.augment import AugmentSpec as AugmentSpec
    from .data.formats.coco import coco_skeleton as coco_skeleton
    from .data.formats.coco import load_coco as load_coco
    from .data.formats.coco_results import read_coco_results as read_coco_results
    from .data.formats.coco_writer import write_coco as write_coco
    from .data.formats.flic import load_flic as load_flic
    from .data.formats.labels import labels_skeleton as labels_skeleton
    from .data.formats.labels import load_labels as load_labels
    from .data.formats.lsp import load_lsp as load_lsp
    from .data.formats.mpii import load_mpii as load_mpii
    from .data.formats.predictions import read_predictions as read_predictions
    from .data.formats.predictions import write_predictions as write_predictions
    from .data.formats.release_json import load_release as load_release
    from .data.jsonl import read_records as read_records
    from .data.jsonl import write_records as write_records
    from .data.pack import pack as pack
    from .data.pipeline import make_dataset as make_dataset
    from .data.pipeline import num_steps as num_steps
    from .data.records import Person as Person
    from .data.records import Record as Record
    from .data.synthetic.draw import draw_figure as draw_figure
    from .data.synthetic.draw import draw_records as draw_records
    from .data.synthetic.figures import HAND as HAND
    from .data.synthetic.figures import PERSON as PERSON
    from .data.synthetic.figures import QUADRUPED as QUADRUPED
    from .data.synthetic.figures import Bone as Bone
    from .data.synthetic.figures import Color as Color
    from .data.synthetic.figures import Figure as Figure
    from .data.synthetic.figures import Panel as Panel
    from .evaluation.coco import CocoScores as CocoScores
    from .evaluation.coco import evaluate_coco as evaluate_coco
    from .evaluation.evaluate import evaluate as evaluate
    from .evaluation.evaluate import evaluate_predictions as evaluate_predictions
    from .evaluation.evaluate import mean_pose as mean_pose
    from .evaluation.evaluate import predict_records as predict_records
    from .evaluation.metrics import BeliefPCK as BeliefPCK
    from .evaluation.metrics import auc as auc
    from .evaluation.metrics import pck as pck
    from .evaluation.metrics import pckh as pckh
    from .evaluation.metrics import reference_length as reference_length
    from .evaluation.scores import Evaluation as Evaluation
    from .evaluation.sigmas import estimate_sigmas as estimate_sigmas
    from .export.litert import LiteRTModel as LiteRTModel
    from .export.onnx_file import export_onnx as export_onnx
    from .export.onnx_runtime import ONNXModel as ONNXModel
    from .export.saved_model import export_saved_model as export_saved_model
    from .export.tflite import export_tflite as export_tflite
    from .export.verify import verify as verify
    from .inference.bulk import predict_many as predict_many
    from .inference.crowd import FollowedPerson as FollowedPerson
    from .inference.people import FoundPerson as FoundPerson
    from .inference.people import find_poses as find_poses
    from .inference.person_finder import find_people as find_people
    from .inference.predictor import Predictor as Predictor
    from .inference.video import follow_poses as follow_poses
    from .inference.video import predict_video as predict_video
    from .models.bundle import load as load
    from .models.bundle import save_bundle as save_bundle
    from .models.caffe.weights import load_caffe_weights as load_caffe_weights
    from .models.cpm import build_cpm as build_cpm
    from .models.cpm import initialize_release as initialize_release
    from .models.push import push as push
    from .models.released import build_released as build_released
    from .models.released import released_spec as released_spec
    from .models.transfer import transfer_weights as transfer_weights
    from .pose import codec as codec
    from .pose import geometry as geometry
    from .pose.pose import Pose as Pose
    from .pose.skeleton import COCO17 as COCO17
    from .pose.skeleton import CPM14 as CPM14
    from .pose.skeleton import FLIC9 as FLIC9
    from .pose.skeleton import HAND21 as HAND21
    from .pose.skeleton import LSP14 as LSP14
    from .pose.skeleton import MPII16 as MPII16
    from .pose.skeleton import QUADRUPED17 as QUADRUPED17
    from .pose.skeleton import Skeleton as Skeleton
    from .pose.spec import PoseSpec as PoseSpec
    from .serving.app import launch_app as launch_app
    from .serving.client import Client as Client
    from .training.losses import BeliefL2 as BeliefL2
    from .training.losses import belief_l2 as belief_l2
    from .training.losses import stage_losses as stage_losses
    from .training.plan import TrainingPlan as TrainingPlan
    from .training.plan import plan_training as plan_training
    from .training.recipes import MODERN as MODERN
    from .training.recipes import RELEASE as RELEASE
    from .training.recipes import TrainSpec as TrainSpec
    from .training.train import compile_cpm as compile_cpm
    from .training.train import train as train
    from .visualization.beliefs import draw_beliefs as draw_beliefs
    from .visualization.beliefs import draw_stages as draw_stages
    from .visualization.pose import draw_pose as draw_pose
    from .visualization.saliency import effective_receptive_field as effective_receptive_field
    from .visualization.saliency import explain as explain
else:

    def __getattr__(name):
        if name in _MODULES:
            return import_module(f".{_MODULES[name]}", __name__)
        if name not in _HOME:
            raise AttributeError(f"module 'keras_cpm' has no attribute {name!r}")
        return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__():
    return sorted([*globals(), *__all__])


# Layers, losses, metrics and optimisers that files of Keras name.
_SERIALIZABLE = ("models.layers", "training.losses", "training.optimizers", "evaluation.metrics")


class _AfterKeras:
    """Registers what files of Keras name, once Keras is there.

    `keras.models.load_model` looks classes up in one dict and asks nobody else, so what a file may
    name must stand in it beforehand; but our classes are Keras' subclasses, and to import Keras
    here would cost everybody ten seconds. So this stands first among the finders of `import`,
    watches the imports of Keras and of our own modules, and finds nothing itself. When the
    outermost of them ends and Keras is there, it imports the modules that register and leaves.
    Not sooner: one of ours may be half imported, waiting for Keras.
    """

    def __init__(self):
        self._local = threading.local()

    def find_spec(self, name, path=None, target=None):
        ours = name.startswith(f"{__name__}.")
        if name != "keras" and not ours:
            return None
        if sys.modules.get("keras") is not None if ours else self._depth:
            # Keras and a module of ours come together: not with a backend that we do not know
            keras_settings.check()
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Watched(spec.loader, self)
        return spec

    @property
    def _depth(self):
        return getattr(self._local, "depth", 0)

    def importing(self, load, module):
        self._local.depth = self._depth + 1
        try:
            load(module)
        finally:
            self._local.depth -= 1
        if not self._depth:
            self.register()

    def register(self):
        # `None` where somebody forbids it
        if sys.modules.get("keras") is None:
            return
        if keras_settings.backend() not in keras_settings.BACKENDS:
            return
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        # where another thread is importing one of them for Keras, that thread registers
        with contextlib.suppress(RuntimeError):
            for module in _SERIALIZABLE:
                import_module(f".{module}", __name__)


class _Watched:
    """A loader that tells `_AfterKeras` when its module is whole."""

    def __init__(self, loader, watch):
        self._loader, self._watch = loader, watch

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._watch.importing(self._loader.exec_module, module)


_watch = _AfterKeras()
sys.meta_path.insert(0, _watch)
_watch.register()
