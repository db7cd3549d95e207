#include "store/journal_format.h"

#include "base/crc32c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char magic[8] = {'g', 'n', 'a', 't', 't', 'e', 'r', 'J'};

/* Over this no number is believed: adding to it must not overflow. */
static const uint64_t number_max = UINT64_MAX / 2;

static void put(uint8_t *to, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *from, int size)
{
    uint64_t value = 0;
    for (int i = size; i-- > 0;)
        value = value << 8 | from[i];
    return value;
}

/* ---- The header of a segment: magic 8, format 4, checksum of all else 4, four numbers of 8.
 * Magic, format and checksum stay where they are in all formats. */

static uint32_t header_check(const uint8_t *at)
{
    return gnt_crc32c(gnt_crc32c(0, gnt_slice(at, 12)),
                      gnt_slice(at + 16, GNT_JOURNAL_HEADER_SIZE - 16));
}

void gnt_journal_header_write(const struct gnt_journal_header *h, uint8_t block[GNT_JOURNAL_BLOCK])
{
    memset(block, 0, GNT_JOURNAL_BLOCK);
    memcpy(block, magic, sizeof magic);
    put(block + 8, GNT_JOURNAL_FORMAT, 4);
    put(block + 16, h->number, 8);
    put(block + 24, h->first, 8);
    put(block + 32, h->stamp, 8);
    put(block + 40, h->size, 8);
    put(block + 12, header_check(block), 4);
    memcpy(block + GNT_JOURNAL_HEADER_COPY, block, GNT_JOURNAL_HEADER_SIZE);
}

static bool is_empty(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (at[i])
            return false;
    return true;
}

static gnt_err read_copy(const uint8_t *at, struct gnt_journal_header *out)
{
    if (is_empty(at, GNT_JOURNAL_HEADER_SIZE))
        return GNT_NOTFOUND;
    if (memcmp(at, magic, sizeof magic) != 0 || get(at + 12, 4) != header_check(at))
        return GNT_MALFORMED;
    if (get(at + 8, 4) > GNT_JOURNAL_FORMAT)
        return GNT_UNSUPPORTED;
    *out = (struct gnt_journal_header){get(at + 16, 8), get(at + 24, 8), get(at + 32, 8),
                                       get(at + 40, 8)};
    bool sane = get(at + 8, 4) == GNT_JOURNAL_FORMAT && out->number - 1 < number_max &&
                out->first - 1 < number_max;
    return sane ? GNT_OK : GNT_MALFORMED;
}

gnt_err gnt_journal_header_read(const uint8_t *block, size_t size, struct gnt_journal_header *out)
{
    gnt_err result = GNT_NOTFOUND;
    for (size_t at = 0; at <= GNT_JOURNAL_HEADER_COPY; at += GNT_JOURNAL_HEADER_COPY) {
        struct gnt_journal_header copy;
        gnt_err err = GNT_MALFORMED;
        if (size >= at + GNT_JOURNAL_HEADER_SIZE)
            err = read_copy(block + at, &copy);
        else if (size <= at || is_empty(block + at, size - at))
            err = GNT_NOTFOUND;
        if (err == GNT_UNSUPPORTED)
            return err;
        if (err == GNT_OK && (result != GNT_OK || copy.number > out->number))
            *out = copy;
        if (err == GNT_OK || (err == GNT_MALFORMED && result != GNT_OK))
            result = err;
    }
    return result;
}

/* ---- The header of a record: stamp 8, checksum of all else and the stamp 4, size 4, number 8,
 * behind 4, checksum of the bytes 4. */

static uint32_t record_check(const uint8_t *at, const uint8_t stamp[8])
{
    return gnt_crc32c(gnt_crc32c(0, gnt_slice(stamp, 8)),
                      gnt_slice(at + 12, GNT_JOURNAL_RECORD_SIZE - 12));
}

void gnt_journal_record_write(const struct gnt_journal_record *r,
                              uint8_t out[GNT_JOURNAL_RECORD_SIZE])
{
    put(out, r->stamp, 8);
    put(out + 12, r->size, 4);
    put(out + 16, r->number, 8);
    put(out + 24, r->behind, 4);
    put(out + 28, r->check, 4);
    put(out + 8, record_check(out, out), 4);
}

enum gnt_journal_sight gnt_journal_record_read(const uint8_t at[GNT_JOURNAL_RECORD_SIZE],
                                               uint64_t stamp, uint64_t expected,
                                               struct gnt_journal_record *out)
{
    bool stamped = get(at, 8) == stamp;
    if (!stamped && get(at + 16, 8) != expected)
        return GNT_JOURNAL_NOTHING;
    uint8_t wanted[8];
    put(wanted, stamp, 8);
    bool whole = get(at + 8, 4) == record_check(at, wanted);
    if (!stamped)
        return whole ? GNT_JOURNAL_BROKEN : GNT_JOURNAL_NOTHING;
    *out = (struct gnt_journal_record){
        .stamp = stamp,
        .number = get(at + 16, 8),
        .size = (uint32_t)get(at + 12, 4),
        .behind = (uint32_t)get(at + 24, 4),
        .check = (uint32_t)get(at + 28, 4),
    };
    bool sane = out->number - 1 < number_max && out->behind < out->number;
    return whole && sane ? GNT_JOURNAL_RECORD : GNT_JOURNAL_BROKEN;
}

/* ---- Files */

static const char prefix[] = "journal-";

void gnt_journal_file_name(uint64_t id, char out[GNT_DISK_NAME_MAX])
{
    (void)snprintf(out, GNT_DISK_NAME_MAX, "%s%08" PRIu64, prefix, id);
}

/* 0: not a segment's name. */
static uint64_t id_of(const char *name)
{
    char again[GNT_DISK_NAME_MAX];
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return 0;
    uint64_t id = strtoull(name + sizeof prefix - 1, NULL, 10);
    gnt_journal_file_name(id, again);
    return strcmp(name, again) == 0 && id < number_max ? id : 0;
}

static void found(void *context, const char *name)
{
    struct gnt_journal_files *files = context;
    uint64_t id = id_of(name);
    if (!id || files->err)
        return;
    if (files->count == files->cap) {
        size_t cap = files->cap ? files->cap * 2 : 16;
        struct gnt_journal_file *list = realloc(files->list, cap * sizeof *list);
        if (!list) {
            files->err = GNT_NOMEM;
            return;
        }
        files->list = list;
        files->cap = cap;
    }
    files->list[files->count++] = (struct gnt_journal_file){.id = id, .state = GNT_NOTFOUND};
}

static gnt_err look_at(struct gnt_disk *disk, struct gnt_journal_file *f)
{
    char name[GNT_DISK_NAME_MAX];
    gnt_journal_file_name(f->id, name);
    struct gnt_disk_file *file;
    gnt_err err = disk->ops->open(disk, name, false, &file);
    if (err)
        return err;
    uint8_t block[GNT_JOURNAL_BLOCK];
    size_t got = 0;
    err = disk->ops->size(file, &f->size);
    if (!err)
        err = disk->ops->read(file, 0, block, sizeof block, &got);
    if (!err)
        f->state = gnt_journal_header_read(block, got, &f->header);
    disk->ops->close(file);
    return f->state == GNT_UNSUPPORTED ? GNT_UNSUPPORTED : err;
}

static int in_order(const void *a, const void *b)
{
    const struct gnt_journal_file *x = a, *y = b;
    uint64_t left = x->state ? 0 : x->header.number, right = y->state ? 0 : y->header.number;
    if (left == right) {
        left = x->id;
        right = y->id;
    }
    return (left > right) - (left < right);
}

gnt_err gnt_journal_files_look(struct gnt_disk *disk, struct gnt_journal_files *out)
{
    *out = (struct gnt_journal_files){0};
    gnt_err err = disk->ops->list(disk, found, out);
    if (!err)
        err = out->err;
    for (size_t i = 0; i < out->count && !err; i++)
        err = look_at(disk, &out->list[i]);
    if (!err && out->count)
        qsort(out->list, out->count, sizeof *out->list, in_order);
    return err;
}

void gnt_journal_files_fini(struct gnt_journal_files *files)
{
    free(files->list);
    *files = (struct gnt_journal_files){0};
}
