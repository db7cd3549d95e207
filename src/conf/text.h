/* Text for people: formatted into buffers, wrapped into columns, and the nearest known word to a
 * mistyped one.  No state, any thread. */
#ifndef GNT_CONF_TEXT_H
#define GNT_CONF_TEXT_H

#include "base/buf.h"

/* Why something was refused: one line without a newline, safe to print on a terminal.  Callers
 * hand in their own; it has a text only after a call that said GNT_INVALID. */
struct gnt_why {
    char text[400];
};

/* Sets the line; what does not fit is cut off. */
__attribute__((format(printf, 2, 3))) void gnt_why_set(struct gnt_why *why, const char *format,
                                                       ...);

/* Appends a formatted text.  GNT_NOMEM leaves the buf as it was. */
GNT_MUST __attribute__((format(printf, 2, 3))) gnt_err gnt_text_put(struct gnt_buf *out,
                                                                    const char *format, ...);

/* Appends TEXT broken at spaces into lines of at most WIDTH columns.  The cursor stands in column
 * AT; every line after the first starts with INDENT spaces; a newline ends the last.  A newline
 * in TEXT breaks the line there.  A word wider than a line stands on one of its own, unbroken. */
GNT_MUST gnt_err gnt_text_wrap(struct gnt_buf *out, const char *text, size_t at, size_t indent,
                               size_t width);

/* Looks among any number of words for the one that was probably meant:
 *     struct gnt_nearest near = gnt_nearest(typed);
 *     gnt_nearest_offer(&near, word), once for each;
 *     near.word is the best of them, or NULL where none is near. */
struct gnt_nearest {
    const char *typed; /* borrowed */
    const char *word;  /* borrowed from the offer */
    size_t distance;
};

struct gnt_nearest gnt_nearest(const char *typed);
void gnt_nearest_offer(struct gnt_nearest *near, const char *word);

#endif
