"""Labels of SLEAP and DeepLabCut, as sleap-io reads them."""

import warnings
from pathlib import Path

import numpy as np

from ...images import arrays, formats, marks
from ...pose.arithmetic import by_tensorflow
from ..photographs import found
from ..placement import place_around
from ..records import VISIBLE, Person


def read_slp(path, *, images, frames, split):
    """A .slp file; see `labels.load_labels`.

    Returns:
        the figure: name, parts, limbs and flip_pairs; list of items, one a photograph; and a
        function of an item: path of the photograph, its size or `None`, list of `Person`, and its
        split or `None`.

    Raises:
        ImportError, ValueError, FileNotFoundError: one sentence.
    """
    labels = _load(path, lambda sio: sio.load_slp(str(path), open_videos=False))
    return _figure_and_items(path, labels, images, frames)


def read_deeplabcut(path, *, images, frames, split):
    """A DeepLabCut project or one CollectedData file, .csv or the .h5 beside it; as `read_slp`."""
    if path.suffix.lower() == ".h5":
        # pandas' .h5 holds pickles, which are programs; DeepLabCut writes the same labels as text
        table = path.with_suffix(".csv")
        if not table.is_file():
            raise FileNotFoundError(
                f"DeepLabCut's labels are read from {table.name}, which it writes beside "
                f"{path.name}; copy it there: {table} is missing."
            )
        path = table
    is_table = path.suffix.lower() == ".csv"
    if is_table and not path.read_bytes()[:6] == b"scorer":
        raise ValueError(
            f'{path} must begin with "scorer", as CollectedData files of DeepLabCut do; name one.'
        )
    read = "load_dlc" if is_table else "load_dlc_project"
    labels = _load(path, lambda sio: getattr(sio, read)(str(path)))
    _check_photographs(path, labels, is_table)
    return _figure_and_items(path, labels, images, frames)


def _load(path, read):
    try:
        import sleap_io
    except ImportError:
        raise ImportError(
            "Labels of SLEAP and DeepLabCut need sleap-io: pip install 'keras-cpm[labels]'"
        ) from None
    try:
        return read(sleap_io)
    except Exception as error:  # sleap-io does not say what it, pandas and HDF5 raise
        raise ValueError(
            f"{path} cannot be read ({type(error).__name__}: {error!s:.200}); save or export the "
            "labels again."
        ) from None


def _check_photographs(path, labels, is_table):
    """sleap-io passes over photographs that are missing, and counts the rest as if there were
    none missing: their labels would come to others.
    """
    folder = path.parent if is_table or path.is_file() else path
    tables = [path] if is_table else sorted(folder.glob("labeled-data/*/CollectedData*.csv"))
    whole = {Path(video.filename[0]).resolve().parent for video in labels.videos}
    short = {
        Path(frame.video.filename[0]).resolve().parent
        for frame in labels
        if frame.frame_idx >= len(frame.video.filename)
    }
    for table in tables:
        home = table.resolve().parent
        if home in short or not (is_table or home in whole) or not labels.videos:
            raise FileNotFoundError(
                f"Photographs that {table} labels are missing; put all of them beside it, as "
                "DeepLabCut does (what it predicted on a video is no label)."
            )


def _figure_and_items(path, labels, images, frames):
    labelled = [frame for frame in labels if frame.user_instances]
    predicted = sum(len(frame.instances) - len(frame.user_instances) for frame in labels)
    if not labelled:
        raise ValueError(
            f"{path} has no figure that somebody labelled, and {predicted} predicted ones, which "
            "are not read; label some frames."
        )
    if predicted:
        warnings.warn(f"{path}: {predicted} predicted figures are left out.", stacklevel=4)
    skeletons = {
        frozenset(figure.skeleton.node_names): figure.skeleton
        for frame in labelled
        for figure in frame.user_instances
    }
    if len(skeletons) > 1:
        raise ValueError(
            f"{path} has figures of {len(skeletons)} skeletons; save a file for each. "
            f"Received: {[skeleton.node_names for skeleton in skeletons.values()]!r:.300}"
        )
    (skeleton,) = skeletons.values()
    parts = tuple(skeleton.node_names)
    folders = [*([images] if images else []), path if path.is_dir() else path.parent]

    def read(frame):
        people = [_person(figure, parts) for figure in frame.user_instances]
        return _image(frame, labels.videos, folders, frames, path), None, people, None

    figure = {
        "name": skeleton.name,
        "parts": parts,
        "limbs": skeleton.edge_names,
        "flip_pairs": sorted({tuple(sorted(pair)) for pair in skeleton.symmetry_names}),
    }
    return figure, labelled, read


def _person(figure, parts):
    points = dict(zip(figure.skeleton.node_names, figure.numpy(), strict=True))
    points = np.array([points[part] for part in parts])
    labelled = np.isfinite(points).all(axis=1)
    center, height = place_around(points[labelled])
    return Person(
        np.where(labelled[:, None], points, 0), labelled * VISIBLE, center=center, height=height
    )


def _image(frame, videos, folders, frames, path):
    name, number = frame.video.filename, frame.frame_idx
    if isinstance(name, list):
        if number >= len(name):
            raise ValueError(f"{path} labels image {number} of a list of {len(name)}; save again.")
        return found([name[number]], folders)
    if number == 0 and name.lower().endswith(formats.PHOTOGRAPHS):
        return found([name], folders)
    source = Path(str(getattr(frame.video.source_video, "filename", name)).replace("\\", "/"))
    if frames is None:
        raise ValueError(
            f"{path} labels frames of the video {source.name}; name a folder for these with "
            "`frames`."
        )
    which = f".{videos.index(frame.video)}" if len(videos) > 1 else ""
    image = Path(frames).resolve() / f"{source.stem}{which}-{number:06d}.png"
    if image.exists() and not marks.is_ours(image):
        raise ValueError(f"{image} is there, and no frame of ours; name another folder.")
    pixels = arrays.as_rgb(_pixels(frame.video, number, folders))
    image.parent.mkdir(parents=True, exist_ok=True)
    with by_tensorflow() as tf:
        marks.write_marked(image, tf.io.encode_png(pixels, compression=3).numpy())
    return str(image)


def _pixels(video, number, folders):
    """(H, W, 3) uint8 RGB of a frame."""
    if not video.is_open:
        if not Path(video.filename).is_file():
            video.replace_filename(found([video.filename], folders), open=False)
        video.open_backend = True
    try:
        pixels = np.asarray(video[number])
    except Exception as error:  # whatever its decoder raises
        raise ValueError(
            f"Frame {number} of {video.filename} cannot be read ({type(error).__name__}: "
            f"{error!s:.200}); copy the video again."
        ) from None
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
