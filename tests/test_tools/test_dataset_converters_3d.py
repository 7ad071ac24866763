"""The converters' files with 3D joints: cameras, sides, joints, and protocol."""

import json
import os
import pickle

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS, METRICS
from raw_sets import LENS, spread, write_clip, write_clip_3d, write_h36m
from scipy.io import loadmat, savemat

from mmpose_da.datasets import MixedDomainDataset
from mmpose_da.structures import joint_definition

H36M = joint_definition("Pose3dDataset")["keypoint_name2id"]
#: SMPL's number of each of Human3.6M's joints. What SMPL calls left (1, 4, 7, 16, 18,
#: 20) is on the right in SURREAL's pictures.
SMPL = dict(
    **dict(root=0, spine=6, thorax=12, neck_base=15),
    **dict(right_hip=1, right_knee=4, right_foot=7),
    **dict(left_hip=2, left_knee=5, left_foot=8),
    **dict(right_shoulder=16, right_elbow=18, right_wrist=20),
    **dict(left_shoulder=17, left_elbow=19, left_wrist=21),
)
CLIP = "train/run0/01_01/01_01_c0001_info.mat"


def read(path):
    return json.loads(path.read_text())


def poses(path):
    """The joints (N, 17, 3) of a file."""
    joints = [annotation["keypoints_3d"] for annotation in read(path)["annotations"]]
    return np.reshape(joints, (-1, 17, 3))


def keypoints(path):
    """The 2D joints with their flags (N, 17, 3) of a file."""
    joints = [annotation["keypoints"] for annotation in read(path)["annotations"]]
    return np.reshape(joints, (-1, 17, 3))


def error_of_labels(path, mode="mpjpe"):
    """The metrics of the labels of a file as predictions."""
    dataset = DATASETS.build(
        dict(type="Pose3dDataset", ann_file=str(path), pipeline=[], test_mode=True)
    )
    metric = METRICS.build(dict(type="CameraMPJPE", mode=mode))
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        depth = info["depth"][..., None]
        points = np.concatenate([info["keypoints"], depth], axis=-1)
        sample = dict(
            camera=info["camera"],
            img_path=info["img_path"],
            gt_instances=dict(keypoints_cam=info["keypoints_cam"]),
            pred_instances=dict(keypoints=points),
        )
        metric.process(None, [sample])
    return metric.evaluate(len(dataset))


def smpl_body():
    """A body (24, 3) in meters that stands upright, seen by its left hand.

    The axes are the body's left, up, and forward.
    """
    body = np.zeros((24, 3))
    heights = {0: 0, 3: 0.11, 6: 0.24, 9: 0.3, 12: 0.51, 15: 0.57}
    for joint, height in heights.items():
        body[joint, 1] = height
    body[15, 2] = 0.05
    sides = {1: (0.07, -0.09), 4: (0.1, -0.47), 7: (0.09, -0.87), 10: (0.1, -0.93)}
    sides |= {13: (0.08, 0.42), 16: (0.17, 0.43), 18: (0.43, 0.4), 20: (0.68, 0.4)}
    sides |= {22: (0.76, 0.4)}
    for joint, (left, up) in sides.items():
        other = joint + 1
        body[joint, :2], body[other, :2] = (left, up), (-left, up)
    body[[10, 11], 2] = 0.12  # toes
    return body


@pytest.fixture
def surreal(tmp_path, convert):
    """Convert a clip of SURREAL, given its joints as the camera sees them."""

    def run(seen, *options, **kwargs):
        write_clip_3d(tmp_path / "cmu" / CLIP, seen, **kwargs)
        out = convert(
            "surreal", tmp_path / "cmu", tmp_path / "surreal", "--every", "1", *options
        )
        return tmp_path / "surreal/annotations/surreal3d_train.json", out

    return run


def seen_at_random(frames=5, reach=1.0):
    """Joints (T, 24, 3) in meters before SURREAL's camera.

    Up to a reach of 0.4, Human3.6M's joints are in the picture as well.
    """
    rng = np.random.default_rng(0)
    depth = rng.uniform(6, 8, (frames, 24, 1))
    rays = reach * rng.uniform([-0.25, -0.18], [0.25, 0.18], (frames, 24, 2))
    return np.concatenate([rays * depth, depth], axis=2)


def test_surreal_joints_are_those_that_the_camera_sees(surreal):
    seen = seen_at_random()
    path, _ = surreal(seen)
    for found, truth in zip(poses(path), 1000 * seen, strict=True):
        for name, number in SMPL.items():
            np.testing.assert_allclose(found[H36M[name]], truth[number], atol=2e-3)
        top = truth[15] + (truth[12] - truth[9]) / 2
        np.testing.assert_allclose(found[H36M["head"]], top, atol=2e-3)
    assert set(H36M) == {*SMPL, "head"}
    images = read(path)["images"]
    assert all(image["camera"] == [600, 600, 160, 120] for image in images)
    assert images[2]["file_name"] == "train/run0/01_01/01_01_c0001_0002.jpg"


@pytest.mark.parametrize("mode", ["mpjpe", "p-mpjpe"])
def test_surreal_labels_as_predictions_are_perfect(surreal, mode):
    """Although the release rounds its 2D joints to whole pixels.

    What is left is that the file has a thousandth of a pixel, and of a millimeter.
    """
    path, _ = surreal(seen_at_random(reach=0.4))
    assert (keypoints(path)[..., 2] == 2).all()
    assert error_of_labels(path, mode) == {mode.upper(): pytest.approx(0, abs=0.01)}


def test_surreal_2d_joints_are_projections_within_the_rounding(surreal):
    path, _ = surreal(seen_at_random())
    whole = read(path.with_name("surreal_train.json"))
    for exact, annotation in zip(keypoints(path), whole["annotations"], strict=True):
        rounded = np.reshape(annotation["keypoints"], (24, 3))
        for name, number in SMPL.items():
            # That file has the true sides already.
            twin = {1: 2, 4: 5, 7: 8, 16: 17, 18: 19, 20: 21}
            twin |= {b: a for a, b in twin.items()}
            rounded_joint = rounded[twin.get(number, number)]
            if rounded_joint[2] and exact[H36M[name], 2]:
                distance = np.abs(exact[H36M[name], :2] - rounded_joint[:2])
                assert distance.max() <= 0.501


def test_surreal_person_in_the_picture_is_no_mirror_image(surreal):
    """SMPL's body faces the camera; what SMPL calls left is seen on the left.

    On the left of a picture is the right hand of somebody who faces the camera.
    """
    left, up, forward = np.moveaxis(smpl_body(), 1, 0)
    # In the world of Blender, with the camera in the direction of x, forward is x, up
    # is -y, and left is up x forward = z. The camera's right is -z.
    assert np.cross([0, -1, 0], [1, 0, 0]).tolist() == [0, 0, 1]
    seen = np.stack([-left, -up, 7 - forward], axis=1)[None]
    path, _ = surreal(seen)
    [pose] = poses(path)
    for part in ("hip", "knee", "foot", "shoulder", "elbow", "wrist"):
        right, left = pose[H36M[f"right_{part}"]], pose[H36M[f"left_{part}"]]
        assert right[0] < 0 < left[0]
    to_left = pose[H36M["left_hip"]] - pose[H36M["right_hip"]]
    upward = pose[H36M["thorax"]] - pose[H36M["root"]]
    ahead = pose[H36M["neck_base"]] - pose[H36M["thorax"]]
    assert np.cross(upward, ahead) @ to_left > 0  # right-handed, as people are
    np.testing.assert_allclose(
        pose[H36M["head"]] - pose[H36M["neck_base"]], [0, -105, 0], atol=2e-3
    )


def test_surreal_joints_outside_the_picture_have_3d_labels_only(surreal):
    seen = seen_at_random(2, reach=0.4)
    seen[0, 20] = [-2.5, 0, 7]  # in the picture, the right wrist
    seen[1] += [9, 0, 0]  # nobody is in the picture
    path, out = surreal(seen)
    assert "surreal3d_train.json: 1 instances in 1 images" in out
    [flags], [pose] = keypoints(path)[..., 2], poses(path)
    assert flags[H36M["right_wrist"]] == 0 and (flags > 0).sum() == 16
    np.testing.assert_allclose(pose[H36M["right_wrist"]], [-2500, 0, 7000], atol=2e-3)
    [annotation] = read(path)["annotations"]
    points = keypoints(path)[0]
    points = points[points[:, 2] > 0, :2]
    side = 1.5 * np.ptp(points, axis=0).max()
    assert max(annotation["bbox"][2:]) <= side + 1e-3


def test_surreal_as_source_has_depth(tmp_path, surreal, pair):
    surreal(seen_at_random(reach=0.4))
    cfg = pair("surreal2h36m3d")
    dataset = MixedDomainDataset(cfg.joints, source=cfg.source)
    assert len(dataset) == 5
    info = dataset[0]
    pose = info["keypoints_cam"][0]
    depth = (pose[:, 2] - pose[0, 2]) * 600 / pose[0, 2]
    np.testing.assert_allclose(info["depth"][0], depth, atol=1e-3)
    assert (info["depth_visible"] == 1).all()
    assert (info["keypoints_visible"][..., 0] == 1).all()


def test_surreal_3d_does_not_change_the_2d_file(tmp_path, surreal):
    path, _ = surreal(seen_at_random())
    both = path.with_name("surreal_train.json").read_bytes()
    path.unlink()
    surreal(seen_at_random(), "--only-2d")
    assert not path.exists()
    assert path.with_name("surreal_train.json").read_bytes() == both


def test_surreal_errors_in_3d_name_the_clip(tmp_path, surreal, convert):
    """And a clip that is broken in 3D alone stays in the 2D file."""
    seen = seen_at_random(3)
    joints = seen[..., :2] / seen[..., 2:] * 600 + [160, 120]
    joints[2, 7] += [1.2, 0]
    _, error = surreal(seen, joints=joints)
    assert "the 3D joints of frame 2 of" in error and CLIP in error
    assert "are projected 1.2 px from its 2D joints" in error
    path, out = surreal(seen, "--max-error", "1.5", joints=joints)
    assert "surreal3d_train.json: 3 instances" in out

    good = seen_at_random(2)
    other = tmp_path / "cmu/train/run0/01_01/01_01_c0002_info.mat"
    write_clip_3d(other, good)
    _, out = surreal(seen, "--skip-broken", joints=joints)
    assert "surreal_train.json: 5 instances" in out
    assert "surreal3d_train.json: 2 instances" in out
    assert "skipped: the 3D joints of frame 2" in out

    other.unlink()
    path = tmp_path / "cmu" / CLIP
    write_clip_3d(path, seen)
    content = {k: v for k, v in loadmat(path).items() if k[0] != "_"}
    arguments = ("surreal", tmp_path / "cmu", tmp_path / "surreal", "--every", "1")
    for change, message in (
        (dict(joints3D=None), f"{CLIP}' has no variable 'joints3D'"),
        (dict(camLoc=None), f"{CLIP}' has no variable 'camLoc'"),
        (dict(camLoc=np.eye(2)), f"'camLoc' in '{tmp_path}/cmu/{CLIP}' must be 3 x 1"),
        (dict(joints3D=content["joints3D"][:2]), "must be 3 x 24 x T, but is 2 x 24"),
        (dict(joints3D=content["joints3D"][..., :2]), "has only 2 frames"),
        (dict(joints3D=content["joints3D"] * np.nan), "are projected nan px"),
        (dict(camLoc=content["camLoc"] + 1), f"frame 0 of '{tmp_path}/cmu/{CLIP}'"),
    ):
        changed = {k: v for k, v in {**content, **change}.items() if v is not None}
        savemat(path, changed)
        assert message in convert(*arguments)
        assert "surreal_train.json: 3" in convert(*arguments, "--only-2d")


@pytest.fixture
def h36m(tmp_path, convert):
    """Convert a tiny Human3.6M, given the joints (N, 17, 2) on the test images."""

    def run(test, *options, **kwargs):
        train = spread(2, 17, low=200, high=900, seed=5)
        write_h36m(tmp_path / "h36m", train, test, **kwargs)
        out = convert("h36m", tmp_path / "h36m", *options)
        return tmp_path / "h36m/annotations/h36m3d_test.json", out

    return run


def test_h36m_labels_as_predictions_are_perfect(h36m):
    path, _ = h36m(spread(3, 17, low=200, high=900), "--every", "1")
    found = error_of_labels(path)
    assert found == {
        name: pytest.approx(0, abs=0.01) for name in ("MPJPE", "MPJPE_Directions")
    }
    found = error_of_labels(path.with_name("h36m3d_train.json"), "p-mpjpe")
    assert found["P-MPJPE"] == pytest.approx(0, abs=0.01)


def test_h36m_camera_is_the_ideal_part_of_the_lens(tmp_path, h36m):
    """OpenCV, with all of the lens, sees the 3D joints where the release has them."""
    given = spread(3, 17, low=20, high=980)
    path, _ = h36m(given, "--every", "1")
    assert {tuple(i["camera"]) for i in read(path)["images"]} == {
        (1145.0, 1143.8, 512.5, 515.4)
    }
    k, p = LENS["k"].ravel(), LENS["p"].ravel()
    matrix = np.array([[1145.0, 0, 512.5], [0, 1143.8, 515.4], [0, 0, 1]])
    nothing = np.zeros(3)
    for pose, seen, ideal in zip(poses(path), given, keypoints(path), strict=True):
        for distortion, expected, atol in (
            (np.array([*k[:2], *p, k[2]]), seen, 0.01),
            (np.zeros(5), ideal[:, :2], 1e-3),
        ):
            points, _ = cv2.projectPoints(pose, nothing, nothing, matrix, distortion)
            np.testing.assert_allclose(points[:, 0], expected, atol=atol)
        assert 1 < np.abs(ideal[:, :2] - seen).max() < 40
    raw = np.load(tmp_path / "h36m/annotation_body3d/fps10/h36m_test.npz")["S"]
    np.testing.assert_allclose(poses(path), 1000 * raw[..., :3], atol=1e-3)


def test_h36m_lens_is_that_of_opencv(load_tool, monkeypatch, repo):
    monkeypatch.syspath_prepend(repo / "tools/dataset_converters")
    tool = load_tool("dataset_converters/h36m")
    rng = np.random.default_rng(0)
    joints = rng.uniform([-1, -1, 3], [1, 1, 4], (17, 3))
    k, p = rng.normal(scale=0.5, size=3), rng.normal(scale=0.1, size=2)
    lens = tool.Lens((1100.0, 1200.0, 510.0, 490.0), k, p)
    matrix = np.array([[1100.0, 0, 510], [0, 1200, 490], [0, 0, 1]])
    nothing, distortion = np.zeros(3), np.array([*k[:2], *p, k[2]])
    expected, _ = cv2.projectPoints(joints, nothing, nothing, matrix, distortion)
    np.testing.assert_allclose(lens.project(joints), expected[:, 0], rtol=1e-9)


def test_h36m_3d_does_not_change_the_2d_files(tmp_path, h36m, convert):
    path, _ = h36m(spread(3, 17, low=200, high=900))
    names = "h36m_train.json", "h36m_test.json"
    both = [path.with_name(name).read_bytes() for name in names]
    for part in ("train", "test"):
        path.with_name(f"h36m3d_{part}.json").unlink()
    (tmp_path / "h36m/annotation_body3d/cameras.pkl").unlink()
    error = convert("h36m", tmp_path / "h36m")
    assert "there is no" in error and "cameras.pkl'" in error
    convert("h36m", tmp_path / "h36m", "--only-2d")
    assert [path.with_name(name).read_bytes() for name in names] == both
    assert not path.exists()


def frames(tool, numbers, action="Walking", camera="54138969"):
    return [tool.Frame("S9", action, camera, number) for number in numbers]


@pytest.mark.parametrize("step", [1, 5])
def test_h36m_every_64th_frame_of_the_video(load_tool, monkeypatch, repo, step):
    """Of all frames it is exactly these; of every 5th, the first ones after them."""
    monkeypatch.syspath_prepend(repo / "tools/dataset_converters")
    tool = load_tool("dataset_converters/h36m")
    numbers = range(1, 1001, step)
    both = frames(tool, numbers) + frames(tool, numbers, camera="55011271")
    chosen = tool.thin_out(both, 64)
    first = [both[i].number - 1 for i in chosen if both[i].camera == "54138969"]
    second = [both[i].number - 1 for i in chosen if both[i].camera == "55011271"]
    expected = [-(-multiple // step) * step for multiple in range(0, 1000, 64)]
    assert first == second == expected
    assert expected[:4] == ([0, 64, 128, 192] if step == 1 else [0, 65, 130, 195])
    # In any order, of each video
    rng = np.random.default_rng(0)
    mixed = [both[i] for i in rng.permutation(len(both))]
    assert sorted(mixed[i] for i in tool.thin_out(mixed, 64)) == [
        both[i] for i in chosen
    ]
    assert tool.thin_out(both, 1) == list(range(len(both)))


def test_h36m_protocol(h36m):
    path, out = h36m(spread(15, 17, low=200, high=900))
    assert "h36m3d_train.json: 2 instances" in out
    assert "h36m3d_test.json: 2 instances" in out
    names = [image["file_name"] for image in read(path)["images"]]
    stem = "S9/S9_Directions_1.54138969/S9_Directions_1.54138969_"
    assert names == [f"{stem}000001.jpg", f"{stem}000066.jpg"]
    assert len(read(path.with_name("h36m_test.json"))["images"]) == 15


def test_h36m_as_target(tmp_path, h36m, pair):
    h36m(spread(3, 17, low=200, high=900), "--every", "1")
    cfg = pair("surreal2h36m3d")
    unlabeled = MixedDomainDataset(cfg.joints, target=cfg.target)
    info = unlabeled[0]
    assert not {"depth", "keypoints_cam", "camera"} & info.keys()
    assert not info["keypoints_visible"][..., 0].any()
    labeled = MixedDomainDataset(
        cfg.joints, target=cfg.target, labeled_target=dict(ratio=1.0)
    )
    assert (labeled[0]["depth_visible"] == 1).all()
    val = DATASETS.build(dict(cfg.target_val, pipeline=[]))
    assert len(val) == 3 and val.get_data_info(0)["camera"][:2] == (1145.0, 1143.8)
    assert val.metainfo["keypoint_name2id"] == H36M


class Trap:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_h36m_errors_in_3d(tmp_path, h36m, convert):
    h36m(spread(2, 17, low=200, high=900))
    arguments = ("h36m", tmp_path / "h36m")
    folder = tmp_path / "h36m/annotation_body3d"
    path = folder / "fps10/h36m_test.npz"
    content = dict(np.load(path))
    name = "S9_Directions_1.54138969_000001.jpg"
    world = np.concatenate([content["S"][..., [0, 2, 1]], content["S"][..., 3:]], 2)
    for change, message in (
        (dict(S=None), f"'{path}' has no array 'S'"),
        (dict(S=content["S"][..., :3]), "must be 2 x 17 x 4, but is 2 x 17 x 3"),
        (dict(S=world), f"{name}' are projected"),
        (dict(S=content["S"] * np.nan), "are projected nan px"),
        (
            dict(imgname=np.array(["a/Walk.54138969_000001.jpg"] * 2)),
            "the image name 'a/Walk.54138969_000001.jpg' is not like S1_Dir",
        ),
        (
            dict(imgname=np.array([f"S9/{name}", "S1/S1_Sitting.54138969_000006.jpg"])),
            "has ['S1'], but the test subjects of protocol 1 are ['S11', 'S9']",
        ),
        (
            dict(imgname=np.array(["S11/S11_Sitting.54138969_000006.jpg"] * 2)),
            "cameras.pkl has no camera ('S11', '54138969')",
        ),
    ):
        changed = {k: v for k, v in {**content, **change}.items() if v is not None}
        np.savez(path, **changed)
        assert message in convert(*arguments)
    np.savez(path, **content)
    assert "--every must be" in convert(*arguments, "--every", "0")


def test_h36m_reads_cameras_without_running_code(tmp_path, h36m, convert):
    path, _ = h36m(spread(2, 17, low=200, high=900))
    written = path.read_bytes()
    file = tmp_path / "h36m/annotation_body3d/cameras.pkl"
    cameras = pickle.loads(file.read_bytes())
    arguments = ("h36m", tmp_path / "h36m")
    for protocol in (2, 5):
        path.unlink()
        file.write_bytes(pickle.dumps(cameras, protocol))
        convert(*arguments)
        assert path.read_bytes() == written

    trap = tmp_path / "trap"
    file.write_bytes(pickle.dumps({("S9", "54138969"): Trap(trap)}))
    error = convert(*arguments)
    assert "cameras.pkl' cannot be read" in error and "mkdir' is not allowed" in error
    assert not trap.exists()
    key = "S9", "54138969"
    for broken in (
        b"no pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({key: dict(cameras[key], f=np.ones(3))}),
        pickle.dumps({key: {k: v for k, v in cameras[key].items() if k != "p"}}),
    ):
        file.write_bytes(broken)
        assert "cameras.pkl' " in convert(*arguments)
    # Without its distortion, the lens does not fit the release.
    straight = {k: dict(v, k=0 * LENS["k"]) for k, v in cameras.items()}
    file.write_bytes(pickle.dumps(straight))
    assert "px from its 2D joints" in convert(*arguments)


def test_surreal_clip_of_one_frame(surreal):
    path, _ = surreal(seen_at_random(1))
    assert poses(path).shape == (1, 17, 3)


def test_surreal_frames_without_a_body_are_not_checked(tmp_path, convert):
    joints = spread(3, 24, low=40, high=200)
    joints[1] = [0, 238]
    write_clip(tmp_path / "cmu" / CLIP, joints)
    arguments = ("surreal", tmp_path / "cmu", tmp_path / "surreal", "--every", "1")
    assert "surreal3d_train.json: 2 instances" in convert(*arguments)
