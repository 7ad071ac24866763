"""People in a folder, a video, or a COCO file."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmpose.registry import DATASETS

from mmpose_da.apis.detect import run as module
from mmpose_da.apis.detect.detectors import (
    PERSON,
    BoxFile,
    Detector,
    HogDetector,
    Picture,
    TorchvisionDetector,
)
from mmpose_da.apis.detect.images import list_images, perceptual_hash
from mmpose_da.apis.detect.run import Detection, detect

JOINTS = dict(from_file="configs/_base_/datasets/coco.py")


def write_images(folder, count=3, size=(60, 80)):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder


def scene(x):
    """A rectangle at x before a background with some texture."""
    texture = np.random.default_rng(0).integers(0, 200, (15, 20, 3), np.uint8)
    image = cv2.resize(texture, (160, 120), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(image, (x, 30), (x + 30, 100), (0, 0, 255), -1)
    return image


def write_video(path, places):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for place in places:
        writer.write(scene(place))
    writer.release()
    return path


def read(path):
    return json.loads(path.read_text())


def target_of(result):
    """What MixedDomainDataset reads of it."""
    dataset = dict(type="CocoDataset", ann_file=str(result.ann_file))
    return DATASETS.build(
        dict(
            type="MixedDomainDataset",
            joints="CocoDataset",
            target=dict(dataset, data_prefix=dict(img=str(result.images))),
        )
    )


def test_whole_images_are_an_unlabeled_target(tmp_path):
    folder = write_images(tmp_path / "site" / "cam1")
    result = detect(Detection(str(folder.parent), detector="whole"), tmp_path / "work")
    assert (result.num_images, result.num_people, result.left_out) == (3, 3, {})
    dataset = target_of(result)
    assert dataset.domains == ["target_unlabeled"] and len(dataset) == 3
    info = dataset.get_data_info(1)
    assert info["img_path"] == str(folder / "1.png")
    # MMPose clips boxes to the last pixel.
    np.testing.assert_array_equal(info["bbox"], [[0, 0, 79, 59]])
    content = read(result.ann_file)
    assert all(one["score"] == 1 for one in content["annotations"])
    assert "keypoints" not in str(content)
    assert sorted(p.name for p in (tmp_path / "work").iterdir()) == [
        *("lock", "people.json", "result.json", "settings.json")
    ]


class Counting(Detector):
    """One box that tells the images apart; it can be made to fail."""

    seen: list
    fails_at = None

    def __call__(self, pictures):
        boxes = []
        for picture in pictures:
            if picture.name == self.fails_at:
                raise KeyboardInterrupt
            self.seen.append(picture.name)
            boxes.append([picture.id, 0, 40, 50, 0.5 + picture.id / 100])
        return [np.array([box], float) for box in boxes]


@pytest.fixture
def counting(monkeypatch):
    detector = Counting()
    detector.seen = []
    monkeypatch.setattr(module, "build_detector", lambda *args: detector)
    return detector


def test_interrupted_work_resumes(tmp_path, counting):
    folder = write_images(tmp_path / "images", 5)
    settings = Detection(str(folder))
    through = detect(settings, tmp_path / "through", batch_size=2)
    counting.seen.clear()
    counting.fails_at = "3.png"
    with pytest.raises(KeyboardInterrupt):
        detect(settings, tmp_path / "killed", batch_size=1)
    assert not (tmp_path / "killed/people.json").exists()
    with open(tmp_path / "killed/boxes.jsonl", "a") as file:
        file.write('{"name": "3.p')  # what a kill leaves of a line
    counting.fails_at, told = None, []
    resumed = detect(
        settings,
        tmp_path / "killed",
        batch_size=1,
        progress=lambda *args: told.append(args),
    )
    assert counting.seen == [f"{i}.png" for i in range(5)]
    assert told == [("looking for people", n, 5) for n in (4, 5)]
    assert read(resumed.ann_file) == read(through.ann_file)
    # Finished work is not repeated, and other settings are refused.
    assert detect(settings, tmp_path / "killed") == resumed
    assert len(counting.seen) == 5
    with pytest.raises(RuntimeError, match="score was None and is 0.9"):
        detect(Detection(str(folder), score=0.9), tmp_path / "killed")
    cv2.imwrite(str(folder / "new.png"), scene(0))
    with pytest.raises(RuntimeError, match="digest was"):
        detect(settings, tmp_path / "killed")


def test_what_is_left_out_is_counted(tmp_path, monkeypatch):
    folder = write_images(tmp_path / "images", 4)
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:500])
    found = {
        "0.png": [[-10, 5, 50, 50, 0.9], [1, 1, 40, 40, 0.2], [70, 1, 50, 50, 0.7]],
        "1.png": [[0, 0, 20, 20, 0.9], [90, 0, 50, 50, 0.9]],
        "2.png": [],
    }

    class Fixed(Detector):
        def __call__(self, pictures):
            return [np.array(found[p.name], float).reshape(-1, 5) for p in pictures]

    monkeypatch.setattr(module, "build_detector", lambda *args: Fixed())
    result = detect(Detection(str(folder)), tmp_path / "work")
    content = read(result.ann_file)
    boxes = [(one["image_id"], one["bbox"]) for one in content["annotations"]]
    assert boxes == [(1, [0, 5, 40, 50]), (1, [70, 1, 10, 50])]
    assert [one["score"] for one in content["annotations"]] == [0.9, 0.7]
    counts = {reason: one["count"] for reason, one in result.left_out.items()}
    assert counts == {
        "boxes with a score below 0.5": 1,
        "boxes smaller than 32 pixels": 1,
        "boxes outside of the image": 1,
        "images without a person": 2,
        "images that cannot be read": 1,
    }
    [error] = result.left_out["images that cannot be read"]["examples"]
    assert "3.png' is truncated" in error
    assert read(tmp_path / "work/result.json")["left_out"] == result.left_out


def test_duplicate_frames_of_a_video_are_dropped(tmp_path):
    places = [10, 10, 10, 40, 40, 80, 80, 80, 20, 20]
    video = write_video(tmp_path / "video.avi", places)
    settings = Detection(str(video), detector="whole", step=1)
    result = detect(settings, tmp_path / "work")
    names = [image["file_name"] for image in read(result.ann_file)["images"]]
    assert names == ["000000.jpg", "000003.jpg", "000005.jpg", "000008.jpg"]
    [(reason, dropped)] = result.left_out.items()
    assert "equal the one before" in reason and dropped["count"] == 6
    assert len(target_of(result)) == 4
    for step, duplicates, count in ((1, -1, 10), (4, -1, 3), (None, -1, 2)):
        settings = Detection(
            str(video), detector="whole", step=step, duplicates=duplicates
        )
        result = detect(settings, tmp_path / f"{step}_{duplicates}")
        assert result.num_images == count, (step, duplicates)


def test_hash_ignores_noise_but_not_a_moved_person():
    noise = np.random.default_rng(0).normal(0, 4, (120, 160, 3))
    noisy = (scene(40) + noise).clip(0, 255).astype(np.uint8)
    first = perceptual_hash(scene(40))
    assert first.shape == (255,)
    assert (perceptual_hash(noisy) != first).sum() <= 6
    assert (perceptual_hash(scene(46)) != first).sum() > 6


def test_interrupted_extraction_resumes(tmp_path):
    video = write_video(tmp_path / "video.avi", [10, 10, 40, 40, 80, 80, 20])
    settings = Detection(str(video), detector="whole", step=1)
    through = detect(settings, tmp_path / "through")

    def stop(text, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detect(settings, tmp_path / "killed", progress=stop)
    before = sorted(p.name for p in (tmp_path / "killed/frames").iterdir())
    assert before == ["000000.jpg", "000002.jpg"]
    told = []
    resumed = detect(
        settings, tmp_path / "killed", progress=lambda *args: told.append(args)
    )
    assert told[0][:2] == ("reading the video", 4)
    assert read(resumed.ann_file) == read(through.ann_file)
    assert resumed.left_out == through.left_out


def coco_file(folder, **kwargs):
    write_images(folder / "images", 3)
    images = [
        dict(id=7 + i, file_name=f"{i}.png", width=80, height=60) for i in range(3)
    ]
    annotations = [
        dict(id=1, image_id=7, category_id=1, bbox=[1, 2, 40, 50], keypoints=[5] * 51),
        dict(id=2, image_id=8, category_id=2, bbox=[1, 2, 40, 50]),
        dict(id=3, image_id=9, category_id=1, bbox=[1, 2, 40, 50], iscrowd=1),
        dict(id=4, image_id=9, category_id=1, bbox=[3, 4, 44, 50], score=0.25),
    ]
    categories = [dict(id=1, name="person"), dict(id=2, name="dog")]
    content = dict(images=images, annotations=annotations, categories=categories)
    path = folder / "boxes.json"
    path.write_text(json.dumps(dict(content, **kwargs)))
    return path


def test_boxes_of_a_coco_file_without_its_labels(tmp_path):
    path = coco_file(tmp_path, info=dict(bbox_source="keypoints"))
    settings = Detection(str(path), images=str(tmp_path / "images"), detector="boxes")
    content = read(detect(settings, tmp_path / "work").ann_file)
    boxes = {one["image_id"]: one["bbox"] for one in content["annotations"]}
    assert boxes == {7: [1, 2, 40, 50], 9: [3, 4, 44, 50]}
    assert [one["score"] for one in content["annotations"]] == [1, 0.25]
    assert "keypoints" not in str(content["annotations"])
    # MixedDomainDataset warns that such boxes show the labels.
    assert content["info"]["bbox_source"] == "keypoints"


@pytest.mark.parametrize(
    "boxes",
    [
        {"0.png": [[1, 2, 40, 50]], "2.png": [[3, 4, 44, 50, 0.25]]},
        [
            dict(image_id=7, category_id=1, bbox=[1, 2, 40, 50], score=1.0),
            dict(image_id=9, category_id=1, bbox=[3, 4, 44, 50], score=0.25),
            dict(image_id=9, category_id=3, bbox=[0, 0, 50, 50], score=0.9),
        ],
    ],
    ids=["by name", "results"],
)
def test_boxes_of_other_files(tmp_path, boxes):
    path = coco_file(tmp_path)
    images = list_images(path, tmp_path / "images")
    (tmp_path / "given.json").write_text(json.dumps(boxes))
    detector = BoxFile(tmp_path / "given.json", images)
    blank = np.zeros((60, 80, 3), np.uint8)
    found = detector([Picture(name, i, blank) for name, i in images.names.items()])
    assert [one.tolist() for one in found] == [
        [[1, 2, 40, 50, 1]],
        [],
        [[3, 4, 44, 50, 0.25]],
    ]


def test_hog_finds_a_person_of_the_real_data(real_data, tmp_path):
    """Most of the studio's people stand upright, the best case for this detector."""
    folder = real_data / "studio/images"
    names = sorted(folder.iterdir())[:10]
    (tmp_path / "images").mkdir()
    for path in names:
        (tmp_path / "images" / path.name).symlink_to(path)
    settings = Detection(str(tmp_path / "images"), detector="hog")
    result = detect(settings, tmp_path / "work")
    assert result.num_people >= 5
    content = read(result.ann_file)
    annotations = read(real_data / "studio/annotations/studio_all.json")
    identities = {image["file_name"]: image["id"] for image in annotations["images"]}
    truth = {one["image_id"]: one["bbox"] for one in annotations["annotations"]}
    names = {image["id"]: image["file_name"] for image in content["images"]}
    overlaps = [
        overlap(one["bbox"], truth[identities[names[one["image_id"]]]])
        for one in content["annotations"]
    ]
    assert np.mean(np.array(overlaps) > 0.3) > 0.5


def overlap(one, other):
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(np.add(one[:2], one[2:]), np.add(other[:2], other[2:]))
    inside = np.prod((high - low).clip(0))
    return inside / (np.prod(one[2:]) + np.prod(other[2:]) - inside)


def test_hog_boxes_are_those_of_the_image_at_any_size():
    """Small images are enlarged and framed; the boxes are carried back."""
    detector = HogDetector()
    detector.hog = WholeWindow()
    for shape in ((40, 30), (300, 200)):
        picture = Picture("x", 1, np.zeros((*shape, 3), np.uint8))
        [[[x, y, width, height, score]]] = detector([picture])
        sides = np.array(shape[::-1])
        center = np.array([x + width / 2, y + height / 2])
        np.testing.assert_allclose(center, sides / 2, atol=0.02 * max(shape))
        # The image with its border, without half of the window's margins.
        expected = 1.4 * sides * np.array([1 - 16 / 64, 1 - 16 / 128])
        np.testing.assert_allclose([width, height], expected, rtol=0.03)
        assert score == pytest.approx(0.5)


class WholeWindow:
    """In place of the HOG descriptor: the window is the whole frame."""

    def detectMultiScale(self, image, winStride):
        height, width = image.shape[:2]
        return np.array([[0, 0, width, height]]), np.array([[0.0]])


@pytest.fixture(scope="module")
def torchvision_weights(tmp_path_factory):
    from torchvision.models import get_model

    torch.manual_seed(0)
    model = get_model("ssdlite320_mobilenet_v3_large", weights_backbone=None)
    path = tmp_path_factory.mktemp("detector") / "weights.pth"
    torch.save(model.state_dict(), path)
    return path


def test_torchvision_gets_rgb_and_gives_people(torchvision_weights):
    name = "ssdlite320_mobilenet_v3_large"
    detector = TorchvisionDetector(name, torchvision_weights, "cpu")
    picture = Picture("x", 1, np.full((50, 70, 3), (10, 20, 30), np.uint8))
    assert detector([picture])[0].shape[1] == 5  # of the real network

    def network(images):
        [image] = images
        assert image.shape == (3, 50, 70)
        expected = torch.tensor([30.0, 20.0, 10.0]) / 255
        assert torch.allclose(image.mean((1, 2)), expected)
        return [
            dict(
                boxes=torch.tensor([[1.0, 2, 11, 22], [0, 0, 5, 5]]),
                scores=torch.tensor([0.75, 0.9]),
                labels=torch.tensor([PERSON, 18]),
            )
        ]

    detector.network = network
    np.testing.assert_allclose(detector([picture])[0], [[1, 2, 10, 20, 0.75]])


def test_wrong_detectors(tmp_path, torchvision_weights):
    folder = str(write_images(tmp_path / "images"))
    with pytest.raises(ValueError, match="detector='yolo' is none of"):
        Detection(folder, detector="yolo")
    with pytest.raises(FileNotFoundError, match="`weights`: there is no file"):
        Detection(folder, weights="nowhere.pth")
    with pytest.raises(ValueError, match="`model` does not apply to the det.*'hog'"):
        Detection(folder, detector="hog", model="fast")
    wrong = Detection(folder, model="resnet50", weights=str(torchvision_weights))
    with pytest.raises(ValueError, match="torchvision has no detector 'resnet50'"):
        detect(wrong, tmp_path / "a")
    other = Detection(folder, model="ssd300_vgg16", weights=str(torchvision_weights))
    with pytest.raises(ValueError, match="weights.pth' is not a file of weights"):
        detect(other, tmp_path / "b")


def test_mmdet_without_compiled_mmcv_is_refused_at_once(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="compiled operators.*mmcv-lite"):
        Detection("anything", detector="mmdet", model="c.py")


def test_download_errors_say_what_to_do(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.models.get_model", fail)
    settings = Detection(str(write_images(tmp_path / "images")))
    with pytest.raises(RuntimeError, match="cannot be downloaded.*no network.*weights"):
        detect(settings, tmp_path / "work")


def test_wrong_sources(tmp_path):
    work = tmp_path / "work"

    def fails(error, message, source, **kwargs):
        with pytest.raises(error, match=message):
            detect(Detection(str(source), detector="whole", **kwargs), work)

    fails(FileNotFoundError, "no folder, video, or COCO file", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    fails(ValueError, "empty' has no images", tmp_path / "empty")
    folder = write_images(tmp_path / "images", 1)
    fails(ValueError, "is a single image", folder / "0.png")
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    fails(ValueError, "text.mp4' is not a folder", text)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    fails(ValueError, "broken.json' is not valid JSON", broken)
    broken.write_text('{"images": [{"id": 1}]}')
    fails(ValueError, "not in COCO format.*file_name", broken)
    path = coco_file(tmp_path / "coco")
    fails(FileNotFoundError, "0.png' of.*does not exist; give the folder", path)
    fails(ValueError, "source is a folder", folder, images=str(folder))


def test_no_person_is_an_error(tmp_path):
    folder = write_images(tmp_path / "images", 2)
    settings = Detection(str(folder), detector="whole", min_size=100)
    with pytest.raises(ValueError, match="no person.*2 images.*2 boxes smaller than"):
        detect(settings, tmp_path / "work")
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="none of the 2 images.*can be read.*0.png"):
        detect(Detection(str(folder), detector="whole"), tmp_path / "other")
    assert not (tmp_path / "other/people.json").exists()
    (tmp_path / "boxes.json").write_text('{"else.png": [[1, 2, 3, 4]]}')
    settings = Detection(
        str(folder), detector="boxes", boxes=str(tmp_path / "boxes.json")
    )
    with pytest.raises(ValueError, match="no box for any image.*'0.png'.*'else.png'"):
        detect(settings, tmp_path / "third")


def test_command(tmp_path, load_tool, capsys):
    folder = write_images(tmp_path / "images")
    argv = [str(folder), "--work-dir", str(tmp_path / "work"), "--detector", "whole"]
    load_tool("detect").main(argv)
    out = capsys.readouterr().out
    assert "people.json: 3 people in 3 images" in out.replace("\n", " ")
    with pytest.raises(SystemExit) as error:
        load_tool("detect").main([*argv, "--min-size", "90"])
    assert error.value.code == 1
    assert "min_size was 32.0 and is 90.0" in capsys.readouterr().err
