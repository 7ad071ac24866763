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


def test_one_image_has_no_other_to_take_patches_from():
    occlusion = KeypointOcclusion(prob=1.0)
    with pytest.raises(ValueError, match="samples_per_domain.target_unlabeled"):
        occlusion(
            torch.zeros(1, 3, 8, 8), torch.zeros(1, 2, 2), torch.ones(1, 2).bool()
        )
