#include "core/queue_record.h"

#include "store/bytes.h"

enum { VERSION = 1, DURABLE = 1, LANE_BITS = 4 };

struct gnt_record_log gnt_queue_log(uint64_t number, unsigned lane)
{
    return gnt_record_log('q', number << LANE_BITS | lane);
}

/* Options are as many as there were rows then: later ones have their defaults. */
gnt_err gnt_queue_record_write(const struct gnt_queue_record *r, struct gnt_buf *to)
{
    gnt_buf_clear(to);
    gnt_err err = gnt_buf_reserve(to, 1 + 8 + 8 + 2 + 1 + GNT_QUEUE_OPTION_ROWS * 8 + 2 +
                                          r->name.size + r->bindings.size);
    if (err)
        return err;
    gnt_bytes_number(to, VERSION, 1);
    gnt_bytes_number(to, r->number, 8);
    gnt_bytes_number(to, r->parent, 8);
    gnt_bytes_number(to, r->lanes, 2);
    gnt_bytes_number(to, GNT_QUEUE_OPTION_ROWS, 1);
    for (size_t row = 0; row < GNT_QUEUE_OPTION_ROWS; row++)
        gnt_bytes_number(to, gnt_queue_options_get(&r->options, row), 8);
    gnt_bytes_number(to, r->name.size, 2);
    gnt_bytes_slice(to, r->name);
    gnt_bytes_slice(to, r->bindings);
    return GNT_OK;
}

bool gnt_queue_record_read(struct gnt_slice value, struct gnt_queue_record *out)
{
    struct gnt_reader r = gnt_reader(value);
    bool good = gnt_read_u8(&r) == VERSION;
    *out = (struct gnt_queue_record){.number = gnt_read_u64(&r),
                                     .options = gnt_queue_options_default()};
    out->parent = gnt_read_u64(&r);
    out->lanes = gnt_read_u16(&r);
    size_t rows = gnt_read_u8(&r);
    for (size_t row = 0; row < rows; row++) {
        uint64_t option = gnt_read_u64(&r);
        if (row < GNT_QUEUE_OPTION_ROWS)
            good &= gnt_queue_options_set(&out->options, row, option) == GNT_OK;
    }
    out->name = gnt_read_str16(&r);
    out->bindings = gnt_read_bytes(&r, gnt_read_left(&r));
    return good && !r.bad && out->number && out->name.size;
}

gnt_err gnt_queued_record_write(const struct gnt_queued_record *r, const struct gnt_note *note,
                                struct gnt_buf *to)
{
    gnt_buf_clear(to);
    gnt_err err = gnt_buf_reserve(to, 1 + 1 + 4 + 8 + gnt_note_size(note));
    if (err)
        return err;
    gnt_bytes_number(to, VERSION, 1);
    gnt_bytes_number(to, r->durable ? DURABLE : 0, 1);
    gnt_bytes_number(to, r->failed, 4);
    gnt_bytes_number(to, r->enqueued_ms, 8);
    gnt_note_write(note, to);
    return GNT_OK;
}

bool gnt_queued_record_read(struct gnt_slice value, struct gnt_queued_record *out)
{
    struct gnt_reader r = gnt_reader(value);
    bool known = gnt_read_u8(&r) == VERSION;
    *out = (struct gnt_queued_record){.durable = gnt_read_u8(&r) & DURABLE};
    out->failed = gnt_read_u32(&r);
    out->enqueued_ms = gnt_read_u64(&r);
    struct gnt_slice note = gnt_read_bytes(&r, gnt_read_left(&r));
    return known && !r.bad && gnt_note_read(note, &out->note);
}
