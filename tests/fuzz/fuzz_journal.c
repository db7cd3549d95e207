/* The bytes are segment files, one behind the other: for each its size, two bytes, in units of 16
 * bytes, then the bytes.  The first byte of all says behind which record the replay begins; bits of
 * its top half, whether headers and records are made to be whole where they look like some. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "store/journal.h"
#include "store/journal_format.h"
#include "support/sim_disk.h"

#include <stdlib.h>

enum { FILES = 4, UNIT = 16 };

struct seen {
    uint64_t last, records, bytes;
};

static gnt_err record(void *context, uint64_t number, struct gnt_slice bytes)
{
    struct seen *s = context;
    uint32_t sum = gnt_crc32c(0, bytes); /* the sanitizers see whether all of it is there */
    (void)sum;
    GNT_ASSERT(number > s->last);
    s->last = number;
    s->records++;
    s->bytes += bytes.size;
    return GNT_OK;
}

/* Puts the checksums right, so that what is behind them is reached. */
static void mend(uint8_t *bytes, size_t size)
{
    struct gnt_journal_header h;
    if (size < GNT_JOURNAL_BLOCK)
        return;
    h = (struct gnt_journal_header){1u + bytes[16] % 4u, 1u + bytes[24] % 16u, bytes[32], 0};
    gnt_journal_header_write(&h, bytes);
    for (size_t at = GNT_JOURNAL_BLOCK; at + GNT_JOURNAL_RECORD_SIZE <= size;) {
        size_t left = size - at - GNT_JOURNAL_RECORD_SIZE;
        struct gnt_journal_record r = {
            .stamp = h.stamp,
            .number = bytes[at + 16],
            .size = bytes[at + 12],
            .behind = bytes[at + 24],
            .check = bytes[at + 28],
        };
        if (r.size <= left && left - r.size >= GNT_JOURNAL_STEP && bytes[at + 29] % 4) {
            size_t whole = (size_t)gnt_journal_round_up(r.size, GNT_JOURNAL_STEP);
            r.check = gnt_crc32c(0, gnt_slice(bytes + at + GNT_JOURNAL_RECORD_SIZE, whole));
        }
        gnt_journal_record_write(&r, bytes + at);
        at += (size_t)gnt_journal_room(r.size);
    }
}

static void put_file(struct sim_disk *disk, size_t i, struct gnt_slice bytes, bool mended)
{
    char name[GNT_DISK_NAME_MAX];
    uint8_t *copy = malloc(bytes.size + 1);
    GNT_ASSERT(copy != NULL);
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    if (mended)
        mend(copy, bytes.size);
    gnt_journal_file_name(i + 1, name);
    GNT_ASSERT(sim_disk_put(disk, name, gnt_slice(copy, bytes.size)));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gnt_reader in = gnt_reader(gnt_slice(data, size));
    uint8_t how = gnt_read_u8(&in);
    struct sim_disk *disk = sim_disk_new();
    GNT_ASSERT(disk != NULL);
    for (size_t i = 0; i < FILES && gnt_read_left(&in) > 2; i++) {
        size_t wanted = (size_t)gnt_read_u16(&in) * UNIT;
        size_t left = gnt_read_left(&in);
        put_file(disk, i, gnt_read_bytes(&in, wanted < left ? wanted : left), how >> (4 + i) & 1);
    }
    struct gnt_journal_report report;
    struct seen seen = {.last = how & 15};
    gnt_err err = gnt_journal_replay(sim_disk_door(disk), seen.last, record, &seen, &report);
    GNT_ASSERT(err == GNT_OK || err == GNT_UNSUPPORTED);
    GNT_ASSERT(report.records == seen.records);
    GNT_ASSERT(report.bytes == seen.bytes);
    GNT_ASSERT(report.last == seen.last);

    /* Whatever was there, what is written now is all that comes back. */
    struct gnt_journal_options options = {.disk = sim_disk_door(disk),
                                          .segment_size = 2 * GNT_JOURNAL_BLOCK,
                                          .spare = 1};
    struct gnt_journal *journal = NULL;
    uint64_t number = 0;
    if (!err) {
        struct gnt_slice part = gnt_slice_str("new");
        GNT_ASSERT(gnt_journal_open(&options, seen.last + 1, &journal) == GNT_OK);
        GNT_ASSERT(gnt_journal_write(journal, &part, 1, &number) == GNT_OK);
        GNT_ASSERT(gnt_journal_sync(journal) == GNT_OK);
        gnt_journal_close(&journal);
        GNT_ASSERT(gnt_journal_replay(sim_disk_door(disk), seen.last, record, &seen, &report) ==
                   GNT_OK);
        GNT_ASSERT(report.records == 1 && report.last == number);
    }
    sim_disk_free(disk);
    return 0;
}
