import cv2
import numpy as np
import pytest
import torch

from mmpose_da.models.layers import (
    affine_matrices,
    gaussian_heatmaps,
    heatmap_peaks,
    warp,
    warp_heatmaps,
    warp_points,
)

FLIP_INDICES = [1, 0, 2]


def matrices(size, rotation=0.0, scale=1.0, shear=0.0, shift=(0.0, 0.0), flip=False):
    one = torch.tensor
    return affine_matrices(
        size,
        one([rotation]),
        one([scale]),
        one([shear]),
        one([shift], dtype=torch.float32),
        one([flip]),
    )


def slow_matrix(size, rotation, scale, shear, shift, flip):
    """The product of the single maps, one after the other."""
    height, width = size
    center = np.eye(3)
    center[:2, 2] = (width - 1) / 2, (height - 1) / 2
    a, b = np.radians(rotation), np.radians(shear)
    mirror = np.diag([-1.0 if flip else 1.0, 1, 1])
    sheared = np.array([[1, np.tan(b), 0], [0, 1, 0], [0, 0, 1]])
    turned = np.array(
        [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    )
    moved = np.eye(3)
    moved[:2, 2] = shift
    scaled = np.diag([scale, scale, 1])
    back = np.linalg.inv(center)
    return moved @ center @ turned @ sheared @ scaled @ mirror @ back


@pytest.mark.parametrize("flip", [False, True])
def test_matrices_are_products_of_the_single_maps(flip):
    rng = np.random.default_rng(0)
    for _ in range(5):
        rotation, shear = rng.uniform(-60, 60), rng.uniform(-30, 30)
        scale, shift = rng.uniform(0.5, 2), rng.uniform(-9, 9, 2).tolist()
        ours = matrices((24, 40), rotation, scale, shear, shift, flip)[0]
        slow = slow_matrix((24, 40), rotation, scale, shear, shift, flip)
        np.testing.assert_allclose(ours, slow, atol=1e-4)


@pytest.mark.parametrize("dx, dy", [(0, 0), (3, 0), (0, -2), (-4, 5)])
def test_whole_pixels_are_moved_exactly(dx, dy):
    maps = torch.rand(1, 2, 9, 11)
    expected = torch.zeros_like(maps)
    for y in range(9):
        for x in range(11):
            if 0 <= x + dx < 11 and 0 <= y + dy < 9:
                expected[..., y + dy, x + dx] = maps[..., y, x]
    moved = warp(maps, matrices((9, 11), shift=(dx, dy)))
    torch.testing.assert_close(moved, expected, atol=2e-5, rtol=0)


def test_mirror_images_are_exact():
    maps = torch.rand(2, 3, 8, 11)
    flips = matrices((8, 11), flip=True).repeat(2, 1, 1)
    torch.testing.assert_close(warp(maps, flips), maps.flip(-1), atol=2e-5, rtol=0)


def test_images_are_warped_as_by_opencv():
    rng = np.random.default_rng(1)
    image = cv2.GaussianBlur(rng.random((40, 56)).astype(np.float32), (0, 0), 2)
    matrix = matrices((40, 56), 25.0, 1.3, 10.0, (4.3, -2.6), True)
    ours = warp(torch.from_numpy(image)[None, None], matrix)[0, 0].numpy()
    theirs = cv2.warpAffine(image, matrix[0, :2].numpy(), (56, 40))
    # OpenCV interpolates in steps of 1/32 pixel.
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_each_of_a_batch_has_its_own_matrix():
    maps = torch.rand(2, 1, 6, 6)
    both = torch.cat([matrices((6, 6), shift=(1, 0)), matrices((6, 6), rotation=90.0)])
    warped = warp(maps, both)
    for i in range(2):
        alone = warp(maps[i : i + 1], both[i : i + 1])
        torch.testing.assert_close(warped[i : i + 1], alone)


def test_peaks_of_warped_heatmaps_are_at_the_warped_points():
    points = torch.tensor([[[20.0, 30.0], [40.0, 25.5], [31.0, 38.25]]])
    heatmaps = gaussian_heatmaps(points, (64, 64), sigma=2)
    matrix = matrices((64, 64), 30.0, 1.1, 5.0, (3.2, -1.7), True)
    flipped = torch.tensor([True])
    carried = warp_heatmaps(heatmaps, matrix, flipped, FLIP_INDICES)
    expected = warp_points(points, matrix)[:, FLIP_INDICES]
    peaks, _ = heatmap_peaks(carried)
    torch.testing.assert_close(peaks, expected, atol=0.1, rtol=0)
    there = warp_heatmaps(carried, torch.linalg.inv(matrix), flipped, FLIP_INDICES)
    peaks, _ = heatmap_peaks(there)
    torch.testing.assert_close(peaks, points, atol=0.15, rtol=0)


def test_joints_stay_where_there_is_no_mirror():
    heatmaps = torch.rand(2, 3, 5, 5)
    same = warp_heatmaps(
        heatmaps,
        torch.eye(3).repeat(2, 1, 1),
        torch.tensor([False, True]),
        FLIP_INDICES,
    )
    torch.testing.assert_close(same[0], heatmaps[0])
    torch.testing.assert_close(same[1], heatmaps[1, FLIP_INDICES])


def test_half_precision_is_warped_in_full():
    maps = torch.rand(1, 1, 8, 8)
    matrix = matrices((8, 8), rotation=10.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        warped = warp(maps.bfloat16(), matrix)
    assert warped.dtype == torch.float32
    torch.testing.assert_close(warped, warp(maps, matrix), atol=0.01, rtol=0)
