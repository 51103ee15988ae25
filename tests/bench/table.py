"""From figures to the page: a Markdown table with machine and date."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["flat_section", "machine", "rows_of", "write_page"]

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
        f"{max(20, document['files'] // 5):,} of 513 KB."), "", *rows_of(document), "", unlike_section(document), "", hash_share(document), "", flat_section(document),
    ]  # fmt: skip
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{BEGIN}\n" + "\n".join(body).rstrip() + f"\n{END}{after}", encoding="utf-8")
