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

    from pydicom.dataset import Dataset


def microseconds(work: Callable[[], object], *, loops: int = 50, rounds: int = 10) -> float:
    """The best of several rounds: what the code costs when nobody disturbs it."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(loops):
            work()
        best = min(best, (time.process_time() - begin) / loops)
    return best * 1e6


def series(size: int) -> list[tuple[bytes, bytes]]:
    """Slices of one series, some two hundred elements each: they differ in UIDs, numbers, positions and pixels."""
    found = []
    for number in range(11, 41):

        def own(result: Dataset, number: int = number) -> None:
            result.SOPInstanceUID = result.file_meta.MediaStorageSOPInstanceUID = f"2.25.{10**37 + number}"

        found.append(Pair(size=size, extra=130, seed=number, after=own).build())
    return found


def per_slice(slices: list[tuple[bytes, bytes]], work: Callable[[bytes, bytes], object]) -> float:
    """The cost of one slice, each slice in turn."""
    return microseconds(lambda: [work(*pair) for pair in slices], loops=3) / len(slices)


def phases_of(witness: Witness, slices: list[tuple[bytes, bytes]], fresh: Callable[[], Witness]) -> dict[str, float]:
    """What each part of a judgement costs, in microseconds."""
    verdict = witness.examine(*slices[0], "measure")
    values = gather(walk(slices[0][0], DEFAULT_LIMITS, strict=False)).values
    return {
        "sha256": per_slice(slices, lambda _, result: hashlib.sha256(result).hexdigest()),
        "compared with the slices before": per_slice(slices, witness._series.look),
        "signature": microseconds(partial(witness.sign, verdict)),
        "whole, known series": per_slice(slices, lambda *pair: witness.judge(*pair, "measure")),
        "whole, without a memory": per_slice(slices, lambda *pair: fresh().judge(*pair, "measure")),
        "walk of the source alone": per_slice(slices, lambda source, _: walk(source, DEFAULT_LIMITS, strict=False)),
        "needles of a new patient": microseconds(partial(compile_needles, values), loops=5, rounds=10),
    }


def main() -> None:
    """Measure CT slices of 513 KB and of 16 KB."""
    rules, key = Policy.from_json(policy()), Ed25519PrivateKey.generate()
    for size in (505, 80):
        slices = series(size)
        witness = Witness(rules, key)
        for pair in slices * 2:
            if not witness.judge(*pair, "measure").clean:
                raise SystemExit("a pair is not clean")
        parsed = walk(slices[0][0], DEFAULT_LIMITS, strict=False)
        print(f"{len(slices[0][1]):,} bytes, {len(parsed.elements)} elements")  # noqa: T201
        for name, cost in phases_of(
            witness, slices, lambda known=witness: Witness(rules, key, needles=known._needles)
        ).items():
            print(f"  {name:36} {cost:6.0f} us")  # noqa: T201
    people = [
        Pair(person=replace(Person(), number=f"MRN-{4000000 + n}", root=f"1.3.12.2.{n}"), size=80, extra=130).build()
        for n in range(300)
    ]
    witness = Witness(rules, key)
    begin = time.process_time()
    for source, result in people:
        witness.judge(source, result, "measure")
    print(  # noqa: T201
        f"every file a new patient: {(time.process_time() - begin) / len(people) * 1e6:.0f} us a file of 16 KB"
    )


if __name__ == "__main__":
    main()
