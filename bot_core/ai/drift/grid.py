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
_CHUNK = 32_768
# So many are placed before they are counted, which costs as much as there are cells.
_BLOCK = 2 * _CHUNK
_CELLS = (1_024, 2_048, 4_096, 8_192, 16_384, 32_768)
# What a map costs for each value, as measured: one in a crowded cell is searched for; each cell is looked at once for
# every block. No better map is looked for where so few values are searched for.
_SEARCH_NS, _CELL_NS, _CROWDED = 60.0, 1e-4, 0.02
_SAMPLE = 4_096
_STEEPEST = 1e300
# From here on floats are the whole numbers, and the lowest bits of one are its distance from here.
_WHOLE = 2.0**52
_ALL_BUT_SIGN = (1 << 63) - 1


class Grid:
    """Counts values between edges.

    Attributes:
        edges: Ascending, all different, none of them NaN, shape (edges,).
    """

    def __init__(self, edges: "NDArray[np.float64]", inner: tuple[float, float] | None = None) -> None:
        """Name the edges; the cells are laid over them when the first values are there, so as to suit them.

        Args:
            edges: Ascending, all different, at least one, finite.
            inner: Where most values are to be expected; cells are fine there. Default: between the outermost edges.
        """
        self.edges = edges + 0.0  # -0.0 and 0.0 are one value, and have two patterns of bits
        self._inner = (float(edges[0]), float(edges[-1])) if inner is None else inner
        self._cells: _Cells | None = None

    def count(self, values: "NDArray[np.float64]") -> "tuple[NDArray[np.int64], int]":
        """Count values.

        Args:
            values: Any order, shape (n,); NaN is a missing value, infinities lie beyond all edges.

        Returns:
            Counts up to the first edge, of each half-open interval (edge, next edge], and above the last edge, shape
            (edges + 1,); and the number of missing values.
        """
        import numpy as np

        counts = np.zeros(len(self.edges) + 1, np.int64)
        return counts, self.add(values, counts)

    def add(self, values: "NDArray[np.float64]", counts: "NDArray[np.int64]") -> int:
        """As `count`, but the counts are added to those given; the number of missing values."""
        import numpy as np

        with np.errstate(over="ignore"):
            if self._cells is None:
                self._cells = _Cells(self.edges, _best_map(self.edges, self._inner, values))
            return self._cells.add(values, counts)


class _Cells:
    """Edges with cells laid over them; never changes, so that threads may share it."""

    def __init__(self, edges: "NDArray[np.float64]", cell_map: "_Linear | _Bits") -> None:
        """Tell for each half of each cell, below and above the cell's edge, which interval it belongs to."""
        import numpy as np

        self._edges, self._map = edges, cell_map
        of_edges = _cells_of(edges, cell_map)
        held = np.bincount(of_edges, minlength=cell_map.cells)
        self._is_crowded = held > 1
        self._any_crowded = bool(self._is_crowded.any())
        self._edge = np.full(2 * cell_map.cells, np.inf)
        self._edge[2 * of_edges] = edges
        self._edge[::2][self._is_crowded] = np.nan
        below = np.cumsum(held) - held
        bins = np.column_stack((below, below + (held == 1))).ravel()
        self._ends = np.searchsorted(bins, np.arange(len(edges) + 1), side="right") - 1

    def add(self, values: "NDArray[np.float64]", counts: "NDArray[np.int64]") -> int:
        """As `Grid.add`."""
        import numpy as np

        halves = np.zeros(2 * self._map.cells, np.int64)
        room = _Room(min(_BLOCK, len(values)))
        crowded: list[NDArray[np.float64]] = []
        missing = 0
        for start in range(0, len(values), _BLOCK):
            block = values[start : start + _BLOCK]
            there = self._place(block, room, crowded)
            missing += len(block) - there
            halves += np.bincount(room.cells[:there], minlength=len(halves))
        # A cell with several edges counts for nothing: its values are searched for.
        halves.reshape(-1, 2)[self._is_crowded] = 0
        counts += np.diff(np.cumsum(halves)[self._ends], prepend=0)
        if crowded:
            # In ascending order they are found several times as fast.
            searched = np.searchsorted(self._edges, np.sort(np.concatenate(crowded)), side="left")
            counts += np.bincount(searched, minlength=len(counts))
        return missing

    def _place(self, block: "NDArray[np.float64]", room: "_Room", crowded: "list[NDArray[np.float64]]") -> int:
        """Write the half cell of each value that is there to the room; give how many they are."""
        import numpy as np

        there = 0
        for start in range(0, len(block), _CHUNK):
            chunk = block[start : start + _CHUNK]
            absent = np.isnan(chunk, out=room.flags[: len(chunk)])
            if np.count_nonzero(absent):
                chunk = chunk[~absent]
            n = len(chunk)
            numbers, cells, flags = room.numbers[:n], room.cells[there : there + n], room.flags[:n]
            self._map.place(chunk, numbers, cells)
            np.take(self._edge, cells, out=numbers, mode="clip")
            if self._any_crowded:
                np.isnan(numbers, out=flags)
                if np.count_nonzero(flags):
                    crowded.append(chunk[flags])
            np.greater(chunk, numbers, out=flags)
            np.add(cells, flags, out=cells)
            there += n
        return there


class _Room:
    """Memory that every chunk uses again."""

    def __init__(self, values: int) -> None:
        import numpy as np

        self.numbers = np.empty(min(_CHUNK, values))
        self.flags = np.empty(min(_CHUNK, values), np.bool_)
        self.cells = np.empty(values, np.int64)


class _Linear:
    """Cells of equal width; the first and the last one hold what lies outside."""

    place_ns = 0.0

    def __init__(self, low: float, high: float, cells: int) -> None:
        self.cells = cells
        width = high - low
        scale = 2 * (cells - 2) / width if width > 0 else 0.0
        # Without a width all values are in one cell, and are searched for.
        self._scale = scale if scale < _STEEPEST else 0.0
        self._shift = 2.0 - low * self._scale + _WHOLE

    def place(
        self, values: "NDArray[np.float64]", scratch: "NDArray[np.float64]", out: "NDArray[np.int64]"
    ) -> "NDArray[np.int64]":
        """Write twice the cell of each value to `out`."""
        import numpy as np

        if not self._scale:
            out.fill(0)
            return out
        np.multiply(values, self._scale, out=scratch)
        np.add(scratch, self._shift, out=scratch)
        np.clip(scratch, _WHOLE, _WHOLE + (2 * self.cells - 1), out=scratch)
        return np.bitwise_and(scratch.view(np.int64), 2 * self.cells - 2, out=out)


class _Bits:
    """Cells by the leading bits of a number: of equal ratio, for what spreads over powers of ten."""

    place_ns = 1.2  # more than the other

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
        return np.left_shift(out, 1, out=out)


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


def _best_map(
    edges: "NDArray[np.float64]", inner: tuple[float, float], values: "NDArray[np.float64]"
) -> _Linear | _Bits:
    """The fewest cells in which nearly all of some values are alone with an edge; else those that cost least."""
    import numpy as np

    some = values[:: max(1, len(values) // _SAMPLE)]
    some = some[~np.isnan(some)]
    priced: list[tuple[float, _Linear | _Bits]] = []
    for cell_map in (kind(*inner, cells) for cells in _CELLS for kind in (_Linear, _Bits)):
        held = np.bincount(_cells_of(edges, cell_map), minlength=cell_map.cells)
        crowded = float(np.mean(held[_cells_of(some, cell_map)] > 1)) if len(some) else 0.0
        priced.append((crowded * _SEARCH_NS + cell_map.cells * _CELL_NS + cell_map.place_ns, cell_map))
        if crowded <= _CROWDED:
            break
    return min(priced, key=lambda priced_map: priced_map[0])[1]


def _cells_of(values: "NDArray[np.float64]", cell_map: _Linear | _Bits) -> "NDArray[np.int64]":
    import numpy as np

    return cell_map.place(values, np.empty(len(values)), np.empty(len(values), np.int64)) // 2
