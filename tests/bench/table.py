"""From figures to the page: a Markdown table with machine and date."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["flat_section", "machine", "rows_of", "write_page"]

#: What a file copy, and pydicom reading and writing undecoded, made in a CPU second where the goals below were set:
#: how fast another machine is for the system's work and for Python's.
WHERE_SET = {
    "16 KB": {"copy": 49_251, "pydicom-undecoded": 721},
    "513 KB": {"copy": 6_441, "pydicom-undecoded": 599},
}
#: (row, size, files per CPU second, words)
GOALS = (
    ("rewriter", "16 KB", 5_000, "rewriter alone, 16 KB"),
    ("rewriter", "513 KB", 2_000, "rewriter alone, 513 KB"),
    ("witness", "513 KB", 700, "rewriter, both hashes and witness, 513 KB"),
)
#: The whole command, as a share of rewriter, both hashes and witness.
GOAL_OF_THE_COMMAND = 0.6
GOAL_MEMORY_MIB = 100

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def machine() -> str:
    """Processor, cores and system, no name of the host."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release().split('-')[0]}"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def rows_of(document: dict[str, Any]) -> list[str]:
    """The table's lines."""
    small, large = document["sizes"]["16 KB"], document["sizes"]["513 KB"]
    head = (
        f"| tool | files/CPU-s, 16 KB | 513 KB | peak RSS MiB, 16 KB | 513 KB | leaks of {document['planted']} | "
        f"useful attributes kept of {document['useful']} | references resolved | 45 days kept | objects the witness stops |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    for name, row in small.items():
        if row.get("absent"):
            lines.append(f"| {row['label']} | not installed | | | | | | | | |")
            continue
        other = large.get(name, {})
        quality = row.get("score")
        shown = ["–"] * 5
        if quality and not quality["files"]:
            shown = ["no output", "", "", "", ""]
        elif quality:
            finds = row.get("witness_finds")
            shown = [
                str(quality["leaks"]), str(quality["useful"]), "dropped" if quality["dropped"] else _number(quality["resolved"]),
                "yes" if quality["interval"] else "no", f"{_number(finds['stopped'])} of {_number(finds['judged'])}" if finds and finds["judged"] else "–",
            ]  # fmt: skip
        speeds = [
            _number(row["files_per_cpu_second"]),
            _number(other["files_per_cpu_second"]) if "files_per_cpu_second" in other else "–",
        ]
        memory = [_number(row["peak_rss_mib"]), _number(other["peak_rss_mib"]) if "peak_rss_mib" in other else "–"]
        lines.append("| " + " | ".join([row["label"], *speeds, *memory, *shown]) + " |")
    return lines


def hash_share(document: dict[str, Any]) -> str:
    """What hashing costs of the whole, measured by itself: the difference of two rows is less than their noise."""
    parts = []
    for size, rows in document["sizes"].items():
        row = rows.get("witness", {})
        if "hash_seconds" in row:
            share = row["hash_seconds"] * row["files_per_cpu_second"]
            parts.append(
                f"{size}: {1e3 * row['hash_seconds']:.2f} ms, {share:.0%} of rewriter, both hashes and witness"
            )
    return "The two sha256 of a file: " + "; ".join(parts) + "." if parts else ""


def witness_section(document: dict[str, Any]) -> list[str]:
    """Give what the witness says of the results of the other tools, by code."""
    lines = ["| results of | judged | stopped | findings, by the objects that have them |", "|---|---|---|---|"]
    for row in document["sizes"]["16 KB"].values():
        finds = row.get("witness_finds")
        if finds and finds["judged"]:
            codes = ", ".join(f"`{code}` {_number(count)}" for code, count in sorted(finds["codes"].items()))
            lines.append(
                f"| {row['label']} | {_number(finds['judged'])} | {_number(finds['stopped'])} | {codes or 'none'} |"
            )
    return lines if len(lines) > 2 else []


def goals_section(document: dict[str, Any]) -> list[str]:
    """Compare with the goals, beside what a copy makes here and made where they were set."""
    sizes = document["sizes"]

    def speed(name: str, size: str) -> float:
        return float(sizes.get(size, {}).get(name, {}).get("files_per_cpu_second", 0.0))

    def said(reached: float, goal: float) -> str:
        return "reached" if reached >= goal else f"{1 - reached / goal:.0%} short"

    ratios = {
        size: {name: there / speed(name, size) for name, there in known.items() if speed(name, size)}
        for size, known in WHERE_SET.items()
    }
    if not all(len(found) == 2 for found in ratios.values()) or not all(speed(name, size) for name, size, *_ in GOALS):
        return []
    lines = [
        "| goal | files/CPU-s wanted | here | | here, times how much slower this machine is |",
        "|---|---|---|---|---|",
    ]
    for name, size, goal, words in GOALS:
        here = speed(name, size)
        scaled = here * min(ratios[size].values())
        lines.append(f"| {words} | {_number(goal)} | {_number(here)} | {said(here, goal)} | {_number(scaled)} |")
    for size in sizes:
        share = speed("command", size) / speed("witness", size)
        lines.append(
            f"| whole command, {size}, of rewriter, both hashes and witness | {GOAL_OF_THE_COMMAND:.0%} | {share:.0%} | "
            f"{said(share, GOAL_OF_THE_COMMAND)} | |"
        )
    memory = max(rows[name]["peak_rss_mib"] for rows in sizes.values() for name in ("rewriter", "witness", "command"))
    met = "reached" if memory <= GOAL_MEMORY_MIB else "missed"
    lines += [f"| peak RSS of a process, MiB | at most {GOAL_MEMORY_MIB} | {memory:.0f} | {met} | |", ""]
    for size, known in WHERE_SET.items():
        lines.append(
            f"- {size}: where the goals were set, a CPU second made {_number(known['copy'])} file copies and "
            f"{_number(known['pydicom-undecoded'])} files with pydicom, undecoded; here {_number(speed('copy', size))} and "
            f"{_number(speed('pydicom-undecoded', size))}. So this machine takes {ratios[size]['copy']:.1f} and "
            f"{ratios[size]['pydicom-undecoded']:.1f} times as long; the last column multiplies by the smaller of the two."
        )
    return lines


def unlike_section(document: dict[str, Any]) -> str:
    """What files cost that share nothing with the one before."""
    rows = document.get("unlike") or {}
    shown = [
        f"{row['label']} {_number(row['files_per_cpu_second'])}"
        for row in rows.values()
        if "files_per_cpu_second" in row
    ]
    if not shown:
        return ""
    return (
        "Slices of a series share most of their header, and Tarnhelm works on what differs. Of files of 16 KB of which no two "
        f"share their texts, a CPU second makes: {'; '.join(shown)}."
    )


def flat_section(document: dict[str, Any]) -> str:
    """The memory curve in one sentence."""
    curve = document.get("flat")
    if not curve:
        return ""
    return (
        f"Memory over {curve['files']:,} files, rewriter and witness in one process: {curve['rss_after_a_tenth_mib']:.0f} MiB after a tenth "
        f"of them, {curve['rss_at_the_end_mib']:.0f} MiB at the end."
    )


def write_page(path: Path, document: dict[str, Any]) -> None:
    """Replace what stands between the markers of the page; the prose around it stays."""
    body = [
        (f"Measured {document['date']} on {document['machine']}, Python {document['python']}; {document['files']:,} files of 16 KB, "
        f"{max(20, document['files'] // 4):,} of 513 KB; a quarter as many for slow tools and for what is judged. Load average {document['load'][0]:.1f} before, {document['load'][1]:.1f} after."), "",
        *rows_of(document), "", unlike_section(document), "", hash_share(document), "", flat_section(document), "",
    ]  # fmt: skip
    for title, lines in (
        ("Beside the goals", goals_section(document)),
        ("What the witness finds in the results", witness_section(document)),
    ):
        if lines:
            body += [f"## {title}", "", *lines, ""]
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{BEGIN}\n" + "\n".join(body).rstrip() + f"\n{END}{after}", encoding="utf-8")
