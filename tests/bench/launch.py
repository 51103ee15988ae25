"""``python -I -S launch.py LOG COMMAND...``: run a command, print what it and all its descendants cost, as JSON.

A child starts with the peak memory of whoever forked it. This launcher imports next to nothing, so that the floor is
a bare interpreter and not the benchmark's own size. It adopts orphans (PR_SET_CHILD_SUBREAPER), because the time of
a worker whose parent does not wait for it would be lost.
"""

import ctypes
import os
import sys
import time

PR_SET_CHILD_SUBREAPER = 36

if __name__ == "__main__":
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise SystemExit("no subreaper")
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
        finally:
            os._exit(127)
    cpu, rss, code, wall = 0.0, 0.0, 0, 0.0
    while True:
        try:
            found, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += usage.ru_utime + usage.ru_stime
        rss = max(rss, usage.ru_maxrss / 1024)
        if found == child:
            code, wall = os.waitstatus_to_exitcode(status), time.monotonic() - started
    sys.stdout.write(f'{{"cpu": {cpu}, "wall": {wall}, "rss": {rss}, "code": {code}}}')
