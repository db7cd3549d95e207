/* A file of lines that an operator writes: each is looked at by itself, empty lines and those that
 * begin with # mean nothing, and what is wrong is told with file and line, never with the content,
 * which may be a secret typed into the wrong place.  What has been read is wiped.
 *
 * Threads    any; one reading by one thread. */
#ifndef GNT_AUTH_LINES_H
#define GNT_AUTH_LINES_H

#include "base/err.h"
#include "base/slice.h"

/* Told of what is wrong in the file: LINE 0 is the file as a whole. */
typedef void gnt_lines_report(void *context, const char *file, unsigned line, const char *why);

struct gnt_lines {
    const char *file;
    size_t line_max; /* bytes of a line */
    /* One line, without its end.  GNT_MALFORMED: *why says what is wrong, and reading goes on; any
     * other failure ends it. */
    gnt_err (*take)(void *self, struct gnt_slice line, const char **why);
    void *self;
    gnt_lines_report *report;
    void *context; /* of report */
};

/* Gives every line of the file to `take`; *bad counts those that were told.
 *   GNT_NOTFOUND, GNT_DENIED, GNT_IO  the file cannot be read; errno says why
 *   GNT_NOMEM, or what `take` has ended it with */
GNT_MUST gnt_err gnt_lines_read(const struct gnt_lines *lines, size_t *bad);

#endif
