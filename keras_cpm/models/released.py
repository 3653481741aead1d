"""The networks that the authors released, by name: `build_released`, and where their weights were.

Facts of pose_deploy*.prototxt, get_model.sh and the licence files of the release of 17 July 2016
and of its revision of 5 June 2018.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..pose.skeleton import CPM14, FLIC9
from ..pose.spec import PoseSpec
from .person import PERSON1

if TYPE_CHECKING:
    import keras

LICENCE = (
    "CMU's licence for academic and non-profit, non-commercial research (the release's LICENSE)"
)
# get_model.sh of 2018, which has all files, and of 2016
_HOST_2018 = "http://posefs1.perception.cs.cmu.edu/CPM/caffe_model_github/model/"
_HOST_2016 = "http://pearl.vasc.ri.cmu.edu/caffe_model_github/model/"


@dataclass(frozen=True)
class ReleasedNetwork:
    """What the release says about one of its networks.

    Args:
        spec: `PoseSpec`; the person network takes images of any size, its box is the height to
            which the release scales them.
        files: name of a file of weights -> what it was trained on.
        folder: of these files on the hosts.
        network: keyword arguments of `build_cpm`.
        hosts: where the files were published.

    Example:
        >>> from keras_cpm.models.released import RELEASED
        >>> list(RELEASED["flic"].files)
        ['pose_iter_40000.caffemodel']
    """

    spec: PoseSpec
    folder: str
    files: dict
    network: dict = field(default_factory=dict)
    hosts: tuple = (_HOST_2018, _HOST_2016)


_PAPER = {"stages": 6, "backbone": "cpm", "stage_block": "classic"}
_VGG = {"stages": 6, "backbone": "vgg19", "stage_block": "vgg"}

RELEASED = {
    "mpii": ReleasedNetwork(
        PoseSpec(skeleton=CPM14),
        "_trained_MPI",
        {
            "pose_iter_985000_addLEEDS.caffemodel": (
                "MPII and LSP: 88.52 PCKh@0.5 on MPII, 90.5 PCK@0.2 on LSP"
            ),
            "pose_iter_630000.caffemodel": "MPII: 87.95 PCKh@0.5",
        },
        _PAPER,
    ),
    "lsp": ReleasedNetwork(
        PoseSpec(skeleton=CPM14),
        "_trained_LEEDS_PC",
        {"pose_iter_395000.caffemodel": "LSP and LSPET, person-centric: 84.32 PCK@0.2"},
        _PAPER,
    ),
    "flic": ReleasedNetwork(
        PoseSpec(skeleton=FLIC9),
        "_trained_FLIC",
        {"pose_iter_40000.caffemodel": "FLIC, observer-centric: elbow 97.59, wrist 95.03 PCK@0.2"},
        _PAPER | {"stages": 4},
    ),
    "mpii-vgg": ReleasedNetwork(
        PoseSpec(skeleton=CPM14),
        "_trained_MPI",
        {"pose_iter_320000.caffemodel": "MPII: 90.1 PCKh@0.5 (release of 2018 only)"},
        _VGG,
        (_HOST_2018,),
    ),
    "person": ReleasedNetwork(
        PoseSpec(skeleton=PERSON1, background=False),
        "_trained_person_MPI",
        {"pose_iter_70000.caffemodel": "where people are, on MPII (release of 2018 only)"},
        _VGG
        | {
            "stages": 4,
            "backbone": "vgg19-person",
            "center_map": False,
            "input_size": "any",
        },
        (_HOST_2018,),
    ),
}


def build_released(name: str, *, width: int = 128, input_size: str | None = None) -> keras.Model:
    """Builds a released network, to the last parameter and layer name; its weights are random.

    | name | stages | parts | parameters |
    |---|---|---|---|
    | "mpii", "lsp" | 6 | 14 | 31,219,866 |
    | "flic" | 4 | 9 | 21,323,816 |
    | "mpii-vgg" | 6 | 14 | 29,852,058 |
    | "person" | 4 | 1, no background, no center map | 25,714,372 |

    Args:
        name: "mpii", "lsp", "flic", "mpii-vgg" or "person".
        width: filters; 128 is the release, tests take 8.
        input_size: as in `build_cpm`; the person network is fully convolutional anyway.

    Returns:
        `keras.Model`, see `build_cpm`. `released_spec(name)` says what its numbers mean;
        `load_caffe_weights` fills it.

    Raises:
        ValueError: an unknown name.

    Example:
        >>> from keras_cpm import build_released
        >>> build_released("flic").count_params()
        21323816
    """
    network = _known(name).network
    if input_size is not None:
        network = network | {"input_size": input_size}
    # where only the spec is asked for, Keras stays out
    from .cpm import build_cpm

    return build_cpm(spec=released_spec(name), width=width, name=name.replace("-", "_"), **network)


def released_spec(name: str) -> PoseSpec:
    """The `PoseSpec` of a released network.

    Example:
        >>> from keras_cpm import released_spec
        >>> released_spec("flic").num_channels
        10
    """
    return _known(name).spec


def where_weights_are(name):
    """Sentences for whoever has no weights: names of files, where they were, under what licence.

    Example:
        >>> from keras_cpm.models.released import where_weights_are
        >>> "pose_iter_395000.caffemodel" in where_weights_are("lsp")
        True
    """
    network = _known(name)
    files = "\n".join(f"  {file}: {what}" for file, what in network.files.items())
    hosts = "\n".join(f"  {host}{network.folder}/" for host in network.hosts)
    return (
        f"Weights of the released network {name!r} are the authors' and not part of this package. "
        f"Files:\n{files}\nThey were published at (users report both hosts dead):\n{hosts}\n"
        f"Licence: {LICENCE}."
    )


def _known(name):
    if name not in RELEASED:
        raise ValueError(
            f"`name` must be one of the released networks {list(RELEASED)}. Received: name={name!r}"
        )
    return RELEASED[name]
