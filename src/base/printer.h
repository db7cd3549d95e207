/* Bounded text for people of what a peer has sent, into a gnt_buf.
 *
 * At most `max` bytes are appended; what does not fit ends in "...".  Nothing of a peer's that goes
 * through _text or _bytes can move a terminal.  Errors stick: ask once, by gnt_printer_finish. */
#ifndef GNT_BASE_PRINTER_H
#define GNT_BASE_PRINTER_H

#include "base/buf.h"

enum { GNT_PRINTER_WORD_MAX = 96 };

struct gnt_printer {
    struct gnt_buf *out;
    size_t start; /* of what is printed, in out */
    size_t max;
    bool full; /* nothing more is to be printed: who walks long things may stop */
    gnt_err err;
};

static inline struct gnt_printer gnt_printer(struct gnt_buf *out, size_t max)
{
    return (struct gnt_printer){.out = out, .start = gnt_buf_size(out), .max = max};
}

/* GNT_OK, or GNT_NOMEM with OUT as it was. */
GNT_MUST gnt_err gnt_printer_finish(const struct gnt_printer *p);

/* As it is: text of ours. */
void gnt_printer_put(struct gnt_printer *p, struct gnt_slice text);
void gnt_printer_say(struct gnt_printer *p, const char *text);

/* At most GNT_PRINTER_WORD_MAX characters, of ours too. */
__attribute__((format(printf, 2, 3))) void gnt_printer_tell(struct gnt_printer *p,
                                                            const char *format, ...);

/* A peer's text between two QUOTEs: what is UTF-8 and no control character as it is, all else as
 * \xNN.  _bytes: nothing but ASCII as it is. */
void gnt_printer_text(struct gnt_printer *p, struct gnt_slice text, char quote);
void gnt_printer_bytes(struct gnt_printer *p, struct gnt_slice bytes, char quote);

#endif
