"""Activation memory by liveness: which tensors stand in memory at once as the graph runs in order.

A tensor is born at the node that writes it and dies after the last node that reads it; graph inputs are there from the
start, graph outputs until the end. Reshape and its like are views of what they read. Constants, and what is folded or
fused away (``graphs.fusion``), take no activation memory. The order is the file's, which ONNX requires to be a
topological one; an engine may choose another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgewright.core.model import Model
from edgewright.graphs.fusion import Fusion, fuse
from edgewright.graphs.shapes import Shaped, shape
from edgewright.graphs.view import Constant, Graph, Node, TensorFacts

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
"""Operators whose first output is their first input under another shape (Dropout in inference)."""

IN_PLACE = frozenset(
    {"Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Gelu",
     "FastGelu", "QuickGelu", "BiasGelu", "Mish", "Erf", "Exp", "Log", "Sqrt", "Abs", "Neg", "Reciprocal", "Floor",
     "Ceil", "Round", "Pow", "Add", "Sub", "Mul", "Div", "Softmax", "LogSoftmax", "BatchNormalization", "QLinearAdd",
     "QLinearMul", "QLinearLeakyRelu", "QLinearSigmoid", "Cast", "Not", "And", "Or", "Where"}
)  # fmt: skip
"""Operators that may write over an input of the same size that nobody reads afterwards."""


@dataclass(frozen=True)
class Life:
    """One buffer: born at step ``born``, dead after step ``dies``; -1 is before the first node."""

    name: str
    bytes: int
    born: int
    dies: int


@dataclass(frozen=True)
class Moment:
    """What is alive while one node runs."""

    node: str
    op_type: str
    bytes: int


@dataclass(frozen=True)
class Liveness:
    """``timeline`` has one moment for each node that runs, in order; the peak stands at ``timeline[peak_index]``.

    ``peak_in_place_bytes`` is the peak when operators write over an input that dies with them, as engines do where
    they can. ``lives`` are the buffers of the main graph; a node with subgraphs adds what these need while it runs.
    """

    peak_bytes: int
    peak_index: int
    peak_in_place_bytes: int
    timeline: tuple[Moment, ...]
    lives: tuple[Life, ...]

    @property
    def peak(self) -> Moment:
        """Where the peak stands."""
        return self.timeline[self.peak_index] if self.timeline else Moment("", "", self.peak_bytes)

    def alive(self, index: int) -> tuple[Life, ...]:
        """The buffers alive at a step, the largest first."""
        return tuple(sorted((x for x in self.lives if x.born <= index <= x.dies), key=lambda x: (-x.bytes, x.name)))


def liveness(model: Model, batch: int = 1, dims: Mapping[str, int] | None = None) -> Liveness:
    """The activation memory of ``model`` over one run, node by node. Raises InputError as ``concrete_shapes`` does."""
    return lives_of(shape(model, batch, dims))


def lives_of(shaped: Shaped) -> Liveness:
    """``liveness`` of a graph whose shapes are known."""
    return _simulate(shaped.graph, shaped.facts, {}, inner=False)


def arena_bytes(lives: Iterable[Life]) -> int:
    """Size of one fixed arena for these buffers, as a microcontroller needs: at least the peak, more by its gaps.

    Greedy by size: the largest buffer first, each at the lowest address free over its whole life (Pisarchyk and Lee,
    Efficient Memory Management for Deep Neural Net Inference, 2020; what TensorFlow Lite Micro's planner does).
    """
    placed: list[tuple[int, Life]] = []
    for life in sorted(lives, key=lambda x: (-x.bytes, x.born, x.name)):
        at = 0
        for start, other in placed:  # in order of address
            if other.dies < life.born or other.born > life.dies:
                continue
            if at + life.bytes <= start:
                break
            at = max(at, start + other.bytes)
        placed.append((at, life))
        placed.sort(key=lambda p: (p[0], p[1].name))
    return max((at + life.bytes for at, life in placed), default=0)


def _simulate(
    graph: Graph, facts: Mapping[str, TensorFacts], outside: Mapping[str, Constant], *, inner: bool
) -> Liveness:
    """One scope. A subgraph's inputs and what it captures belong to the scope outside, and are not counted again."""
    fusion = fuse(graph, facts, outside)
    steps = [node for node in graph.nodes if node not in fusion.idle]
    free = {*outside, *graph.constants, *fusion.folded, *(graph.inputs if inner else ())}
    own = _Buffers(graph, steps, fusion, facts, free)
    fixed = {**outside, **graph.constants}
    extra = [
        max((_simulate(body, facts, fixed, inner=True).peak_bytes for body in node.bodies.values()), default=0)
        for node in steps
    ]
    lives = own.lives(in_place=False)
    timeline = _alive(lives, extra)
    reused = _alive(own.lives(in_place=True), extra)
    peak = max(range(len(timeline)), key=timeline.__getitem__, default=0)
    at_rest = sum(life.bytes for life in lives)  # a graph in which nothing runs
    return Liveness(
        max(timeline, default=at_rest),
        peak,
        max(reused, default=at_rest),
        tuple(Moment(n.name, n.op_type, b) for n, b in zip(steps, timeline, strict=True)),
        tuple(lives),
    )


def _alive(lives: Iterable[Life], extra: list[int]) -> list[int]:
    """Bytes alive at each step, by differences."""
    change = [0] * (len(extra) + 1)
    for life in lives:
        change[min(max(life.born, 0), len(extra))] += life.bytes
        change[min(max(life.dies, 0) + 1, len(extra))] -= life.bytes
    found, now = [], 0
    for step, more in enumerate(extra):
        now += change[step]
        found.append(now + more)
    return found


class _Buffers:
    """Which value lies in which buffer, and how long each buffer lives."""

    def __init__(
        self, graph: Graph, steps: list[Node], fusion: Fusion, facts: Mapping[str, TensorFacts], free: set[str]
    ) -> None:
        self._graph, self._steps, self._fusion, self._facts, self._free = graph, steps, fusion, facts, free

    def lives(self, *, in_place: bool) -> list[Life]:
        """Every buffer's life. With ``in_place``, an operator takes over a dying input's buffer where it may."""
        last, free = self._last_reads(), set(self._free)
        home: dict[str, str] = {name: name for name in self._graph.inputs if name not in free}
        born: dict[str, int] = dict.fromkeys(home, -1)
        dies: dict[str, int] = {}
        for name in home:
            dies[name] = last.get(name, -1)
        for step, node in enumerate(self._steps):
            for slot, name in enumerate(node.outputs):
                made = self._fusion.written(name)
                if not name or made in home or made in free:
                    continue
                if node.op_type in VIEWS and slot == 0 and self._fusion.read(node, node.inputs[0]) in free:
                    free.add(made)
                    continue
                over = self._over(node, slot, made, step, home, dies, in_place)
                home[made] = over or made
                if over is None:
                    born[made] = step
                end = max(last.get(made, step), step)
                dies[home[made]] = max(dies.get(home[made], end), end)
        return [Life(name, self._bytes(name), born[name], dies[name]) for name in born]

    def _over(
        self, node: Node, slot: int, made: str, step: int, home: Mapping[str, str], dies: Mapping[str, int],
        in_place: bool,
    ) -> str | None:  # fmt: skip
        """The buffer an output takes over: a view's input, or a dying input of the same size; None for a new one."""
        if slot or not node.inputs:
            return None
        sources = [home.get(self._fusion.read(node, name)) for name in node.inputs if name]
        if node.op_type in VIEWS:
            return sources[0] if sources else None
        if not in_place or node.op_type not in IN_PLACE:
            return None
        inputs = set(self._graph.inputs)
        for source in sources:
            if source and source not in inputs and dies[source] == step and self._bytes(source) == self._bytes(made):
                return source
        return None

    def _last_reads(self) -> dict[str, int]:
        """The last step that reads each value; outputs of the graph are read after the end."""
        last: dict[str, int] = {}
        for step, node in enumerate(self._steps):
            for name in node.reads:
                last[self._fusion.read(node, name)] = step
        for name in self._graph.outputs:
            last[self._fusion.written(name)] = len(self._steps)
        return last

    def _bytes(self, name: str) -> int:
        known = self._facts.get(name)
        return known.bytes if known else 0
