"""Convolutional Pose Machines (Wei, Ramakrishna, Kanade, Sheikh, CVPR 2016) for Keras.

Public names are loaded when they are first used, so that `import keras_cpm` costs nothing and the
parts that need no TensorFlow work without it.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    name: module
    for module, names in {
        "skeleton": "Skeleton CPM14 LSP14 MPII16 FLIC9 COCO17 HAND21 QUADRUPED17",
        "spec": "PoseSpec",
        "losses": "BeliefL2 belief_l2 stage_losses",
        "metrics": "BeliefPCK pck pckh auc reference_length",
        "models.cpm": "build_cpm initialize_release",
        "models.released": "build_released released_spec",
        "models.caffe": "load_caffe_weights",
        "data.records": "Person Record",
        "data.jsonl": "read_records write_records",
        "data.lsp": "load_lsp",
        "data.mpii": "load_mpii",
        "data.flic": "load_flic",
        "data.coco": "load_coco coco_skeleton",
        "data.coco_writer": "write_coco",
        "data.release": "load_release",
        "data.predictions": "read_predictions write_predictions",
        "data.figures": "Figure Bone Panel Color PERSON HAND QUADRUPED",
        "data.synthetic": "draw_figure draw_records",
        "data.pipeline": "make_dataset num_steps",
        "bundle": "save_bundle load",
        "recipes": "TrainSpec MODERN RELEASE AugmentSpec",
        "models.transfer": "transfer_weights",
        "predictor": "Predictor",
        "pose": "Pose",
        "people": "find_people",
        "stick_figure": "draw_pose",
        "visualize": "draw_beliefs draw_stages",
        "training": "compile_cpm train",
        "packs": "pack",
        "scores": "Evaluation",
        "evaluation": "evaluate evaluate_predictions predict_records mean_pose",
        "export": "export_saved_model export_tflite",
        "litert": "LiteRTModel",
        "verification": "verify",
        "client": "Client",
        "clips": "predict_video",
        "explaining": "explain effective_receptive_field",
    }.items()
    for name in names.split()
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'keras_cpm' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__():
    return sorted([*globals(), *__all__])
