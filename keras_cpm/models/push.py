"""A bundle goes to Hugging Face's hub, with its model card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..pose.spec import PoseSpec
from . import bundle, hub

_TAGS = ("keras", "pose-estimation", "convolutional-pose-machines")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)\s]+)\)")
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def push(
    name_or_directory: Path | str,
    address: str,
    *,
    license: str | None = None,
    tags: Sequence[str] = (),
    private: bool = False,
) -> str:
    """Writes a bundle to Hugging Face's hub, in one commit, as who `hf auth login` says you are.

    It is loaded first, so that nothing arrives that nobody can load. Of the folder go model.keras,
    spec.json, network.json, README.md with the head that the hub reads, and the pictures that
    README.md shows; links of it to other files become plain text. Without README.md a card of a
    few lines is written. `keras_cpm.load(address)` reads it again.

    Args:
        name_or_directory: folder or name of the bundle, as in `load`.
        address: "hf://OWNER/NAME", made if it is not there, or "hf://OWNER/NAME@BRANCH".
        license: identifier of the hub, such as "apache-2.0"; without it the card names none that
            README.md does not name.
        tags: for whoever searches, beside those of poses and Keras.
        private: whether a repository that is made is hidden from others.

    Returns:
        "hf://OWNER/NAME@COMMIT", which stays what was written.

    Raises:
        ValueError: `address` is none, the bundle is damaged, or README.md has a head that is none.
        FileNotFoundError, OSError: no such bundle or branch, no permission, or no connection.
        ImportError: without the extra `hub`.

    Example:
        >>> import keras_cpm
        >>> try:
        ...     keras_cpm.push("cpm-light-lsp", "somebody/pose")
        ... except ValueError as error:
        ...     print(error)
        An address of the hub must be hf://OWNER/NAME or hf://OWNER/NAME@REVISION. Received: \
'somebody/pose'
    """
    repository, _ = hub.parts(address)
    directory = bundle.bundle_directory(name_or_directory)
    _, spec = bundle.load(directory)
    readme = directory / bundle.CARD_FILE
    text = readme.read_text("utf-8") if readme.is_file() else _short_card(repository, spec)
    text, pictures = _within(text, directory)
    card = hub.with_head(text, license, [*_TAGS, *tags])
    files: dict[str, Path | bytes] = {
        name: directory / name
        for name in (*bundle.FILES, *pictures)
        if (directory / name).is_file()
    }
    return hub.send(address, {**files, bundle.CARD_FILE: card.encode()}, private=private)


def _short_card(repository: str, spec: PoseSpec) -> str:
    return (
        f"# {repository.split('/')[1]}\n\n"
        f"A Convolutional Pose Machine for {spec.num_parts} parts ({spec.skeleton.name}), in "
        f"network boxes of {spec.box_size} pixels.\n\n"
        "```\npip install 'keras-cpm[hub]'\n```\n\n"
        "```python\nimport keras_cpm\n\n"
        f'model, spec = keras_cpm.load("hf://{repository}")\n'
        'pose = keras_cpm.Predictor(model, spec)("photo.jpg")\n```\n'
    )


def _within(text: str, directory: Path) -> tuple[str, list[str]]:
    """`text` without links to what the hub does not get, and the names of its pictures."""
    pictures = []

    def linked(link: re.Match[str]) -> str:
        shows, words, target = link.groups()
        inside = Path(target).name == target and Path(target).suffix.lower() in _PICTURES
        if inside and (directory / target).is_file():
            pictures.append(target)
            return link[0]
        return "" if shows else words

    return _LINK.sub(linked, text), pictures
