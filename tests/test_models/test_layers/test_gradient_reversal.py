import pytest
import torch

from mmpose_da.models.layers import gradient_reversal, scale_gradient


@pytest.mark.parametrize("coefficient", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_identity_forward_and_reversed_gradient(coefficient, dtype):
    x = torch.randn(3, 4, dtype=dtype, requires_grad=True)
    y = gradient_reversal(x, coefficient)
    assert torch.equal(y, x)
    upstream = torch.randn(3, 4, dtype=dtype)
    (grad,) = torch.autograd.grad(y, x, upstream)
    torch.testing.assert_close(grad, -coefficient * upstream)


def test_only_what_lies_before_it_is_reversed():
    x, weight = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    (gradient_reversal(x, 1.0) * weight).sum().backward()
    assert torch.equal(x.grad, -torch.ones(2))
    assert torch.equal(weight.grad, torch.ones(2))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="coefficient.*-1"):
        gradient_reversal(torch.ones(2), -1)


@pytest.mark.parametrize("factor", [0.0, 0.1, -2.0])
def test_a_scaled_gradient(factor):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 4, dtype=torch.float64)
    y = scale_gradient(x, factor)
    assert torch.equal(y, x)
    (y * weight).sum().backward()
    torch.testing.assert_close(x.grad, factor * weight)
