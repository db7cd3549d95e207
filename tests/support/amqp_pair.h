/* Two AMQP engines, a client and a server, with a wire between them that the test moves bytes over,
 * under a clock that the test moves.
 *
 *     struct pair p;
 *     pair_init(&p, NULL);
 *     pair_open(&p);
 *     ...
 *     pair_fini(&p);
 *
 * What a test puts onto the wire by itself is for the violations that an engine does not commit. */
#ifndef GNT_TESTS_AMQP_PAIR_H
#define GNT_TESTS_AMQP_PAIR_H

#include "amqp/engine/link.h"
#include "base/buf.h"

enum { CLIENT = GNT_AMQP_CLIENT, SERVER = GNT_AMQP_SERVER };

struct pair_end {
    struct gnt_amqp_connection c;
    struct gnt_amqp_options options;
    struct gnt_outq out;
    struct gnt_buf in; /* what has come over the wire and was not taken */
    gnt_err err;       /* what _next said last */
};

struct pair {
    struct pair_end end[2];
    uint64_t now;
    bool cut; /* nothing goes over the wire any more */
};

struct gnt_amqp_options pair_options(void);

/* OPTIONS of both; NULL: pair_options(). */
void pair_init(struct pair *p, const struct gnt_amqp_options *options);
void pair_fini(struct pair *p);

/* Both ends flush, and what they have written is at the other end. */
void pair_move(struct pair *p);

/* At most MAX bytes of what SIDE has written. */
size_t pair_move_some(struct pair *p, int side, size_t max);

/* The next event at SIDE, after moving; false: none, see end[side].err. */
bool pair_next(struct pair *p, int side, struct gnt_amqp_event *event);

/* It is there and of that type. */
void pair_expect(struct pair *p, int side, enum gnt_amqp_event_type type,
                 struct gnt_amqp_event *event);

/* There is none. */
void pair_expect_none(struct pair *p, int side);

/* Both have said open. */
void pair_open(struct pair *p);

/* A session of the client's that has been answered; in [CLIENT] and [SERVER]. */
void pair_begin(struct pair *p, struct gnt_amqp_session *s[2]);

/* A link of the client's, which sends or receives, and the server's answer.  ATTACH may be NULL;
 * name and role are filled in. */
void pair_attach(struct pair *p, struct gnt_amqp_session *const s[2], const char *name, bool sender,
                 const struct gnt_amqp_attach *attach, struct gnt_amqp_link *l[2]);

/* A delivery of BYTES over L, unsettled, with a one-byte tag: what _send says. */
gnt_err pair_send(struct gnt_amqp_link *l, uint8_t tag, struct gnt_slice bytes,
                  struct gnt_amqp_delivery **d);

/* ---- By hand */

/* A frame that comes to SIDE as if its peer had sent it. */
void pair_inject(struct pair *p, int side, uint16_t channel, enum gnt_amqp_descriptor code,
                 const void *composite, struct gnt_slice payload);
void pair_inject_bytes(struct pair *p, int side, struct gnt_slice bytes);

/* Takes the first frame that SIDE has written and not moved; false: there is none.  An empty frame
 * has the code 0.  *frame borrows until the next call. */
bool pair_written(struct pair *p, int side, struct gnt_amqp_frame *frame,
                  struct gnt_amqp_composite *out);

#endif
