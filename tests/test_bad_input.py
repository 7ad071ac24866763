"""Handling of bad input: each table row is one kind of it.

It gives the right result, is left out and listed, or raises an error that names it.
"""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmpose.registry import MODELS
from PIL import Image, ImageOps
from tiny_domains import COCO_LIMBS, MPII_LIMBS, TRAIN_PIPELINE, edit_json
from tiny_model import build, model_config
from tiny_run import METHOD, UDA, run_config

from mmpose_da.datasets import (
    AnnotationError,
    LoadIntactImage,
    MixedDomainBatchSampler,
    MixedDomainDataset,
)

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def coco(coco):
    """Not serialized, for MMEngine collects garbage when it does this."""
    return dict(coco, serialize_data=False)


@pytest.fixture
def mpii(mpii):
    return dict(mpii, serialize_data=False)


# ---------------------------------------------------------------------- images

HEIGHT, WIDTH = 60, 80


def picture(*channels: int, dtype=np.uint8) -> np.ndarray:
    """Smooth, so that JPEG keeps it; in RGB."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [100 + y, 50 + 2 * x, 220 - x - y, np.full_like(x, 77)]
    top = 257 if dtype == np.uint16 else 1
    image = np.stack([planes[c] * top for c in channels], -1).astype(dtype)
    return image[..., 0] if len(channels) == 1 else image


RGB, RGBA, GREY = picture(0, 1, 2), picture(0, 1, 2, 3), picture(0)
RGB16, GREY16 = (picture(*c, dtype=np.uint16) for c in ((0, 1, 2), (0,)))
BGR, GREY_BGR = RGB[..., ::-1], np.stack([GREY] * 3, -1)


def encode(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def encode16(rgb: np.ndarray) -> bytes:
    """A PNG of 16 bits, which Pillow does not write in color."""
    return cv2.imencode(".png", rgb[..., ::-1] if rgb.ndim == 3 else rgb)[1].tobytes()


def turned(orientation: int, image: np.ndarray = RGB) -> bytes:
    """A picture whose EXIF data asks to show it rotated."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, "JPEG", exif=exif, quality=95)


def with_preview(content: bytes) -> bytes:
    """A JPEG whose header contains a small JPEG with its own end marker."""
    preview = b"Exif\0\0" + encode(RGB[:8, :8], "JPEG")
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    return content[:2] + segment + content[2:]


def damaged(content: bytes) -> bytes:
    """With other bytes in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes(20) + content[middle + 20 :]


JPEG, PNG = encode(RGB, "JPEG", quality=95), encode(RGB, "PNG")
PALETTE = Image.fromarray(RGB // 64 * 64).quantize(256)
CUT_OFF = "000003.* is truncated"

IMAGES = {
    # what is in the file: (content, the image in BGR or what the error says)
    "JPEG cut off": (JPEG[: len(JPEG) // 2], CUT_OFF),
    "JPEG cut off before its last byte": (JPEG[:-1], CUT_OFF),
    "JPEG cut off after its preview": (
        with_preview(JPEG)[: len(JPEG) // 2 + 900],
        CUT_OFF,
    ),
    "JPEG cut off and filled up": (JPEG[: len(JPEG) // 2] + bytes(99), CUT_OFF),
    "JPEG with bytes after its end": (JPEG + b"\n\0more", BGR),
    "JPEG with a preview": (with_preview(JPEG), BGR),
    "PNG cut off": (PNG[: len(PNG) // 2], CUT_OFF),
    "PNG with bytes after its end": (PNG + b"more", BGR),
    "PNG with damage": (damaged(PNG), "000003.* cannot be decoded"),
    "empty": (b"", CUT_OFF),
    "a text": (b"<html>404</html>", "000003.* cannot be decoded"),
    "no file": (None, "No such file.*000003"),
    "16 bit": (encode16(RGB16), BGR),
    "16 bit, grey": (encode16(GREY16), GREY_BGR),
    "grey PNG": (encode(GREY, "PNG"), GREY_BGR),
    "grey JPEG": (encode(GREY, "JPEG", quality=95), GREY_BGR),
    "grey and transparent": (
        encode(Image.merge("LA", [Image.fromarray(GREY)] * 2), "PNG"),
        GREY_BGR,
    ),
    "transparent": (encode(RGBA, "PNG"), BGR),
    "palette": (
        encode(PALETTE, "PNG"),
        np.asarray(PALETTE.convert("RGB"))[..., ::-1],
    ),
    "1 bit": (
        encode(Image.fromarray(GREY > 130), "PNG"),
        (GREY_BGR > 130) * np.uint8(255),
    ),
    "CMYK": (encode(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=95), BGR),
    "of another size": (
        encode(RGB[:50], "PNG"),
        "000003.* is 80 x 50 pixels, but 80 x 60",
    ),
    "turned, and of another size": (
        turned(6, RGB[:50]),
        "000003.* is 80 x 50 pixels, but 80 x 60",
    ),
}


@pytest.fixture
def third_image(coco):
    """The dataset whose third image has a given content and size."""

    def load(content: bytes | None, size=(WIDTH, HEIGHT)) -> MixedDomainDataset:
        edit_json(
            coco["ann_file"],
            lambda c: c["images"][2].update(width=size[0], height=size[1]),
        )
        path = Path(coco["data_prefix"]["img"]) / "000003.png"
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        return MixedDomainDataset(
            "MpiiDataset", coco, pipeline=[dict(type="LoadImage")]
        )

    return load


@pytest.mark.parametrize("content, expected", IMAGES.values(), ids=IMAGES)
def test_image(third_image, content, expected):
    dataset = third_image(content)
    if isinstance(expected, str):
        with pytest.raises(RuntimeError, match=expected) as error:
            dataset[2]
        assert "annotation 30 of the domain 'source'" in str(error.value)
    else:
        image = dataset[2]["img"]
        assert image.dtype == np.uint8 and image.shape == expected.shape
        exact = not content.startswith(b"\xff\xd8")  # no JPEG
        assert np.abs(image.astype(int) - expected).max() <= (0 if exact else 8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (HEIGHT, WIDTH)])
def test_image_is_turned_as_its_annotation_says(third_image, orientation, size):
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(turned(orientation))))
    dataset = third_image(turned(orientation), size)
    if shown.size == size:
        expected = np.asarray(shown)[..., ::-1]
    elif size == (WIDTH, HEIGHT):
        expected = BGR
    else:
        with pytest.raises(RuntimeError, match="000003.* is 80 x 60 pixels, but 60 x"):
            dataset[2]
        return
    image = dataset[2]["img"]
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 8


def test_image_of_one_pixel(mpii):
    """MPII's annotations have no size; the person is what is around the pixel."""
    path = Path(mpii["data_prefix"]["img"]) / "000003.png"
    Image.fromarray(RGB[:1, :1]).save(path)
    dataset = MixedDomainDataset("MpiiDataset", mpii, pipeline=TRAIN_PIPELINE)
    assert dataset[2]["inputs"].shape == (3, 64, 64)


def test_image_that_is_loaded_already_is_not_read(tmp_path):
    results = LoadIntactImage()(dict(img=RGB, img_path=str(tmp_path / "none.png")))
    assert results["img"] is RGB and results["img_shape"] == (HEIGHT, WIDTH)


def test_image_as_floats(tmp_path):
    (tmp_path / "image.png").write_bytes(PNG)
    load = LoadIntactImage(to_float32=True)
    image = load(dict(img_path=str(tmp_path / "image.png")))["img"]
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, BGR)


def test_pipeline_that_gives_nothing_is_an_error(coco):
    """MMEngine would silently use another sample instead."""
    dataset = MixedDomainDataset("MpiiDataset", coco, pipeline=[lambda results: None])
    with pytest.raises(RuntimeError, match="annotation 30 .*'source'.*returned None"):
        dataset[2]


# ----------------------------------------------------------------- annotations

OUTSIDE, NO_JOINT = "with a box of no area in the image", "without a labeled joint"


def third(**changes):
    """Change the third person, whose id is 30 in COCO's format and 2 in MPII's."""

    def change(content):
        people = content["annotations"] if isinstance(content, dict) else content
        people[2].update(changes)

    return change


def third_without(key: str):
    def change(content):
        people = content["annotations"] if isinstance(content, dict) else content
        del people[2][key]

    return change


def third_image_entry(**changes):
    return lambda content: content["images"][2].update(changes)


def joints(count: int = 17, **of_joint) -> list[float]:
    """Labeled joints of COCO in the middle of the image, some of them changed."""
    values = np.tile([40.0, 40.0, 2.0], (count, 1))
    for index, value in of_joint.items():
        values[int(index[1:])] = value
    return values.ravel().tolist()


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
    "one joint less": (third(joints=[[9, 9]] * 15), "annotation 2 .* 15 joints"),
    "one visibility less": (third(joints_vis=[1] * 15), "annotation 2 .* 15 joints"),
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


LEFT_OUT = {
    # change of the file, why annotation 30 is left out of a labeled domain, and of one
    # without labels (None if it is not)
    "box of no area": (third(bbox=[8, 8, 0, 64]), OUTSIDE, OUTSIDE),
    "box of less": (third(bbox=[8, 8, -4, 64]), OUTSIDE, OUTSIDE),
    "box outside of the image": (third(bbox=[90, 8, 64, 64]), OUTSIDE, OUTSIDE),
    "infinite box": (third(bbox=[INF, 8, 64, 64]), OUTSIDE, OUTSIDE),
    "image of one pixel": (third_image_entry(width=1, height=1), OUTSIDE, OUTSIDE),
    "crowd": (third(iscrowd=1), "of a crowd", "of a crowd"),
    "no box": (third_without("bbox"), "without a box", "without a box"),
    "no joints": (third_without("keypoints"), "without joints", None),
    "no labeled joint": (third(keypoints=[0] * 51), NO_JOINT, None),
    "no labeled joint, counted as 17": (
        third(keypoints=joints(**{f"j{i}": (9, 9, 0) for i in range(17)})),
        NO_JOINT,
        None,
    ),
    "all joints left of the image": (
        third(keypoints=joints(**{f"j{i}": (-9, -9, 2) for i in range(17)})),
        "rejected by CocoDataset",
        None,
    ),
    "of a thing": (
        lambda c: (
            c.update(
                categories=[
                    dict(id=1, name="person", keypoints=["nose"]),
                    dict(id=3, name="car"),
                ]
            ),
            third(category_id=3)(c),
        ),
        "of a category without joints",
        "of a category without joints",
    ),
    "joints that are broken, in a domain without labels": (
        third(keypoints=[NAN, "a", [1]]),
        AnnotationError,
        None,
    ),
    # not left out
    "labeled joints, counted as 0": (
        third(keypoints=joints(), num_keypoints=0),
        None,
        None,
    ),
    "no count, no area, no crowd": (
        lambda c: [third_without(k)(c) for k in ("num_keypoints", "area", "iscrowd")],
        None,
        None,
    ),
    "box partly outside of the image": (third(bbox=[-5, 60, 30, 99]), None, None),
    "numbers far away": (third(keypoints=joints(j4=(1e30, -1e30, 2))), None, None),
    "ids as text": (third(id="thirty"), None, None),
}


@pytest.mark.parametrize("change, labeled, unlabeled", LEFT_OUT.values(), ids=LEFT_OUT)
def test_annotation_is_left_out_and_listed(coco, change, labeled, unlabeled):
    edit_json(coco["ann_file"], change)
    for role, expected in (("source", labeled), ("target", unlabeled)):
        if expected is AnnotationError:
            with pytest.raises(AnnotationError, match="annotation 30"):
                MixedDomainDataset("MpiiDataset", **{role: coco})
            continue
        dataset = MixedDomainDataset(
            "MpiiDataset", **{role: coco}, pipeline=TRAIN_PIPELINE
        )
        (left_out,) = dataset.left_out.values()
        found = [(annotation.id, annotation.reason) for annotation in left_out]
        assert found == ([] if expected is None else [(30, expected)])
        assert len(dataset) == 6 - len(found)
        for index in range(len(dataset)):
            assert dataset[index]["inputs"].shape == (3, 64, 64)


@pytest.mark.parametrize(
    "change, reason",
    [
        (third(scale=0.0), OUTSIDE),
        (third(scale=-1.0), OUTSIDE),
        (third(joints_vis=[0] * 16), NO_JOINT),
    ],
)
def test_mpii_annotation_is_left_out_and_listed(mpii, change, reason):
    edit_json(mpii["ann_file"], change)
    dataset = MixedDomainDataset("MpiiDataset", source=mpii)
    assert dataset.left_out == dict(source=[(2, 3, reason)])
    assert len(dataset) == 9


def test_left_out_are_in_the_log(coco, tmp_path):
    def change(content):
        for index in range(3):
            content["annotations"][index]["iscrowd"] = 1
        content["annotations"][3]["bbox"] = [0, 0, 0, 0]

    edit_json(coco["ann_file"], change)
    log = tmp_path / "log"
    MMLogger.get_instance("left_out", log_file=str(log), log_level="DEBUG")
    MixedDomainDataset("MpiiDataset", source=coco)
    text = log.read_text()
    assert (
        f"domain source: 2 people; left out 4: 3 of a crowd (10, 20, 30), 1 {OUTSIDE}"
        " (40)"
    ) in text


def test_each_target_annotation_is_in_one_domain_or_left_out_of_one(coco, mpii):
    def change(content):
        for index in (0, 1, 2, 3):
            extra = dict(content["annotations"][index], id=index, iscrowd=index % 2)
            content["annotations"].append(extra)
        for annotation in content["annotations"][6:]:
            annotation.update(keypoints=[0] * 51)

    edit_json(coco["ann_file"], change)
    dataset = MixedDomainDataset("MpiiDataset", mpii, coco, dict(count=3))
    sizes = dict(zip(dataset.domains, dataset.lens, strict=True))
    targets = ("target_labeled", "target_unlabeled")
    assert sum(sizes[d] + len(dataset.left_out[d]) for d in targets) == 10
    for domain, part in zip(dataset.domains[1:], dataset.datasets[1:], strict=True):
        images = {part.get_data_info(i)["img_id"] for i in range(len(part))}
        assert {a.img_id for a in dataset.left_out[domain]} <= images


def test_joint_outside_of_the_image_has_weight_0(coco):
    edit_json(coco["ann_file"], third(keypoints=joints(j16=(500, 40, 2))))
    pipeline = [t for t in TRAIN_PIPELINE if not t["type"].startswith("Random")]
    dataset = MixedDomainDataset("MpiiDataset", coco, pipeline=pipeline)
    weights = dataset[2]["data_samples"].gt_instance_labels.keypoint_weights[0]
    expected = dict(zip(MPII_LIMBS, np.array(COCO_LIMBS) != 16, strict=True))
    assert {k: bool(weights[k]) for k in MPII_LIMBS} == expected


# --------------------------------------------------------------------- configs


DATASETS = {
    # arguments that are changed: (where, changes), error and what it says
    "no such file": ("source", dict(ann_file="/no/a.json"), "/no/a.json.*'source'"),
    "no such folder": (
        "source",
        dict(data_prefix=dict(img="/no")),
        "'/no/000001.png' of annotation 10 .*'source'.*data_prefix",
    ),
    "no such class": ("source", dict(type="CocoDatset"), "'source'.*CocoDatset"),
    "no class": ("target", dict(type=None), "'target_unlabeled'"),
    "no such argument": ("source", dict(anfile="a"), "'source'.*anfile"),
    "no dataset": ("target", 3, "'target_unlabeled' must be"),
    "a dataset without joints": (
        "source",
        dict(type="CombinedDataset", metainfo=dict(), datasets=[]),
        "'source'",
    ),
    "not one person a sample": ("source", dict(data_mode="bottomup"), "'topdown'"),
    "the class of another file": (
        "source",
        dict(type="MpiiDataset"),
        "annotations.json': must be a list",
    ),
    "the class of another joint count": (
        "target",
        dict(type="LspDataset"),
        "annotations.json'",
    ),
    "a pipeline of its own": ("source", dict(pipeline=TRAIN_PIPELINE), "a pipeline"),
    "map of an unknown joint": (
        "source",
        dict(joint_map=dict(pelvis="left_tail")),
        "joint 'left_tail', which the definition 'coco'",
    ),
    "map to an unknown joint": (
        "source",
        dict(joint_map=dict(tail="nose")),
        "joint 'tail', which the definition 'mpii'",
    ),
    "map of three joints": (
        "source",
        dict(joint_map=dict(pelvis=("nose", "nose", "nose"))),
        "'pelvis'. must be one joint or two",
    ),
    "map that is none": ("source", dict(joint_map=3), "joint_map must map"),
    "no such joints": ("joints", "Mpii", "joints='Mpii' is not a registered"),
    "joints of a file": ("joints", "../a.py", "joints='../a.py' is not a registered"),
    "joints of nothing": ("joints", dict(), "joints={} is not a registered"),
    "joints that are none": ("joints", 16, "joints=16 is not a registered"),
    "a ratio above 1": ("labeled_target", dict(ratio=1.5), r"must be in \(0, 1\]"),
    "a ratio of text": ("labeled_target", dict(ratio="5%"), "ratio must be a num"),
    "a count of all": ("labeled_target", dict(count=10), "takes all 10 images"),
    "a seed below 0": ("labeled_target", dict(count=1, seed=-1), "seed must be in"),
    "a share of something": ("labeled_target", dict(share=0.5), "a ratio or a count"),
    "a number for a share": ("labeled_target", 0.5, "a ratio or a count"),
    "no such transform": (
        "pipeline",
        [dict(type="LoadImage"), dict(type="Flip")],
        r"pipeline\[1\] cannot be built .*Flip",
    ),
    "no such argument of a transform": (
        "pipeline",
        [dict(type="LoadImage", color="red")],
        r"pipeline\[0\] cannot be built .*color",
    ),
    "no list of transforms": ("pipeline", None, "pipeline must be a list"),
}


@pytest.mark.parametrize("where, changes, message", DATASETS.values(), ids=DATASETS)
def test_dataset_config_is_refused(coco, mpii, where, changes, message):
    arguments = dict(
        joints="MpiiDataset", source=coco, target=mpii, pipeline=TRAIN_PIPELINE
    )
    if where in ("source", "target") and isinstance(changes, dict):
        changes = {**arguments[where], **changes}
    arguments[where] = changes
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        MixedDomainDataset(**arguments)


SAMPLERS = {
    "a missing domain": (dict(target_labeled=4), "'source', 'target_unlabeled'"),
    "none of a domain": (dict(source=4, target_unlabeled=-1), "number of samples"),
    "a half of a sample": (dict(source=2.5, target_unlabeled=1.5), "number of samples"),
    "a count of text": (dict(source="2", target_unlabeled=2), "number of samples"),
    "another sum": (dict(source=2, target_unlabeled=1), "batches of 3, .* is 4"),
}


@pytest.mark.parametrize("counts, message", SAMPLERS.values(), ids=SAMPLERS)
def test_sampler_config_is_refused(coco, mpii, counts, message):
    sampler = DefaultSampler(MixedDomainDataset("MpiiDataset", coco, mpii))
    with pytest.raises(ValueError, match=message):
        MixedDomainBatchSampler(sampler, 4, counts)


def adapted(**changes) -> dict:
    return dict(adaptations=dict(mine={**dict(type="CAFA"), **changes}))


ESTIMATORS = {
    # arguments of the estimator, what the error says
    "no such adaptation": (adapted(type="Cafa"), "model.adaptations.mine: .*Cafa"),
    "no such argument": (adapted(wieght=1), "model.adaptations.mine: .*wieght"),
    "weight of text": (adapted(weight="0.5"), "mine: .*weight must be a number"),
    "weight below 0": (adapted(weight=-1), "mine: .*weight must be .* but is -1"),
    "weight NaN": (adapted(weight=NAN), "mine: .*weight must be a number .* nan"),
    "an adaptation that is none": (dict(adaptations=dict(mine=3)), "adaptations.mine"),
    "adaptations without names": (dict(adaptations=[3]), "must map names to configs"),
    "ramp to before its begin": (adapted(rampup=dict(begin=9, end=2)), "mine: .*begin"),
    "no such feature": (
        adapted(type="EntropyMinimization", feature="backbone.layer9"),
        "'backbone.layer9', which is not a module of the estimator",
    ),
    "no such joints": (dict(joints="Mpii"), "joints='Mpii'"),
    "a checkpoint's joints alone": (
        dict(joints=None, checkpoint_joints="MpiiDataset"),
        "checkpoint_joints is set, but joints is not",
    ),
    "other joints than the head's": (
        dict(joints="CocoDataset"),
        "out_channels is 16, but model.joints is 'coco' with 17 joints",
    ),
    "pose loss below 0": (dict(target_loss_weight=-1), "target_loss_weight must be"),
    "no such checkpoint's joints": (dict(checkpoint_joints="Mpi"), "joints='Mpi'"),
}


@pytest.mark.parametrize("changes, message", ESTIMATORS.values(), ids=ESTIMATORS)
def test_estimator_config_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**{**dict(joints="MpiiDataset"), **changes})


@pytest.mark.parametrize("network", ["teacher", "tutor"])
def test_network_that_is_not_there_is_refused(network):
    cfg = model_config(type="DomainAdaptiveTopdown", joints="MpiiDataset")
    cfg["test_cfg"] = dict(network=network)
    with pytest.raises(ValueError, match=f"test_cfg.network='{network}' is not av"):
        MODELS.build(cfg)


@pytest.mark.parametrize("option", ["--launcher=mpich", "--interval=often"])
def test_option_is_refused(load_tool, coco, capsys, option):
    with pytest.raises(SystemExit):
        load_tool("train").parse_args([coco["ann_file"], option])
    assert option.partition("=")[2] in capsys.readouterr().err


# ----------------------------------------------------------------- checkpoints


def weights(num_keypoints: int = 16) -> dict:
    model = MODELS.build(model_config(num_keypoints, type="TopdownPoseEstimator"))
    return model.state_dict()


def renamed(state_dict: dict) -> dict:
    return {f"network.{name}": weight for name, weight in state_dict.items()}


def only(state_dict: dict, part: str) -> dict:
    return {name: w for name, w in state_dict.items() if name.startswith(part)}


CHECKPOINTS = {
    # content of the file, error of a run that starts from it, error of a test
    "all weights": (weights, None, None),
    "a backbone": (lambda: only(weights(), "backbone."), None, "among them .'head."),
    "other joints": (lambda: weights(17), None, "head.final_layer.weight"),
    "another model": (lambda: renamed(weights()), "not match this", "not match this"),
    "nothing": (dict, "not match this", "not match this"),
}


@pytest.fixture
def load_from(tmp_path):
    """Start training or testing from a file, up to loading the file."""

    def load(path: Path, training: bool, network: str = "student") -> None:
        model = model_config(
            type="DomainAdaptiveTopdown", joints="MpiiDataset", adaptations=METHOD
        )
        model["test_cfg"]["network"] = network
        runner = Runner(
            model=model,
            default_scope="mmpose",
            work_dir=str(tmp_path / "work"),
            load_from=str(path),
            custom_hooks=[dict(type="CheckpointMatchHook", complete=not training)],
            experiment_name=f"{tmp_path.name}_{training}",
        )
        runner.load_or_resume()

    return load


@pytest.mark.parametrize(
    "content, in_training, in_test", CHECKPOINTS.values(), ids=CHECKPOINTS
)
def test_checkpoint(tmp_path, load_from, content, in_training, in_test):
    path = tmp_path / "some.pth"
    torch.save(dict(state_dict=content()), path)
    for training, message in ((True, in_training), (False, in_test)):
        if message is None:
            load_from(path, training)
        else:
            with pytest.raises(ValueError, match=message) as error:
                load_from(path, training)
            assert str(path) in str(error.value)


def test_teacher_that_is_to_be_tested_must_be_in_the_checkpoint(tmp_path, load_from):
    estimator = build(joints="MpiiDataset", adaptations=METHOD).state_dict()
    torch.save(estimator, tmp_path / "all.pth")
    load_from(tmp_path / "all.pth", False, network="teacher")
    torch.save(weights(), tmp_path / "student.pth")
    with pytest.raises(ValueError, match="student.pth.*among them .'adaptations.mean"):
        load_from(tmp_path / "student.pth", False, network="teacher")


def test_weights_of_another_shape_are_in_the_log(tmp_path, load_from, capsys):
    """This is a warning of MMEngine."""
    torch.save(dict(state_dict=weights(17)), tmp_path / "some.pth")
    load_from(tmp_path / "some.pth", True)
    printed = "".join(capsys.readouterr())
    assert "size mismatch for head.final_layer.weight" in printed


def test_missing_and_truncated_checkpoints_are_named(tmp_path, load_from):
    path = tmp_path / "some.pth"
    with pytest.raises(FileNotFoundError, match="some.pth"):
        load_from(path, True)
    torch.save(weights(), path)
    content = path.read_bytes()
    for size in (len(content) - 100, 1000, 0):
        path.write_bytes(content[:size])
        with pytest.raises(RuntimeError, match="some.pth.* cannot be read"):
            load_from(path, True)


def test_tools_check_checkpoints(load_tool, tmp_path, coco, mpii):
    config, path = tmp_path / "tiny.py", tmp_path / "some.pth"
    run_config(tmp_path, coco, mpii, UDA).dump(config)
    path.touch()
    for name, arguments, complete in (("train", [], False), ("test", [path], True)):
        tool = load_tool(name)
        cfg = tool.make_config(tool.parse_args([str(config), *map(str, arguments)]))
        hook = cfg.default_hooks.checkpoint_match
        assert hook.type == "CheckpointMatchHook"
        assert hook.get("complete", False) is complete
