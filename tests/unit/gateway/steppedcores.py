"""Cores in steps, as the sandbox's tests want them: jobs that ask, refuse, die and answer among themselves."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from poolcores import Question, Reply

from tarnhelm.common.sandbox import SteppedCore


class Asking(SteppedCore):
    """Asks the parent once for each job; ``die before`` and ``die after`` say when a worker ends."""

    def begin(self, job: str) -> Generator[Question, str, Reply]:
        if job == "die before":
            os._exit(3)
        if job == "silent":
            return Reply("nothing to ask", os.getpid())
        if job == "fault":
            raise ValueError("JANE DOE")
        answer = yield Question(job)
        if job == "die after":
            os._exit(3)
        if job == "twice":
            answer += yield Question("again")
        return Reply(answer, os.getpid())


class Counting(SteppedCore):
    """Answers by itself: each job learns how many were asked with it."""

    def begin(self, job: str) -> Generator[str, int, Reply]:
        together = yield job
        return Reply(f"{job} {together}", os.getpid())

    def answers(self, questions: Sequence[str]) -> Sequence[int]:
        if "no answer" in questions:
            raise ValueError("JANE DOE")
        return [len(questions)] * len(questions)


def make_asking(_config: Mapping[str, Any]) -> Asking:
    return Asking()


def make_counting(_config: Mapping[str, Any]) -> Counting:
    return Counting()
