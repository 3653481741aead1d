"""Convolutional Pose Machines (Wei, Ramakrishna, Kanade, Sheikh, CVPR 2016) for Keras.

Public names are loaded when they are first used, so that `import keras_cpm` costs nothing and the
parts that need no TensorFlow work without it.
"""

from importlib import import_module

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
        "data.formats.release_json": "load_release",
        "data.formats.predictions": "read_predictions write_predictions",
        "data.synthetic.figures": "Figure Bone Panel Color PERSON HAND QUADRUPED",
        "data.synthetic.draw": "draw_figure draw_records",
        "data.augment": "AugmentSpec",
        "data.pipeline": "make_dataset num_steps",
        "models.bundle": "save_bundle load",
        "training.recipes": "TrainSpec MODERN RELEASE",
        "models.transfer": "transfer_weights",
        "inference.predictor": "Predictor",
        "pose.pose": "Pose",
        "inference.person_finder": "find_people",
        "visualization.pose": "draw_pose",
        "visualization.beliefs": "draw_beliefs draw_stages",
        "training.train": "compile_cpm train",
        "training.plan": "TrainingPlan plan_training",
        "data.pack": "pack",
        "evaluation.scores": "Evaluation",
        "evaluation.evaluate": "evaluate evaluate_predictions predict_records mean_pose",
        "export.saved_model": "export_saved_model",
        "export.tflite": "export_tflite",
        "export.litert": "LiteRTModel",
        "export.verify": "verify",
        "serving.client": "Client",
        "inference.video": "predict_video",
        "visualization.saliency": "explain effective_receptive_field",
    }.items()
    for name in names.split()
}

# modules of coordinates and belief maps
_MODULES = {"geometry": "pose.geometry", "codec": "pose.codec"}

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name):
    if name in _MODULES:
        return import_module(f".{_MODULES[name]}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module 'keras_cpm' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__():
    return sorted([*globals(), *__all__])
