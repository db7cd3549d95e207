#include "cli/input.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { STEP = 64 * 1024 };

gnt_err gnt_input_read(struct gnt_input *in)
{
    if (gnt_buf_size(&in->held) > in->max)
        return GNT_TOOBIG;
    gnt_err err = gnt_buf_reserve(&in->held, STEP);
    if (err)
        return err;
    ssize_t size = read(in->fd, gnt_buf_tail(&in->held), STEP);
    if (size < 0 &&
        errno == EAGAIN) { /* somebody else has made it so: it may be a shared terminal */
        struct pollfd polled = {in->fd, POLLIN, 0};
        (void)poll(&polled, 1, -1);
        return GNT_MORE;
    }
    if (size < 0)
        return gnt_err_from_errno(errno);
    gnt_buf_wrote(&in->held, (size_t)size);
    in->ended = size == 0;
    return in->ended ? GNT_OK : GNT_MORE;
}

/* Takes SIZE bytes as a line, and its line end. */
static void take(struct gnt_input *in, struct gnt_slice held, size_t size, struct gnt_slice *line)
{
    *line = gnt_slice(held.data, size);
    gnt_buf_take(&in->held, size < held.size ? size + 1 : size);
    in->searched = 0;
}

bool gnt_input_line(struct gnt_input *in, struct gnt_slice *line)
{
    struct gnt_slice held = gnt_buf_slice(&in->held);
    struct gnt_slice fresh = gnt_slice_skip(held, in->searched);
    const uint8_t *end = fresh.size ? memchr(fresh.data, '\n', fresh.size) : NULL;
    if (end)
        take(in, held, (size_t)(end - held.data), line);
    else if (in->ended && held.size > 0)
        take(in, held, held.size, line);
    else
        in->searched = held.size;
    return end || (in->ended && held.size > 0);
}

void gnt_input_fini(struct gnt_input *in)
{
    gnt_buf_fini(&in->held);
}
