"""Exact counts of values between given edges, in one pass that costs the same for a hundred edges and for thousands.

A value's cell comes from one multiplication and one addition; the edges then decide in the few cells that hold any.
The map from values to cells never descends, so that a value in a lower cell than an edge's is below that edge, whatever
rounding did. Counts are integers: any division of the values into parts, in any order, adds up to the same.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Values, cells and the table of edges then stay in the cache of one core.
_CHUNK = 16_384
_CELLS = (1_024, 2_048, 4_096, 8_192, 16_384)
# Of the inner edges, so many in a thousand may share a cell with others and be searched for.
_CROWDED = 20
_STEEPEST = 1e300
_ALL_BUT_SIGN = (1 << 63) - 1


class Grid:
    """Counts values between edges.

    Attributes:
        edges: Ascending, all different, none of them NaN, shape (edges,).
    """

    def __init__(self, edges: "NDArray[np.float64]", inner: tuple[float, float] | None = None) -> None:
        """Lay cells over the edges.

        Args:
            edges: Ascending, all different, at least one, finite.
            inner: Where most values are to be expected; cells are fine there. Default: between the outermost edges.
        """
        import numpy as np

        self.edges = edges + 0.0  # -0.0 and 0.0 are one value, and have two patterns of bits
        low, high = (float(edges[0]), float(edges[-1])) if inner is None else inner
        with np.errstate(over="ignore"):
            self._map = _best_map(self.edges, low, high)
            self._prepare()

    def count(self, values: "NDArray[np.float64]") -> "tuple[NDArray[np.int64], int]":
        """Count values.

        Args:
            values: Any order, shape (n,); NaN is a missing value, infinities lie beyond all edges.

        Returns:
            Counts up to the first edge, of each half-open interval (edge, next edge], and above the last edge, shape
            (edges + 1,); and the number of missing values.
        """
        import numpy as np

        double = np.zeros(2 * self._map.cells, np.int64)
        counts = np.zeros(len(self.edges) + 1, np.int64)
        size = min(_CHUNK, len(values))
        room = _Room(np.empty(size), np.empty(size, np.int64), np.empty(size, np.bool_))
        missing = 0
        with np.errstate(over="ignore"):
            for start in range(0, len(values), _CHUNK):
                chunk = values[start : start + _CHUNK]
                absent = np.isnan(chunk, out=room.flags[: len(chunk)])
                if gone := int(np.count_nonzero(absent)):
                    missing += gone
                    chunk = chunk[~absent]
                self._count(chunk, room, double, counts)
        double.reshape(-1, 2)[self._crowded] = 0  # counted one by one
        np.add.at(counts, self._bin_of, double)
        return counts, missing

    def _prepare(self) -> None:
        """Tell for each half of each cell, below and above the cell's edge, which interval it belongs to."""
        import numpy as np

        cells = self._map.cells
        of_edges = self._map.place(self.edges, np.empty(len(self.edges)), np.empty(len(self.edges), np.int64))
        held = np.bincount(of_edges, minlength=cells)
        self._edge = np.full(cells, np.inf)
        alone = held[of_edges] == 1
        self._edge[of_edges[alone]] = self.edges[alone]
        self._crowded = held > 1
        self._any_crowded = bool(self._crowded.any())
        below = np.cumsum(held) - held
        self._bin_of = np.column_stack((below, below + (held == 1))).ravel()

    def _count(
        self, chunk: "NDArray[np.float64]", room: "_Room", double: "NDArray[np.int64]", counts: "NDArray[np.int64]"
    ) -> None:
        import numpy as np

        n = len(chunk)
        scratch, cells, flags = room.numbers[:n], room.cells[:n], room.flags[:n]
        self._map.place(chunk, scratch, cells)
        if self._any_crowded:
            np.take(self._crowded, cells, out=flags, mode="clip")
            if np.count_nonzero(flags):
                searched = np.searchsorted(self.edges, chunk[flags], side="left")
                counts += np.bincount(searched, minlength=len(counts))
        np.take(self._edge, cells, out=scratch, mode="clip")
        np.greater(chunk, scratch, out=flags)
        np.add(cells, cells, out=cells)
        np.add(cells, flags, out=cells)
        double += np.bincount(cells, minlength=len(double))


class _Room:
    """Memory that every chunk uses again."""

    def __init__(self, numbers: "NDArray[np.float64]", cells: "NDArray[np.int64]", flags: "NDArray[np.bool_]") -> None:
        self.numbers, self.cells, self.flags = numbers, cells, flags


class _Linear:
    """Cells of equal width; the first and the last one hold what lies outside."""

    def __init__(self, low: float, high: float, cells: int) -> None:
        self.cells = cells
        width = high - low
        scale = (cells - 2) / width if width > 0 else 0.0
        # Without a width all values are in one cell, and are searched for.
        self._scale = scale if scale < _STEEPEST else 0.0
        self._shift = 1.0 - low * self._scale

    def place(
        self, values: "NDArray[np.float64]", scratch: "NDArray[np.float64]", out: "NDArray[np.int64]"
    ) -> "NDArray[np.int64]":
        """Write the cell of each value to `out`."""
        import numpy as np

        if not self._scale:
            out.fill(0)
            return out
        np.multiply(values, self._scale, out=scratch)
        np.add(scratch, self._shift, out=scratch)
        np.maximum(scratch, 0.0, out=scratch)
        np.minimum(scratch, self.cells - 1.0, out=scratch)
        np.copyto(out, scratch, casting="unsafe")
        return out


class _Bits:
    """Cells by the leading bits of a number: of equal ratio, for what spreads over powers of ten."""

    def __init__(self, low: float, high: float, cells: int) -> None:
        import numpy as np

        self.cells = cells
        first, last = (int(bits) for bits in _ordered(np.array([low + 0.0, high + 0.0])))
        self._drop = max(0, (last - first).bit_length() - (cells - 2).bit_length() + 1)
        self._first = (first >> self._drop) - 1

    def place(
        self, values: "NDArray[np.float64]", scratch: "NDArray[np.float64]", out: "NDArray[np.int64]"
    ) -> "NDArray[np.int64]":
        """Write the cell of each value to `out`."""
        import numpy as np

        bits = _ordered(values, scratch.view(np.int64), out)
        np.right_shift(bits, self._drop, out=out)
        # Before the subtraction, which would wrap around for values far below.
        np.maximum(out, self._first, out=out)
        np.minimum(out, self._first + self.cells - 1, out=out)
        np.subtract(out, self._first, out=out)
        return out


def _ordered(
    values: "NDArray[np.float64]",
    scratch: "NDArray[np.int64] | None" = None,
    out: "NDArray[np.int64] | None" = None,
) -> "NDArray[np.int64]":
    """Integers in the order of the numbers: the bits as they are, all but the sign turned round below zero."""
    import numpy as np

    bits = values.view(np.int64)
    turned = np.right_shift(bits, 63, out=scratch)
    turned &= _ALL_BUT_SIGN
    return np.bitwise_xor(bits, turned, out=out)


def _best_map(edges: "NDArray[np.float64]", low: float, high: float) -> _Linear | _Bits:
    """The fewest cells in which nearly every inner edge is alone; else those in which the most are."""
    import numpy as np

    inner = (edges >= low) & (edges <= high)

    def crowded(cell_map: _Linear | _Bits) -> int:
        cells = cell_map.place(edges, np.empty(len(edges)), np.empty(len(edges), np.int64))
        return int(np.count_nonzero(inner & (np.bincount(cells, minlength=cell_map.cells)[cells] > 1)))

    best: _Linear | _Bits = _Linear(low, high, _CELLS[0])
    fewest = crowded(best)
    for cell_map in (kind(low, high, cells) for cells in _CELLS for kind in (_Linear, _Bits)):
        if fewest * 1000 <= _CROWDED * np.count_nonzero(inner):
            break
        if (found := crowded(cell_map)) < fewest:
            best, fewest = cell_map, found
    return best
