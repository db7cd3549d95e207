"""A program that keeps things, right or with a known bug: what the crash states are tested with.

    keeper.py DIR BUG COUNT      COUNT times a record of the log or a new value; each is acknowledged
                                 by a line on standard output, and the next begins when a line comes in

Records go to log-0, log-1 ..., a few to each; the value is replaced by renaming.  BUG is `none` or
one of BUGS."""

import os
import sys
import zlib

BUGS = {
    "early": "acknowledges before it has synced",
    "rename": "renames without having synced the file",
    "names": "does not sync the directory",
    "retry": "takes the sync after one that failed for a success",
}
RECORD = 1000  # over two or three sectors
PER_LOG = 8
SIZE_BEFORE = PER_LOG * RECORD


def contents(number):
    """A record: its checksum, its number, and bytes that follow from that."""
    rest = (b"%08d" % number) * (RECORD // 8)
    rest = rest[:RECORD - 4]
    return zlib.crc32(rest).to_bytes(4, "little") + rest


def number_of(data):
    """None: it is not whole."""
    if len(data) != RECORD or zlib.crc32(data[4:]).to_bytes(4, "little") != data[:4]:
        return None
    return int(data[4:12])


def sync_folder(folder):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


class Keeper:
    def __init__(self, folder, bug):
        self.folder, self.bug, self.fd = folder, bug, None
        self.logs = self.used = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    def new_log(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
        self.fd = os.open(self.path(f"log-{self.logs}"), os.O_RDWR | os.O_CREAT, 0o600)
        self.logs, self.used = self.logs + 1, 0
        os.posix_fallocate(self.fd, 0, SIZE_BEFORE)
        os.fsync(self.fd)
        if self.bug != "names":
            sync_folder(self.folder)

    def append(self, number, acknowledge):
        if self.fd is None or self.used == PER_LOG:
            self.new_log()
        os.pwrite(self.fd, contents(number), self.used * RECORD)
        self.used += 1
        if self.bug == "early":
            acknowledge()
        try:
            os.fdatasync(self.fd)
        except OSError:
            if self.bug != "retry":
                raise
            os.fdatasync(self.fd)
        if self.bug != "early":
            acknowledge()

    def replace(self, number, acknowledge):
        fd = os.open(self.path("value.new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, contents(number))
        if self.bug != "rename":
            os.fsync(fd)
        os.close(fd)
        os.rename(self.path("value.new"), self.path("value"))
        sync_folder(self.folder)
        acknowledge()


def recover(folder):
    """(numbers in the logs, the value or -1), as a careful program reads them."""
    numbers = set()
    value = -1
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        if name == "value":
            value = number_of(data)
        elif name.startswith("log-"):
            for at in range(0, len(data), RECORD):
                number = number_of(data[at:at + RECORD])
                if number is None:
                    break
                numbers.add(number)
    return numbers, value


def main():
    folder, bug, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    keeper = Keeper(folder, bug)
    for number in range(count):
        what = "value" if number % 4 == 3 else "log"

        def acknowledge(line=f"{what} {number}"):
            print(line, flush=True)
            sys.stdin.readline()
        keep = keeper.replace if what == "value" else keeper.append
        try:
            keep(number, acknowledge)
        except OSError:  # nothing counts that this log has not synced: once more, elsewhere
            keeper.used = PER_LOG
            keep(number, acknowledge)


if __name__ == "__main__":
    main()
