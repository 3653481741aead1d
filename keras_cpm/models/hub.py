"""Bundles on Hugging Face's hub: `hf://OWNER/NAME`, or `hf://OWNER/NAME@REVISION`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# a `Path` makes one slash of two
_ADDRESS = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+)(?:@([\w.-]+(?:/[\w.-]+)*))?")


def is_address(name: str | Path) -> bool:
    """Whether `name` is meant as an address of the hub, and not as a folder.

    Example:
        >>> from keras_cpm.models import hub
        >>> hub.is_address("hf://somebody/pose"), hub.is_address("somebody/pose")
        (True, False)
    """
    return str(name).startswith("hf:/")


def parts(address: str | Path) -> tuple[str, str | None]:
    """The repository of an address, and the revision, `None` for the newest.

    Raises:
        ValueError: it is none.

    Example:
        >>> from keras_cpm.models import hub
        >>> hub.parts("hf://somebody/pose@v1")
        ('somebody/pose', 'v1')
    """
    found = _ADDRESS.fullmatch(str(address))
    if found is None or ".." in str(address):
        raise ValueError(
            "An address of the hub must be hf://OWNER/NAME or hf://OWNER/NAME@REVISION. Received: "
            f"{str(address)!r}"
        )
    return found[1], found[2]


def fetched(address: str | Path, names: Sequence[str]) -> Path:
    """The folder of the cache with a repository's files of these names, and no others of it.

    Where the hub cannot be reached, the copy that the cache has of the same revision is taken.

    Args:
        address: see `parts`.
        names: of files at the top of the repository; those that it has not are left out.

    Raises:
        ImportError: without the extra `hub`.
        FileNotFoundError: the hub shows no such repository or revision, or cannot be reached and
            the cache has no copy.
        OSError: whatever else kept the files from coming.
    """
    repository, revision = parts(address)
    with _said(address, "fetched"):
        return Path(
            _library()
            .HfApi()
            .snapshot_download(repository, revision=revision, allow_patterns=[*names])
        )


def send(address: str | Path, files: Mapping[str, Path | bytes], *, private: bool) -> str:
    """Writes files into a repository, in one commit; others in it stay.

    Args:
        address: see `parts`; the repository is made if it is not there, a branch is not.
        files: name at the top of the repository -> path or content.
        private: whether a repository that is made is hidden from others.

    Returns:
        the address of the commit, which will not change.

    Raises:
        ImportError, FileNotFoundError, OSError: see `fetched`.
    """
    repository, revision = parts(address)
    with _said(address, "written"):
        library = _library()
        api = library.HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        added = [
            library.CommitOperationAdd(
                name, content if isinstance(content, bytes) else str(content)
            )
            for name, content in files.items()
        ]
        commit = api.create_commit(
            repository, added, commit_message="Bundle of keras_cpm", revision=revision
        )
    return f"hf://{repository}@{commit.oid}"


def with_head(text: str, license: str | None, tags: Sequence[str]) -> str:
    """A card as the hub reads it: Markdown after a head of YAML. What a head of `text` says stays.

    Raises:
        ImportError: without the extra `hub`.
        ValueError: the head of `text` cannot be read.
    """
    library = _library()
    try:
        card = library.ModelCard(text if text.startswith("---\n") else f"---\n{{}}\n---\n{text}")
    # YAML's own, of which there are many
    except Exception as error:
        raise ValueError(
            "README.md begins with lines between --- that are no card of the hub; mend them, or "
            f"take them away. {str(error).splitlines()[0]:.300}"
        ) from error
    head = card.data
    head.library_name = head.library_name or "keras-cpm"
    head.pipeline_tag = head.pipeline_tag or "keypoint-detection"
    head.tags = [*dict.fromkeys([*(head.tags or ()), *tags])]
    head.license = license or head.license
    return str(card)


def _library():
    try:
        import huggingface_hub.errors
    except ImportError as error:
        raise ImportError(
            "Models of the hub need huggingface_hub: pip install 'keras-cpm[hub]'"
        ) from error
    return huggingface_hub


@contextlib.contextmanager
def _said(address: str | Path, done: str) -> Iterator[None]:
    """Errors of the library within it become one sentence with the remedy."""
    errors = _library().errors
    try:
        yield
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise FileNotFoundError(
            f"The hub has no {address} that it shows to you; correct owner, name and revision, or "
            "say who you are with `hf auth login`."
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise FileNotFoundError(
            f"{address} cannot be {done}: the hub is out of reach, and the cache has no whole copy "
            "of it; connect (HF_HUB_OFFLINE must not be set), or name a folder."
        ) from error
    # the library hands on those of the one that it speaks HTTP with
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        remedy = (
            "say who you are with `hf auth login`, with a token that may write"
            if status in (401, 403)
            else "try again"
        )
        reason = (str(error) or repr(error)).splitlines()[0]
        raise OSError(f"{address} cannot be {done} ({reason:.300}); {remedy}.") from error
