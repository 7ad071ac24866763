"""Writes rendered people to disk as a dataset that MMPose reads."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from io import BytesIO
from itertools import chain, count
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from scipy.io import savemat

from .crowd_index import crowd_index
from .domains import Domain, Sample, render_people
from .skeleton import JOINT_IDS, JOINT_NAMES

#: Increase this after a change that makes the same seed produce different files.
GENERATOR_VERSION = 3

MANIFEST = "manifest.json"
JPEG_QUALITY = 95
#: The number of an image is its index in the split, plus this offset for each split
#: before, so that numbers are unique in a folder. MMPose reads MPII's image ids from
#: the file names.
IMAGES_PER_SPLIT = 1_000_000
IMAGES_PER_TASK = 16  # images per task of a worker process

COCO_NAMES = JOINT_NAMES[:17]
#: Pairs of COCO's joints that its skeleton connects.
COCO_SKELETON: tuple[tuple[str, str], ...] = (
    ("left_ankle", "left_knee"),
    ("left_knee", "left_hip"),
    ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("left_eye", "right_eye"),
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
    ("left_ear", "left_shoulder"),
    ("right_ear", "right_shoulder"),
)
#: MPII's joints in the order of MMPose's ``MpiiDataset``.
MPII_NAMES: tuple[str, ...] = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("pelvis", "thorax", "upper_neck", "head_top"),
    *("right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist"),
)
#: Human3.6M's joints in the order of MMPose's ``Human36mDataset``, as pairs of the
#: rendered joints whose midpoint they are. Its foot is the ankle, its thorax the neck's
#: base, and its head the top of the head.
H36M_JOINTS: dict[str, tuple[str, str]] = dict(
    root=("pelvis", "pelvis"),
    **{
        f"{side}_{part}": (f"{side}_{joint}", f"{side}_{joint}")
        for side in ("right", "left")
        for part, joint in (("hip", "hip"), ("knee", "knee"), ("foot", "ankle"))
    },
    spine=("pelvis", "thorax"),
    thorax=("thorax", "thorax"),
    neck_base=("upper_neck", "upper_neck"),
    head=("head_top", "head_top"),
    **{
        f"{side}_{part}": (f"{side}_{part}", f"{side}_{part}")
        for side in ("left", "right")
        for part in ("shoulder", "elbow", "wrist")
    },
)
#: CrowdPose's joints in the order of MMPose's ``CrowdPoseDataset``, with their names
#: here. As in MMPose's own configs, its neck is MPII's upper neck.
CROWDPOSE_JOINTS: dict[str, str] = dict(
    **{
        f"{side}_{part}": f"{side}_{part}"
        for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in ("left", "right")
    },
    top_head="head_top",
    neck="upper_neck",
)
#: MMPose's estimate of a person's area, as a share of the box area.
AREA_OF_BOX = 0.53
#: MPII's scale is the side of the box divided by 200 px. MMPose moves its center down
#: by 15 px times the scale.
MPII_SIDE, MPII_SHIFT = 200.0, 15.0
#: MPII counts pixels from 1: the center of the first pixel is at (1, 1).
MPII_FIRST = 1
#: The people in each image, by its file name.
People = Mapping[str, list[Sample]]
#: A MATLAB file starts with a text of this length. SciPy writes the time into it, which
#: this text replaces.
MAT_TITLE = b"MATLAB 5.0 MAT-file".ljust(116)


def sample_rng(seed: int, domain: str, split: str, index: int) -> np.random.Generator:
    """Create the random generator of one image, independent of all other images.

    Args:
        seed (int): Seed of the dataset, 0 or more.
        domain (str): Name of the domain.
        split (str): Name of the split.
        index (int): Index of the image in its split, from 0.
    """
    return np.random.default_rng(
        [seed, crc32(domain.encode()), crc32(split.encode()), index]
    )


def write_domain(
    folder: str | Path,
    domain: Domain,
    counts: Mapping[str, int],
    seed: int = 0,
    size: int = 160,
    format: str = "coco",
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[], Any] | None = None,
) -> bool:
    """Render a domain into a folder that MMPose's datasets read.

    The folder contains ``images/0000000.jpg``, ... and, for each split:

    - ``annotations/person_keypoints_{split}.json`` for ``CocoDataset``, or
      ``annotations/mpii_{split}.json`` and the head boxes
      ``annotations/mpii_gt_{split}.mat`` for ``MpiiDataset``, or
      ``annotations/crowdpose_{split}.json`` for ``CrowdPoseDataset``, with the crowd
      index of each image;
    - ``annotations/pose3d_{split}.json``, which
      :class:`~mmpose_da.datasets.Pose3dDataset` reads;
    - ``annotations/joints_3d_{split}.npz``, see :func:`joints_3d`;

    and ``manifest.json``, which records all settings and a hash of the files. The
    folder gets its name when it is complete; until then, it is named
    ``{folder}.partial``.

    The same arguments produce the same bytes, for any number of workers. A larger count
    only adds images to those of a smaller one.

    Args:
        folder (str | Path): The folder to write.
        domain (Domain): The domain to render.
        counts (Mapping[str, int]): Number of images by name of the split.
        seed (int): Random seed. Another one gives other people in other places.
        size (int): Side of the images in pixels.
        format (str): ``coco``, ``mpii``, or ``crowdpose``.
        workers (int): Number of processes; 0 renders in the current one.
        overwrite (bool): Replace a folder with a different manifest.
        progress (Callable, optional): Called after every image.

    Returns:
        bool: False if the folder already exists and was written with the same
        arguments.

    Raises:
        ValueError: If the format is unknown, or a count is not from 1 to
            ``IMAGES_PER_SPLIT``.
        FileExistsError: If the folder holds something else. It is only replaced if it
            has a manifest and ``overwrite`` is set.
    """
    folder = Path(folder)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {sorted(FORMATS)}, not '{format}'")
    for split, total in counts.items():
        if not 0 < total <= IMAGES_PER_SPLIT:
            raise ValueError(
                f"{split}={total}: a split has from 1 to {IMAGES_PER_SPLIT} images"
            )
    request = _plain(
        dict(
            domain=domain.name,
            # What a domain does not have is not listed.
            settings={k: v for k, v in asdict(domain).items() if v is not None},
            format=format,
            seed=seed,
            size=size,
            counts=dict(counts),
            generator_version=GENERATOR_VERSION,
        )
    )
    if _is_written(folder, request, overwrite):
        return False

    new = folder.with_name(f"{folder.name}.partial")
    if new.exists():
        shutil.rmtree(new)
    (new / "images").mkdir(parents=True)
    (new / "annotations").mkdir()
    first = 0
    for split, total in counts.items():
        names = [f"{first + index:07d}.jpg" for index in range(total)]
        render = partial(_render, new / "images", domain, seed, split, size)
        people = {}
        for name, samples in zip(names, _map(render, names, workers), strict=True):
            people[name] = samples
            if progress is not None:
                progress()
        FORMATS[format](new / "annotations", split, people, size)
        _write_pose3d(new / "annotations", split, people, size)
        everybody = joints_3d(list(chain(*people.values())))
        np.savez(new / f"annotations/joints_3d_{split}.npz", **everybody)
        first += IMAGES_PER_SPLIT
    manifest = dict(request, sha256=folder_hash(new))
    _write_json(new / MANIFEST, manifest, indent=2)
    if folder.exists():
        shutil.rmtree(folder)
    new.rename(folder)
    return True


def is_written(folder: str | Path) -> bool:
    """Return whether a folder holds a dataset from this version of the writer.

    Args:
        folder (str | Path): The folder, with any images, seed, and size.

    Raises:
        FileExistsError: If the dataset is from another version, whose files differ.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        return False
    version = json.loads(path.read_text(encoding="utf-8"))["generator_version"]
    if version != GENERATOR_VERSION:
        raise FileExistsError(
            f"'{folder}' was rendered by version {version} of the generator, but this "
            f"is version {GENERATOR_VERSION}, whose files differ; delete the folder or "
            "run `python tools/render_domains.py --overwrite`"
        )
    return True


def joints_3d(samples: list[Sample]) -> dict[str, np.ndarray]:
    """Collect the joints and cameras of N people, in the order of the annotations.

    Returns:
        dict: ``joints_camera`` (N, J, 3), meters in the camera frame, ``joints_image``
        (N, J, 2) in pixels, ``visible`` (N, J), ``rotation`` (N, 3, 3) and
        ``translation`` (N, 3) from the world to the camera, ``focal`` (N,) and
        ``center`` (N, 2) in pixels, and ``joint_names`` (J,).
    """
    cameras = [sample.camera for sample in samples]
    return dict(
        joints_camera=np.array(
            [s.camera.to_camera(s.joints_world) for s in samples], np.float32
        ),
        joints_image=np.array([sample.joints for sample in samples], np.float32),
        visible=np.array([sample.visible for sample in samples], bool),
        rotation=np.array([camera.rotation for camera in cameras]),
        translation=np.array([camera.translation for camera in cameras]),
        focal=np.array([camera.focal for camera in cameras]),
        center=np.array([camera.center for camera in cameras]),
        joint_names=np.array(JOINT_NAMES),
    )


def folder_hash(folder: str | Path) -> str:
    """Return the SHA-256 of the names and bytes of all files except the manifest."""
    folder, digest = Path(folder), hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != MANIFEST:
            content = path.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _is_written(folder: Path, request: dict, overwrite: bool) -> bool:
    """Return whether the folder holds the request; raise if it holds something else."""
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not (folder / MANIFEST).is_file():
        raise FileExistsError(
            f"'{folder}' is not empty and has no {MANIFEST}, so it was not written by "
            "this tool; choose another folder"
        )
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    sha256 = manifest.pop("sha256", None)
    old, new = _flat(manifest), _flat(request)
    differing = [k for k in (old | new) if old.get(k) != new.get(k)]
    if not differing and sha256 == folder_hash(folder):
        return True
    if overwrite:
        return False
    changes = [f"{k} is {old.get(k)}, not {new.get(k)}" for k in differing]
    raise FileExistsError(
        f"'{folder}' contains another set: "
        + ("; ".join(changes) or "its files were changed after it was written")
        + ". To replace it, use --overwrite (overwrite=True)"
    )


def _render(
    folder: Path, domain: Domain, seed: int, split: str, size: int, name: str
) -> list[Sample]:
    """Write one image, and return its samples without the pixels."""
    index = int(Path(name).stem) % IMAGES_PER_SPLIT
    people = render_people(domain, sample_rng(seed, domain.name, split, index), size)
    image = people[0].image
    _, jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    (folder / name).write_bytes(jpeg.tobytes())
    return [replace(person, image=image[:0]) for person in people]


def _map(render: Callable, names: list[str], workers: int) -> Iterator[list[Sample]]:
    """Render all images in order, in ``workers`` processes."""
    if workers == 0:
        yield from map(render, names)
        return
    # Do not fork this process: OpenCV may have threads, which do not survive a fork,
    # and the child would wait for them. One thread per worker is enough for small
    # images.
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(
        workers, context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as executor:
        yield from executor.map(render, names, chunksize=IMAGES_PER_TASK)


def _inside(joints: np.ndarray, size: int) -> np.ndarray:
    """Return which joints (K, 2) are in the image."""
    return ((joints >= 0) & (joints <= size - 1)).all(axis=1)


def _numbers(people: People) -> Iterator[int]:
    """Count people from the number of the first image, as annotations are numbered."""
    return count(min(map(_number, people)))


def _number(name: str) -> int:
    return int(Path(name).stem)


def _image(name: str, size: int, **more: Any) -> dict[str, Any]:
    """Return COCO's description of an image."""
    return dict(id=_number(name), file_name=name, width=size, height=size, **more)


def _person(
    number: int,
    image: str,
    sample: Sample,
    joints: np.ndarray,
    visible: np.ndarray,
    size: int,
) -> dict[str, Any]:
    """Return COCO's annotation of a person with joints (K, 2) and whether each is seen.

    A joint outside the image is not labeled.
    """
    inside = _inside(joints, size)
    # COCO's flags: 0 is not labeled, 1 hidden, 2 visible.
    flags = np.where(inside, 1 + visible, 0)
    keypoints = np.column_stack([joints * inside[:, None], flags])
    x1, y1, x2, y2 = map(float, sample.box)
    return dict(
        id=number,
        image_id=_number(image),
        category_id=1,
        iscrowd=0,
        bbox=_rounded([x1, y1, x2 - x1, y2 - y1]),
        area=_rounded(AREA_OF_BOX * (x2 - x1) * (y2 - y1)),
        num_keypoints=int(inside.sum()),
        keypoints=_rounded(keypoints.ravel()),
    )


def _write_coco(folder: Path, split: str, people: People, size: int) -> None:
    numbers, joints = _numbers(people), len(COCO_NAMES)
    skeleton = [[COCO_NAMES.index(name) + 1 for name in pair] for pair in COCO_SKELETON]
    person = dict(id=1, name="person", keypoints=list(COCO_NAMES), skeleton=skeleton)
    content = dict(
        images=[_image(name, size) for name in people],
        annotations=[
            _person(
                *(next(numbers), name, sample),
                *(sample.joints[:joints], sample.visible[:joints], size),
            )
            for name, samples in people.items()
            for sample in samples
        ],
        categories=[person],
    )
    _write_json(folder / f"person_keypoints_{split}.json", content)


def _write_crowdpose(folder: Path, split: str, people: People, size: int) -> None:
    ids, numbers = [JOINT_IDS[n] for n in CROWDPOSE_JOINTS.values()], _numbers(people)
    images, annotations = [], []
    for name, samples in people.items():
        group = [
            _person(next(numbers), name, s, s.joints[ids], s.visible[ids], size)
            for s in samples
        ]
        for person in group:
            # Only visible joints count here; nobody without any is evaluated.
            person["num_keypoints"] = person["keypoints"][2::3].count(2)
        index = crowd_index(
            [person["bbox"] for person in group],
            [np.reshape(person["keypoints"], (-1, 3)) for person in group],
        )
        images.append(_image(name, size, crowdIndex=_rounded(index)))
        annotations += group
    category = dict(id=1, name="person", keypoints=list(CROWDPOSE_JOINTS), skeleton=[])
    content = dict(images=images, annotations=annotations, categories=[category])
    _write_json(folder / f"crowdpose_{split}.json", content)


def _write_mpii(folder: Path, split: str, people: People, size: int) -> None:
    ids = [JOINT_IDS[name] for name in MPII_NAMES]
    annotations = []
    for name, samples in people.items():
        for sample in samples:
            low, high = np.reshape(sample.box, (2, 2)).astype(float)
            scale = (high - low).max() / MPII_SIDE
            # Compensate MMPose's shift, so that it finds the center of the box.
            center = (low + high) / 2 + MPII_FIRST - (0, MPII_SHIFT * scale)
            joints = sample.joints[ids]
            inside = _inside(joints, size)
            shown = np.where(inside[:, None], joints + MPII_FIRST, -1.0)
            annotations.append(
                dict(
                    image=name,
                    center=_rounded(center),
                    scale=_rounded(scale, 6),
                    joints=_rounded(shown),
                    joints_vis=inside.astype(int).tolist(),
                )
            )
    _write_json(folder / f"mpii_{split}.json", annotations)

    everybody = chain(*people.values())
    corners = np.array([np.reshape(s.head_box, (2, 2)) for s in everybody], float)
    corners += MPII_FIRST
    buffer = BytesIO()
    savemat(buffer, dict(headboxes_src=corners.transpose(1, 2, 0)))
    content = MAT_TITLE + buffer.getvalue()[len(MAT_TITLE) :]
    (folder / f"mpii_gt_{split}.mat").write_bytes(content)


def _write_pose3d(folder: Path, split: str, people: People, size: int) -> None:
    """Write 3D joints in millimeters, in the frame of the camera."""
    pairs = np.array([[JOINT_IDS[n] for n in pair] for pair in H36M_JOINTS.values()])
    images, annotations, numbers = [], [], _numbers(people)
    for name, samples in people.items():
        camera = samples[0].camera
        intrinsics = [camera.focal, camera.focal, *camera.center]
        images.append(_image(name, size, camera=_rounded(intrinsics, 6)))
        for sample in samples:
            joints = sample.joints_world[pairs].mean(axis=1)
            points = camera.project(joints)
            visible = sample.visible[pairs].all(axis=1)
            annotations.append(
                dict(
                    _person(next(numbers), name, sample, points, visible, size),
                    keypoints_3d=_rounded(1000 * camera.to_camera(joints).ravel()),
                )
            )
    person = dict(id=1, name="person", keypoints=list(H36M_JOINTS), skeleton=[])
    content = dict(images=images, annotations=annotations, categories=[person])
    _write_json(folder / f"pose3d_{split}.json", content)


#: Functions that write the annotations of a split, by format.
FORMATS: dict[str, Callable] = dict(
    coco=_write_coco, mpii=_write_mpii, crowdpose=_write_crowdpose
)


def _rounded(values: Any, digits: int = 3) -> Any:
    """Round numbers for a JSON file, by default to a thousandth of a pixel."""
    return np.round(values, digits).tolist()


def _plain(content: dict) -> dict:
    """Convert to what JSON returns after a round trip."""
    return json.loads(json.dumps(content, default=str))


def _flat(content: Mapping, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested dicts by path, such as ``counts.train``."""
    leaves: dict[str, Any] = {}
    for key, value in content.items():
        nested = isinstance(value, Mapping)
        leaves.update(
            _flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
        )
    return leaves


def _write_json(path: Path, content: Any, indent: int | None = None) -> None:
    path.write_text(json.dumps(content, indent=indent) + "\n", encoding="utf-8")
