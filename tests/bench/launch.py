"""``python -I -S launch.py LOG COMMAND...``: run a command, print its rusage as JSON.

A child starts with the peak memory of whoever forked it. This launcher imports next to nothing, so that the floor is
a bare interpreter's 10 MiB and not the benchmark's own size.
"""

import os
import sys
import time

if __name__ == "__main__":
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            os.execvp(sys.argv[2], sys.argv[2:])
        finally:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - started
    code = os.waitstatus_to_exitcode(status)
    sys.stdout.write(f'{{"cpu": {usage.ru_utime + usage.ru_stime}, "wall": {wall}, "rss": {usage.ru_maxrss / 1024}, "code": {code}}}')
