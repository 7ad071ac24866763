import torch

from mmpose_da.structures import map_tensors, replace_last, tensors

A, B, C = torch.zeros(1), torch.ones(2), torch.full((3,), 2.0)
TREE = (A, [B, (C,)])


def test_tensors_come_from_first_to_last():
    assert [len(tensor) for tensor in tensors(TREE)] == [1, 2, 3]
    assert list(tensors(A)) == [A]


def test_a_mapped_tree_has_the_same_structure():
    first, [second, (third,)] = result = map_tensors(lambda x: x + 1, TREE)
    assert isinstance(result, tuple) and isinstance(result[1], list)
    for ours, given in zip((first, second, third), (A, B, C), strict=True):
        assert torch.equal(ours, given + 1)
    assert torch.equal(map_tensors(torch.neg, B), -B)


def test_the_last_tensor_is_replaced_in_a_copy():
    result = replace_last(TREE, A)
    assert [len(tensor) for tensor in tensors(result)] == [1, 2, 1]
    assert [len(tensor) for tensor in tensors(TREE)] == [1, 2, 3]
    assert replace_last(B, A) is A
