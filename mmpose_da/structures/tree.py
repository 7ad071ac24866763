"""Nested lists and tuples of tensors, as backbones and heads return them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor

#: A tensor, or a list or a tuple of trees.
Tree: TypeAlias = Any


def map_tensors(function: Callable[[Tensor], Tensor], tree: Tree) -> Tree:
    """Apply a function to every tensor of a tree, keeping its structure."""
    if isinstance(tree, Tensor):
        return function(tree)
    return type(tree)(map_tensors(function, part) for part in tree)


def tensors(tree: Tree) -> Iterator[Tensor]:
    """Yield the tensors of a tree, from first to last."""
    if isinstance(tree, Tensor):
        yield tree
    else:
        for part in tree:
            yield from tensors(part)


def concat_trees(*trees: Tree) -> Tree:
    """Concatenate trees of one structure along the first axis of their tensors."""
    if isinstance(trees[0], Tensor):
        return torch.cat(trees)
    return type(trees[0])(concat_trees(*parts) for parts in zip(*trees, strict=True))


def replace_last(tree: Tree, tensor: Tensor) -> Tree:
    """Return a copy of a tree with the last tensor replaced."""
    if isinstance(tree, Tensor):
        return tensor
    return type(tree)([*tree[:-1], replace_last(tree[-1], tensor)])
