/* The journal: what has been committed, in order, before anything else has it.  Records of bytes,
 * each as a whole or not at all, in segment files that are written from front to back, made
 * beforehand, and used again when what they hold is no longer needed.
 *
 *   segment  a header (magic, format, segment number, number of its first record, a random stamp,
 *            checksum), then records, then whatever was there before
 *   record   the stamp of its segment, checksums (CRC-32C) of header and bytes, size, number, how
 *            many records before it were not known to be safe, and its bytes
 *
 *   mark     a record without bytes: all up to its number is safe.  It stands behind the last one
 *            while nothing is written, and the next record takes its place.
 *
 * Each use of a file has a stamp of its own, and no place but a mark's is written twice in one use:
 * what an earlier use left behind, or what a message contains, cannot be taken for a record.
 *
 * Recovery   hands out the records in order and stops at the first that is not whole and is not
 *            known to have been safe: a write that a power cut has torn, of which nobody was told
 *            that it is safe.  If a record, a segment or a mark behind it says that it was safe,
 *            that is damage: it is reported, and what can be read is handed out.  Where nothing
 *            says so, damage to the record that was synced last cannot be told from a torn write.
 * Failure    a write or sync that fails voids all that was not safe, and leaves the segment: what
 *            is written next gets the numbers of what is void, in another segment, whose header
 *            says with which number it begins, so that what stands in the old one from that number
 *            on does not count once that header is safe.  No record that comes after a failure is
 *            taken for safe on the word of a sync of the file that had failed.
 * Threads    one at a time.
 *
 * All integers are little-endian.  Format 1; see store/journal_format.h. */
#ifndef GNT_STORE_JOURNAL_H
#define GNT_STORE_JOURNAL_H

#include "base/random.h"
#include "store/disk.h"

enum {
    GNT_JOURNAL_RECORD_MAX = 1 << 30, /* bytes of one record */
};

struct gnt_journal;

struct gnt_journal_options {
    struct gnt_disk *disk;           /* outlives the journal */
    uint64_t segment_size;           /* bytes; a record that is larger gets a segment of its own */
    unsigned spare;                  /* so many segments are made beforehand */
    const struct gnt_random *random; /* NULL: the system's */
    unsigned keep; /* so many that are not needed are kept for use again; 0: `spare` */
};

struct gnt_journal_report {
    uint64_t records, bytes; /* handed out */
    uint64_t last;           /* number of the last one, or what AFTER was */
    uint64_t damaged;        /* records that are missing or broken before others that are whole */
    bool torn;               /* the last write was not finished */
    bool cut; /* a file is shorter than it was made, though no record is known to be missing */
    char where[GNT_DISK_NAME_MAX + 32]; /* the first of these, "journal-00000007 at 4,096" */
};

/* Looks at the segments of the disk, changing nothing, and calls RECORD for each record numbered
 * over AFTER, in order; an error of RECORD's ends it and is returned.  GNT_UNSUPPORTED: a segment
 * of a newer format; GNT_IO, GNT_NOMEM.  Damage is no error: see *report. */
GNT_MUST gnt_err gnt_journal_replay(struct gnt_disk *disk, uint64_t after,
                                    gnt_err (*record)(void *context, uint64_t number,
                                                      struct gnt_slice bytes),
                                    void *context, struct gnt_journal_report *report);

/* A journal whose next record is numbered NEXT, over all that was replayed.  What the disk's
 * segments hold does not count any more: it has been made safe elsewhere.  Nothing on the disk is
 * changed before the first _write or _prepare.  GNT_UNSUPPORTED: a segment of a newer format;
 * GNT_IO, GNT_NOMEM. */
GNT_MUST gnt_err gnt_journal_open(const struct gnt_journal_options *options, uint64_t next,
                                  struct gnt_journal **out);

/* Writes one record, PARTS one behind the other, some bytes in all, and says its number.  It is not
 * safe before
 * _sync.  GNT_TOOBIG changes nothing; on any other failure (GNT_FULL, GNT_IO, GNT_NOMEM) it is
 * void, and so is all that was not safe: the next record has the number behind the last safe one.
 */
GNT_MUST gnt_err gnt_journal_write(struct gnt_journal *j, const struct gnt_slice *parts,
                                   size_t count, uint64_t *number);

/* Makes all that was written safe; on failure, all that was not safe is void. */
GNT_MUST gnt_err gnt_journal_sync(struct gnt_journal *j);

/* Says on the disk that all that was written is safe, if it is, and nothing has said so yet: some
 * time when nobody waits.  It is not synced, and does not matter if it fails or is lost. */
void gnt_journal_mark(struct gnt_journal *j);

/* Records up to UP_TO, which are safe, are not needed any more: segments that hold no other are
 * used again, or removed where there are enough of those.  UP_TO may be _reach, too, after a
 * failure and before the next _write: what is void has been made safe elsewhere, and its numbers
 * are not given again. */
void gnt_journal_release(struct gnt_journal *j, uint64_t up_to);

/* The last number of a record that may be on the disk, though it may be void: until the next record
 * is safe, it could come back. */
uint64_t gnt_journal_reach(const struct gnt_journal *j);

/* Makes spare segments where there are fewer than there should be: some time when nobody waits.
 * GNT_MORE: a mebibyte of one was written and synced, call again; GNT_OK: all are there; GNT_FULL,
 * GNT_IO, GNT_NOMEM: it could not, try again later.  A segment that is needed before it is made
 * is made as it fills, which costs more for each sync. */
gnt_err gnt_journal_prepare(struct gnt_journal *j);

/* Bytes of records that are still needed, about. */
uint64_t gnt_journal_used(const struct gnt_journal *j);

/* Without _sync.  *j is NULL afterwards, NULL is fine. */
void gnt_journal_close(struct gnt_journal **j);

#endif
