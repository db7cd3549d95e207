/* What a peer of AMQP 1.0 says to a broker of script_client.h, and what it is told: frames on
 * channel 0, as many as a test likes in one piece. */
#ifndef GNT_TESTS_AMQP_SCRIPT_H
#define GNT_TESTS_AMQP_SCRIPT_H

#include "amqp/codec/performative.h"
#include "support/script_client.h"

void amqp_put_frame(struct gnt_amqp_writer *w, enum gnt_amqp_descriptor code, const void *composite,
                    struct gnt_slice payload);

/* Protocol header, OPEN as "peer" and BEGIN. */
void amqp_put_opening(struct gnt_amqp_writer *w);

/* Header of SASL, and INIT with what is said with it (NULL: nothing). */
void amqp_put_sasl(struct gnt_amqp_writer *w, const char *mechanism, struct gnt_slice said);

/* A sender to ADDRESS, or a receiver from it. */
void amqp_put_attach(struct gnt_amqp_writer *w, const char *name, uint32_t handle, bool receiver,
                     const char *address);

/* How many frames of each performative a client was sent, behind the protocol headers, and all of
 * them as amqp/codec/print.h has it, a line each. */
struct amqp_told {
    unsigned outcome, open, begin, attach, flow, transfer, disposition, detach, end, close;
    char text[8192];
};

/* Takes what has come to C, with all that had before; the same memory each time. */
const struct amqp_told *amqp_look(struct script_client *c);

#endif
