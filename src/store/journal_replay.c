#include "store/journal.h"

#include "base/crc32c.h"
#include "store/journal_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WINDOW = 64 * 1024,
    GROUPED_MAX = 27, /* 2^64 with commas */
};

/* A segment is gone through twice: first for what its headers say of what was safe, then for the
 * records. */
struct replay {
    struct gnt_disk *disk;
    const struct gnt_journal_files *files;
    uint64_t safe; /* known to have been safe: all up to this one */

    /* the segment and the place in it */
    const struct gnt_journal_file *segment;
    struct gnt_disk_file *file;
    uint64_t limit;    /* the segment's records from this one on are void */
    uint64_t at;       /* where the next record may begin */
    uint64_t expected; /* its number */
    uint64_t broken;   /* where a header of a record that is not whole was seen behind that, or 0 */

    uint8_t *window; /* what was read last: `window_size` bytes from `window_at` on */
    uint64_t window_at;
    size_t window_size;
    uint8_t *bytes; /* of a record */
    size_t cap;

    gnt_err (*record)(void *context, uint64_t number, struct gnt_slice bytes);
    void *context;
    struct gnt_journal_report *report;
    bool ended; /* at something torn */
};

/* ---- Reading */

/* *out: a record's header at `at`, NULL: the file ends before. */
static gnt_err peek(struct replay *r, uint64_t at, const uint8_t **out)
{
    *out = NULL;
    if (at < r->window_at || at + GNT_JOURNAL_RECORD_SIZE > r->window_at + r->window_size) {
        r->window_at = at;
        r->window_size = 0;
        gnt_err err = r->file->ops->read(r->file, at, r->window, WINDOW, &r->window_size);
        if (err)
            return err;
    }
    if (r->window_size - (at - r->window_at) >= GNT_JOURNAL_RECORD_SIZE)
        *out = r->window + (at - r->window_at);
    return GNT_OK;
}

static void is_safe(struct replay *r, uint64_t number)
{
    if (number > r->safe)
        r->safe = number;
}

static bool fits(const struct replay *r, uint64_t at, const struct gnt_journal_record *record)
{
    return gnt_journal_room(record->size) <= r->segment->size - at;
}

/* The next record's header that counts, at r->at, which moves there.  GNT_NOTFOUND: no more. */
static gnt_err next_header(struct replay *r, struct gnt_journal_record *out)
{
    const uint8_t *bytes;
    gnt_err err;
    r->broken = 0;
    for (uint64_t at = r->at;; at += GNT_JOURNAL_STEP) {
        err = peek(r, at, &bytes);
        if (err || !bytes)
            return err ? err : GNT_NOTFOUND;
        enum gnt_journal_sight sight =
            gnt_journal_record_read(bytes, r->segment->header.stamp, r->expected, out);
        if (sight == GNT_JOURNAL_RECORD && out->number >= r->limit)
            return GNT_NOTFOUND;
        if (sight == GNT_JOURNAL_RECORD && out->size == 0) {
            is_safe(r, out->number);
            continue;
        }
        if (sight == GNT_JOURNAL_RECORD && out->number >= r->expected && fits(r, at, out)) {
            r->at = at;
            return GNT_OK;
        }
        if (sight == GNT_JOURNAL_RECORD && out->number < r->expected) /* not asked for */
            at += gnt_journal_room(out->size) - GNT_JOURNAL_STEP;
        else if (sight != GNT_JOURNAL_NOTHING && !r->broken)
            r->broken = at;
    }
}

static void go_behind(struct replay *r, const struct gnt_journal_record *record)
{
    r->at += gnt_journal_room(record->size);
    r->expected = record->number + 1;
}

/* Whether the bytes of RECORD are whole: *whole, in r->bytes. */
static gnt_err read_bytes(struct replay *r, const struct gnt_journal_record *record, bool *whole)
{
    size_t size = (size_t)gnt_journal_round_up(record->size, GNT_JOURNAL_STEP), got = 0;
    if (size > r->cap) {
        uint8_t *bytes = realloc(r->bytes, size);
        if (!bytes)
            return GNT_NOMEM;
        r->bytes = bytes;
        r->cap = size;
    }
    gnt_err err = GNT_OK;
    if (size)
        err = r->file->ops->read(r->file, r->at + GNT_JOURNAL_RECORD_SIZE, r->bytes, size, &got);
    *whole = got == size && gnt_crc32c(0, gnt_slice(r->bytes, size)) == record->check;
    return err;
}

/* ---- What is found wrong */

/* 4096 as 4,096. */
static void put_grouped(uint64_t n, char out[GROUPED_MAX])
{
    char digits[24];
    size_t size = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, n), used = 0;
    for (size_t i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = 0;
}

static void say_where(struct replay *r, const struct gnt_journal_file *file, uint64_t at)
{
    char name[GNT_DISK_NAME_MAX], place[GROUPED_MAX];
    if (r->report->where[0])
        return;
    gnt_journal_file_name(file->id, name);
    put_grouped(at, place);
    (void)snprintf(r->report->where, sizeof r->report->where, "%s at %s", name, place);
}

static void torn(struct replay *r, const struct gnt_journal_file *file, uint64_t at)
{
    r->report->torn = true;
    r->ended = true;
    say_where(r, file, at);
}

static void cut(struct replay *r, const struct gnt_journal_file *file)
{
    r->report->cut = true;
    say_where(r, file, file->size);
}

/* The records from r->expected to before NUMBER are not where they should be, at AT. */
static void missing(struct replay *r, uint64_t number, uint64_t at)
{
    if (number <= r->expected)
        return;
    if (number - 1 > r->safe) {
        torn(r, r->segment, at);
        return;
    }
    r->report->damaged += number - r->expected;
    say_where(r, r->segment, at);
    r->expected = number;
}

/* ---- Both ways through */

/* The first number that is void in the segment FILES->list[i]. */
static uint64_t limit_of(const struct gnt_journal_files *files, size_t i)
{
    uint64_t limit = UINT64_MAX;
    while (++i < files->count)
        if (files->list[i].header.first < limit)
            limit = files->list[i].header.first;
    return limit;
}

static gnt_err survey(struct replay *r)
{
    struct gnt_journal_record record;
    gnt_err err;
    is_safe(r, r->segment->header.first - 1);
    while (!(err = next_header(r, &record))) {
        is_safe(r, record.number - 1 - record.behind);
        go_behind(r, &record);
    }
    return err == GNT_NOTFOUND ? GNT_OK : err;
}

static gnt_err deliver_one(struct replay *r, const struct gnt_journal_record *record)
{
    bool whole;
    gnt_err err = read_bytes(r, record, &whole);
    if (err)
        return err;
    if (!whole) {
        missing(r, record->number + 1, r->at);
        return GNT_OK;
    }
    err = r->record(r->context, record->number, gnt_slice(r->bytes, record->size));
    if (err)
        return err;
    r->report->records++;
    r->report->bytes += record->size;
    r->report->last = record->number;
    return GNT_OK;
}

static gnt_err deliver(struct replay *r)
{
    struct gnt_journal_record record;
    gnt_err err = GNT_OK;
    missing(r, r->segment->header.first, GNT_JOURNAL_BLOCK);
    while (!err && !r->ended) {
        uint64_t at = r->at;
        err = next_header(r, &record);
        if (err)
            break;
        missing(r, record.number, r->broken ? r->broken : at);
        if (!r->ended)
            err = deliver_one(r, &record);
        go_behind(r, &record);
    }
    return err == GNT_NOTFOUND ? GNT_OK : err;
}

/* Calls VISIT for each segment that may hold what is needed. */
static gnt_err walk(struct replay *r, uint64_t after, gnt_err (*visit)(struct replay *r))
{
    gnt_err err = GNT_OK;
    r->expected = after + 1;
    for (size_t i = 0; i < r->files->count && !err && !r->ended; i++) {
        const struct gnt_journal_file *f = &r->files->list[i];
        char name[GNT_DISK_NAME_MAX];
        r->limit = limit_of(r->files, i);
        if (f->state || r->limit <= after + 1 || r->limit <= f->header.first)
            continue; /* no header, all applied, or all void */
        gnt_journal_file_name(f->id, name);
        err = r->disk->ops->open(r->disk, name, false, &r->file);
        if (err)
            break;
        r->segment = f;
        r->at = GNT_JOURNAL_BLOCK;
        r->window_size = 0;
        err = visit(r);
        r->disk->ops->close(r->file);
    }
    return err;
}

/* ---- The end */

/* Shorter than it was made.  One that grows does so by whole blocks, unless the disk is full. */
static bool is_short(const struct gnt_journal_file *f)
{
    return f->header.size ? f->size < f->header.size : f->size % GNT_JOURNAL_BLOCK != 0;
}

/* The last segment's end, where something may be broken that nothing follows. */
static void look_at_end(struct replay *r)
{
    if (r->segment && !r->ended) {
        uint64_t at = r->broken ? r->broken : r->at;
        if (r->expected <= r->safe)
            missing(r, r->safe + 1, at);
        else if (r->broken)
            torn(r, r->segment, at);
    }
    for (size_t i = 0; i < r->files->count && !r->report->where[0]; i++) {
        const struct gnt_journal_file *f = &r->files->list[i];
        if (f->state == GNT_MALFORMED)
            torn(r, f, 0);
        else if (!f->state && is_short(f))
            cut(r, f);
    }
}

static gnt_err replay(struct replay *r, uint64_t after)
{
    gnt_err err = walk(r, after, survey);
    if (!err)
        err = walk(r, after, deliver);
    if (!err)
        look_at_end(r);
    return err;
}

gnt_err gnt_journal_replay(struct gnt_disk *disk, uint64_t after,
                           gnt_err (*record)(void *context, uint64_t number,
                                             struct gnt_slice bytes),
                           void *context, struct gnt_journal_report *report)
{
    *report = (struct gnt_journal_report){.last = after};
    struct gnt_journal_files files;
    gnt_err err = gnt_journal_files_look(disk, &files);
    struct replay r = {
        .disk = disk,
        .files = &files,
        .window = malloc(WINDOW),
        .record = record,
        .context = context,
        .report = report,
    };
    if (!err)
        err = r.window ? replay(&r, after) : GNT_NOMEM;
    gnt_journal_files_fini(&files);
    free(r.window);
    free(r.bytes);
    return err;
}
