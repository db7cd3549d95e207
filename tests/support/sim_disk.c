#include "support/sim_disk.h"

#include "base/list.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

enum { SECTOR = 512 };

struct bytes {
    uint8_t *data;
    size_t size, cap;
};

/* A write that was not synced. */
struct pending {
    struct gnt_list link;
    uint64_t at;
    size_t size;
    uint8_t data[];
};

/* A file, with or without a name. */
struct inode {
    struct gnt_list link;
    char name[GNT_DISK_NAME_MAX];
    bool named, named_safely; /* there, and after a cut too */
    unsigned open;
    struct bytes now, safe;
    struct gnt_list writes; /* struct pending, oldest first */
};

struct sim_file {
    struct gnt_disk_file file;
    struct sim_disk *disk;
    struct inode *inode;
};

struct sim_disk {
    struct gnt_disk door;
    struct gnt_list inodes;
    struct gnt_seeded random;
    struct sim_disk_counts counts;
    uint64_t fail_at, fail_end; /* calls that fail, by counts.calls */
    gnt_err fail_with;
    uint64_t cut_at, cut_seed; /* 0: at none */
    bool cut;
    uint64_t room;
    void (*meanwhile)(void *context);
    void *meanwhile_context;
};

static struct inode *inode_of(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct inode, link);
}

static struct pending *pending_of(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct pending, link);
}

static uint64_t below(struct sim_disk *d, uint64_t n)
{
    return gnt_random_below(&d->random.door, n);
}

/* ---- Bytes */

static bool reserve(struct bytes *b, size_t size)
{
    if (size <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : SECTOR;
    while (cap < size)
        cap *= 2;
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

/* Room was reserved. */
static void set_size(struct bytes *b, size_t size)
{
    if (size > b->size)
        memset(b->data + b->size, 0, size - b->size);
    b->size = size;
}

static void put(struct bytes *b, uint64_t at, const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    if (at + size > b->size)
        set_size(b, at + size);
    memcpy(b->data + at, data, size);
}

static void copy(struct bytes *to, const struct bytes *from)
{
    to->size = 0;
    put(to, 0, from->data, from->size);
}

/* ---- Inodes */

static struct inode *find(struct sim_disk *d, const char *name)
{
    gnt_list_each (link, &d->inodes)
        if (inode_of(link)->named && strcmp(inode_of(link)->name, name) == 0)
            return inode_of(link);
    return NULL;
}

static void forget_writes(struct inode *i)
{
    for (struct gnt_list *link; (link = gnt_list_pop_front(&i->writes));)
        free(pending_of(link));
}

/* Frees I if nobody can get at it any more. */
static void let_go(struct inode *i)
{
    if (i->named || i->named_safely || i->open)
        return;
    forget_writes(i);
    gnt_list_remove(&i->link);
    free(i->now.data);
    free(i->safe.data);
    free(i);
}

static struct inode *create(struct sim_disk *d, const char *name)
{
    struct inode *i = calloc(1, sizeof *i);
    if (!i)
        return NULL;
    (void)snprintf(i->name, sizeof i->name, "%s", name);
    i->named = true;
    gnt_list_init(&i->writes);
    gnt_list_push_back(&d->inodes, &i->link);
    return i;
}

/* ---- What a cut, or a sync that fails, leaves */

static bool touches(const struct pending *w, uint64_t sector)
{
    return w->at < (sector + 1) * SECTOR && w->at + w->size > sector * SECTOR;
}

/* The part of W that lies in SECTOR, onto the disk. */
static void put_sector(struct inode *i, const struct pending *w, uint64_t sector)
{
    uint64_t from = sector * SECTOR, to = from + SECTOR;
    if (from < w->at)
        from = w->at;
    if (to > w->at + w->size)
        to = w->at + w->size;
    put(&i->safe, from, w->data + (from - w->at), (size_t)(to - from));
}

/* How a cut chooses; each is likely to find something else. */
enum mood { ALL_LOST, ALL_SAFE, IN_ORDER, EACH_WRITE, EACH_SECTOR, MOODS };

/* How many of the writes to SECTOR have reached it, given how many there are. */
static uint64_t reached(struct sim_disk *d, enum mood mood, uint64_t count)
{
    switch (mood) {
    case ALL_LOST: return 0;
    case ALL_SAFE: return count;
    case IN_ORDER:
    case EACH_WRITE:
    case EACH_SECTOR:
    case MOODS: break;
    }
    return below(d, count + 1);
}

static uint64_t count_touching(const struct inode *i, uint64_t sector)
{
    uint64_t count = 0;
    gnt_list_each (link, &i->writes)
        count += touches(pending_of(link), sector);
    return count;
}

static void decide_sector(struct sim_disk *d, struct inode *i, enum mood mood, uint64_t sector)
{
    uint64_t left = reached(d, mood, count_touching(i, sector));
    gnt_list_each (link, &i->writes) {
        if (left == 0)
            return;
        if (touches(pending_of(link), sector)) {
            put_sector(i, pending_of(link), sector);
            left--;
        }
    }
}

/* Whole writes, the first ones or some of them, and one that is torn. */
static void decide_by_write(struct sim_disk *d, struct inode *i, enum mood mood)
{
    uint64_t count = 0, n = 0;
    gnt_list_each (link, &i->writes)
        count++;
    uint64_t until = below(d, count + 1), tear = below(d, count + 1);
    gnt_list_each (link, &i->writes) {
        const struct pending *w = pending_of(link);
        bool whole = mood == IN_ORDER ? n < until : below(d, 2) == 0;
        bool part = mood == IN_ORDER ? n == until : n == tear;
        n++;
        if (whole || part) {
            uint64_t first = w->at / SECTOR, end = (w->at + w->size + SECTOR - 1) / SECTOR;
            uint64_t stop = part ? first + below(d, end - first + 1) : end;
            for (uint64_t sector = first; sector < stop; sector++)
                put_sector(i, w, sector);
        }
    }
}

/* All of I's writes have reached the disk, or not. */
static void decide(struct sim_disk *d, struct inode *i)
{
    enum mood mood = (enum mood)below(d, MOODS);
    if (mood == IN_ORDER || mood == EACH_WRITE)
        decide_by_write(d, i, mood);
    else
        for (uint64_t sector = 0; sector * SECTOR < i->now.size; sector++)
            decide_sector(d, i, mood, sector);
    if (i->now.size > i->safe.size && below(d, 2))
        set_size(&i->safe, i->safe.size + (size_t)below(d, i->now.size - i->safe.size + 1));
    forget_writes(i);
}

void sim_disk_cut(struct sim_disk *d, uint64_t seed)
{
    gnt_seeded_init(&d->random, seed);
    d->cut = true;
    d->cut_at = d->fail_end = 0;
    gnt_list_each (link, &d->inodes) {
        struct inode *i = inode_of(link);
        decide(d, i);
        if (i->named != i->named_safely)
            i->named_safely = below(d, 2);
    }
}

void sim_disk_cut_at(struct sim_disk *d, uint64_t k, uint64_t seed)
{
    d->cut_at = d->counts.calls + k;
    d->cut_seed = seed;
}

bool sim_disk_is_cut(const struct sim_disk *d)
{
    return d->cut;
}

void sim_disk_restart(struct sim_disk *d)
{
    d->cut = false;
    gnt_list_each_safe (link, &d->inodes) {
        struct inode *i = inode_of(link);
        copy(&i->now, &i->safe);
        i->named = i->named_safely;
        if (i->named && find(d, i->name) != i) /* of two files of a name one is left */
            i->named = i->named_safely = false;
        let_go(i);
    }
}

/* ---- Faults */

void sim_disk_fail(struct sim_disk *d, uint64_t k, uint64_t count, gnt_err err)
{
    d->fail_at = d->counts.calls + k;
    d->fail_end = count < UINT64_MAX - d->fail_at ? d->fail_at + count : UINT64_MAX;
    d->fail_with = err;
}

void sim_disk_room(struct sim_disk *d, uint64_t bytes)
{
    d->room = bytes;
}

/* Counts a call; what it fails with.  *cut: the power is to be cut in the middle of it. */
static gnt_err enter(struct sim_disk *d, uint64_t *row, bool takes_room, bool *cut)
{
    *cut = false;
    if (d->cut)
        return GNT_IO;
    d->counts.calls++;
    if (row)
        (*row)++;
    *cut = d->counts.calls == d->cut_at;
    if (*cut)
        return GNT_IO;
    bool fails = d->counts.calls >= d->fail_at && d->counts.calls < d->fail_end;
    return fails && (takes_room || d->fail_with != GNT_FULL) ? d->fail_with : GNT_OK;
}

/* For calls that have no middle: they happen or not. */
static gnt_err enter_simple(struct sim_disk *d, uint64_t *row, bool takes_room)
{
    bool cut;
    gnt_err err = enter(d, row, takes_room, &cut);
    if (cut)
        sim_disk_cut(d, d->cut_seed);
    return err;
}

/* ---- The door */

static struct sim_disk *disk_of(struct gnt_disk *door)
{
    return GNT_CONTAINER(door, struct sim_disk, door);
}

static struct sim_file *file_of(struct gnt_disk_file *file)
{
    return GNT_CONTAINER(file, struct sim_file, file);
}

static gnt_err door_list(struct gnt_disk *door, void (*found)(void *context, const char *name),
                         void *context)
{
    struct sim_disk *d = disk_of(door);
    gnt_err err = enter_simple(d, NULL, false);
    if (err)
        return err;
    gnt_list_each (link, &d->inodes)
        if (inode_of(link)->named)
            found(context, inode_of(link)->name);
    return GNT_OK;
}

static gnt_err door_open(struct gnt_disk *door, const char *name, bool may_create,
                         struct gnt_disk_file **out)
{
    struct sim_disk *d = disk_of(door);
    struct inode *i = find(d, name);
    gnt_err err = enter_simple(d, &d->counts.opens, may_create && !i);
    if (err)
        return err;
    if (!i && !may_create)
        return GNT_NOTFOUND;
    struct sim_file *f = malloc(sizeof *f);
    if (!f)
        return GNT_NOMEM;
    if (!i)
        i = create(d, name);
    if (!i) {
        free(f);
        return GNT_NOMEM;
    }
    i->open++;
    *f = (struct sim_file){{door->ops}, d, i};
    *out = &f->file;
    return GNT_OK;
}

static gnt_err door_size(struct gnt_disk_file *file, uint64_t *out)
{
    struct sim_file *f = file_of(file);
    gnt_err err = enter_simple(f->disk, NULL, false);
    if (!err)
        *out = f->inode->now.size;
    return err;
}

static gnt_err door_read(struct gnt_disk_file *file, uint64_t at, void *to, size_t size,
                         size_t *got)
{
    struct sim_file *f = file_of(file);
    const struct bytes *b = &f->inode->now;
    *got = 0;
    gnt_err err = enter_simple(f->disk, &f->disk->counts.reads, false);
    if (err || at >= b->size)
        return err;
    *got = size < b->size - at ? size : (size_t)(b->size - at);
    memcpy(to, b->data + at, *got);
    return GNT_OK;
}

/* GNT_NOMEM: nothing was written. */
static gnt_err write_some(struct sim_disk *d, struct inode *i, uint64_t at, struct gnt_slice bytes)
{
    uint64_t end = at + bytes.size;
    if (bytes.size == 0)
        return GNT_OK;
    if (!reserve(&i->now, end) || !reserve(&i->safe, end))
        return GNT_NOMEM;
    struct pending *w = malloc(sizeof *w + bytes.size);
    if (!w)
        return GNT_NOMEM;
    w->at = at;
    w->size = bytes.size;
    memcpy(w->data, bytes.data, bytes.size);
    gnt_list_push_back(&i->writes, &w->link);
    put(&i->now, at, bytes.data, bytes.size);
    d->counts.bytes_written += bytes.size;
    return GNT_OK;
}

static void pass(struct sim_disk *d)
{
    if (d->meanwhile)
        d->meanwhile(d->meanwhile_context);
}

static gnt_err door_write(struct gnt_disk_file *file, uint64_t at, const struct gnt_slice *parts,
                          size_t count)
{
    struct sim_file *f = file_of(file);
    struct sim_disk *d = f->disk;
    uint64_t total = 0;
    bool cut;
    for (size_t n = 0; n < count; n++)
        total += parts[n].size;
    pass(d);
    gnt_err err = enter(d, &d->counts.writes, true, &cut);
    if (d->cut)
        return err;
    uint64_t left = err ? below(d, total + 1) : total; /* so much of it is done */
    uint64_t used = sim_disk_used(d), has = f->inode->now.size;
    uint64_t most = has + (used < d->room ? d->room - used : 0);
    if (at + left > most) {
        left = most > at ? most - at : 0;
        err = err ? err : GNT_FULL;
    }
    for (size_t n = 0; n < count && left; n++) {
        size_t size = parts[n].size < left ? parts[n].size : (size_t)left;
        gnt_err failed = write_some(d, f->inode, at, gnt_slice(parts[n].data, size));
        if (failed)
            return failed;
        at += size;
        left -= size;
    }
    if (cut)
        sim_disk_cut(d, d->cut_seed);
    return err;
}

static gnt_err door_sync(struct gnt_disk_file *file)
{
    struct sim_file *f = file_of(file);
    pass(f->disk);
    gnt_err err = enter_simple(f->disk, &f->disk->counts.syncs, false);
    if (f->disk->cut)
        return err;
    if (err) {
        decide(f->disk, f->inode);
        return err;
    }
    gnt_list_each (link, &f->inode->writes)
        put(&f->inode->safe, pending_of(link)->at, pending_of(link)->data, pending_of(link)->size);
    forget_writes(f->inode);
    return GNT_OK;
}

static void door_close(struct gnt_disk_file *file)
{
    struct sim_file *f = file_of(file);
    f->inode->open--;
    let_go(f->inode);
    free(f);
}

static gnt_err door_remove(struct gnt_disk *door, const char *name)
{
    struct sim_disk *d = disk_of(door);
    gnt_err err = enter_simple(d, &d->counts.removes, false);
    if (err)
        return err;
    struct inode *i = find(d, name);
    if (!i)
        return GNT_NOTFOUND;
    i->named = false;
    let_go(i);
    return GNT_OK;
}

static gnt_err door_sync_names(struct gnt_disk *door)
{
    struct sim_disk *d = disk_of(door);
    gnt_err err = enter_simple(d, &d->counts.name_syncs, false);
    if (err)
        return err;
    gnt_list_each_safe (link, &d->inodes) {
        struct inode *i = inode_of(link);
        i->named_safely = i->named;
        let_go(i);
    }
    return GNT_OK;
}

static void door_free(struct gnt_disk *door)
{
    (void)door;
}

static const struct gnt_disk_ops ops = {
    .list = door_list,
    .open = door_open,
    .size = door_size,
    .read = door_read,
    .write = door_write,
    .sync = door_sync,
    .close = door_close,
    .remove = door_remove,
    .sync_names = door_sync_names,
    .free = door_free,
};

/* ---- The disk */

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->door.ops = &ops;
    d->room = UINT64_MAX / 2;
    gnt_list_init(&d->inodes);
    gnt_seeded_init(&d->random, 0);
    return d;
}

void sim_disk_free(struct sim_disk *d)
{
    if (!d)
        return;
    gnt_list_each_safe (link, &d->inodes) {
        struct inode *i = inode_of(link);
        i->named = i->named_safely = false;
        i->open = 0;
        let_go(i);
    }
    free(d);
}

struct gnt_disk *sim_disk_door(struct sim_disk *d)
{
    return &d->door;
}

const struct sim_disk_counts *sim_disk_counts(const struct sim_disk *d)
{
    return &d->counts;
}

uint64_t sim_disk_used(const struct sim_disk *d)
{
    uint64_t used = 0;
    gnt_list_each (link, &d->inodes)
        used += inode_of(link)->named ? inode_of(link)->now.size : 0;
    return used;
}

uint8_t *sim_disk_bytes(struct sim_disk *d, const char *name, size_t *size)
{
    struct inode *i = find(d, name);
    *size = i ? i->now.size : 0;
    return i ? i->now.data : NULL;
}

void sim_disk_truncate(struct sim_disk *d, const char *name, size_t size)
{
    struct inode *i = find(d, name);
    if (i && size < i->now.size)
        i->now.size = size;
}

bool sim_disk_put(struct sim_disk *d, const char *name, struct gnt_slice bytes)
{
    struct inode *i = find(d, name);
    if (!i)
        i = create(d, name);
    if (!i || !reserve(&i->now, bytes.size) || !reserve(&i->safe, bytes.size))
        return false;
    forget_writes(i);
    i->now.size = i->safe.size = 0;
    put(&i->now, 0, bytes.data, bytes.size);
    put(&i->safe, 0, bytes.data, bytes.size);
    i->named = i->named_safely = true;
    return true;
}

void sim_disk_during(struct sim_disk *d, void (*meanwhile)(void *context), void *context)
{
    d->meanwhile = meanwhile;
    d->meanwhile_context = context;
}
