#include "cli/trace.h"
#include "cli/say.h"

#include <sys/uio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

/* A line is one write, as what the command says is. */
static void put_line(void *context, struct gnt_slice text)
{
    const struct gnt_trace_side *side = context;
    const struct iovec pieces[] = {{(void *)(uintptr_t)side->arrow, strlen(side->arrow)},
                                   {(void *)(uintptr_t)text.data, text.size},
                                   {(void *)(uintptr_t) "\n", 1}};
    if (writev(STDERR_FILENO, pieces, sizeof pieces / sizeof pieces[0]) < 0)
        return; /* there is nobody left to tell */
}

static void begin(struct gnt_trace *trace, struct gnt_trace_side *side, const char *arrow)
{
    *side = (struct gnt_trace_side){.trace = trace, .arrow = arrow};
    gnt_decoder_init(&side->decoder, trace->protocol);
    side->decoder.line = put_line;
    side->decoder.context = side;
    side->decoder.max = LINE_MAX_BYTES;
    side->decoder.version = &trace->version;
}

void gnt_trace_init(struct gnt_trace *trace, const char *command,
                    enum gnt_decoder_protocol protocol)
{
    trace->command = command;
    trace->protocol = protocol;
    trace->version = GNT_MQTT_5;
    begin(trace, &trace->sent, "-> ");
    begin(trace, &trace->received, "<- ");
}

void gnt_trace_fini(struct gnt_trace *trace)
{
    gnt_decoder_fini(&trace->sent.decoder);
    gnt_decoder_fini(&trace->received.decoder);
}

static void feed(struct gnt_trace_side *side, struct gnt_slice bytes)
{
    if (side->given_up)
        return;
    gnt_err err = gnt_decoder_feed(&side->decoder, bytes);
    side->given_up = err != GNT_OK;
    if (err)
        gnt_say(side->trace->command, "the trace of one side ends at byte %llu: %s",
                (unsigned long long)side->decoder.offset,
                err == GNT_NOMEM ? gnt_err_text(err) : side->decoder.why);
}

void gnt_trace_take(struct gnt_trace *trace, enum gnatter_trace what, const void *bytes,
                    size_t size)
{
    if (what == GNATTER_TRACE_OPENED) {
        gnt_trace_fini(trace);
        gnt_trace_init(trace, trace->command, trace->protocol);
    } else {
        feed(what == GNATTER_TRACE_SENT ? &trace->sent : &trace->received, gnt_slice(bytes, size));
    }
}
