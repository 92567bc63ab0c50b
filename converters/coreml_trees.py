"""Core ML's tree ensembles: nodes by tree, checked to be trees, and as the arrays of the graph writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator

from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.families.trees import Tree
    from converters.coreml_steps import Step

LEAF = 6
"""TreeNodeBehavior.LeafNode; 0 to 5 are <=, <, >=, >, ==, !=."""


@record
class Nodes:
    """One tree: its nodes by their number, and the root's."""

    root: int
    nodes: Dict[int, Any]


def trees(step: Step) -> list[Nodes]:
    """The trees in the order of the file. Raises `UnsupportedModelError` for what is no tree."""
    by_tree: dict[int, dict[int, Any]] = {}
    for node in step.parameters.treeEnsemble.nodes:
        by_tree.setdefault(node.treeId, {})[node.nodeId] = node
    return [_tree(step, number, nodes) for number, nodes in by_tree.items()]


def _tree(step: Step, number: int, nodes: dict[int, Any]) -> Nodes:
    children = [child for node in nodes.values() for child in _children(node)]
    roots = sorted(nodes.keys() - set(children))
    if len(roots) != 1 or len(children) != len(set(children)) or set(children) - nodes.keys():
        raise step.refuse(f"tree {number} is no tree: {len(roots)} roots, {len(children)} children")
    if len(list(_walked(nodes, roots[0]))) != len(nodes):
        raise step.refuse(f"tree {number} has nodes that are not reached")
    for node in nodes.values():
        if node.nodeBehavior != LEAF and node.branchFeatureIndex >= sum(step.widths):
            raise step.refuse(f"tree {number} asks for column {node.branchFeatureIndex}, which is not there")
    return Nodes(roots[0], nodes)


def _children(node: Any) -> tuple[int, ...]:
    return () if node.nodeBehavior == LEAF else (node.trueChildNodeId, node.falseChildNodeId)


def _walked(nodes: dict[int, Any], root: int) -> Iterator[int]:
    """The numbers of the nodes from the root on."""
    left = [root]
    while left:
        number = left.pop()
        yield number
        left += reversed(_children(nodes[number]))


def dimensions(step: Step) -> int:
    """How many numbers an ensemble gives."""
    ensemble = step.parameters.treeEnsemble
    count = int(ensemble.numPredictionDimensions) or len(ensemble.basePredictionValue) or 1
    if len(ensemble.basePredictionValue) not in (0, count):
        raise step.refuse(f"{len(ensemble.basePredictionValue)} base values for {count} dimensions")
    return count


def arrays(step: Step, tree: Nodes) -> tuple[Tree, np.ndarray]:
    """A tree as arrays, the root first, with the values of its leaves: [leaves, dimensions] float64."""
    import numpy as np

    from converters.classical.families.trees import Tree

    order = list(_walked(tree.nodes, tree.root))
    place = {number: index for index, number in enumerate(order)}
    nodes = [tree.nodes[number] for number in order]
    inner = np.array([node.nodeBehavior != LEAF for node in nodes])

    def column(name: str, dtype: str) -> np.ndarray:
        return np.array([getattr(node, name) if keep else 0 for node, keep in zip(nodes, inner)], dtype=dtype)

    def child(name: str) -> np.ndarray:
        return np.array([place[getattr(node, name)] if keep else -1 for node, keep in zip(nodes, inner)])

    made = Tree(
        column("branchFeatureIndex", "int64"),
        column("branchFeatureValue", "float64"),
        child("trueChildNodeId"),
        child("falseChildNodeId"),
        column("missingValueTracksTrueChild", "int64"),
        column("nodeBehavior", "int64"),
    )
    leaves = [values(step, node) for node, keep in zip(nodes, inner) if not keep]
    return made, np.stack(leaves)


def values(step: Step, leaf: Any) -> np.ndarray:
    """What a leaf adds: [dimensions]."""
    import numpy as np

    count = dimensions(step)
    added = np.zeros(count)
    for one in leaf.evaluationInfo:
        if one.evaluationIndex >= count:
            raise step.refuse(f"a leaf adds to dimension {one.evaluationIndex} of {count}")
        added[one.evaluationIndex] += one.evaluationValue
    return added


def base(step: Step) -> np.ndarray:
    """What the leaves are added to: [dimensions]."""
    import numpy as np

    stated = step.parameters.treeEnsemble.basePredictionValue
    return np.array(stated, dtype=np.float64) if len(stated) else np.zeros(dimensions(step))
