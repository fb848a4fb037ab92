"""Gradient-boosted trees in flat node arrays: bit for bit what scikit-learn predicts, without scikit-learn.

Each leaf is a bit, the leftmost one the lowest. A split that sends a row to the right takes away the leaves of its left
branch; whatever remains of a tree, its lowest bit is the leaf that the row reaches. For one feature these masks depend
only on how many thresholds are below the value, so that a row costs one bisection and one `&` per feature, for a block
of trees at once.

Source: Lucchese et al., QuickScorer (SIGIR 2015).
"""

import struct
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import getitem
from typing import TYPE_CHECKING, Any

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.model_state import Predictor, finite, mapping_at, number_at, sequence_at, whole
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = ("feature", "threshold", "left", "right", "value", "missing_left")
SCALED_LEAVES = "initial_prediction + learning_rate * leaf, tree by tree"
WHOLE_LEAVES = "initial_prediction + leaf, tree by tree"
MAX_LEAVES = 1024  # of a tree; the masks of a tree take space by the square of its leaves
_BLOCK_BITS = 4096
_CHUNK_ROWS = 4096
_TOO_LARGE = "a feature is too large for float32, in which the model was trained"
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}

_LOWEST_OF_BYTE = [(byte & -byte).bit_length() - 1 for byte in range(256)]

Cast = Callable[[Sequence[float]], Sequence[float]]


@frozen
class _Tree:
    """One tree.

    Attributes:
        leaves: Values from left to right.
        splits: Feature, threshold, the leaves of the left branch as bits, whether a missing value goes left.
    """

    leaves: tuple[float, ...]
    splits: tuple[tuple[int, float, int, bool], ...]


def gradient_boosting_predictor(artifact: ModelArtifact) -> Predictor:
    """*gradient_boosting*: values are rounded to float32 first, and none may be missing."""
    state = artifact.model_state
    rate = number_at(state, "learning_rate", "model_state")
    _require(state, "input_cast", "float32")
    _require(state, "summation", SCALED_LEAVES)
    forest = _Forest(state, artifact.feature_names, rate)
    cast = _float32(artifact.feature_names)

    def batch(matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        import numpy as np

        with np.errstate(over="ignore"):
            rounded = matrix.astype(np.float32).astype(np.float64)
        if np.isinf(rounded).any():
            raise BotCoreError(_TOO_LARGE)
        return forest.batch(rounded)

    return Predictor(tuple(artifact.feature_names), lambda values: forest.row(cast(values)), batch)


def hist_gradient_boosting_predictor(artifact: ModelArtifact) -> Predictor:
    """*hist_gradient_boosting*: values are float64; `model_state.may_miss` names the features that may be missing."""
    state, names = artifact.model_state, tuple(artifact.feature_names)
    _require(state, "input_cast", "float64")
    _require(state, "summation", WHOLE_LEAVES)
    may_miss = frozenset(map(str, sequence_at(state, "may_miss", "model_state")))
    if strangers := sorted(may_miss.difference(names)):
        raise FileFormatError(f"model_state.may_miss names {', '.join(strangers)}, which is no feature")
    forest = _Forest(state, names, 1.0)
    return Predictor(names, forest.row, forest.batch, may_miss)


class _Block:
    """Some trees, as masks over all their leaves.

    Attributes:
        features: Feature; its thresholds, ascending; which leaves remain when so many of these lie below the value, and
            last those that remain when the value is missing.
        leaves: By tree, from its part of a mask with one bit left to the value of that leaf.
    """

    def __init__(self, trees: Sequence[_Tree], size: int) -> None:
        """Lay out trees in fields of `size` bytes each."""
        self.size, self.count = size, len(trees)
        self.everything = (1 << 8 * size * len(trees)) - 1
        self.ones = sum(1 << 8 * size * number for number in range(len(trees)))
        code = _FORMATS.get(size)
        self.unpack = struct.Struct(f"<{len(trees)}{code}" if code else f"<{f'{size}s' * len(trees)}").unpack
        splits: dict[int, list[tuple[float, int, bool]]] = {}
        for number, tree in enumerate(trees):
            for feature, threshold, mask, missing_left in tree.splits:
                splits.setdefault(feature, []).append((threshold, mask << 8 * size * number, missing_left))
        self.features = [(feature, *self._masks(found)) for feature, found in sorted(splits.items())]
        keys = struct.Struct(f"<{code or f'{size}s'}")
        self.leaves = [
            {keys.unpack((1 << bit).to_bytes(size, "little"))[0]: value for bit, value in enumerate(tree.leaves)}
            for tree in trees
        ]

    def _masks(self, splits: list[tuple[float, int, bool]]) -> tuple[list[float], list[int]]:
        splits.sort()
        masks, missing = [self.everything], self.everything
        for _, mask, missing_left in splits:
            masks.append(masks[-1] & ~mask)
            missing &= ~(0 if missing_left else mask)
        return [threshold for threshold, _, _ in splits], [*masks, missing]

    @cached_property
    def arrays(self) -> "list[tuple[int, NDArray[np.float64], NDArray[np.uint64]]]":
        """Like `features`, each mask in words of 64 bits, shape (words, masks)."""
        import numpy as np

        size = -(-self.size * self.count // 8) * 8
        return [
            (
                feature,
                np.array(thresholds),
                np.ascontiguousarray(
                    np.array([np.frombuffer(mask.to_bytes(size, "little"), "<u8") for mask in masks]).T
                ),
            )
            for feature, thresholds, masks in self.features
        ]

    @cached_property
    def values(self) -> "list[NDArray[np.float64]]":
        """By tree, the values of its leaves from left to right."""
        import numpy as np

        return [np.array(list(leaves.values())) for leaves in self.leaves]


class _Forest:
    """All trees of a model."""

    def __init__(self, state: Mapping[str, object], names: Sequence[str], rate: float) -> None:
        """Read and check them; each leaf is multiplied by `rate`."""
        self.initial = number_at(state, "initial_prediction", "model_state")
        trees = _read_trees(state, len(names), rate)
        size = _field_size(max((len(tree.leaves) for tree in trees), default=1))
        count = max(1, _BLOCK_BITS // (8 * size))
        self.blocks = [_Block(trees[at : at + count], size) for at in range(0, len(trees), count)]

    def row(self, values: Sequence[float]) -> float:
        """The prediction for one row; NaN is missing."""
        total = self.initial
        for block in self.blocks:
            alive = everything = block.everything
            for feature, thresholds, masks in block.features:
                value = values[feature]
                alive &= masks[bisect_left(thresholds, value)] if value == value else masks[-1]
            # In each field the lowest bit alone: field & -field. No field is empty, so no sum overflows its field.
            lowest = alive & ((alive ^ everything) + block.ones)
            bits = block.unpack(lowest.to_bytes(block.size * block.count, "little"))
            for value in map(getitem, block.leaves, bits):
                total += value
        return total

    def batch(self, matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """The predictions of `row` for a matrix of shape (rows, features)."""
        import numpy as np

        total = np.full(len(matrix), self.initial)
        for at in range(0, len(matrix), _CHUNK_ROWS):
            columns = np.ascontiguousarray(matrix[at : at + _CHUNK_ROWS].T)
            for block in self.blocks:
                _add_block(block, columns, total[at : at + _CHUNK_ROWS])
        return total


def _add_block(block: _Block, columns: "NDArray[np.float64]", total: "NDArray[np.float64]") -> None:
    """Add what each tree says, in order, to `total` of shape (rows,), from columns of shape (features, rows)."""
    import numpy as np

    reached = []
    for feature, thresholds, masks in block.arrays:
        position = np.searchsorted(thresholds, columns[feature])
        position[np.isnan(columns[feature])] = len(thresholds) + 1
        reached.append((position, masks))
    words_each = max(1, block.size // 8)
    for number in range(0, -(-block.size * block.count // 8), words_each):
        words = []
        for word in range(number, number + words_each):
            alive = np.full(len(total), 2**64 - 1, "<u8")
            for position, masks in reached:
                alive &= masks[word].take(position)
            words.append(alive)
        fields = np.atleast_2d(_lowest_bits(words, block.size))
        for values, bits in zip(block.values[number * 8 // block.size :], fields, strict=False):
            total += values.take(bits)


def _lowest_bits(words: "list[NDArray[np.uint64]]", size: int) -> "NDArray[np.intp]":
    """The number of the lowest bit in each field of `size` bytes, shape (fields of a word, rows)."""
    import numpy as np

    if size == 1:
        return np.array(_LOWEST_OF_BYTE).take(words[0].view("u1").reshape(-1, 8).T)
    if size < 8:
        return _lowest_bit(words[0].view(f"<u{size}").reshape(-1, 8 // size).T)
    lowest = np.zeros(len(words[0]), np.intp)
    for number, word in reversed(list(enumerate(words))):
        lowest = np.where(word != 0, _lowest_bit(word) + 64 * number, lowest)
    return lowest


def _lowest_bit(fields: "NDArray[np.unsignedinteger[Any]]") -> "NDArray[np.intp]":
    """The number of the lowest bit; a power of two is exact as a double."""
    import numpy as np

    return np.frexp((fields & (~fields + 1)).astype(np.float64))[1] - 1


def _read_trees(state: Mapping[str, object], width: int, rate: float) -> list[_Tree]:
    nodes = mapping_at(state, "nodes", "model_state")
    columns = {name: sequence_at(nodes, name, "model_state.nodes") for name in COLUMNS}
    sizes = [
        whole(value, f"model_state.tree_sizes[{number}]", 1, None)
        for number, value in enumerate(sequence_at(state, "tree_sizes", "model_state"))
    ]
    for name, column in columns.items():
        if len(column) != sum(sizes):
            raise FileFormatError(
                f"model_state.nodes.{name} has {len(column)} numbers, and the trees have {sum(sizes)} nodes"
            )
    trees, first = [], 0
    for size in sizes:
        trees.append(_Nodes(columns, first, size, width).tree(rate))
        first += size
    return trees


class _Nodes:
    """The nodes of one tree, counted from its root; a leaf has the feature -1 and no children (-1)."""

    def __init__(self, columns: Mapping[str, Sequence[object]], first: int, size: int, width: int) -> None:
        self._first, self._size = first, size

        def cells(name: str, low: int, high: int) -> list[int]:
            found = columns[name][first : first + size]
            return [whole(value, self._place(name, node), low, high) for node, value in enumerate(found)]

        self._features = cells("feature", -1, width - 1)
        self._left, self._right = cells("left", -1, size - 1), cells("right", -1, size - 1)
        self._missing_left = cells("missing_left", 0, 1)
        self._thresholds, self._values = (
            [finite(value, self._place(name, node)) for node, value in enumerate(columns[name][first : first + size])]
            for name in ("threshold", "value")
        )

    def tree(self, rate: float) -> _Tree:
        """Number the leaves from left to right."""
        self._check_children()
        counts = [1] * self._size
        for node in reversed(range(self._size)):
            if self._features[node] >= 0:
                counts[node] = counts[self._left[node]] + counts[self._right[node]]
        if counts[0] > MAX_LEAVES:
            raise FileFormatError(f"{self._place('left', 0)}: the tree has {counts[0]} leaves, more than {MAX_LEAVES}")
        leaves, splits, first_leaf = [0.0] * counts[0], [], [0] * self._size
        for node, feature in enumerate(self._features):
            if feature < 0:
                leaves[first_leaf[node]] = rate * self._values[node]
                continue
            left, right = self._left[node], self._right[node]
            first_leaf[left], first_leaf[right] = first_leaf[node], first_leaf[node] + counts[left]
            mask = (1 << counts[left]) - 1 << first_leaf[node]
            splits.append((feature, self._thresholds[node], mask, bool(self._missing_left[node])))
        return _Tree(tuple(leaves), tuple(splits))

    def _check_children(self) -> None:
        parents = [0] * self._size
        for node, feature in enumerate(self._features):
            for name, child in (("left", self._left[node]), ("right", self._right[node])):
                if feature < 0:
                    if child != -1:
                        raise FileFormatError(f"{self._place(name, node)} is {child}, but the node is a leaf")
                    continue
                if child <= node:
                    raise FileFormatError(f"{self._place(name, node)} is {child}: children come after their parent")
                parents[child] += 1
        if parents != [0, *[1] * (self._size - 1)]:
            node = next(node for node, count in enumerate(parents) if count != bool(node))
            raise FileFormatError(
                f"{self._place('feature', node)}: the node is a child {parents[node]} times, not once"
            )

    def _place(self, name: str, node: int) -> str:
        return f"model_state.nodes.{name}[{self._first + node}]"


def _field_size(leaves: int) -> int:
    """Bytes for so many bits: 1, 2, 4 or a multiple of 8."""
    return next((size for size in (1, 2, 4, 8) if leaves <= 8 * size), -(-leaves // 64) * 8)


def _float32(names: Sequence[str]) -> Cast:
    """Round to float32, as numpy does."""
    layout = struct.Struct(f"<{len(names)}f")

    def cast(values: Sequence[float]) -> Sequence[float]:
        try:
            return layout.unpack(layout.pack(*values))
        except OverflowError as error:
            raise BotCoreError(_TOO_LARGE) from error

    return cast


def _require(state: Mapping[str, object], name: str, wanted: str) -> None:
    if state.get(name) != wanted:
        raise FileFormatError(f"model_state.{name} is {state.get(name)!r}, not {wanted!r}")
