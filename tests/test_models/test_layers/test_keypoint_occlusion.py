import pytest
import torch

from mmpose_da.models.layers import KeypointOcclusion


def test_patches_hide_joints_and_nothing_else():
    torch.manual_seed(0)
    images = torch.rand(3, 3, 40, 40)
    points = torch.tensor([[[10.0, 12.0], [30.0, 30.0]]]).repeat(3, 1, 1)
    candidates = torch.tensor([[True, False]] * 3)
    hidden = KeypointOcclusion(prob=1.0, size=(0.2, 0.2))(images, points, candidates)
    changed = (hidden != images).any(dim=1)
    expected = torch.zeros(40, 40, dtype=torch.bool)
    expected[8:17, 6:15] = True
    assert (changed == expected).all()
    assert torch.equal(hidden[0, :, 8:17, 6:15], images[2, :, 8:17, 6:15])


def test_occlusion_comes_with_its_probability():
    torch.manual_seed(0)
    # Every joint has its own column.
    images = torch.rand(50, 3, 8, 80)
    points = torch.tensor([[[4.0 + 8 * k, 4.0] for k in range(10)]]).repeat(50, 1, 1)
    candidates = torch.ones(50, 10, dtype=torch.bool)
    hidden = KeypointOcclusion(prob=0.3, size=(0.3, 0.3))(images, points, candidates)
    changed = (hidden != images).any(dim=1)[:, 4, 4::8]
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.07)


def test_one_joint_of_an_image_is_hidden():
    torch.manual_seed(0)
    images = torch.rand(400, 3, 8, 48)
    points = torch.tensor([[[4.0 + 8 * k, 4.0] for k in range(6)]]).repeat(400, 1, 1)
    candidates = torch.tensor([[True, True, False, True, True, False]]).repeat(400, 1)
    candidates[0] = False
    occlusion = KeypointOcclusion(prob=0.5, size=(0.3, 0.3), per="image")
    hidden = occlusion(images, points, candidates)
    changed = (hidden != images).any(dim=1)[:, 4, 4::8]
    assert not changed[0].any()
    assert not changed[:, [2, 5]].any()
    assert set(changed.sum(dim=1).tolist()) == {0, 1}
    assert changed.any(dim=1).float().mean().item() == pytest.approx(0.5, abs=0.08)
    shares = changed[:, [0, 1, 3, 4]].float().mean(dim=0)
    torch.testing.assert_close(shares, torch.full((4,), 0.125), atol=0.06, rtol=0)


def test_a_patch_is_another_place_of_the_same_image():
    torch.manual_seed(0)
    # Each pixel says in which image, row, and column it is.
    images = torch.stack(
        torch.meshgrid(*(torch.arange(n).float() for n in (3, 20, 30)), indexing="ij"),
        dim=1,
    )
    points = torch.tensor([[[12.0, 9.0]]]).repeat(3, 1, 1)
    occlusion = KeypointOcclusion(prob=1.0, size=(0.3, 0.3), patch="same")
    hidden = occlusion(images, points, torch.ones(3, 1, dtype=torch.bool))
    outside = torch.ones(20, 30, dtype=torch.bool)
    outside[6:13, 9:16] = False
    assert torch.equal(hidden[..., outside], images[..., outside])
    patch, own = (x[:, :, 6:13, 9:16] for x in (hidden, images))
    assert torch.equal(patch[:, 0], own[:, 0])  # the same image
    moved = (patch - own)[:, 1:] % torch.tensor([20.0, 30.0])[:, None, None]
    assert (moved == moved[:, :, :1, :1]).all()  # one move for the whole patch
    assert len(moved[:, :, 0, 0].unique(dim=0)) == 3  # another one for each image
    [alone] = occlusion(images[:1], points[:1], torch.ones(1, 1, dtype=torch.bool))
    assert alone.shape == (3, 20, 30)


@pytest.mark.parametrize("kwargs", [dict(per="limb"), dict(patch="noise")])
def test_impossible_occlusions(kwargs):
    [name] = kwargs
    with pytest.raises(ValueError, match=f"occlusion {name}="):
        KeypointOcclusion(**kwargs)


def test_one_image_has_no_other_to_take_patches_from():
    occlusion = KeypointOcclusion(prob=1.0)
    with pytest.raises(ValueError, match="samples_per_domain.target_unlabeled"):
        occlusion(
            torch.zeros(1, 3, 8, 8), torch.zeros(1, 2, 2), torch.ones(1, 2).bool()
        )
