/* --trace: what a client of the library and its server say, on stderr as it happens.
 *
 * Ownership  gnt_trace_init() to gnt_trace_fini(), after the client is gone.
 * Threads    gnt_trace_take the client's. */
#ifndef GNT_CLI_TRACE_H
#define GNT_CLI_TRACE_H

#include "cli/decoder.h"

#include <gnatter/transport.h>

struct gnt_trace;

/* One direction of a connection. */
struct gnt_trace_side {
    const struct gnt_trace *trace;
    const char *arrow;
    struct gnt_decoder decoder;
    bool given_up; /* what came made no sense */
};

struct gnt_trace {
    const char *command;
    enum gnt_decoder_protocol protocol;
    enum gnt_mqtt_version version;
    struct gnt_trace_side sent, received;
};

void gnt_trace_init(struct gnt_trace *trace, const char *command,
                    enum gnt_decoder_protocol protocol);
void gnt_trace_fini(struct gnt_trace *trace);

/* What gnatter_on_trace tells. */
void gnt_trace_take(struct gnt_trace *trace, enum gnatter_trace what, const void *bytes,
                    size_t size);

#endif
