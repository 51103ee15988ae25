"""Print what one judgement costs in CPU time: ``python tests/unit/witness/measure.py`` (not a test; machines differ).

The hash of the result is shown apart, because every party that releases bytes pays it.
"""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pairs import Pair, Person, policy

from tarnhelm.common.limits import DEFAULT_LIMITS
from tarnhelm.witness.core import Policy, Witness
from tarnhelm.witness.core.harvest import gather
from tarnhelm.witness.core.needles import compile_needles
from tarnhelm.witness.core.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable


def microseconds(work: Callable[[], object], *, loops: int = 50, rounds: int = 30) -> float:
    """The best of several rounds: what the code costs when nobody disturbs it."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(loops):
            work()
        best = min(best, (time.process_time() - begin) / loops)
    return best * 1e6


def main() -> None:
    """Measure a CT slice of 513 KB and of 16 KB, some two hundred elements each."""
    witness = Witness(Policy.from_json(policy()), Ed25519PrivateKey.generate())
    for size in (505, 80):
        source, result = Pair(size=size, extra=130).build()
        if not witness.judge(source, result, "measure").clean:
            raise SystemExit("the pair is not clean")
        parsed = walk(source, DEFAULT_LIMITS, strict=False)
        whole = microseconds(partial(witness.judge, source, result, "measure"))
        digest = microseconds(lambda data=result: hashlib.sha256(data).hexdigest())
        one_walk = microseconds(partial(walk, source, DEFAULT_LIMITS, strict=False))
        compiled = microseconds(partial(compile_needles, gather(parsed).values), loops=5, rounds=10)
        print(  # noqa: T201
            f"{len(result):>8,} bytes, {len(parsed.elements)} elements: {whole:.0f} us, of it {digest:.0f} us sha256; "
            f"without it {whole - digest:.0f} us (each of two walks {one_walk:.0f} us); "
            f"a new patient costs {compiled:.0f} us once"
        )
    people = [
        Pair(person=replace(Person(), number=f"MRN-{4000000 + n}"), size=80, extra=130).build() for n in range(300)
    ]
    begin = time.process_time()
    for source, result in people:
        witness.judge(source, result, "measure")
    print(  # noqa: T201
        f"every file a new patient: {(time.process_time() - begin) / len(people) * 1e6:.0f} us a file of 16 KB"
    )


if __name__ == "__main__":
    main()
