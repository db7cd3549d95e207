#include "store/journal.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/list.h"
#include "store/journal_format.h"

#include <stdlib.h>

enum {
    ZEROS = 64 * 1024,
    ZEROS_A_STEP = 16, /* a mebibyte */
};

struct segment {
    struct gnt_list link;       /* in `spare` or `old` */
    uint64_t id;                /* the file's name */
    struct gnt_disk_file *file; /* of the current one, and of the one that is being made */
    uint64_t first, last;       /* records that count; last < first: none does */
    uint64_t stamp;
    uint64_t end;  /* bytes written */
    uint64_t cap;  /* bytes that may be */
    uint64_t size; /* bytes that are there, zeros where nothing is written */
    bool made;     /* all of them, and they were safe when it was begun */
    bool failed;   /* not fit for use again */
};

struct gnt_journal {
    struct gnt_journal_options options;
    uint64_t next_id, next_segment;
    uint64_t last;           /* the last record written that is not void */
    uint64_t safe;           /* the last one that is safe */
    uint64_t released;       /* not needed up to this one */
    uint64_t reach;          /* the last one that was ever begun, void or not */
    struct segment *current; /* NULL: the next record begins one */
    struct segment *making;  /* `size` bytes of it are */
    struct gnt_list old;     /* written; some may hold nothing that is needed */
    struct gnt_list spare;
    unsigned spares;
    uint64_t marked; /* that all up to this one is safe has been said, or tried to be */
};

static struct segment *segment_of(struct gnt_list *link)
{
    return GNT_CONTAINER(link, struct segment, link);
}

/* ---- Files */

static void drop_segment(struct gnt_journal *j, struct segment *s)
{
    if (s->file)
        j->options.disk->ops->close(s->file);
    free(s);
}

/* A file that cannot be removed stays until the journal is opened again. */
static void remove_segment(struct gnt_journal *j, struct segment *s)
{
    char name[GNT_DISK_NAME_MAX];
    gnt_journal_file_name(s->id, name);
    (void)j->options.disk->ops->remove(j->options.disk, name);
    drop_segment(j, s);
}

static gnt_err open_segment(struct gnt_journal *j, struct segment *s, bool create)
{
    char name[GNT_DISK_NAME_MAX];
    gnt_journal_file_name(s->id, name);
    return j->options.disk->ops->open(j->options.disk, name, create, &s->file);
}

/* An empty file whose name is safe. */
static gnt_err create_segment(struct gnt_journal *j, uint64_t cap, struct segment **out)
{
    struct gnt_disk *disk = j->options.disk;
    struct segment *s = calloc(1, sizeof *s);
    if (!s)
        return GNT_NOMEM;
    s->id = j->next_id++;
    s->cap = cap;
    gnt_list_init(&s->link);
    gnt_err err = open_segment(j, s, true);
    if (!err)
        err = disk->ops->sync_names(disk);
    if (err)
        remove_segment(j, s);
    else
        *out = s;
    return err;
}

static gnt_err take_spare(struct gnt_journal *j, struct segment **out)
{
    struct segment *s = segment_of(gnt_list_pop_front(&j->spare));
    j->spares--;
    gnt_err err = open_segment(j, s, false);
    if (err)
        remove_segment(j, s);
    else
        *out = s;
    return err;
}

/* ---- What becomes of segments */

static bool is_needed(const struct gnt_journal *j, const struct segment *s)
{
    return s->last >= s->first && s->last > j->released;
}

/* Whether S can be used again: all of it is there and known to be safe. */
static bool is_fit(const struct gnt_journal *j, const struct segment *s)
{
    return !s->failed && s->size == s->cap && s->cap == j->options.segment_size;
}

/* Frees what is not needed.  An old header may be all that keeps void records of a yet older
 * segment from counting, so nothing goes before the header of the current one is safe. */
static void settle(struct gnt_journal *j)
{
    if (!j->current || j->current->first > j->safe)
        return;
    gnt_list_each_safe (link, &j->old) {
        struct segment *s = segment_of(link);
        if (is_needed(j, s))
            continue;
        gnt_list_remove(link);
        if (is_fit(j, s) && j->spares < j->options.keep) {
            s->made = true;
            gnt_list_push_back(&j->spare, link);
            j->spares++;
        } else {
            remove_segment(j, s);
        }
    }
}

/* Nothing more is written to the current segment. */
static void leave(struct gnt_journal *j)
{
    struct segment *s = j->current;
    j->current = NULL;
    j->options.disk->ops->close(s->file);
    s->file = NULL;
    s->last = j->last;
    gnt_list_push_back(&j->old, &s->link);
}

/* What is not safe is void, and the segment has failed. */
static gnt_err fail(struct gnt_journal *j, gnt_err err)
{
    struct segment *s = j->current;
    j->last = j->safe;
    gnt_list_each (link, &j->old)
        if (segment_of(link)->last > j->safe)
            segment_of(link)->last = j->safe;
    if (!s)
        return err;
    s->failed = true;
    leave(j);
    if (s->last < s->first) { /* its header was never known to be safe */
        gnt_list_remove(&s->link);
        remove_segment(j, s);
    }
    return err;
}

/* ---- Making segments */

/* A mebibyte more of zeros. */
static gnt_err write_zeros(struct segment *s)
{
    static const uint8_t zeros[ZEROS];
    struct gnt_slice parts[ZEROS_A_STEP];
    uint64_t left = s->cap - s->size;
    size_t n = 0;
    for (; n < ZEROS_A_STEP && left; n++) {
        parts[n] = gnt_slice(zeros, left < ZEROS ? (size_t)left : ZEROS);
        left -= parts[n].size;
    }
    gnt_err err = s->file->ops->write(s->file, s->size, parts, n);
    if (!err)
        s->size = s->cap - left;
    return err;
}

/* A segment that was needed before it was made grows ahead of its records, in large steps, so that
 * few syncs have a larger file to tell of.  Where there is no room for that, there may still be for
 * the record. */
static void grow(struct segment *s, uint64_t end)
{
    while (s->size < end && write_zeros(s) == GNT_OK) {
    }
}

/* ---- Beginning one */

static gnt_err write_header(struct gnt_journal *j, struct segment *s)
{
    struct gnt_journal_header h = {
        .number = j->next_segment++,
        .first = s->first,
        .stamp = gnt_random_u64(j->options.random),
        .size = s->made ? s->cap : 0,
    };
    uint8_t block[GNT_JOURNAL_BLOCK];
    gnt_journal_header_write(&h, block);
    s->stamp = h.stamp;
    s->end = GNT_JOURNAL_BLOCK;
    if (s->size < s->end)
        s->size = s->end;
    return s->file->ops->write(s->file, 0, &(struct gnt_slice){block, sizeof block}, 1);
}

/* Begins a segment with room for a record that takes NEED bytes. */
static gnt_err begin(struct gnt_journal *j, uint64_t need)
{
    uint64_t cap = GNT_JOURNAL_BLOCK + need;
    gnt_err err;
    if (cap <= j->options.segment_size && j->spares)
        err = take_spare(j, &j->current);
    else
        err = create_segment(j, cap > j->options.segment_size ? cap : j->options.segment_size,
                             &j->current);
    if (err)
        return err;
    j->current->first = j->last + 1;
    return write_header(j, j->current);
}

/* Nothing more comes into S: the next one's header says that all before it is safe. */
static gnt_err complete(struct gnt_journal *j, struct segment *s)
{
    bool safe = j->last == j->safe && s->size == s->cap;
    if (s->cap == j->options.segment_size)
        grow(s, s->cap);
    return safe ? GNT_OK : s->file->ops->sync(s->file);
}

/* Where a record that takes NEED bytes goes, in the current segment. */
static gnt_err find_room(struct gnt_journal *j, uint64_t need, uint64_t *at)
{
    if (j->current) {
        bool alone = j->last == j->safe; /* a block with something safe is not written again */
        *at = gnt_journal_round_up(j->current->end, alone ? GNT_JOURNAL_BLOCK : GNT_JOURNAL_STEP);
        if (*at + need <= j->current->cap)
            return GNT_OK;
        gnt_err err = complete(j, j->current);
        if (err)
            return err;
        leave(j);
    }
    gnt_err err = begin(j, need);
    *at = GNT_JOURNAL_BLOCK;
    return err;
}

/* ---- Records */

enum { PARTS_MAX = 64 };

/* Header, PARTS and what fills the record up, in one write if there are few of them. */
static gnt_err write_parts(struct gnt_disk_file *file, uint64_t at, struct gnt_slice header,
                           const struct gnt_slice *parts, size_t count, struct gnt_slice fill)
{
    struct gnt_slice vector[PARTS_MAX];
    size_t n = 0;
    gnt_err err = GNT_OK;
    vector[n++] = header;
    for (size_t i = 0; i <= count && !err; i++) {
        if (n == PARTS_MAX) {
            err = file->ops->write(file, at, vector, n);
            for (size_t k = 0; k < n; k++)
                at += vector[k].size;
            n = 0;
        }
        vector[n++] = i < count ? parts[i] : fill;
    }
    return err ? err : file->ops->write(file, at, vector, n);
}

static const uint8_t nothing[GNT_JOURNAL_STEP];

static struct gnt_slice fill_for(uint64_t size)
{
    return gnt_slice(nothing, gnt_journal_round_up(size, GNT_JOURNAL_STEP) - size);
}

static uint32_t check_of(const struct gnt_slice *parts, size_t count, struct gnt_slice fill)
{
    uint32_t check = 0;
    for (size_t i = 0; i < count; i++)
        check = gnt_crc32c(check, parts[i]);
    return gnt_crc32c(check, fill);
}

gnt_err gnt_journal_write(struct gnt_journal *j, const struct gnt_slice *parts, size_t count,
                          uint64_t *number)
{
    uint64_t size = 0, at = 0;
    for (size_t i = 0; i < count && size <= GNT_JOURNAL_RECORD_MAX; i++)
        size += parts[i].size;
    GNT_ASSERT(size > 0); /* else it is a mark */
    if (size > GNT_JOURNAL_RECORD_MAX)
        return GNT_TOOBIG;
    uint64_t need = gnt_journal_room(size);
    gnt_err err = find_room(j, need, &at);
    if (err)
        return fail(j, err);
    struct gnt_slice fill = fill_for(size);
    struct gnt_journal_record r = {
        .stamp = j->current->stamp,
        .number = j->last + 1,
        .size = (uint32_t)size,
        .behind = (uint32_t)(j->last - j->safe),
        .check = check_of(parts, count, fill),
    };
    uint8_t header[GNT_JOURNAL_RECORD_SIZE];
    gnt_journal_record_write(&r, header);
    if (j->reach < r.number)
        j->reach = r.number;
    if (j->current->cap == j->options.segment_size)
        grow(j->current, at + need);
    err = write_parts(j->current->file, at, gnt_slice(header, sizeof header), parts, count, fill);
    if (err)
        return fail(j, err);
    j->current->end = at + need;
    if (j->current->size < j->current->end)
        j->current->size = j->current->end;
    j->last = *number = r.number;
    return GNT_OK;
}

gnt_err gnt_journal_sync(struct gnt_journal *j)
{
    if (j->last == j->safe)
        return GNT_OK;
    gnt_err err = j->current->file->ops->sync(j->current->file);
    if (err)
        return fail(j, err);
    j->safe = j->last;
    settle(j);
    return GNT_OK;
}

/* Where the next record will begin, which has to say the same; that may be behind the end of a full
 * segment, where nothing else will stand. */
void gnt_journal_mark(struct gnt_journal *j)
{
    if (!j->current || j->last != j->safe || j->marked == j->safe)
        return;
    struct gnt_journal_record mark = {.stamp = j->current->stamp, .number = j->safe};
    uint8_t header[GNT_JOURNAL_RECORD_SIZE];
    gnt_journal_record_write(&mark, header);
    uint64_t at = gnt_journal_round_up(j->current->end, GNT_JOURNAL_BLOCK);
    struct gnt_disk_file *file = j->current->file;
    (void)!file->ops->write(file, at, &(struct gnt_slice){header, sizeof header}, 1);
    j->marked = j->safe;
}

void gnt_journal_release(struct gnt_journal *j, uint64_t up_to)
{
    GNT_ASSERT(up_to <= j->safe || (up_to >= j->reach && !j->current));
    if (up_to > j->safe) /* what is void, too */
        j->last = j->safe = up_to;
    if (up_to > j->released)
        j->released = up_to;
    settle(j);
}

/* Records differ in size, so a segment of which some are released is an estimate. */
static uint64_t used_of(const struct gnt_journal *j, const struct segment *s, uint64_t last)
{
    if (last < s->first || last <= j->released)
        return 0;
    uint64_t all = last - s->first + 1, bytes = s->end - GNT_JOURNAL_BLOCK;
    uint64_t needed = j->released < s->first ? all : last - j->released;
    return needed == all ? bytes : (uint64_t)((double)bytes * (double)needed / (double)all);
}

uint64_t gnt_journal_reach(const struct gnt_journal *j)
{
    return j->reach > j->last ? j->reach : j->last;
}

uint64_t gnt_journal_used(const struct gnt_journal *j)
{
    uint64_t used = j->current ? used_of(j, j->current, j->last) : 0;
    gnt_list_each (link, &j->old) {
        const struct segment *s = segment_of(link);
        used += used_of(j, s, s->last);
    }
    return used;
}

/* ---- Making segments beforehand */

gnt_err gnt_journal_prepare(struct gnt_journal *j)
{
    gnt_err err = GNT_OK;
    if (j->spares >= j->options.spare)
        return GNT_OK;
    if (!j->making)
        err = create_segment(j, j->options.segment_size, &j->making);
    if (err)
        return err;
    struct segment *s = j->making;
    err = write_zeros(s);
    if (!err)
        err = s->file->ops->sync(s->file);
    if (!err && s->size < s->cap)
        return GNT_MORE;
    j->making = NULL;
    if (err) {
        remove_segment(j, s);
        return err;
    }
    j->options.disk->ops->close(s->file);
    s->file = NULL;
    s->made = true;
    gnt_list_push_back(&j->spare, &s->link);
    return ++j->spares < j->options.spare ? GNT_MORE : GNT_OK;
}

/* ---- Opening and closing */

/* A file that was there: a spare if it is fit for one, else it goes with the next settle(). */
static gnt_err adopt(struct gnt_journal *j, const struct gnt_journal_file *f)
{
    struct segment *s = calloc(1, sizeof *s);
    if (!s)
        return GNT_NOMEM;
    s->id = f->id;
    s->cap = s->size = f->size;
    s->first = 1; /* and its last is 0: it holds nothing */
    s->made = f->size == j->options.segment_size;
    bool spare = s->made && j->spares < j->options.keep;
    gnt_list_push_back(spare ? &j->spare : &j->old, &s->link);
    j->spares += spare;
    if (f->id >= j->next_id)
        j->next_id = f->id + 1;
    if (!f->state && f->header.number >= j->next_segment)
        j->next_segment = f->header.number + 1;
    return GNT_OK;
}

gnt_err gnt_journal_open(const struct gnt_journal_options *options, uint64_t next,
                         struct gnt_journal **out)
{
    GNT_ASSERT(next >= 1);
    GNT_ASSERT(options->segment_size >= 2 * (uint64_t)GNT_JOURNAL_BLOCK);
    struct gnt_journal *j = calloc(1, sizeof *j);
    if (!j)
        return GNT_NOMEM;
    j->options = *options;
    if (j->options.keep < j->options.spare)
        j->options.keep = j->options.spare;
    if (!j->options.random)
        j->options.random = &gnt_random_system;
    j->next_id = j->next_segment = 1;
    j->last = j->safe = j->released = next - 1;
    gnt_list_init(&j->old);
    gnt_list_init(&j->spare);
    /* A file that was removed before must not come back with a number that is given anew. */
    struct gnt_journal_files files = {0};
    gnt_err err = j->options.disk->ops->sync_names(j->options.disk);
    if (!err)
        err = gnt_journal_files_look(j->options.disk, &files);
    for (size_t i = 0; i < files.count && !err; i++)
        err = adopt(j, &files.list[i]);
    gnt_journal_files_fini(&files);
    if (err)
        gnt_journal_close(&j);
    *out = j;
    return err;
}

static void drop_all(struct gnt_journal *j, struct gnt_list *list)
{
    for (struct gnt_list *link; (link = gnt_list_pop_front(list));)
        drop_segment(j, segment_of(link));
}

void gnt_journal_close(struct gnt_journal **j)
{
    struct gnt_journal *gone = *j;
    *j = NULL;
    if (!gone)
        return;
    drop_all(gone, &gone->old);
    drop_all(gone, &gone->spare);
    if (gone->current)
        drop_segment(gone, gone->current);
    if (gone->making)
        drop_segment(gone, gone->making);
    free(gone);
}
