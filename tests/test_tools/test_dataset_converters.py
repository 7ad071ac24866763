"""tools/dataset_converters: from published formats to what the pair files read."""

import json
import pickle
import random

import cv2
import numpy as np
from mmengine.config import Config
from mmpose.registry import DATASETS, METRICS
from raw_sets import (
    spread,
    write_animal_pose,
    write_clip,
    write_freihand,
    write_h3d,
    write_h36m,
    write_lsp,
    write_lspet,
    write_rhd,
    write_synthetic_animal,
    write_tigdog,
)
from scipy.io import savemat

from mmpose_da.datasets import MixedDomainDataset
from mmpose_da.structures import joint_definition


def people(joints, **domains):
    """Of each person of a domain: image, position and weight of joints by name."""
    dataset = MixedDomainDataset(joints, **domains)
    names = dataset.metainfo["keypoint_id2name"]
    for i in range(len(dataset)):
        info = dataset[i]
        points, visible = info["keypoints"][0], info["keypoints_visible"][0]
        weights = visible.reshape(len(names), -1)[:, 0]
        yield (
            info,
            {names[k]: point for k, point in enumerate(points)},
            {names[k]: weight for k, weight in enumerate(weights)},
        )


def assert_full_marks(pair):
    """Labels as predictions are perfect to a thousandth of the box."""
    dataset = DATASETS.build(dict(pair.target_val, pipeline=[]))
    metric = METRICS.build(dict(pair.target_evaluator, thr=0.001))
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        gt = dict(bboxes=info["bbox"], keypoints=info["keypoints"])
        gt.update(keypoints_visible=info["keypoints_visible"])
        sample = dict(gt_instances=gt, pred_instances=dict(keypoints=gt["keypoints"]))
        metric.process(None, [sample])
    metrics = metric.evaluate(len(dataset))
    assert metrics and set(metrics.values()) == {100.0}


def annotations(path):
    return json.loads(path.read_text())["annotations"]


# SMPL's number of each of LSP's joints, as in RegDA but for the shoulders: what SMPL
# calls left is on the right in SURREAL's pictures.
SMPL = dict(
    **dict(right_ankle=7, right_knee=4, right_hip=1),
    **dict(left_hip=2, left_knee=5, left_ankle=8),
    **dict(right_wrist=20, right_elbow=18, right_shoulder=16),
    **dict(left_shoulder=17, left_elbow=19, left_wrist=21, neck=12),
)


def write_surreal(folder, frames=7):
    joints = spread(frames, 24, low=40, high=200)
    write_clip(folder / "train/run0/01_01/01_01_c0001_info.mat", joints)
    return joints


def test_surreal_frames_and_sides(tmp_path, convert, pair):
    joints = write_surreal(tmp_path / "cmu")
    joints[3] = [0, 238]  # no body
    joints[6, 5] = [-4, 100]  # outside, and in the picture the right knee
    write_clip(tmp_path / "cmu/train/run0/01_01/01_01_c0001_info.mat", joints)
    single = spread(1, 24, low=40, high=200, seed=1)
    write_clip(tmp_path / "cmu/train/run2/07_02/07_02_c0003_info.mat", single)

    out = convert("surreal", tmp_path / "cmu", tmp_path / "surreal", "--every", "3")
    assert "3 instances in 3 images" in out
    cfg = pair("surreal2lsp")
    found = list(people(cfg.joints, source=cfg.source))
    expected = [(0, joints), (6, joints), (0, single)]
    assert len(found) == 3
    for (info, points, weights), (t, truth) in zip(found, expected, strict=True):
        for name, number in SMPL.items():
            if weights[name]:
                np.testing.assert_allclose(points[name], truth[t, number], atol=1e-3)
        assert weights["head_top"] == 0
        assert abs(cv2.imread(info["img_path"]).mean() - 20 * t) < 6
    assert found[0][2]["left_knee"] == 1 and found[1][2]["left_knee"] == 0
    assert sum(found[1][2].values()) == 12  # neck, and limbs but one
    assert found[1][0]["img_path"].endswith("train/run0/01_01/01_01_c0001_0006.jpg")

    # The box is a square of 1.5 times the extent, as far as it is in the image.
    low, high = single[0].min(0), single[0].max(0)
    side = 1.5 * (high - low).max() / 2
    box = np.concatenate([(low + high) / 2 - side, (low + high) / 2 + side])
    expected = np.clip(box, 0, [319, 239, 319, 239])
    np.testing.assert_allclose(found[2][0]["bbox"][0], expected, atol=2e-3)


def test_surreal_with_the_shoulders_of_regda(tmp_path, convert, pair):
    joints = write_surreal(tmp_path / "cmu")
    convert("surreal", tmp_path / "cmu", tmp_path / "surreal")
    cfg = pair("surreal2lsp")
    source = dict(cfg.source, joint_map=cfg.surreal_collars)
    [(_, points, _)] = people(cfg.joints, source=source)
    np.testing.assert_allclose(points["right_shoulder"], joints[0, 13], atol=1e-3)
    np.testing.assert_allclose(points["left_shoulder"], joints[0, 14], atol=1e-3)
    np.testing.assert_allclose(points["right_elbow"], joints[0, 18], atol=1e-3)


def test_surreal_same_input_same_bytes_and_nothing_half_done(tmp_path, convert):
    write_surreal(tmp_path / "cmu")
    for name in ("a", "b", "a"):
        convert("surreal", tmp_path / "cmu", tmp_path / name)
    files = sorted(p for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert [p.suffix for p in files] == [".json", ".json", ".jpg"]
    for path in files:
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == other.read_bytes()


def test_surreal_errors_name_the_clip(tmp_path, convert):
    folder = tmp_path / "cmu/train/run0/01_01"
    joints = write_surreal(tmp_path / "cmu")
    arguments = ("surreal", tmp_path / "cmu", tmp_path / "out", "--every", "2")

    write_clip(folder / "01_01_c0002_info.mat", joints, frames=3)
    error = convert(*arguments)
    assert "01_01_c0002.mp4' has no frame 3" in error
    out = convert(*arguments, "--skip-broken")
    assert "4 instances" in out and "skipped: " in out and "01_01_c0002.mp4" in out

    (folder / "01_01_c0002.mp4").unlink()
    assert "there is no" in (error := convert(*arguments)) and "c0002.mp4" in error
    savemat(folder / "01_01_c0002_info.mat", dict(pose=1))
    error = convert(*arguments)
    assert "01_01_c0002_info.mat' has no variable 'joints2D'" in error
    savemat(folder / "01_01_c0002_info.mat", dict(joints2D=np.zeros((3, 24, 5))))
    assert "must be 2 x 24 x T, but is 3 x 24 x 5" in convert(*arguments)
    (folder / "01_01_c0002_info.mat").write_bytes(b"no MATLAB")
    assert "01_01_c0002_info.mat' cannot be read" in convert(*arguments)

    assert "nothing to write" in convert("surreal", tmp_path, tmp_path / "out")
    assert "--every must be" in convert("surreal", tmp_path, tmp_path, "--every", "0")


def test_lsp_occluded_joints_are_not_labeled(tmp_path, convert, pair):
    joints, occluded = spread(4, 14), np.zeros((4, 14))
    occluded[1, [0, 12]] = 1
    write_lsp(tmp_path / "lsp", joints, occluded)
    convert("lsp", tmp_path / "lsp")
    cfg = pair("surreal2lsp")
    assert_full_marks(cfg)
    share = dict(labeled_target=dict(ratio=1.0))
    found = list(people(cfg.joints, target=cfg.target, **share))
    names = joint_definition("LspDataset")["keypoint_name2id"]
    for i, (info, points, weights) in enumerate(found):
        for name, k in names.items():
            assert weights[name] == 1 - occluded[i, k]
            expected = joints[i, k] * weights[name]
            np.testing.assert_allclose(points[name], expected, atol=1e-3)
        np.testing.assert_array_equal(info["bbox"], [[0, 0, 59, 79]])
    assert names["right_ankle"] == 0 and names["left_wrist"] == 11

    halves = {
        part: [a["image_id"] for a in annotations(tmp_path / f"lsp/annotations/{file}")]
        for part, file in dict(train="lsp_train.json", test="lsp_test.json").items()
    }
    assert halves == dict(train=[1, 2], test=[1, 2])
    content = json.loads((tmp_path / "lsp/annotations/lsp_test.json").read_text())
    assert [i["file_name"] for i in content["images"]] == ["im0003.jpg", "im0004.jpg"]

    convert("lsp", tmp_path / "lsp", "--keep-occluded")
    kept = annotations(tmp_path / "lsp/annotations/lsp_all.json")[1]
    assert kept["keypoints"][2] == 1 and kept["keypoints"][5] == 2
    np.testing.assert_allclose(kept["keypoints"][:2], joints[1, 0], atol=1e-3)


def test_the_metric_is_relative_to_the_crop(tmp_path, convert, pair, repo):
    write_lsp(tmp_path / "lsp", spread(2, 14), np.zeros((2, 14)))
    convert("lsp", tmp_path / "lsp")
    pair("surreal2lsp")  # sets the folder
    cfg = Config.fromfile(repo / "configs/da/surreal2lsp_res101_source-only.py")
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    sample = dataset[0]["data_samples"]
    box = sample.gt_instances.bboxes[0]
    assert sample.input_scale.tolist() == [(box[2:] - box[:2]).max()] * 2 == [79, 79]


def test_lspet_flags_mean_the_contrary(tmp_path, convert, pair):
    joints, visible = spread(6, 14), np.ones((6, 14))
    visible[:, 5] = 0
    joints[:, 5] = -900
    visible[3] = 0  # nobody is labeled
    write_lspet(tmp_path / "lspet", joints, visible)
    convert("lsp", tmp_path / "lspet", "--val-images", "2")
    cfg = pair("studio2lspet")
    assert_full_marks(cfg)
    share = dict(labeled_target=dict(ratio=1.0))
    seen = []
    for target in (cfg.target, cfg.target_val):
        for info, points, weights in people(cfg.joints, target=target, **share):
            i = int(info["img_path"][-9:-4]) - 1
            seen.append(i)
            assert weights["left_ankle"] == 0 and sum(weights.values()) == 13
            np.testing.assert_allclose(points["neck"], joints[i, 12], atol=1e-3)
            assert (info["bbox"] >= 0).all()
    assert sorted(seen) == [0, 1, 2, 4, 5]
    # Without labels nobody is left out, not even a person without any.
    lens = [
        MixedDomainDataset(cfg.joints, target=target).lens[0]
        for target in (cfg.target, cfg.target_val)
    ]
    assert sum(lens) == 6


def test_lsp_errors(tmp_path, convert):
    assert "there is no" in convert("lsp", tmp_path)
    savemat(tmp_path / "joints.mat", dict(joints=np.zeros((4, 14, 2))))
    assert "but is 4 x 14 x 2" in convert("lsp", tmp_path)
    write_lsp(tmp_path, spread(2, 14), np.zeros((2, 14)))
    (tmp_path / "images/im0002.jpg").write_bytes(b"no image")
    assert "im0002.jpg' is not an image" in convert("lsp", tmp_path)
    (tmp_path / "images/im0002.jpg").unlink()
    assert "im0002.jpg'; see docs/datasets.md" in convert("lsp", tmp_path)
    assert not list(tmp_path.rglob("*.partial"))
    write_lspet(tmp_path, spread(2, 14), np.ones((2, 14)))
    error = convert("lsp", tmp_path, "--val-images", "3")
    assert "cannot split off 3 of 2 images" in error


def test_h36m(tmp_path, convert, pair):
    joints = spread(3, 17, low=300, high=700)
    write_h36m(tmp_path / "h36m", joints[:1], joints[1:])
    convert("h36m", tmp_path / "h36m", "--test-images", "1")
    cfg = pair("surreal2h36m")
    assert_full_marks(cfg)
    share = dict(labeled_target=dict(ratio=1.0))
    [(info, points, weights)] = people(cfg.joints, target=cfg.target, **share)
    names = joint_definition(cfg.joints)["keypoint_name2id"]
    for name, k in names.items():
        np.testing.assert_allclose(points[name], joints[0, k], atol=1e-3)
        assert weights[name] == 1
    extent = 1.5 * (joints[0].max(0) - joints[0].min(0)).max()
    box = info["bbox"][0]
    np.testing.assert_allclose(box[2:] - box[:2], extent, atol=1e-2)
    assert info["img_path"].endswith("S1_Directions_1.54138969_000001.jpg")
    content = json.loads((tmp_path / "h36m/annotations/h36m_test.json").read_text())
    assert len(content["images"]) == 1
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (
        1000,
        1002,
    )
    # without labels it has people too
    assert MixedDomainDataset(cfg.joints, target=cfg.target).lens == [1]


def test_surreal_as_source_of_h36m(tmp_path, convert, pair):
    joints = write_surreal(tmp_path / "cmu")
    convert("surreal", tmp_path / "cmu", tmp_path / "surreal")
    cfg = pair("surreal2h36m")
    [(_, points, weights)] = people(cfg.joints, source=cfg.source)
    expected = {k.replace("ankle", "foot"): i for k, i in SMPL.items() if k != "neck"}
    expected.update(root=0, thorax=12, head=15)
    for name, number in expected.items():
        np.testing.assert_allclose(points[name], joints[0, number], atol=1e-3)
    assert {n for n, w in weights.items() if not w} == {"spine", "neck_base"}
    assert set(cfg.target_evaluator.joints) <= set(expected)


def test_h36m_errors(tmp_path, convert):
    write_h36m(tmp_path, spread(1, 17), spread(1, 17))
    path = tmp_path / "annotation_body3d/fps10/h36m_train.npz"
    content = dict(np.load(path))
    np.savez(path, **dict(content, imgname=np.array(["S1/S1_Walk.123_000001.jpg"])))
    assert "'S1/S1_Walk.123_000001.jpg' contains none of the cameras" in convert(
        "h36m", tmp_path
    )
    np.savez(path, **dict(content, part=np.zeros((1, 16, 3))))
    assert "must be 1 x 17 x 3, but is 1 x 16 x 3" in convert("h36m", tmp_path)
    np.savez(path, part=content["part"])
    assert "has no array ['imgname']" in convert("h36m", tmp_path)


def rhd_hands():
    left = spread(21, low=20, high=120)
    right = spread(21, low=180, high=300, seed=1)
    joints = np.concatenate([left, right])
    visible = np.ones((42, 1))
    visible[3] = 0
    return np.hstack([joints, visible])


def test_rhd(tmp_path, convert, pair):
    hands = rhd_hands()
    small = hands.copy()
    small[:21, :2] = 40 + small[:21, :2] / 10  # left: too small
    small[21:26, 2] = 0  # right: too few joints
    together = hands.copy()
    together[:21, :2] += 170  # each covers the other
    write_rhd(tmp_path / "rhd", {7: hands, 8: small, 9: together})
    convert("rhd", tmp_path / "rhd")
    for name in ("rhd2freihand", "rhd2h3d"):
        cfg = pair(name)
        found = list(people(cfg.joints, source=cfg.source))
        assert len(found) == 2
        for (info, points, weights), first in zip(found, (0, 21), strict=True):
            assert info["img_path"].endswith("training/color/00007.png")
            assert info["bbox"].max() <= 320
            # RHD counts a finger from its tip.
            order = dict(wrist=0, thumb4=1, thumb1=4, forefinger4=5, pinky_finger1=20)
            for name, k in order.items():
                truth = hands[first + k, :2]
                np.testing.assert_allclose(points[name], truth, atol=1e-3)
            hidden = {n for n, w in weights.items() if not w}
            assert hidden == ({"thumb2"} if first == 0 else set())


def test_rhd_errors(tmp_path, convert):
    write_rhd(tmp_path, {3: np.zeros((21, 3))})
    error = convert("rhd", tmp_path)
    assert "'uv_vis' of image 3 in" in error and "but is 21 x 3" in error
    path = tmp_path / "training/anno_training.pickle"
    path.write_bytes(pickle.dumps({0: print}))
    assert "anno_training.pickle' cannot be read: 'builtins.print'" in convert(
        "rhd", tmp_path
    )


def test_freihand(tmp_path, convert, pair):
    joints = spread(5, 21, low=60, high=160)
    write_freihand(tmp_path / "freihand", joints)
    convert("freihand", tmp_path / "freihand", "--val-hands", "2")
    cfg = pair("rhd2freihand")
    assert_full_marks(cfg)
    share, hands = dict(labeled_target=dict(ratio=1.0)), {}
    names = joint_definition("FreiHandDataset")["keypoint_name2id"]
    for part, target in (("train", cfg.target), ("val", cfg.target_val)):
        for info, points, _ in people(cfg.joints, target=target, **share):
            number = int(info["img_path"][-12:-4])
            hands.setdefault(part, []).append(number % 5)
            for name, k in names.items():
                truth = joints[number % 5, k]
                np.testing.assert_allclose(points[name], truth, atol=2e-3)
    assert not set(hands["train"]) & set(hands["val"])
    assert len(hands["train"]) == 12 and len(hands["val"]) == 8
    for info, _, _ in people(cfg.joints, target=cfg.target_val, **share):
        number = int(info["img_path"][-12:-4]) % 5
        low, high = info["bbox"][0, :2], info["bbox"][0, 2:]
        np.testing.assert_allclose((low + high) / 2, [119.5, 109.5 + number], atol=1.5)
        np.testing.assert_allclose(high - low, 1.25 * 60, atol=4)  # JPEG's edges
    assert set(cfg.target_evaluator.joints) == set(names)
    assert MixedDomainDataset(cfg.joints, target=cfg.target).lens == [12]

    convert("freihand", tmp_path / "freihand", "--val-hands", "2", "--boxes", "joints")
    path = tmp_path / "freihand/annotations/freihand_hands_val.json"
    for annotation in annotations(path):
        extent = np.ptp(np.reshape(annotation["keypoints"], (21, 3))[:, :2], axis=0)
        np.testing.assert_allclose(annotation["bbox"][2:], 1.5 * extent.max(), 1e-3)
    assert json.loads(path.read_text())["info"] == dict(bbox_source="keypoints")
    mask = tmp_path / "freihand/training/mask/00000003.jpg"
    cv2.imwrite(str(mask), np.zeros((224, 224), np.uint8))
    arguments = ("freihand", tmp_path / "freihand", "--val-hands", "2")
    assert "00000003.jpg' shows no hand" in convert(*arguments)

    (tmp_path / "freihand/training_K.json").write_text("[[1]]")
    assert "but are 1 x 1 and 5 x 21 x 3" in convert("freihand", tmp_path / "freihand")
    (tmp_path / "freihand/training_K.json").write_text("[[1]")
    assert "training_K.json' cannot be read" in convert(
        "freihand", tmp_path / "freihand"
    )


def test_h3d_is_split_as_in_regda(tmp_path, convert, pair):
    joints = spread(12, 21)
    free = [i for i in range(12) if i not in (4, 9)]
    write_h3d(tmp_path / "h3d", joints, free)
    convert("h3d", tmp_path / "h3d")
    random.seed(42)
    random.shuffle(order := list(free))
    cfg = pair("rhd2h3d")
    assert_full_marks(cfg)
    share = dict(labeled_target=dict(ratio=1.0))
    for target, expected in ((cfg.target, order[2:]), (cfg.target_val, order[:2])):
        found = list(people(cfg.joints, target=target, **share))
        numbers = [int(i["img_path"].split("/")[-1][:-4]) for i, _, _ in found]
        assert numbers == expected
        for number, (info, points, _) in zip(numbers, found, strict=True):
            np.testing.assert_allclose(points["wrist"], joints[number, 0], atol=1e-3)
            np.testing.assert_allclose(points["thumb4"], joints[number, 4], atol=1e-3)
            np.testing.assert_array_equal(info["bbox"], [[0, 0, 63, 63]])

    content = json.loads((tmp_path / "h3d/annotation.json").read_text())
    del content[1]["keypoint2d"]
    (tmp_path / "h3d/annotation.json").write_text(json.dumps(content))
    assert "entry 1 of" in convert("h3d", tmp_path / "h3d")


def test_synthetic_animals(tmp_path, convert, pair, load_tool):
    vertices = {}
    for seed, animal in enumerate(("horse", "tiger", "sheep", "hound")):
        points = spread(5, 3299, low=50, high=400, seed=seed)
        mesh = np.concatenate([points, np.zeros((5, 3299, 1))], 2)
        write_synthetic_animal(tmp_path / "synthetic_animals", animal, mesh)
        vertices[animal] = points
    tool = load_tool("dataset_converters/synthetic_animals")
    outside = tool.VERTICES["tiger"][0]
    folder = tmp_path / "synthetic_animals/tiger_combineds5r5_texture"
    for path in folder.glob("*.npy"):
        mesh = np.load(path)
        mesh[outside, 0] = -3
        np.save(path, mesh)
    for animals in (["horse", "tiger"], ["sheep", "hound"]):
        convert(
            "synthetic_animals", tmp_path / "synthetic_animals", "--animals", *animals
        )

    cfg = pair("synthanimal2tigdog")
    names = joint_definition("TigDogDataset")["keypoint_name2id"]
    found = list(people(cfg.joints, source=cfg.source))
    assert len(found) == 8
    for info, points, weights in found:
        animal, number, _ = info["img_path"].split("/")[-1].split("_")
        for name, k in names.items():
            if weights[name]:
                truth = vertices[animal][int(number), tool.VERTICES[animal][k]]
                np.testing.assert_allclose(points[name], truth, atol=1e-3)
        hidden = {n for n, w in weights.items() if not w}
        assert hidden == ({"left_eye"} if animal == "tiger" else set())

    cfg = pair("synthanimal2animalpose")
    found = list(people(cfg.joints, source=cfg.source))
    assert len(found) == 8
    for info, points, weights in found:
        animal, number, _ = info["img_path"].split("/")[-1].split("_")
        labeled = {name for name, weight in weights.items() if weight}
        assert labeled == set(cfg.target_evaluator.joints)
        for name in labeled:
            k = names[cfg.animal_pose_joints[name]]
            truth = vertices[animal][int(number), tool.VERTICES[animal][k]]
            np.testing.assert_allclose(points[name], truth, atol=1e-3)

    np.save(next(iter(sorted(folder.glob("*.npy")))), np.zeros((18, 3)))
    error = convert("synthetic_animals", tmp_path / "synthetic_animals")
    assert "tiger_0000_kpts.npy' must be 3086 x 3 or longer, but is 18 x 3" in error


def test_tigdog(tmp_path, convert, pair):
    shots = {}
    for animal, numbers in dict(horse=(3, 5, 8, 11), tiger=(2, 4, 6, 7)).items():
        for shot in numbers:
            points = spread(2, 19, low=40, high=180, seed=shot)
            flags = np.ones((2, 19, 1))
            flags[0, 4] = 0
            flags[1, : 19 if shot == 5 else 0] = 0  # a frame with nothing to see
            shots[animal, shot] = np.concatenate([points, flags], 2)
        write_tigdog(
            tmp_path / "tigdog",
            animal,
            {shot: shots[animal, shot] for shot in numbers},
        )
    convert("tigdog", tmp_path / "tigdog")
    cfg = pair("synthanimal2tigdog")
    assert_full_marks(cfg)
    names = joint_definition("TigDogDataset")["keypoint_name2id"]
    # The papers' order of a tiger's landmarks, from 1.
    tiger = [1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 13, 14, 9, 10, 11, 12]
    share, seen = dict(labeled_target=dict(ratio=1.0)), []
    for target in (cfg.target, cfg.target_val):
        of_part = set()
        for info, points, weights in people(cfg.joints, target=target, **share):
            animal, file = info["img_path"].split("/")[-2:]
            number = int(file[:-4]) - 1
            order = [shot for a, shot in shots if a == animal]
            shot, frame = order[number // 2], number % 2
            of_part.add((animal, shot))
            seen.append((animal, shot, frame))
            for name, k in names.items():
                landmark = tiger[k] - 1 if animal == "tiger" else k
                x, y, visible = shots[animal, shot][frame, landmark]
                assert weights[name] == visible
                if visible:
                    np.testing.assert_allclose(points[name], [x, y], atol=1e-3)
            assert (info["bbox"][0, 2:] < [400, 225]).all()
        assert len(of_part) == (6 if target is cfg.target else 2)
    assert len(seen) == 15 and len(set(seen)) == 15
    assert set(cfg.target_evaluator.joints) == set(names)

    savemat(tmp_path / "tigdog/landmarks/tiger/4.mat", dict(landmarks=np.eye(1)))
    assert "tiger/4.mat' has landmarks for 1 frames, but the shot has 2" in convert(
        "tigdog", tmp_path / "tigdog"
    )
    savemat(tmp_path / "tigdog/landmarks/tiger/4.mat", dict(landmarks=np.eye(2)))
    assert "tiger/4.mat' has no landmarks" in convert("tigdog", tmp_path / "tigdog")


def test_animal_pose(tmp_path, convert, pair):
    flags = np.ones((5, 20, 1))
    flags[:, 8] = 0  # the right back elbow
    joints = {
        name: np.concatenate([spread(5, 20, low=30, high=85, seed=seed), flags], 2)
        for seed, name in enumerate(("dog", "cat", "sheep"))
    }
    write_animal_pose(tmp_path / "animal_pose", joints)
    convert("animal_pose", tmp_path / "animal_pose")
    cfg = pair("synthanimal2animalpose")
    assert_full_marks(cfg)
    share, names = dict(labeled_target=dict(ratio=1.0)), []
    # keypoints.json: eyes, nose, ears, elbows, knees, paws, throat, withers, tail
    order = dict(L_Eye=0, R_Eye=1, Nose=2, L_EarBase=3, R_EarBase=4, L_F_Elbow=5)
    order.update(L_F_Knee=9, R_B_Knee=12, L_F_Paw=13, R_B_Paw=16)
    order.update(Throat=17, Withers=18, TailBase=19)
    for target in (cfg.target, cfg.target_val):
        for info, points, weights in people(cfg.joints, target=target, **share):
            animal, number = info["img_path"].split("/")[-1][:-4].split("_")
            names.append(animal)
            truth = joints[animal][(int(number) - 1) % 5]
            for name, k in order.items():
                np.testing.assert_allclose(points[name], truth[k, :2], atol=1e-3)
            assert [n for n, w in weights.items() if not w] == ["R_B_Elbow"]
            # a square of 1.25 times the longer side
            np.testing.assert_allclose(info["bbox"], [[7.5, 0, 132.5, 122.5]])
    assert sorted(names) == ["dog"] * 5 + ["sheep"] * 5

    error = convert("animal_pose", tmp_path / "animal_pose", "--animals", "wolf")
    assert "but no 'wolf'" in error
