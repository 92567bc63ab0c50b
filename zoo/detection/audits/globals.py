"""The globals that a pickle of a model may name.

The list itself, with the rule for what may stand on it, is ``globals.txt`` beside this module.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from zoo.detection.pickle_values import Global

TENSORS = re.compile(
    r"torch\.(((cuda|sparse)\.)?[A-Z]\w*(Storage|Tensor)|Size|Tensor|device|dtype)"
    r"|torch\.((u?int|q?u?int|float|bfloat|complex|bits)\d\w*|bool|half|double|per_\w+_(affine|symmetric)\w*)"
    r"|torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.serialization\._get_layout"
    r"|torch\.(nn\.parameter\.\w+|storage\.(Typed|Untyped)Storage)|collections\.(OrderedDict|Counter|defaultdict)"
    r"|(builtins|__builtin__)\.(set|frozenset|bytearray|complex|int|float|dict|list|tuple|str|slice|range)"
    r"|_codecs\.encode|numpy\.(core|_core)\.multiarray\.(_reconstruct|scalar)|numpy\.(dtype|ndarray)"
    r"|numpy\.dtypes\.\w+|copy_?reg\._reconstructor|datetime\.\w+|argparse\.Namespace|pathlib\.\w+"
)
"""What a file of tensors and plain values names: no classes of modules."""


def is_allowed(target: Global) -> bool:
    """Whether a global is on the list, by module and name; a dotted name never is."""
    return any(module.fullmatch(target.module) and name.fullmatch(target.name) for module, name in _rules())


@lru_cache(maxsize=1)
def _rules() -> tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]:
    rules: list[tuple[str, list[str]]] = []
    for line in Path(__file__).with_name("globals.txt").read_text().splitlines():
        if line.startswith(" "):
            rules[-1][1].extend(line.replace("@Class", r"_*[A-Z]\w*").split())
        elif line and not line.startswith("#"):
            rules.append((line, []))
    return tuple((re.compile(module), re.compile("|".join(names))) for module, names in rules)
