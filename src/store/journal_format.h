/* What a journal's files look like; for journal.c and journal_replay.c alone.
 *
 *   segment  a block for its header, of which there are two copies in different sectors, then
 *            records, each from a multiple of 8 on, and the first one after a sync from the
 *            beginning of a block on: what is safe is never written over.
 *   record   a header, then its bytes, then zeros up to a multiple of 8.
 *   mark     a record's header with size 0 and the number of the last record, which is safe; where
 *            the next record will be, or else at the end.
 *
 * All integers are little-endian, all checksums CRC-32C. */
#ifndef GNT_STORE_JOURNAL_FORMAT_H
#define GNT_STORE_JOURNAL_FORMAT_H

#include "store/disk.h"

enum {
    GNT_JOURNAL_FORMAT = 1,
    GNT_JOURNAL_BLOCK = 4096, /* no part of it is written without the rest of it */
    GNT_JOURNAL_STEP = 8,
    GNT_JOURNAL_HEADER_SIZE = 48,
    GNT_JOURNAL_HEADER_COPY = 2048, /* where in the block the second one is */
    GNT_JOURNAL_RECORD_SIZE = 32,
};

/* One use of a file. */
struct gnt_journal_header {
    uint64_t number; /* of the segment: over those of all that were begun before, from 1 */
    uint64_t first;  /* number of its first record; all before it is safe, and void from it on */
    uint64_t stamp;  /* random; begins each record */
    uint64_t size;   /* of the file, which was made beforehand; 0: it grows */
};

struct gnt_journal_record {
    uint64_t stamp;
    uint64_t number; /* from 1 */
    uint32_t size;   /* without what fills it up; 0: a mark */
    uint32_t behind; /* so many records before it were not known to be safe when it was written */
    uint32_t check;  /* of its bytes, with what fills it up */
};

static inline uint64_t gnt_journal_round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* Of a record of SIZE bytes, in the file. */
static inline uint64_t gnt_journal_room(uint64_t size)
{
    return GNT_JOURNAL_RECORD_SIZE + gnt_journal_round_up(size, GNT_JOURNAL_STEP);
}

void gnt_journal_header_write(const struct gnt_journal_header *h, uint8_t block[GNT_JOURNAL_BLOCK]);

/* The newer of the two copies in SIZE bytes of a block.  GNT_NOTFOUND: the block is empty;
 * GNT_MALFORMED: what is there is no header; GNT_UNSUPPORTED: of a newer format. */
gnt_err gnt_journal_header_read(const uint8_t *block, size_t size, struct gnt_journal_header *out);

void gnt_journal_record_write(const struct gnt_journal_record *r,
                              uint8_t out[GNT_JOURNAL_RECORD_SIZE]);

/* What AT, where a record numbered EXPECTED may begin, shows of the use with STAMP. */
enum gnt_journal_sight {
    GNT_JOURNAL_NOTHING,
    GNT_JOURNAL_BROKEN, /* a record's header begins here, or did */
    GNT_JOURNAL_RECORD, /* *out; what its bytes are worth is another question */
};
enum gnt_journal_sight gnt_journal_record_read(const uint8_t at[GNT_JOURNAL_RECORD_SIZE],
                                               uint64_t stamp, uint64_t expected,
                                               struct gnt_journal_record *out);

/* ---- Files */

struct gnt_journal_file {
    uint64_t id; /* its name */
    uint64_t size;
    gnt_err state;                    /* as gnt_journal_header_read() says */
    struct gnt_journal_header header; /* if that is GNT_OK */
};

struct gnt_journal_files {
    struct gnt_journal_file *list;
    size_t count, cap;
    gnt_err err;
};

void gnt_journal_file_name(uint64_t id, char out[GNT_DISK_NAME_MAX]);

/* Looks at all files of the disk that have a segment's name, in the order of their segment numbers;
 * those without a header come first.  GNT_UNSUPPORTED: one is of a newer format; GNT_IO,
 * GNT_NOMEM. Free it with _fini, then too. */
gnt_err gnt_journal_files_look(struct gnt_disk *disk, struct gnt_journal_files *out);
void gnt_journal_files_fini(struct gnt_journal_files *files);

#endif
