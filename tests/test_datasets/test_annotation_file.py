"""Annotation files that are refused: each table row is one reason."""

from pathlib import Path

import pytest
from annotation_changes import joints, third, third_image_entry, third_without
from tiny_domains import edit_json

from mmpose_da.datasets import AnnotationError, MixedDomainDataset

NAN, INF = float("nan"), float("inf")


COCO_FILES = {
    # change of the file: what the error says besides the file's name
    "no list of people": (lambda c: c.pop("annotations"), "a list 'annotations'"),
    "no list of images": (lambda c: c.pop("images"), "a list 'images'"),
    "a person that is none": (
        lambda c: c["annotations"].append(None),
        "annotation None must be an object",
    ),
    "no id": (third_without("id"), r"annotation .* has no \['id'\]"),
    "id twice": (third(id=20), "several annotations have the id 20"),
    "image's id twice": (third_image_entry(id=2), "several images have the id 2"),
    "no image": (third_without("image_id"), r"annotation 30 has no \['image_id'\]"),
    "unknown image": (third(image_id=99), "annotation 30 has image_id=99, which"),
    "image id as text": (third(image_id="3"), "annotation 30 has image_id='3'"),
    "unknown category": (third(category_id=7), "annotation 30 has category_id=7"),
    "image without a name": (
        lambda c: c["images"][2].pop("file_name"),
        r"image 3 has no \['file_name'\]",
    ),
    "image of no width": (third_image_entry(width=0), "image 3 has width=0"),
    "box of three numbers": (third(bbox=[1, 2, 3]), r"30 has bbox=\[1, 2, 3\]"),
    "box of text": (third(bbox="1 2 3 4"), "annotation 30 has bbox='1 2 3 4'"),
    "box of NaN": (third(bbox=[NAN, 8, 64, 64]), "annotation 30 .* not finite"),
    "joints without visibility": (third(keypoints=[40] * 34), "30 has keypoints="),
    "joints of text": (third(keypoints=["a"] * 51), "annotation 30 has keypoints="),
    "joints in a tangle": (third(keypoints=[[1], [2, 3]]), "30 has keypoints="),
    "one joint less": (third(keypoints=joints(16)), "30 .* has 16 joints, .* has 17"),
    "NaN joint": (third(keypoints=joints(j4=(NAN, 1, 2))), "annotation 30 .* finite"),
    "infinite joint": (third(keypoints=joints(j4=(INF, 1, 2))), "30 .* finite"),
    "visibility below 0": (third(keypoints=joints(j4=-1)), "annotation 30 .* below 0"),
}


MPII_FILES = {
    "a list is missing": (lambda c: c[2].clear(), "annotation 2 has no"),
    "no joints": (third_without("joints"), r"annotation 2 has no \['joints'\]"),
    "image without a number": (third(image="a.png"), "annotation 2 has image='a.png'"),
    "no size": (third(scale=None), "annotation 2 has scale=None"),
    "NaN center": (third(center=[NAN, 4.0]), "annotation 2 .* box .* not finite"),
    "one joint less": (third(joints=[[9, 9]] * 15), "annotation 2 .* 15 joints.* 16"),
    "one visibility less": (
        third(joints_vis=[1] * 15),
        "annotation 2 .* 15 joints.* 16",
    ),
    "NaN joint": (third(joints=[[NAN, 9]] * 16), "annotation 2 .* finite"),
}


@pytest.mark.parametrize("change, message", COCO_FILES.values(), ids=COCO_FILES)
def test_coco_file_is_refused(coco, change, message):
    edit_json(coco["ann_file"], change)
    with pytest.raises(AnnotationError, match=message) as error:
        MixedDomainDataset("MpiiDataset", source=coco)
    assert coco["ann_file"] in str(error.value)


@pytest.mark.parametrize("change, message", MPII_FILES.values(), ids=MPII_FILES)
def test_mpii_file_is_refused(mpii, change, message):
    edit_json(mpii["ann_file"], change)
    with pytest.raises(AnnotationError, match=message) as error:
        MixedDomainDataset("MpiiDataset", source=mpii)
    assert mpii["ann_file"] in str(error.value)


@pytest.mark.parametrize("text", ["", "[1, 2", "\x00", "7", '"text"', "null"])
@pytest.mark.parametrize("kind", ["coco", "mpii"])
def test_file_that_is_something_else_is_refused(request, kind, text):
    cfg = request.getfixturevalue(kind)
    Path(cfg["ann_file"]).write_text(text)
    with pytest.raises(AnnotationError, match="annotations.json': "):
        MixedDomainDataset("MpiiDataset", target=cfg)


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "detections.json"),
        ("{}", "must be a list of detections"),
        ('[{"image_id": 1, "category_id": 1, "score": 1}]', "detection 0 has no"),
        (
            '[{"image_id": 77, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]}]',
            "detection 0 has image_id=77",
        ),
        (
            '[{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 0, 4]}]',
            "no person that can be used: 1 with a box of no area",
        ),
    ],
)
def test_bad_detections_are_named(tmp_path, coco, content, message):
    path = tmp_path / "detections.json"
    path.write_text(content)
    with pytest.raises(AnnotationError, match=message):
        MixedDomainDataset("MpiiDataset", target=dict(coco, bbox_file=str(path)))
