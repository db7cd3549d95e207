#include "cli/body.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int gnt_body_kinds(const struct gnt_body *b)
{
    return (b->message != NULL) + (b->file != NULL) + b->lines + b->all + b->empty;
}

static gnt_err load(const char *command, struct gnt_input *in, const char *called, const char *most)
{
    gnt_err err = GNT_MORE;
    while (err == GNT_MORE)
        err = gnt_input_read(in);
    if (err == GNT_TOOBIG)
        gnt_say(command, "%s is larger than %s can be", called, most);
    else if (err)
        gnt_say(command, "cannot read %s: %s", called, gnt_err_text(err));
    return err;
}

gnt_err gnt_body_load(const char *command, const struct gnt_body *b, size_t max, const char *most,
                      struct gnt_input *in)
{
    *in = (struct gnt_input){.fd = STDIN_FILENO, .max = max};
    if (b->all)
        return load(command, in, "the standard input", most);
    if (!b->file)
        return GNT_OK;
    in->fd = open(b->file, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0) {
        gnt_say(command, "cannot open %s: %s", b->file, strerror(errno));
        return gnt_err_from_errno(errno);
    }
    gnt_err err = load(command, in, b->file, most);
    close(in->fd);
    return err;
}

struct gnt_slice gnt_body_bytes(const struct gnt_body *b, const struct gnt_input *in)
{
    return b->message ? gnt_slice_str(b->message) : gnt_buf_slice(&in->held);
}
