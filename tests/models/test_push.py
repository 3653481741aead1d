"""A bundle goes to the hub with its card, and comes back; a stand-in takes it."""

import numpy as np
import pytest

import keras_cpm

library = pytest.importorskip("huggingface_hub", reason="needs the extra hub")
ADDRESS = "hf://somebody/pose"
CARD = """# Mine

It began as [another](../other/README.md), see [the words](words.txt) and [Keras](https://keras.io).

![What it does](poses.png) ![gone](gone.png) ![elsewhere](../elsewhere.png)
"""


@pytest.fixture(scope="module")
def folder(tiny_spec, tmp_path_factory):
    """A bundle with a card, a picture, and what is nobody's business."""
    folder = tmp_path_factory.mktemp("bundle")
    model = keras_cpm.build_cpm(2, tiny_spec, width=8)
    keras_cpm.save_bundle(folder, model, tiny_spec, {"stages": 2, "width": 8})
    (folder / "README.md").write_text(CARD)
    (folder / "poses.png").write_bytes(b"a picture")
    for name in ("words.txt", "train.log", "optimizer.pkl", "other.png"):
        (folder / name).write_text("mine")
    return folder


def card_of(files):
    return library.ModelCard(files["README.md"].decode())


def test_there_and_back_again(hub_server, folder, tiny_spec):
    written = keras_cpm.push(folder, ADDRESS, license="apache-2.0", tags=["fish", "keras"])
    (commit, files) = hub_server.repositories["somebody/pose"][-1]
    assert written == f"{ADDRESS}@{commit}" and not hub_server.private
    bundle = {"model.keras", "spec.json", "network.json", "README.md"}
    assert files.keys() == bundle | {"poses.png"}
    model, spec = keras_cpm.load(written)
    assert spec == tiny_spec
    ours, _ = keras_cpm.load(folder)
    for one, other in zip(ours.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_card_has_the_hub_s_head_and_the_same_words(hub_server, folder):
    keras_cpm.push(folder, ADDRESS, license="apache-2.0", tags=["fish", "keras"])
    card = card_of(hub_server.repositories["somebody/pose"][-1][1])
    tags = ["keras", "pose-estimation", "convolutional-pose-machines", "fish"]
    assert card.data.to_dict() == {
        "library_name": "keras-cpm",
        "license": "apache-2.0",
        "pipeline_tag": "keypoint-detection",
        "tags": tags,
    }
    # what the hub has not is no link there
    assert card.text.strip() == (
        "# Mine\n\nIt began as another, see the words and [Keras](https://keras.io).\n\n"
        "![What it does](poses.png)"
    )
    # the folder is as it was
    assert (folder / "README.md").read_text() == CARD


def test_a_head_that_is_there_stays(hub_server, folder, tmp_path):
    for path in folder.glob("*.[jk]*s*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    head = "---\nlicense: mit\nlibrary_name: own\ndatasets: [lsp]\ntags: [dog]\n---\n# Mine\n"
    (tmp_path / "README.md").write_text(head)
    keras_cpm.push(tmp_path, ADDRESS, private=True)
    assert hub_server.private == {"somebody/pose"}
    data = card_of(hub_server.repositories["somebody/pose"][-1][1]).data
    assert (data.license, data.library_name, data.datasets) == ("mit", "own", ["lsp"])
    assert data.tags[:2] == ["dog", "keras"]
    (tmp_path / "README.md").write_text("---\n- no\n: card\n---\n")
    with pytest.raises(ValueError, match=r"README\.md begins with lines between ---"):
        keras_cpm.push(tmp_path, ADDRESS)
    # without one, a few lines that say how it is loaded
    (tmp_path / "README.md").unlink()
    keras_cpm.push(tmp_path, ADDRESS)
    card = card_of(hub_server.repositories["somebody/pose"][-1][1])
    assert f'keras_cpm.load("{ADDRESS}")' in card.text and card.data.license is None
    assert "14 parts (cpm14), in network boxes of 64 pixels" in card.text
