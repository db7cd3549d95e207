/* What the files of the engine share.
 *
 * A handler of what came in returns GNT_OK if *out is an event, GNT_MORE if there is nothing to
 * tell, and else the failure that ends the connection, which it has from gnt_amqp_fail. */
#ifndef GNT_AMQP_ENGINE_INSIDE_H
#define GNT_AMQP_ENGINE_INSIDE_H

#include "amqp/engine/link.h"

/* One frame that came, and what follows its performative, which is in out->performative. */
struct gnt_amqp_arrival {
    struct gnt_slice whole, payload;
    uint16_t channel;
};

/* Told as our outgoing-window: nothing here depends on how many frames the peer thinks may come. */
enum { GNT_AMQP_OUTGOING_WINDOW = INT32_MAX };

/* Why a frame is not taken off the owner's bytes with its event. */
enum gnt_amqp_hold {
    GNT_AMQP_HOLD_NOT,
    GNT_AMQP_HOLD_AGAIN, /* what it is about could only be told of after something else */
    GNT_AMQP_HOLD_REST,  /* it brings several events: connection->rest */
};

typedef gnt_err gnt_amqp_handler(struct gnt_amqp_connection *c, const struct gnt_amqp_arrival *in,
                                 struct gnt_amqp_event *out);

/* ---- connection.c */

void gnt_amqp_move(struct gnt_amqp_connection *c, enum gnt_amqp_state to);

/* Ends the connection, with a close that names CONDITION if the peer can be sent one; returns ERR.
 */
gnt_err gnt_amqp_fail(struct gnt_amqp_connection *c, gnt_err err, enum gnt_amqp_condition condition,
                      const char *why);
gnt_err gnt_amqp_fail_nomem(struct gnt_amqp_connection *c);

/* How far B is behind A in the arithmetic of serial numbers (RFC 1982); negative: before it. */
static inline int32_t gnt_amqp_ahead(uint32_t a, uint32_t b)
{
    return (int32_t)(b - a);
}

/* Whether frames of sessions can be sent: a client may do so before anything has come. */
static inline bool gnt_amqp_talking(const struct gnt_amqp_connection *c)
{
    return c->open_sent && (c->state == GNT_AMQP_OPENED || c->state == GNT_AMQP_AWAITS_OPEN ||
                            c->state == GNT_AMQP_AWAITS_HEADER);
}

/* Begins *out: all but the performative. */
void gnt_amqp_tell(struct gnt_amqp_event *out, enum gnt_amqp_event_type type,
                   struct gnt_amqp_session *session, struct gnt_amqp_link *link);

/* Whether a field of that many bytes is over its bound, 0 being none. */
static inline bool gnt_amqp_over(size_t size, uint32_t max)
{
    return max && size > max;
}

/* ---- header.c, sasl.c: what comes before open */

gnt_err gnt_amqp_on_header(struct gnt_amqp_connection *c, struct gnt_slice *in,
                           struct gnt_amqp_event *out);
gnt_err gnt_amqp_on_sasl(struct gnt_amqp_connection *c, struct gnt_slice body,
                         struct gnt_amqp_event *out);

/* A server has answered with the SASL header. */
GNT_MUST gnt_err gnt_amqp_sasl_begin(struct gnt_amqp_connection *c);

/* ---- say.c: frames into the queue */

GNT_MUST gnt_err gnt_amqp_say_header(struct gnt_amqp_connection *c, enum gnt_amqp_protocol_id id);

/* COMPOSITE is the struct of CODE.  GNT_TOOBIG: over the peer's max-frame-size. */
GNT_MUST gnt_err gnt_amqp_say(struct gnt_amqp_connection *c, uint16_t channel,
                              enum gnt_amqp_descriptor code, const void *composite);
GNT_MUST gnt_err gnt_amqp_say_sasl(struct gnt_amqp_connection *c, enum gnt_amqp_descriptor code,
                                   const void *composite);
GNT_MUST gnt_err
gnt_amqp_say_nothing(struct gnt_amqp_connection *c); /* shows that this side lives */

/* A detach, an end or a close (CODE) with ERROR, which may be NULL; of one that is too long its
 * condition alone. */
GNT_MUST gnt_err gnt_amqp_say_last(struct gnt_amqp_connection *c, uint16_t channel,
                                   enum gnt_amqp_descriptor code, struct gnt_amqp_composite *frame,
                                   const struct gnt_amqp_error *error);

struct gnt_amqp_error gnt_amqp_error_of(enum gnt_amqp_condition condition, const char *why);

/* What a map of properties is sent as if there is none: some clients index the last field of open,
 * begin and attach without looking whether it is there. */
struct gnt_amqp_value gnt_amqp_no_properties(void);

/* ---- session.c */

gnt_amqp_handler gnt_amqp_on_begin, gnt_amqp_on_end;

/* Whether calls of the owner's about it are possible. */
bool gnt_amqp_session_usable(const struct gnt_amqp_session *s);

/* Ends S because of what the peer did: an end with CONDITION, and the event END. */
gnt_err gnt_amqp_session_fail(struct gnt_amqp_session *s, enum gnt_amqp_condition condition,
                              const char *why, struct gnt_amqp_event *out);

/* The owner has been told of the end: frees all in it, and S unless it is a ghost. */
void gnt_amqp_session_gone(struct gnt_amqp_session *s);
void gnt_amqp_session_free(struct gnt_amqp_session *s);
void gnt_amqp_session_dirty(struct gnt_amqp_session *s);

/* ---- link.c */

gnt_amqp_handler gnt_amqp_on_attach, gnt_amqp_on_detach;

bool gnt_amqp_link_usable(const struct gnt_amqp_link *l);

/* Whether its deliveries may be settled: also if it is detached, and was kept. */
static inline bool gnt_amqp_link_settles(const struct gnt_amqp_link *l)
{
    return l->kept ? gnt_amqp_session_usable(l->session) : gnt_amqp_link_usable(l);
}

/* The link that the peer's HANDLE means; NULL: none. */
static inline struct gnt_amqp_link *gnt_amqp_link_at(const struct gnt_amqp_session *s,
                                                     uint32_t handle)
{
    return (struct gnt_amqp_link *)gnt_amqp_table_at(&s->remote, handle);
}

/* As gnt_amqp_session_fail. */
gnt_err gnt_amqp_link_fail(struct gnt_amqp_link *l, enum gnt_amqp_condition condition,
                           const char *why, struct gnt_amqp_event *out);
void gnt_amqp_link_gone(struct gnt_amqp_link *l);
void gnt_amqp_link_free(struct gnt_amqp_link *l);

/* ---- flow.c: credit and windows */

gnt_amqp_handler gnt_amqp_on_flow;

/* The next link that is to be told that it may go on; false: none. */
bool gnt_amqp_next_writable(struct gnt_amqp_connection *c, struct gnt_amqp_event *out);
void gnt_amqp_link_dirty(struct gnt_amqp_link *l);

/* L has to wait for the session's window. */
void gnt_amqp_link_block(struct gnt_amqp_link *l);

/* Puts what the session has left to say. */
GNT_MUST gnt_err gnt_amqp_session_flush(struct gnt_amqp_session *s);

/* ---- receive.c, send.c */

gnt_amqp_handler gnt_amqp_on_transfer;

/* Tells the peer that the rest of what the owner has given up does not come; the window is open. */
GNT_MUST gnt_err gnt_amqp_send_abort(struct gnt_amqp_link *l);

/* Whether L has such a delivery. */
static inline bool gnt_amqp_link_aborts(const struct gnt_amqp_link *l)
{
    return l->sender && l->partial && l->partial->dropped;
}

/* ---- delivery.c */

/* NULL: no memory.  It is in its link's list. */
struct gnt_amqp_delivery *gnt_amqp_delivery_new(struct gnt_amqp_link *l, struct gnt_slice tag);

/* The owner has done with it, but not all of its frames have come, or gone. */
void gnt_amqp_delivery_drop(struct gnt_amqp_delivery *d);
void gnt_amqp_delivery_free(struct gnt_amqp_delivery *d);

/* It ends with the event that is being told. */
void gnt_amqp_delivery_end(struct gnt_amqp_delivery *d);

/* Into the session's ring, which has room for it, and out of it: it is settled. */
void gnt_amqp_delivery_know(struct gnt_amqp_delivery *d);
void gnt_amqp_delivery_forget(struct gnt_amqp_delivery *d);

static inline struct gnt_amqp_ids *gnt_amqp_link_ids(const struct gnt_amqp_link *l)
{
    return l->sender ? &l->session->sent : &l->session->received;
}

static inline uint32_t *gnt_amqp_link_unsettled(const struct gnt_amqp_link *l)
{
    return &l->session->connection->unsettled[l->sender];
}

/* Whether there are as many unsettled deliveries as there may be in L's direction. */
static inline bool gnt_amqp_link_is_full(const struct gnt_amqp_link *l)
{
    return *gnt_amqp_link_unsettled(l) >= l->session->connection->options->unsettled_max;
}

/* ---- settle.c */

gnt_amqp_handler gnt_amqp_on_disposition;

/* The next event of the disposition that is not finished; its frame is the first of IN. */
gnt_err gnt_amqp_rest_of_disposition(struct gnt_amqp_connection *c, struct gnt_slice in,
                                     struct gnt_amqp_event *out);
GNT_MUST gnt_err gnt_amqp_put_ranges(struct gnt_amqp_session *s);

/* Whether STATE is a delivery state as far as the standard knows it, and its descriptor; malformed
 * ones fail. */
GNT_MUST gnt_err gnt_amqp_state_code(const struct gnt_amqp_value *state, uint8_t *code);
bool gnt_amqp_state_terminal(uint8_t code);

/* ---- resume.c */

/* Makes deliveries of what is to be told as unsettled, as many as there is ROOM for in bytes, and
 * their map.  *map is from malloc; empty: none. */
GNT_MUST gnt_err gnt_amqp_restore(struct gnt_amqp_link *l, const struct gnt_amqp_unsettled *list,
                                  size_t count, size_t room, struct gnt_slice *map);

/* As gnt_amqp_rest_of_disposition: what becomes of restored deliveries. */
gnt_err gnt_amqp_rest_of_attach(struct gnt_amqp_connection *c, struct gnt_slice in,
                                struct gnt_amqp_event *out);

#endif
