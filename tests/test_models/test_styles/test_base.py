import pytest
import torch

from mmpose_da.models.styles import Style


class Brighter(Style):
    """Twice as bright as the style, beyond the range of colors."""

    def transfer(self, content, style, strength):
        assert content.dtype == style.dtype == strength.dtype == torch.float32
        assert strength.shape == (len(content), 1, 1, 1)
        return 2 * style


def test_strength_zero_is_the_content_and_colors_stay_in_range():
    content, style = torch.rand(2, 3, 4, 5).half(), torch.rand(2, 3, 4, 5)
    result = Brighter()(content, style, torch.tensor([0.0, 0.1]))
    assert result.dtype == content.dtype
    assert torch.equal(result[0], content[0])
    torch.testing.assert_close(result[1], (2 * style[1]).clamp(max=1).half())


def test_no_gradient():
    content = torch.rand(1, 3, 4, 4, requires_grad=True)
    assert not Brighter()(content, content, torch.ones(1)).requires_grad


def test_no_images():
    nothing = torch.rand(0, 3, 4, 4)
    assert Brighter()(nothing, nothing, torch.ones(0)).shape == (0, 3, 4, 4)


def test_wrong_arguments():
    one, two = torch.rand(1, 3, 4, 4), torch.rand(2, 3, 4, 4)
    with pytest.raises(ValueError, match="content and style"):
        Brighter()(one, two, torch.ones(1))
    with pytest.raises(ValueError, match=r"strength must be of shape \(2,\)"):
        Brighter()(two, two, torch.ones(1))
