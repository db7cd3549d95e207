#include "core/note.h"

#include "base/spare.h"
#include "store/bytes.h"

#define PLUS_SIZE(field) +note->field.size
static size_t text_size(const struct gnt_note *note)
{
    return 0 GNT_NOTE_FIELDS(PLUS_SIZE);
}

gnt_err gnt_note_new(const struct gnt_note *like, struct gnt_note **out)
{
    size_t size = text_size(like);
    *out = NULL;
    if (!size)
        return GNT_OK;
    struct gnt_note *note = gnt_spare_get(sizeof *note + size);
    if (!note)
        return GNT_NOMEM;
    uint8_t *at = (uint8_t *)(note + 1);
    note->source_sequence = like->source_sequence;
    atomic_init(&note->refs, 1);
#define COPY(field)                                     \
    if (like->field.size)                               \
        memcpy(at, like->field.data, like->field.size); \
    note->field = gnt_slice(at, like->field.size);      \
    at += like->field.size;
    GNT_NOTE_FIELDS(COPY)
#undef COPY
    *out = note;
    return GNT_OK;
}

struct gnt_note *gnt_note_ref(struct gnt_note *note)
{
    if (note)
        atomic_fetch_add_explicit(&note->refs, 1, memory_order_relaxed);
    return note;
}

void gnt_note_unref(struct gnt_note **note)
{
    struct gnt_note *gone = *note;
    *note = NULL;
    if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1)
        gnt_spare_put(gone, sizeof *gone + text_size(gone));
}

/* ---- Bytes: the source's number, then each field behind its size */

#define PLUS_ONE(field) +1
enum { FIELDS = 0 GNT_NOTE_FIELDS(PLUS_ONE), HEAD = 8 + 4 * FIELDS };

size_t gnt_note_size(const struct gnt_note *note)
{
    return note ? HEAD + text_size(note) : 0;
}

void gnt_note_write(const struct gnt_note *note, struct gnt_buf *to)
{
    if (!note)
        return;
    gnt_bytes_number(to, note->source_sequence, 8);
#define WRITE(field)                           \
    gnt_bytes_number(to, note->field.size, 4); \
    gnt_bytes_slice(to, note->field);
    GNT_NOTE_FIELDS(WRITE)
#undef WRITE
}

bool gnt_note_read(struct gnt_slice bytes, struct gnt_note *out)
{
    *out = (struct gnt_note){.source_sequence = 0};
    if (!bytes.size)
        return true;
    struct gnt_reader r = gnt_reader(bytes);
    out->source_sequence = gnt_read_u64(&r);
#define READ(field) out->field = gnt_read_bytes(&r, gnt_read_u32(&r));
    GNT_NOTE_FIELDS(READ)
#undef READ
    return !r.bad && gnt_read_left(&r) == 0;
}
