"""What a directory may look like after the power has gone: legal crash states from a trace that
shim.c has written.

What a program had synced when the power went is there.  Of what it had only written, each sector
(512 bytes) is there as it was after the last sync or after any write since, for itself; a file's
size likewise; and of the names that it created, changed and removed since the directory was synced,
so many as the file system had got to, in their order.  What a failed sync was about counts as not
synced whatever succeeds later: the system may have forgotten it.

    states.py TRACE --list                                     what the trace holds
    states.py TRACE --cut N --seed N [--base DIR] --into DIR   one state
"""

import argparse
import os
import random
import shutil
import stat
import struct
import sys

(OPEN, CREATE, WRITE, TRUNCATE, ALLOCATE, RENAME, UNLINK, MKDIR, SYNC_BEGIN, SYNC_END, FAULT, MARK,
 MAPPED) = range(1, 14)
NAMES = ("", "open", "create", "write", "truncate", "allocate", "rename", "unlink", "mkdir",
         "sync", "synced", "fault", "mark", "mapped")
FLAG = 1  # shim.c's DIRECTORY, SAFE and FAILED

HEADER = struct.Struct("<IHBBQQQ")  # struct record of shim.c
SECTOR, BLOCK = 512, 4096
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16


class Record:
    __slots__ = ("kind", "flag", "mode", "file", "at", "length", "name", "data")

    def __init__(self, buffer, offset):
        data_size, name_size, self.kind, self.mode, self.file, self.at, self.length = \
            HEADER.unpack_from(buffer, offset)
        self.flag = bool(self.mode & FLAG)
        start = offset + HEADER.size + name_size
        self.name = bytes(buffer[offset + HEADER.size:start]).decode()
        self.data = buffer[start:start + data_size]

    def __str__(self):
        return (f"{NAMES[self.kind]} {self.name} file={self.file} at={self.at} "
                f"length={self.length} flags={self.mode} data={len(self.data)}")


def read_trace(path):
    """The records, in order; one that the end of the file cuts is none."""
    with open(path, "rb") as f:
        buffer = memoryview(f.read())
    records, at = [], 0
    while at + HEADER.size <= len(buffer):
        data_size, name_size = HEADER.unpack_from(buffer, at)[:2]
        end = at + HEADER.size + name_size + data_size
        if end > len(buffer):
            break
        records.append(Record(buffer, at))
        at = end
    return records


class Marker:
    """Appends marks to a trace: what is marked happened behind all that stands before it."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def mark(self, data):
        os.write(self.fd, HEADER.pack(len(data), 0, MARK, 0, 0, 0, 0) + data)

    def close(self):
        os.close(self.fd)


class Version:
    """A part of a sector as a write has left it."""

    __slots__ = ("position", "start", "data", "wipe", "forgotten")

    def __init__(self, position, start, data, wipe):
        self.position, self.start, self.data, self.wipe = position, start, data, wipe
        self.forgotten = False


class Size:
    __slots__ = ("position", "size", "wipe", "forgotten")

    def __init__(self, position, size, wipe=False):
        self.position, self.size, self.wipe, self.forgotten = position, size, wipe, False


class File:
    """What is safe of a file (`blocks`, `safe_size`), and what has been written since.  A wipe is
    what a truncation has taken away; it is there before what is written later is."""

    def __init__(self):
        self.blocks = {}     # number: bytearray(BLOCK)
        self.safe_size = self.size = 0
        self.pending = {}    # sector: [Version]
        self.sizes = []      # [Size]
        self.wipes = []      # positions

    def load(self, path):
        """All that the file PATH holds, as safe."""
        with open(path, "rb") as f:
            self.safe_size = self.size = os.fstat(f.fileno()).st_size
            at = 0
            while at < self.size:
                try:
                    at = os.lseek(f.fileno(), at, os.SEEK_DATA) // BLOCK * BLOCK
                except OSError:  # nothing but a hole up to the end
                    break
                end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
                for block in range(at // BLOCK, (end + BLOCK - 1) // BLOCK):
                    data = os.pread(f.fileno(), BLOCK, block * BLOCK)
                    if data.strip(b"\0"):
                        self.blocks[block] = bytearray(data.ljust(BLOCK, b"\0"))
                at = end

    def write(self, position, at, data, wipe=False):
        end = at + len(data)
        if end > self.size and not wipe:
            self.resize(position, end)
        done = 0
        while done < len(data):
            sector, start = divmod(at + done, SECTOR)
            part = bytes(data[done:done + SECTOR - start])
            self.pending.setdefault(sector, []).append(Version(position, start, part, wipe))
            done += len(part)

    def resize(self, position, size, wipe=False):
        self.size = size
        self.sizes.append(Size(position, size, wipe))

    def zero(self, position, at, end, wipe=False):
        """Zeros where anything else may be."""
        per = BLOCK // SECTOR
        sectors = set(self.pending)
        for block in self.blocks:
            sectors.update(range(block * per, block * per + per))
        for sector in sorted(sectors):
            low, high = max(at, sector * SECTOR), min(end, (sector + 1) * SECTOR)
            if low < high:
                self.write(position, low, bytes(high - low), wipe)

    def truncate(self, position, size):
        if size < self.size:
            self.wipes.append(position)
            self.zero(position, size, float("inf"), wipe=True)
            self.resize(position, size, wipe=True)
        elif size > self.size:
            self.resize(position, size)

    def allocate(self, position, mode, at, length):
        if mode & (PUNCH_HOLE | ZERO_RANGE):
            self.zero(position, at, at + length)
        elif mode & ~KEEP_SIZE:
            raise ValueError(f"fallocate's mode {mode}")
        if not mode & KEEP_SIZE and at + length > self.size:
            self.resize(position, at + length)

    def sync(self, before, sectors=None):
        """What stands before position BEFORE is safe; SECTORS: only those."""
        if sectors is None or self.wipes:
            sectors = list(self.pending)
        for sector in sectors:
            versions = self.pending.get(sector)
            if not versions:
                continue
            last = max((i for i, v in enumerate(versions)
                        if v.position < before and not v.forgotten), default=-1)
            overlay(self.blocks, sector, versions[:last + 1])
            self.pending[sector] = versions[last + 1:]
            if not self.pending[sector]:
                del self.pending[sector]
        last = max((i for i, s in enumerate(self.sizes)
                    if s.position < before and not s.forgotten), default=-1)
        if last >= 0:
            self.safe_size = self.sizes[last].size
            self.sizes = self.sizes[last + 1:]
        self.wipes = [w for w in self.wipes if w >= before]

    def forget(self, before):
        """A sync of what stands before position BEFORE has failed."""
        for versions in self.pending.values():
            for version in versions:
                version.forgotten |= version.position < before
        for size in self.sizes:
            size.forgotten |= size.position < before

    def positions(self):
        found = {size.position for size in self.sizes}
        for versions in self.pending.values():
            found.update(version.position for version in versions)
        return found

    def after_crash(self, kept, random_):
        """(blocks, size), where KEPT(position, sector) says which writes had got to the disk."""
        wipes = sorted(self.wipes)
        done = random_.randint(0, len(wipes)) if kept is not everything else len(wipes)
        must = wipes[done - 1] if done else -1
        limit = wipes[done] if done < len(wipes) else float("inf")

        def last_of(changes, sector):
            last = -1
            for i, change in enumerate(changes):
                if change.position >= limit:
                    break
                if change.wipe and change.position <= must or kept(change.position, sector):
                    last = i
            return last

        blocks = dict(self.blocks)
        for sector, versions in self.pending.items():
            last = last_of(versions, sector)
            if last >= 0:
                block = sector * SECTOR // BLOCK
                if block in blocks and blocks[block] is self.blocks.get(block):
                    blocks[block] = bytearray(blocks[block])
                overlay(blocks, sector, versions[:last + 1])
        last = last_of(self.sizes, None)
        return blocks, self.sizes[last].size if last >= 0 else self.safe_size


def overlay(blocks, sector, versions):
    if not versions:
        return
    block, at = divmod(sector * SECTOR, BLOCK)
    data = blocks.setdefault(block, bytearray(BLOCK))
    for version in versions:
        start = at + version.start
        data[start:start + len(version.data)] = version.data


class Directory:
    def __init__(self):
        self.safe, self.now = {}, {}  # name: File or Directory
        self.pending = []             # (position, kind, name, other name or child)

    def change(self, position, kind, name, other=None):
        self.pending.append((position, kind, name, other))
        change_names(self.now, kind, name, other)

    def sync(self, before):
        done = [change for change in self.pending if change[0] < before]
        for change in done:
            change_names(self.safe, *change[1:])
        self.pending = self.pending[len(done):]

    def forget(self, before):
        """Nothing: the next sync writes it again, or the file system is read-only."""

    def positions(self):
        return {change[0] for change in self.pending}


def change_names(names, kind, name, other):
    if kind == RENAME:
        names[other] = names.pop(name)
    elif kind == UNLINK:
        names.pop(name, None)
    else:
        names[name] = other


def everything(_position, _sector):
    return True


def nothing(_position, _sector):
    return False


class Disk:
    """A directory while it is worked on: BASE as safe, then record by record."""

    def __init__(self, base=None):
        self.root = Directory()
        self.by_number = {}  # what a record's `file` means
        self.begun = {}      # sync's number: (object, position)
        self.mapped = set()  # names of files with writes that the trace does not show
        self.names = {}      # number: name
        self.position = 0
        if base:
            self.load(base, self.root)

    def load(self, path, directory):
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                child = Directory()
                self.load(entry.path, child)
            elif entry.is_file(follow_symlinks=False):
                child = File()
                child.load(entry.path)
            else:
                continue
            directory.safe[entry.name] = directory.now[entry.name] = child

    def parent_of(self, name):
        """The directory that NAME is in, and the last part of it."""
        *folders, last = name.split("/")
        directory = self.root
        for folder in folders:
            directory = directory.now[folder]
        return directory, last

    def lookup(self, name):
        if not name:
            return self.root
        directory, last = self.parent_of(name)
        return directory.now[last]

    def apply(self, record):
        """The next record of the trace."""
        getattr(self, "on_" + NAMES[record.kind])(record)
        self.position += 1

    def on_open(self, r):
        self.by_number[r.file] = self.lookup(r.name)
        self.names[r.file] = r.name

    def on_create(self, r):
        directory, last = self.parent_of(r.name)
        file = self.by_number[r.file] = File()
        self.names[r.file] = r.name
        directory.change(self.position, CREATE, last, file)

    def on_write(self, r):
        file = self.by_number[r.file]
        file.write(self.position, r.at, r.data)
        if r.flag:
            file.sync(self.position + 1,
                      range(r.at // SECTOR, (r.at + r.length - 1) // SECTOR + 1))

    def on_truncate(self, r):
        self.by_number[r.file].truncate(self.position, r.length)

    def on_allocate(self, r):
        self.by_number[r.file].allocate(self.position, r.mode, r.at, r.length)

    def on_rename(self, r):
        (directory, old), (to, new) = self.parent_of(r.name), \
            self.parent_of(bytes(r.data).decode())
        if directory is not to:
            raise ValueError(f"{r}: from one directory into another")
        directory.change(self.position, RENAME, old, new)

    def on_unlink(self, r):
        directory, last = self.parent_of(r.name)
        directory.change(self.position, UNLINK, last)

    def on_mkdir(self, r):
        directory, last = self.parent_of(r.name)
        directory.change(self.position, MKDIR, last, Directory())

    def on_sync(self, r):
        self.begun[r.at] = (self.by_number[r.file], self.position)

    def on_synced(self, r):
        thing, before = self.begun.pop(r.at)
        if r.flag:
            thing.forget(before)
        else:
            thing.sync(before)

    def on_fault(self, r):
        pass

    def on_mark(self, r):
        pass

    def on_mapped(self, r):
        self.mapped.add(self.names[r.file])

    def things(self, directory=None):
        """All files and directories that may still have a name."""
        directory = directory or self.root
        yield directory
        children = list(directory.safe.values()) + list(directory.now.values()) + \
            [change[3] for change in directory.pending]
        for child in {id(c): c for c in children if isinstance(c, (File, Directory))}.values():
            if isinstance(child, Directory):
                yield from self.things(child)
            else:
                yield child

    def crash(self, into, seed):
        """Builds the state of this moment that SEED chooses in the directory INTO, made afresh;
        returns the name of the way it was chosen."""
        random_ = random.Random(seed)
        positions = sorted(set().union(*(thing.positions() for thing in self.things())))
        way = random_.choice(list(WAYS)) if positions else "everything"
        self.build(into, WAYS[way](positions, random_), random_)
        return way

    def whole(self, into):
        """The directory as the program sees it."""
        self.build(into, everything, random.Random(0))

    def build(self, into, kept, random_):
        shutil.rmtree(into, ignore_errors=True)
        self.build_directory(into, self.root, kept, random_)

    def build_directory(self, path, directory, kept, random_):
        os.mkdir(path)
        names = dict(directory.safe)
        for change in in_order(directory.pending, kept, random_):
            change_names(names, *change[1:])
        for name, thing in names.items():
            where = os.path.join(path, name)
            if isinstance(thing, Directory):
                self.build_directory(where, thing, kept, random_)
            else:
                write_file(where, *thing.after_crash(kept, random_))


def in_order(changes, kept, random_):
    """So many of a directory's changes as had got to the disk: those before the first that is not
    kept, or, as they are far fewer than writes, any number."""
    if kept in (everything, nothing) or random_.random() < 0.5:
        for i, change in enumerate(changes):
            if not kept(change[0], None):
                return changes[:i]
        return changes
    return changes[:random_.randint(0, len(changes))]


def write_file(path, blocks, size):
    with open(path, "wb") as f:
        os.ftruncate(f.fileno(), size)
        run, start = bytearray(), 0
        for block in sorted(blocks):
            if block * BLOCK >= size:
                break
            if start + len(run) != block * BLOCK:
                os.pwrite(f.fileno(), run, start)
                run, start = bytearray(), block * BLOCK
            run += blocks[block][:size - block * BLOCK]
        os.pwrite(f.fileno(), run, start)


# The ways to choose what had got to the disk: each makes of the positions of all that is not safe a
# function kept(position, sector); the sector is None for sizes and names.

def toss(chance, salt, position, sector):
    """The same answer to the same question."""
    number = hash((salt, position, -1 if sector is None else sector))
    return number % 65536 < chance * 65536


def coins(positions, random_):
    """Each write for itself, as a whole."""
    chance = random_.choice((0.1, 0.5, 0.9))
    chosen = {position for position in positions if random_.random() < chance}
    return lambda position, _: position in chosen


def sectors(_positions, random_):
    """Each sector of each write for itself."""
    chance, salt = random_.choice((0.1, 0.5, 0.9)), random_.getrandbits(64)
    return lambda position, sector: toss(chance, salt, position, sector)


def before(positions, random_):
    """In order up to a write of which some sectors, the first or any, are there."""
    cut = random_.choice(positions)
    salt = random_.getrandbits(64)
    from_front = random_.random() < 0.5
    low = random_.randrange(0, 64)

    def kept(position, sector):
        if position != cut or sector is None:
            return position <= cut
        if from_front:
            return sector % 64 < low
        return toss(0.5, salt, position, sector)
    return kept


def behind(positions, random_):
    """The late ones, not the early ones."""
    cut = random_.choice(positions)
    return lambda position, _: position >= cut


def all_but_one(positions, random_):
    hole = random_.choice(positions)
    return lambda position, _: position != hole


def only_one(positions, random_):
    chosen = random_.choice(positions)
    return lambda position, _: position == chosen


WAYS = {"nothing": lambda _p, _r: nothing, "everything": lambda _p, _r: everything,
        "coins": coins, "sectors": sectors, "before": before, "behind": behind,
        "all but one": all_but_one, "only one": only_one}


def cuts(records, count, random_, end=None):
    """COUNT positions to crash at, ascending, up to END: half of them around syncs, a quarter
    behind marks, a quarter anywhere."""
    end = len(records) if end is None else end
    syncs = [i for i in range(end) if records[i].kind in (SYNC_BEGIN, SYNC_END)]
    marks = [i + 1 for i in range(end) if records[i].kind == MARK]
    found = []
    for _ in range(count):
        roll = random_.random()
        if roll < 0.5 and syncs:
            at = random_.choice(syncs) + random_.randint(-1, 2)
        elif roll < 0.75 and marks:
            at = random_.choice(marks)
        else:
            at = random_.randint(0, end)
        found.append(min(max(at, 0), end))
    return sorted(found)


def states(records, base, positions):
    """(position, Disk as of there) for each of the ascending POSITIONS; the disk is good until the
    next one is asked for."""
    disk = Disk(base)
    for position in positions:
        while disk.position < position:
            disk.apply(records[disk.position])
        yield position, disk


def marks_before(records, position):
    return [bytes(record.data) for record in records[:position] if record.kind == MARK]


def differences(one, other, ignored=()):
    """Names of files that are not the same in both directories."""
    def tree(path):
        found = {}
        for folder, _, files in os.walk(path):
            for file in files:
                full = os.path.join(folder, file)
                if stat.S_ISREG(os.lstat(full).st_mode):
                    found[os.path.relpath(full, path)] = full
        return found
    a, b = tree(one), tree(other)
    return sorted(name for name in a.keys() | b.keys() if name not in ignored
                  and (name not in a or name not in b or not same(a[name], b[name])))


def same(a, b):
    with open(a, "rb") as x, open(b, "rb") as y:
        while True:
            left, right = x.read(1 << 20), y.read(1 << 20)
            if left != right:
                return False
            if not left:
                return True


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--base", help="the directory as it was before")
    parser.add_argument("--cut", type=int, help="the number of records before the crash")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", help="the directory to make")
    options = parser.parse_args()
    records = read_trace(options.trace)
    if options.list:
        for i, record in enumerate(records):
            print(i, record)
        return
    if options.into is None:
        parser.error("--list or --into")
    cut = len(records) if options.cut is None else options.cut
    for _, disk in states(records, options.base, [cut]):
        print(disk.crash(options.into, options.seed))


if __name__ == "__main__":
    sys.exit(main())
