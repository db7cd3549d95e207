/* What is known of a queued message besides its bytes: its group, the annotations that somebody
 * left with it, why it is a dead letter.  Most messages have none.
 *
 * Counted and immutable, like a message: any thread may hold one; who has something to add makes
 * another one. */
#ifndef GNT_CORE_NOTE_H
#define GNT_CORE_NOTE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#include <stdatomic.h>
#include <stdbool.h>

/*    field        what it is */
#define GNT_NOTE_FIELDS(X)                                               \
    X(group)       /* group id */                                        \
    X(annotations) /* instead of the message's, as a front wrote them */ \
    X(reason)      /* of a dead letter */                                \
    X(description)                                                       \
    X(source) /* the queue that it was in */

struct gnt_note {
#define GNT_NOTE_MEMBER(field) struct gnt_slice field;
    GNT_NOTE_FIELDS(GNT_NOTE_MEMBER)
#undef GNT_NOTE_MEMBER
    uint64_t source_sequence;
    _Atomic uint32_t refs; /* private; of one that is only looked at it means nothing */
};

/* A copy of what LIKE says; *out is NULL if that is nothing.  GNT_NOMEM. */
GNT_MUST gnt_err gnt_note_new(const struct gnt_note *like, struct gnt_note **out);
struct gnt_note *gnt_note_ref(struct gnt_note *note); /* NULL is fine, also for _unref */
void gnt_note_unref(struct gnt_note **note);

/* As bytes, at the end of a record of the store: NOTE may be NULL, which is no bytes.  _read lends
 * what is in BYTES; false: they are none. */
size_t gnt_note_size(const struct gnt_note *note);
void gnt_note_write(const struct gnt_note *note, struct gnt_buf *to); /* has room for it */
bool gnt_note_read(struct gnt_slice bytes, struct gnt_note *out);

#endif
