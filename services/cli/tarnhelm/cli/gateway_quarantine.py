"""``tarnhelm quarantine --gateway``: the same verbs on a running gateway, one by one or in bulk."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer
from rich.table import Table

from tarnhelm.cli.console import ExitCode, out, sentence_of, show_codes
from tarnhelm.cli.gateway_link import Link
from tarnhelm.common import errors
from tarnhelm.common.errors import CATALOGUE, TarnhelmError

__all__ = ["accept_remote", "list_remote", "reject_remote", "retry_remote", "show_remote"]

All = Annotated[
    bool,
    typer.Option("--all", help="With --gateway: all that --code and --door leave, after you confirm their number."),
]
Code = Annotated[str, typer.Option("--code", metavar="CODE", help="Only this code.")]
Door = Annotated[str, typer.Option("--door", metavar="NAME", help="With --gateway: only what came by this door.")]
Yes = Annotated[
    int,
    typer.Option("--expect", metavar="N", min=0, help="With --all: the number that you confirm, without a question."),
]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids as listed; the first letters are enough.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; stands in the record, so name no patient.")]
_MOST_LISTED = 1000


def list_remote(link: Link, code: Code = "", door: Door = "") -> None:
    """List what a gateway holds."""
    from tarnhelm.v1 import admin_pb2 as pb  # noqa: PLC0415 - commands of one machine need no protobuf

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "code", "door"):
        table.add_column(heading, no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("proposed by", overflow="fold")
    found: Counter[str] = Counter()
    request = pb.ListObjectsRequest(filter=_filter(code, door), page_size=500)
    while True:
        page = link.ask("ListObjects", request)
        for row in page.objects:
            found[row.code] += 1
            if found.total() <= _MOST_LISTED:
                table.add_row(row.object_id[:12], row.code, row.door, f"{row.size:,}", row.proposed_by)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    console = out()
    if found:
        console.print(table)
        console.print()
    if found.total() > _MOST_LISTED:
        console.print(f"The first {_MOST_LISTED:,} are listed; narrow them with --code or --door.")
    console.print(f"{found.total():,} in quarantine")
    show_codes(found)


def show_remote(link: Link, entry: str) -> None:
    """Show one object and its road."""
    from tarnhelm.v1 import admin_pb2 as pb  # noqa: PLC0415 - commands of one machine need no protobuf

    shown = link.ask("ShowObject", pb.ShowObjectRequest(object_id=entry))
    row = shown.object
    table = Table(box=None, show_header=False, pad_edge=False)
    lines = [
        ("id", row.object_id), ("state", row.state), ("code", row.code), ("meaning", shown.message),
        ("what to do", shown.remedy), ("size", f"{row.size:,} bytes"), ("project", row.project), ("door", row.door),
        ("can be accepted", "yes" if row.acceptable else "no"), ("proposed by", row.proposed_by),
    ]  # fmt: skip
    for name, value in lines:
        if value:
            table.add_row(name, value)
    for step in shown.road:
        took = f", {step.seconds:.3f} s" if step.seconds else ""
        table.add_row("road", f"{step.step}: {step.code or step.status or 'done'}{took}")
    for finding in shown.findings:
        table.add_row("witness", f"{finding.code} {finding.attribute} ({finding.count:,})")
    for decision in shown.decisions:
        table.add_row("decided", f"{decision.kind} of {decision.code} by {decision.person}: {decision.reason}")
    out().print(table)


def retry_remote(
    link: Link, ids: Ids, reason: Reason = "", every: All = False, code: Code = "", door: Door = "", expect: Yes = 0
) -> None:
    """Send objects through all stages again."""
    _decide(link, "retry", ids, reason, every, code, door, expect)


def reject_remote(
    link: Link, ids: Ids, reason: Reason = "", every: All = False, code: Code = "", door: Door = "", expect: Yes = 0
) -> None:
    """Reject objects for good."""
    _decide(link, "reject", ids, reason, every, code, door, expect)


def accept_remote(
    link: Link, ids: Ids, reason: Reason = "", every: All = False, code: Code = "", door: Door = "", expect: Yes = 0
) -> None:
    """Propose to accept objects, or confirm what somebody else has proposed."""
    if every:
        raise typer.BadParameter("Accepting is decided one by one: name the ids")
    _decide(link, "accept", ids, reason, every, code, door, expect)


def _decide(link: Link, verb: str, ids: list[str], reason: str, every: bool, code: str, door: str, expect: int) -> None:
    if every == bool(ids) or (not every and (code or door or expect)):
        raise typer.BadParameter("Either ids, or --all with --code and --door")
    counts = _all(link, verb, reason, code, door, expect) if every else _each(link, verb, ids, reason)
    refused = {name: number for name, number in counts.items() if name}
    show_codes(refused)
    if refused:
        raise typer.Exit(ExitCode.HELD)


def _each(link: Link, verb: str, ids: list[str], reason: str) -> Counter[str]:
    from tarnhelm.v1 import admin_pb2 as pb  # noqa: PLC0415 - commands of one machine need no protobuf

    counts: Counter[str] = Counter()
    for entry in ids:
        shown = link.ask("ShowObject", pb.ShowObjectRequest(object_id=entry))
        decision = {"retry": pb.DECISION_RETRY, "reject": pb.DECISION_REJECT}.get(verb)
        if decision is None:
            confirms = bool(shown.object.proposed_by)
            decision = pb.DECISION_CONFIRM if confirms else pb.DECISION_PROPOSE
        request = pb.DecideRequest(decision=decision, object_ids=[shown.object.object_id], reason=reason)
        (result,) = link.ask("Decide", request).results
        counts[result.code] += 1
        kind = CATALOGUE.get(result.code)
        said = f"{result.code} {sentence_of(kind)}" if kind else _done(verb, decision, pb)
        out().print(f"{shown.object.object_id[:12]}  {said}", markup=False)
    return counts


def _done(verb: str, decision: Any, pb: Any) -> str:
    words = {"retry": "goes through all stages again", "reject": "rejected"}
    if decision == pb.DECISION_PROPOSE:
        return "proposed; a second person confirms it"
    return words.get(verb, "accepted; goes through all stages and the witness again")


def _all(link: Link, verb: str, reason: str, code: str, door: str, expect: int) -> Counter[str]:
    from tarnhelm.v1 import admin_pb2 as pb  # noqa: PLC0415 - commands of one machine need no protobuf

    decision = {"retry": pb.DECISION_RETRY, "reject": pb.DECISION_REJECT}[verb]
    chosen = _filter(code, door)
    counted = link.ask("CountMatching", pb.CountMatchingRequest(filter=chosen, decision=decision))
    if not counted.objects:
        out().print("0 match")
        return Counter()
    if expect and expect != counted.objects:
        raise TarnhelmError(errors.COUNT_CHANGED, found=counted.objects, expected=expect)
    if not expect and not typer.confirm(f"{verb}: {counted.objects:,} objects, {counted.bytes:,} bytes?"):
        raise typer.Exit(ExitCode.USAGE)
    request = pb.DecideMatchingRequest(
        filter=chosen, decision=decision, reason=reason, expected_objects=counted.objects
    )
    answer = link.ask("DecideMatching", request)
    out().print(f"{verb}: {answer.done:,} done")
    return Counter(dict(answer.refused))


def _filter(code: str, door: str) -> Any:
    from tarnhelm.v1 import admin_pb2 as pb  # noqa: PLC0415 - commands of one machine need no protobuf

    return pb.ObjectFilter(states=["quarantined"], codes=[code] if code else [], door=door)
