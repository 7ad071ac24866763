import numpy as np
import pytest

from mmpose_da.rendering.camera import Camera
from mmpose_da.rendering.renderer import (
    Light,
    Limb,
    Material,
    nearest_of,
    render_limbs,
)

SIZE = 96
# Far away, so that all rays are parallel but for a per cent; a metre is 40 pixels.
FAR = 100.0
CAMERA = Camera(np.eye(3), np.zeros(3), 40 * FAR, np.full(2, (SIZE - 1) / 2))
LIGHT = Light(np.array([0.0, 0.0, -1.0]), rim=0, crease=0)
RED, GREEN = Material((0, 0, 1)), Material((0, 1, 0))


def point(x, y, z=0.0):
    return np.array([x, y, FAR + z])


def render(*limbs, light=LIGHT, supersampling=1.0):
    return render_limbs(limbs, CAMERA, light, SIZE, supersampling)


def march(distance):
    """Depth (SIZE, SIZE), less FAR, of the solid where ``distance`` of (..., 3) points
    is negative, by small steps along each pixel's ray."""
    steps = np.arange(-1.2, 1.2, 0.01)
    columns = (np.arange(SIZE) - CAMERA.center[0]) / 40
    depth = np.full((SIZE, SIZE), np.inf)
    for row, y in enumerate(columns):
        x, z = np.meshgrid(columns, steps, indexing="ij")
        z_scale = (FAR + z) / FAR
        inside = distance(np.stack([x * z_scale, y * z_scale, z], -1)) < 0
        first = inside.argmax(axis=1)
        depth[row] = np.where(inside.any(axis=1), steps[first], np.inf)
    return depth


def capsule(start, end, radius0, radius1, flatness=1.0):
    """Distance-like function of a tapered capsule; with a flatness, of an upright one
    squeezed along z."""

    def distance(points):
        squeeze = (1, 1, 1 / flatness)
        p, axis = points * squeeze - start, end - start
        t = np.clip(p @ axis / max(axis @ axis, 1e-9), 0, 1)
        return np.linalg.norm(p - t[..., None] * axis, axis=-1) - (
            radius0 + t * (radius1 - radius0)
        )

    return distance


def assert_same_solid(layer, expected, differing_pixels, meters):
    drawn = np.isfinite(layer.depth)
    both = drawn & np.isfinite(expected)
    assert (drawn ^ np.isfinite(expected)).sum() <= differing_pixels
    error = np.abs(layer.depth[both] - FAR - expected[both])
    assert np.percentile(error, 98) < meters, np.percentile(error, 98)


@pytest.mark.parametrize(
    "start, end",
    [
        ((-0.6, -0.4, 0.0), (0.5, 0.5, 0.0)),
        ((-0.6, -0.4, 0.0), (0.3, 0.2, -0.8)),
        ((0.0, 0.5, 0.6), (0.1, 0.4, -0.6)),
        ((0.1, 0.0, -0.3), (0.1, 0.0, 0.4)),
    ],
    ids=["across", "oblique", "almost towards the viewer", "towards the viewer"],
)
def test_capsule_is_what_rays_hit(start, end):
    layer = render(Limb(point(*start), point(*end), (0.2,), RED))
    expected = march(capsule(np.array(start), np.array(end), 0.2, 0.2))
    assert_same_solid(layer, expected, differing_pixels=12, meters=0.04)


def test_tapered_capsule_is_what_rays_hit():
    start, end = np.array((-0.6, -0.4, 0.0)), np.array((0.5, 0.5, 0.2))
    layer = render(Limb(point(*start), point(*end), (0.25, 0.15), RED))
    expected = march(capsule(start, end, 0.25, 0.15))
    assert_same_solid(layer, expected, differing_pixels=30, meters=0.04)


def test_flat_limb_is_what_rays_hit():
    start, end = np.array((0.0, -0.5, 0.0)), np.array((0.0, 0.5, 0.0))
    limb = Limb(point(*start), point(*end), (0.4,), RED, 0.5, np.array([1.0, 0, 0]))
    expected = march(capsule(start, end, 0.4, 0.4, flatness=0.5))
    assert_same_solid(render(limb), expected, differing_pixels=12, meters=0.04)


def test_flat_limb_seen_from_its_side_is_narrow():
    def width(side):
        ends = point(0, -0.5), point(0, 0.5)
        alpha = render(Limb(*ends, (0.4,), RED, 0.5, np.array(side))).alpha
        return alpha[SIZE // 2].sum()

    assert width([1.0, 0, 0]) == pytest.approx(32, abs=1)
    assert width([0, 0, 1.0]) == pytest.approx(16, abs=1)
    diagonal = 32 * np.sqrt((1 + 0.5**2) / 2)
    assert width([1.0, 0, 1.0]) == pytest.approx(diagonal, abs=1)


@pytest.mark.parametrize("first", ["red", "green"])
def test_nearer_limb_hides_the_other_in_any_order(first):
    red = Limb(point(-0.5, 0, -0.3), point(0.5, 0, -0.3), (0.2,), RED)
    green = Limb(point(0, -0.5, 0.3), point(0, 0.5, 0.3), (0.2,), GREEN)
    limbs = (red, green) if first == "red" else (green, red)
    color = render(*limbs).color
    middle = SIZE // 2
    assert color[middle, middle, 2] > 0.5 and color[middle, middle, 1] == 0
    assert color[middle + 14, middle, 1] > 0.5 and color[middle + 14, middle, 2] == 0


def test_side_that_faces_the_light_is_brighter():
    ball = Limb(point(0, 0), point(0, 0), (0.8,), RED)
    light = Light(np.array([1.0, 0, 0]), strength=0.6, ambient=0.3, rim=0, crease=0)
    row = render(ball, light=light).color[SIZE // 2, :, 2]
    middle = SIZE // 2
    assert row[middle - 20] == pytest.approx(0.3)
    # Lambert's law on the ball, 20 of 32 pixels to the right.
    expected = 0.3 + 0.6 * (20.5 - CAMERA.center[0] + middle - 0.5) / 32
    assert row[middle + 20] == pytest.approx(expected, abs=0.02)


def test_supersampling_gives_coverage_at_edges():
    limb = Limb(point(-0.6, -0.4), point(0.5, 0.5), (0.2,), RED)
    layer = render(limb, supersampling=2)
    assert layer.depth.shape == (2 * SIZE, 2 * SIZE)
    assert ((layer.alpha > 0.2) & (layer.alpha < 0.8)).sum() > 50
    length = np.hypot(1.1, 0.9)
    area = (0.4 * length + np.pi * 0.2**2) * 40**2
    assert layer.alpha.sum() == pytest.approx(area, rel=0.01)
    # Premultiplied: the limb's own color at its edges, in front of anything.
    assert layer.over(np.ones((SIZE, SIZE, 3)))[..., 2].max() <= 1.1 + 1e-6


def test_depth_at_points_is_that_of_what_is_drawn_there():
    layer = render(Limb(point(-0.5, 0), point(0.5, 0), (0.2,), RED), supersampling=1.5)
    middle = CAMERA.center
    depth = layer.nearest(np.array([middle, middle + (0, 20), (-50.0, 3.0)]))
    assert depth[0] == pytest.approx(FAR - 0.2, abs=0.01)
    assert np.isinf(depth[1:]).all()


def test_limbs_behind_the_camera_or_outside_the_image_leave_it_empty():
    behind = Limb(np.array([0, 0, -5.0]), np.array([0, 1, -5.0]), (0.2,), RED)
    outside = Limb(point(9, 0), point(9, 1), (0.2,), RED)
    for limbs in ((behind,), (outside,), (behind, outside), ()):
        assert render(*limbs).alpha.sum() == 0


def test_sleeve_ends_where_it_is_cut():
    limb = Limb(point(-0.8, 0), point(0.8, 0), (0.1,), GREEN.until(0.25, RED))
    row = render(limb).color[SIZE // 2]
    # A quarter of 64 pixels, and the rounded end of 4.
    assert (row[:, 1] > 0).sum() == pytest.approx(16 + 4, abs=1)
    assert (row[:, 2] > 0).sum() == pytest.approx(48 + 4, abs=1)


def test_patterns_have_their_period():
    along = np.linspace(0, 0.999, 1000)
    across = np.stack([np.linspace(-0.3, 0.299, 1000), np.ones(1000)], axis=1)

    def changes(pattern, **kwargs):
        material = Material((0, 0, 0), pattern, (1, 1, 1), **kwargs)
        return np.abs(np.diff(material.paint(along, across, 1.0)[:, 0])).sum()

    assert changes("plain") == 0
    assert changes("hoops", period=0.1) == 9
    assert changes("stripes", period=0.1) == 5
    assert changes("gradient") == pytest.approx(0.999, abs=1e-3)


def test_logo_is_on_the_front_only():
    material = Material((0, 0, 0), "logo", (1, 1, 1), period=0.1)
    front_and_back = np.array([[0, 0.1], [0, -0.1]])
    color = material.paint(np.full(2, 0.66), front_and_back, 0.5)
    assert color[:, 0].tolist() == [1, 0]


def test_unknown_pattern_is_named():
    with pytest.raises(ValueError, match="unknown pattern 'dots'"):
        Material((0, 0, 0), "dots")


@pytest.mark.parametrize("supersampling, differing", [(1.0, 0), (1.5, 40)])
def test_layers_combine_as_if_they_were_drawn_together(supersampling, differing):
    """Two crossing bars, each in front of the other at one end, and one behind both."""
    bars = [
        Limb(point(-0.8, -0.3, -0.4), point(0.8, 0.3, 0.4), [0.15], RED),
        Limb(point(-0.8, 0.3, 0.4), point(0.8, -0.3, -0.4), [0.15], GREEN),
        Limb(point(-0.9, 0.1, 0.6), point(0.9, 0.1, 0.6), [0.2], Material((1, 0, 0))),
    ]
    apart = nearest_of([render(bar, supersampling=supersampling) for bar in bars])
    together = render(*bars, supersampling=supersampling)
    np.testing.assert_array_equal(apart.depth, together.depth)
    np.testing.assert_allclose(apart.alpha, together.alpha, atol=1e-5)
    # Where a pixel shows a part of a surface, it gets the mean color of all its parts.
    error = np.abs(apart.color - together.color).max(axis=2)
    assert (error > 0.02).sum() <= differing and error.max() < 0.1
    colors = together.color.reshape(-1, 3)
    assert all((colors[:, channel] > 0.5).sum() > 50 for channel in range(3))


def test_a_layer_alone_stays_as_it_is():
    layer = render(Limb(point(-0.5, 0), point(0.5, 0), [0.2], RED))
    assert nearest_of([layer]) is layer


def test_what_is_far_shows_beside_what_is_near_only():
    near = render(Limb(point(-0.5, 0, -0.3), point(0.0, 0, -0.3), [0.2], RED))
    far = render(Limb(point(-0.5, 0, 0.3), point(0.5, 0, 0.3), [0.2], GREEN))
    for layers in ([near, far], [far, near]):
        image = nearest_of(layers).over(np.zeros((SIZE, SIZE, 3), np.float32))
        middle = SIZE // 2
        assert (
            image[middle, middle - 10, 2] > 0.5 and image[middle, middle - 10, 1] == 0
        )
        assert (
            image[middle, middle + 15, 1] > 0.5 and image[middle, middle + 15, 2] == 0
        )
