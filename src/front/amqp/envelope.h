/* What of a message changes on its way through the broker, and what does not [AMQP 3.2].
 *
 * A message that came over AMQP is kept as mapping/mapping.h has it: from its message annotations
 * to its footer bit for bit, and beside that the header section, as it came.  Each delivery has one
 * of its own.  Delivery annotations are for one hop, and not kept; ours say to which topic a
 * message was published, which it need not say itself.
 *
 * Slices borrow from what they were read from; any thread. */
#ifndef GNT_FRONT_AMQP_ENVELOPE_H
#define GNT_FRONT_AMQP_ENVELOPE_H

#include "amqp/codec/message.h"
#include "base/buf.h"
#include "base/clock.h"
#include "model/message.h"

struct gnt_envelope {
    struct gnt_amqp_message sections;
    struct gnt_amqp_header header; /* all absent if there is none */
    struct gnt_slice group;        /* empty: none */
    int64_t expiry_ms;             /* absolute-expiry-time, since 1970; INT64_MAX: none */
};

/* GNT_MALFORMED: ENCODED is no message, or not good down to its leaves. */
GNT_MUST gnt_err gnt_envelope_read(struct gnt_slice encoded, struct gnt_envelope *out);

/* Properties.to; empty: there is none. */
struct gnt_slice gnt_envelope_to(const struct gnt_envelope *e);

/* When it expires, by NOW of CLOCK. */
uint64_t gnt_envelope_expires(const struct gnt_envelope *e, uint64_t now,
                              const struct gnt_clock *clock);

/* What a message is, besides what stands in it. */
struct gnt_seal {
    struct gnt_slice topic; /* a topic name, or "$queue/NAME" */
    uint8_t qos;
    bool retain;
    uint64_t publisher, expires;
};

/* The message that E is of.  If it was read from all of *owner (NULL: it was not) that buffer may
 * be taken. */
GNT_MUST gnt_err gnt_envelope_seal(const struct gnt_envelope *e, const struct gnt_seal *seal,
                                   struct gnt_buf *owner, struct gnt_message **out);

/* ---- On the way out */

/* What one delivery says. */
struct gnt_envelope_hop {
    uint64_t now;
    uint32_t failed; /* earlier deliveries that failed */
    bool acquired;   /* somebody has had it before */
    bool mqtt;       /* it came over MQTT: its header is what the message itself says */
    struct gnt_slice annotations; /* a section that takes the place of the message's; empty: none */
    struct gnt_slice reason, description, source; /* of a dead letter */
    struct gnt_slice topic; /* that it was published to, for delivery annotations; empty: none */
};

/* A header section is no larger. */
enum { GNT_ENVELOPE_HEADER_MAX = 24 };

/* MESSAGE is of AMQP in all of these.
 *
 * *head: what is sent first, appended to SCRATCH; *rest: what follows, of MESSAGE itself. */
GNT_MUST gnt_err gnt_envelope_open(const struct gnt_message *message,
                                   const struct gnt_envelope_hop *hop, struct gnt_buf *scratch,
                                   struct gnt_slice *head, struct gnt_slice *rest);

/* The annotations of MESSAGE, or those that are IN_PLACE of them if that is not empty, with those
 * of the map MORE, which replace what has the same key: a section, appended to OUT. */
GNT_MUST gnt_err gnt_envelope_annotate(const struct gnt_message *message, struct gnt_slice in_place,
                                       const struct gnt_amqp_value *more, struct gnt_buf *out);

#endif
