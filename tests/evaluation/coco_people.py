"""People as COCO annotates them, and results of them, for the tests of COCO's metric."""

import contextlib
import io
import json

import numpy as np

import keras_cpm


def annotated(path, *, photographs=20, seed=0, ignored=True):
    """Writes a file of COCO's 17 parts: none to four people a photograph, `ignored` ones among
    them (a crowd, people without labels); its content.
    """
    draw = np.random.default_rng(seed)
    images, annotations = [], []
    for image in draw.permutation(900)[:photographs].tolist():
        name = f"{image:012d}.jpg"
        images.append({"id": image, "file_name": name, "height": 480, "width": 640})
        for _ in range(draw.integers(0, 5)):
            width, height = draw.uniform(25, 220), draw.uniform(25, 300)
            x, y = draw.uniform(0, 400), draw.uniform(0, 200)
            points = np.round(draw.uniform((x, y), (x + width, y + height), (17, 2)))
            visible = draw.choice([0, 1, 2], 17, p=[0.3, 0.2, 0.5])
            kind = draw.choice(["labelled", "unlabelled", "crowd"], p=[0.8, 0.1, 0.1])
            if kind != "labelled" or not visible.any():
                if not ignored:
                    continue
                visible[:] = 0
            triples = np.column_stack([points * (visible > 0)[:, None], visible])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "keypoints": triples.ravel().tolist(),
                    "num_keypoints": int((visible > 0).sum()),
                    "bbox": [x, y, width, height],
                    "area": width * height * draw.uniform(0.3, 0.8),
                    "iscrowd": int(kind == "crowd"),
                }
            )
    parts = list(keras_cpm.COCO17.parts)
    category = {"id": 1, "name": "person", "keypoints": parts, "skeleton": []}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    path.write_text(json.dumps(content))
    return content


def found(content, *, seed=0, noise=0.03):
    """Results: most people, near or less near, some twice, and nobody's; many of equal scores."""
    draw = np.random.default_rng(seed)
    results = []
    for one in content["annotations"]:
        for _ in range(draw.choice([0, 1, 1, 1, 2])):
            x, y, width, height = one["bbox"]
            triples = np.reshape(one["keypoints"], (-1, 3)).astype(float)
            unknown = triples[:, 2] == 0
            count = unknown.sum()
            triples[unknown, :2] = draw.uniform((x, y), (x + width, y + height), (count, 2))
            size = noise * draw.choice([0.2, 1, 3]) * np.sqrt(one["area"])
            triples[:, :2] += draw.normal(0, size, (len(triples), 2))
            triples[:, 2] = 1
            results.append(
                {
                    "image_id": one["image_id"],
                    "category_id": one["category_id"],
                    "keypoints": triples.ravel().round(2).tolist(),
                    "score": round(float(draw.uniform(0.2, 1)), 1),
                }
            )
    nobodys = [dict(one) for one in results[::5]]
    for one in nobodys:
        one["image_id"] = content["images"][draw.integers(len(content["images"]))]["id"]
    return results + nobodys


def pycocotools_says(content, results, sigmas=None):
    """The ten numbers of COCO's own tools, in percent."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(content))
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(json.loads(json.dumps(results))), "keypoints")
        if sigmas is not None:
            evaluator.params.kpt_oks_sigmas = np.array(sigmas)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return 100 * evaluator.stats
