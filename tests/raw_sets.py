"""Tiny data sets in the formats in which the real ones are published."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat


def write_image(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


def spread(*shape: int, low: float = 10, high: float = 50, seed: int = 0) -> np.ndarray:
    """Points to a thousandth of a pixel, as the converters write them."""
    points = np.random.default_rng(seed).uniform(low, high, (*shape, 2))
    return np.round(points, 3)


def write_lsp(folder: Path, joints: np.ndarray, occluded: np.ndarray) -> None:
    """LSP: 3 x 14 x N; the third number says that a joint is occluded."""
    for i in range(len(joints)):
        write_image(folder / f"images/im{i + 1:04d}.jpg", 60, 80)
    mat = np.concatenate([joints, occluded[..., None]], axis=2).transpose(2, 1, 0)
    savemat(folder / "joints.mat", dict(joints=mat))


def write_lspet(folder: Path, joints: np.ndarray, visible: np.ndarray) -> None:
    """LSPET: 14 x 3 x N; the third number says that a joint is labeled."""
    for i in range(len(joints)):
        write_image(folder / f"images/im{i + 1:05d}.jpg", 60, 80)
    mat = np.concatenate([joints, visible[..., None]], axis=2).transpose(1, 2, 0)
    savemat(folder / "joints.mat", dict(joints=mat))


def write_clip(info: Path, joints: np.ndarray, frames: int | None = None) -> None:
    """A clip of SURREAL with joints (T, 24, 2), at random depths."""
    depth = np.random.default_rng(0).uniform(6, 8, joints.shape[:2])[..., None]
    rays = (joints - [160, 120]) / 600
    seen = np.concatenate([rays, np.ones_like(depth)], axis=2) * depth
    write_clip_3d(info, seen, joints, frames)


def write_clip_3d(
    info: Path,
    seen: np.ndarray,
    joints: np.ndarray | None = None,
    frames: int | None = None,
    location: tuple[float, float, float] = (6.75, -0.98, -1.93),
) -> None:
    """A clip of SURREAL with joints (T, 24, 3); frame t is of the gray 20 t.

    The joints are in meters, to the right of the camera, below it, and before it. The
    2D joints are whole pixels, as in the release, unless they are given.
    """
    info.parent.mkdir(parents=True, exist_ok=True)
    right, below, before = np.moveaxis(seen, 2, 0)
    # Blender's camera looks along -x of the world. Its right is -z, and its down is y.
    world = np.stack(
        [location[0] - before, location[1] + below, location[2] - right], axis=2
    )
    if joints is None:
        pixels = np.stack([right, below], axis=2) / before[..., None] * 600
        joints = np.round(pixels + [160, 120])
    arrays = dict(joints2D=joints, joints3D=world)
    mats = {k: v.transpose(2, 1, 0).astype(np.float32) for k, v in arrays.items()}
    if len(seen) == 1:  # MATLAB drops the last axis of one frame
        mats = {name: mat[..., 0] for name, mat in mats.items()}
    savemat(info, dict(mats, camLoc=np.float32(location)[:, None]))
    video = cv2.VideoWriter(
        str(info).replace("_info.mat", ".mp4"),
        cv2.VideoWriter_fourcc(*"mp4v"),
        25,
        (320, 240),
    )
    assert video.isOpened()
    for t in range(len(seen) if frames is None else frames):
        video.write(np.full((240, 320, 3), 20 * t, np.uint8))
    video.release()


#: A camera of Human3.6M: f, c, k, and p.
LENS = dict(
    f=np.array([[1145.0], [1143.8]]),
    c=np.array([[512.5], [515.4]]),
    k=np.array([[-0.207], [0.248], [-0.003]]),
    p=np.array([[-0.0014], [-0.001]]),
)


def write_h36m(
    folder: Path, train: np.ndarray, test: np.ndarray, action: str = "Directions_1"
) -> None:
    """Human3.6M, as MMPose's preprocess_h36m.py writes it; 3D joints fit the 2D ones.

    The 2D joints (N, 17, 2) are those on the image, which the lens distorts.
    """
    (folder / "annotation_body3d/fps10").mkdir(parents=True)
    cameras = {}
    for part, subject, joints in (("train", "S1", train), ("test", "S9", test)):
        clip = f"{subject}_{action}.54138969"
        names = [
            f"{subject}/{clip}/{clip}_{5 * i + 1:06d}.jpg" for i in range(len(joints))
        ]
        for name in names:
            write_image(folder / "images" / name, 1000, 1002)
        ones = np.ones((*joints.shape[:2], 1))
        np.savez(
            folder / f"annotation_body3d/fps10/h36m_{part}.npz",
            imgname=np.array(names),
            center=joints.mean(1),
            scale=np.ones(len(joints)),
            part=np.concatenate([joints, ones], axis=2),
            S=np.concatenate([before_the_lens(joints), ones], axis=2),
        )
        pose = dict(R=np.eye(3), T=np.ones((3, 1)), w=1000, h=1002, name="camera1")
        cameras[subject, "54138969"] = dict(pose, id="54138969", **LENS)
    with (folder / "annotation_body3d/cameras.pkl").open("wb") as file:
        pickle.dump(cameras, file)


def before_the_lens(joints: np.ndarray) -> np.ndarray:
    """Points (N, 17, 3) in meters, at random depths, that are seen at joints."""
    matrix = np.eye(3)
    matrix[[0, 1], [0, 1]], matrix[:2, 2] = LENS["f"].ravel(), LENS["c"].ravel()
    k, p = LENS["k"].ravel(), LENS["p"].ravel()
    distortion = np.array([*k[:2], *p, k[2]])
    rays = cv2.undistortPoints(joints.reshape(-1, 1, 2), matrix, distortion)
    rays = np.concatenate(
        [rays.reshape(joints.shape), np.ones_like(joints[..., :1])], 2
    )
    depth = np.random.default_rng(1).uniform(4.5, 5.5, joints.shape[:2])
    return rays * depth[..., None]


def write_rhd(folder: Path, uv_vis: dict[int, np.ndarray]) -> None:
    """RHD_published_v2: the joints (42, 3) of both hands, left first."""
    for part in ("training", "evaluation"):
        content = {
            number: dict(uv_vis=joints, xyz=np.zeros((42, 3)), K=np.eye(3))
            for number, joints in uv_vis.items()
        }
        for number in uv_vis:
            write_image(folder / part / f"color/{number:05d}.png", 320, 320)
        with (folder / part / f"anno_{part}.pickle").open("wb") as file:
            pickle.dump(content, file, protocol=2)


def write_freihand(folder: Path, joints: np.ndarray) -> None:
    """FreiHAND: joints (N, 21, 2) as points at several depths and their camera."""
    depth = np.tile(np.linspace(0.5, 0.7, 21)[:, None], (len(joints), 1, 1))
    camera = np.array([[400.0, 0, 112], [0, 410, 110], [0, 0, 1]])
    focal, center = np.array([400.0, 410]), np.array([112.0, 110])
    xyz = np.concatenate([(joints - center) / focal, np.ones_like(depth)], 2) * depth
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training_xyz.json").write_text(json.dumps(xyz.tolist()))
    cameras = [camera.tolist()] * len(joints)
    (folder / "training_K.json").write_text(json.dumps(cameras))
    for i in range(4 * len(joints)):
        write_image(folder / f"training/rgb/{i:08d}.jpg", 224, 224)
    for i in range(len(joints)):  # of one background; the hand is 40 x 60 px
        mask = np.zeros((224, 224), np.uint8)
        mask[80 + i : 140 + i, 100:140] = 255
        (folder / "training/mask").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"training/mask/{i:08d}.jpg"), mask)


def write_h3d(folder: Path, joints: np.ndarray, free: list[int]) -> None:
    """H3D_crop of RegDA: joints (N, 21, 2)."""
    samples = [
        dict(
            name=f"part1/{i}.jpg",
            keypoint2d=points.tolist(),
            keypoint3d=np.ones((21, 3)).tolist(),
            intrinsic_matrix=np.eye(3).tolist(),
            without_object=int(i in free),
        )
        for i, points in enumerate(joints)
    ]
    for sample in samples:
        write_image(folder / sample["name"], 64, 64)
    (folder / "annotation.json").write_text(json.dumps(samples))


def write_synthetic_animal(folder: Path, animal: str, vertices: np.ndarray) -> None:
    """Synthetic animals: the vertices (N, V, 3) of the mesh in every image."""
    for i, mesh in enumerate(vertices):
        stem = folder / f"{animal}_combineds5r5_texture/{animal}_{i:04d}_"
        write_image(Path(f"{stem}img.png"), 640, 480)
        np.save(f"{stem}kpts.npy", mesh)


def write_tigdog(folder: Path, animal: str, shots: dict[int, np.ndarray]) -> None:
    """behaviorDiscovery2.0: the landmarks (T, 19, 3) of every shot."""
    ranges, number = [], 1
    for shot, landmarks in shots.items():
        ranges.append((shot, number, number + len(landmarks) - 1))
        cells = np.empty((len(landmarks), 1), object)
        for t, frame in enumerate(landmarks):
            cells[t, 0] = dict(positions=frame[:, :2], visibility=frame[:, 2:])
            write_image(folder / f"{animal}/{number + t:08d}.jpg", 400, 225)
        path = folder / f"landmarks/{animal}/{shot}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, dict(landmarks=cells))
        number += len(landmarks)
    ranges.append((999, number, number + 3))  # a shot without landmarks
    (folder / f"ranges/{animal}").mkdir(parents=True)
    savemat(folder / f"ranges/{animal}/ranges.mat", dict(ranges=np.array(ranges)))


def write_animal_pose(folder: Path, joints: dict[str, np.ndarray]) -> None:
    """Animal-Pose: the joints (N, 20, 3) of every kind of animal."""
    images, annotations = {}, []
    names = ["dog", "cat", "sheep", "horse", "cow"]
    for name, animals in joints.items():
        for points in animals:
            number = len(images) + 1
            images[str(number)] = f"{name}_{number}.jpg"
            write_image(folder / f"images/{name}_{number}.jpg", 200, 150)
            annotations.append(
                dict(
                    image_id=number,
                    bbox=[20, 30, 120, 90],
                    keypoints=points.tolist(),
                    num_keypoints=int((points[:, 2] > 0).sum()),
                    category_id=names.index(name) + 1,
                )
            )
    categories = [dict(id=i, name=name) for i, name in enumerate(names, 1)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / "keypoints.json").write_text(json.dumps(content))
