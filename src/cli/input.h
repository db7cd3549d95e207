/* What is read from a file, a pipe or a terminal, as a whole or line by line.
 *
 * Ownership  a struct with fd and max set and the rest zeroed, to gnt_input_fini(), which leaves fd
 *            open.
 * Bounds     little more than max bytes are held: of a line, or of the whole. */
#ifndef GNT_CLI_INPUT_H
#define GNT_CLI_INPUT_H

#include "base/buf.h"

struct gnt_input {
    int fd;
    size_t max;
    struct gnt_buf held; /* read and not taken */
    size_t searched;     /* of that, without a line end */
    bool ended;
};

/* Reads once, and waits for it if need be.
 *   GNT_MORE    something may have come, and more may follow
 *   GNT_OK      that was the end
 *   GNT_TOOBIG  more than max bytes have been read and not taken
 *   others      it cannot be read */
GNT_MUST gnt_err gnt_input_read(struct gnt_input *in);

/* Takes the next whole line, without its line end; at the end of the input what is left is one too.
 * *line is valid until the next call of either function.  False: there is none. */
bool gnt_input_line(struct gnt_input *in, struct gnt_slice *line);

void gnt_input_fini(struct gnt_input *in);

#endif
