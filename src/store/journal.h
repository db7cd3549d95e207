/* The journal: what has been committed, in order, before anything else has it.  Records of bytes,
 * each as a whole or not at all, in segment files that are written from front to back, made
 * beforehand, and used again when what they hold is no longer needed.
 *
 *   segment  a header (magic, format, epoch, segment number, number of its first record, checksum),
 *            then records, then whatever was there before
 *   record   size, checksum, its number, and its bytes, from a multiple of 8 on.  The checksum
 *            (CRC-32C) goes over all of it, the epoch and the checksum of the record before: what
 * an earlier use of the file left behind cannot be taken for what comes next
 *
 * Recovery   hands out the records in order and stops at the first that is not whole: a write that
 *            a power cut has torn, of which nobody was told that it is safe.  If a whole record
 *            stands behind it, that was not a torn write but damage, because a record is written
 *            only after the one before it is safe (or its failure known): the damage is reported,
 *            and what can be read is handed out.
 * Failure    a write or sync that fails voids its record, and leaves the segment: what is written
 *            next goes to another one, whose header says with which number it begins, so that what
 *            stands in the old one from that number on does not count.  No record that comes after
 *            a failure is taken for safe on the word of a sync of the file that had failed.
 * Threads    one at a time.
 *
 * All integers are little-endian.  Format 1. */
#ifndef GNT_STORE_JOURNAL_H
#define GNT_STORE_JOURNAL_H

#include "store/disk.h"

struct gnt_journal;

struct gnt_journal_options {
    struct gnt_disk *disk; /* outlives the journal */
    uint64_t segment_size; /* bytes; a record that is larger gets a segment of its own */
    unsigned spare;        /* so many segments are kept for use again, and made beforehand */
};

struct gnt_journal_report {
    uint64_t records, bytes; /* handed out */
    uint64_t last;           /* number of the last one, or what AFTER was */
    uint64_t damaged;        /* records that are missing or broken before others that are whole */
    bool torn;               /* the last write was not finished */
    char where[GNT_DISK_NAME_MAX + 32]; /* the first damage or tear, "journal-00000007 at 4,096" */
};

/* Looks at the segments of the disk, changing nothing, and calls RECORD for each record numbered
 * over AFTER, in order; an error of RECORD's ends it and is returned.  GNT_UNSUPPORTED: a segment
 * of a newer format; GNT_IO, GNT_NOMEM.  Damage is no error: see *report. */
GNT_MUST gnt_err gnt_journal_replay(struct gnt_disk *disk, uint64_t after,
                                    gnt_err (*record)(void *context, uint64_t number,
                                                      struct gnt_slice bytes),
                                    void *context, struct gnt_journal_report *report);

/* A journal whose next record is numbered NEXT, over all that was replayed.  What the disk's
 * segments hold does not count any more: it has been made safe elsewhere. */
GNT_MUST gnt_err gnt_journal_open(const struct gnt_journal_options *options, uint64_t next,
                                  struct gnt_journal **out);

/* Writes one record, PARTS one behind the other, and says its number.  It is not safe before
 * _sync.  On failure (GNT_FULL, GNT_IO, GNT_NOMEM) it is void, and so is all that was not synced.
 */
GNT_MUST gnt_err gnt_journal_write(struct gnt_journal *j, const struct gnt_slice *parts,
                                   size_t count, uint64_t *number);

/* All that was written is safe, or void. */
GNT_MUST gnt_err gnt_journal_sync(struct gnt_journal *j);

/* Records up to UP_TO are not needed any more: segments that hold no other are free. */
void gnt_journal_release(struct gnt_journal *j, uint64_t up_to);

/* Makes spare segments where there are fewer than there should be: some time when nobody waits.
 * GNT_FULL, GNT_IO: it could not. */
gnt_err gnt_journal_prepare(struct gnt_journal *j);

/* Bytes of records that are still needed. */
uint64_t gnt_journal_used(const struct gnt_journal *j);

/* Without _sync.  NULL is fine. */
void gnt_journal_close(struct gnt_journal **j);

#endif
