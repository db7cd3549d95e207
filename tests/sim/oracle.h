/* What must happen, worked out without the broker: who publishes what and when, who has subscribed
 * to what and when, and what has arrived where.
 *
 * Nothing that overlaps in time is demanded: a message must reach a subscription if it was handed
 * to the publisher's client after the SUBACK had come, and was acknowledged before the UNSUBSCRIBE
 * was made.  What may arrive is judged generously in the same way.
 *
 *   QoS 1 and 2  reach each subscriber whose session has not ended meanwhile.
 *   QoS 2        arrives once, if publisher and subscriber have it so and the publisher's session
 *                has not been lost while it was in flight; so does QoS 0 at most.
 *   Order        of one publisher, topic and QoS: first arrivals come in the order of publishing.
 *   Shared       one member of each group gets it.
 *   Retained     who subscribes, or was subscribed, ends up with the last value.
 *   Denied       by the access list, and not permitted since it was handed in: does not arrive.
 *   Wills        arrive as often as connections broke, and not when they ended with DISCONNECT.
 *
 * Where the broker's machine crashes now and then, all that holds for what is kept: sessions that
 * do not end with their connection, what was acknowledged, retained messages. */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "mqtt/codec/packet.h"
#include "world.h"

enum { SIM_SESSIONS_MAX = 48, SIM_TOPIC_SIZE = 16 };

#define SIM_NO_MESSAGE UINT32_MAX

enum sim_kind { SIM_NORMAL, SIM_SHARED, SIM_RETAINED, SIM_WILL };

struct sim_topic {
    char name[SIM_TOPIC_SIZE];
    enum sim_kind kind;
    uint64_t permitted_until, denied_until; /* when it was so last; GNT_NEVER: it is */
};

struct sim_filter {
    const char *text;  /* as it is subscribed */
    const char *inner; /* without "$share/NAME/" */
    enum sim_kind kind;
    uint8_t shared_qos; /* one QoS for all members, so that it can be said what the group does */
};

enum { SIM_FILTERS_MAX = 24 };

struct sim_message {
    uint32_t publisher, topic;
    uint32_t size;     /* of the payload */
    uint32_t expiry_s; /* 0: none */
    uint32_t publisher_connection;
    uint64_t handed, done; /* GNT_NEVER: not yet */
    uint8_t qos;
    bool repeats;       /* its publisher may have sent it as two messages */
    bool failed;        /* never to be expected */
    bool refusable;     /* the broker took nothing new, some time before it was done */
    uint32_t must, may; /* wills: how often it was surely, possibly published */
    uint32_t copies;    /* that arrived anywhere; at QoS 2 only */
    uint32_t anywhere;  /* at any QoS */
};

struct sim_sub {
    uint32_t session, filter;
    uint8_t qos, retain_handling;
    bool no_local, confirmed;
    bool refused;               /* an earlier try, unanswered, may have been taken */
    uint32_t epoch, connection; /* of the session, when answered */
    uint64_t asked, sure_from, sure_until, maybe_until;
};

/* It ends the subs to its filter that were asked for before. */
struct sim_unsub {
    uint32_t session, filter, subs;
};

struct sim_arrived {
    uint8_t copies[3]; /* by the QoS of the delivery */
    bool missed;       /* is counted in `missing`: once, however many subscriptions match */
};

/* The order is looked at for each publisher, topic, QoS of the message and of the delivery. */
enum { SIM_ORDERS = 3 * 3 };

struct sim_session {
    uint32_t epoch;              /* counts the sessions that this client has had */
    uint32_t connection;         /* and its connections */
    uint64_t connected_at;       /* when the last of these began */
    uint32_t packet_max;         /* 0: any */
    struct sim_arrived *arrived; /* by message */
    size_t arrived_count;
    uint32_t (*last)[SIM_ORDERS]; /* by publisher and topic: 1 + the last first arrival */
    uint32_t retained_value[SIM_SESSIONS_MAX]; /* of each publisher's topic: 1 + the last arrival */
    bool leaves_groups; /* has unsubscribed from a group, or lost its session as a member */
};

struct sim_oracle {
    struct sim_world *world;
    struct sim_topic *topics;
    uint32_t topic_count, normal_topics, shared_topics;
    struct sim_filter filters[SIM_FILTERS_MAX];
    uint32_t filter_count;
    bool *matches; /* filter x topic */
    struct sim_session session[SIM_SESSIONS_MAX];
    uint32_t session_count;
    struct sim_message *messages;
    size_t message_count, message_cap;
    struct sim_sub *subs;
    size_t sub_count, sub_cap;
    struct sim_unsub *unsubs;
    size_t unsub_count, unsub_cap;
    uint32_t observer; /* the session that sees all wills */
    uint64_t missing;  /* deliveries that were due and did not come */
    bool unsure;       /* a client does not know whether its session is a new one */
    bool lossy;        /* small limits or faults: missing ones are counted by the broker */
    bool faulty;       /* of a message that failed some may have been delivered: it comes again */
    bool patient;      /* at full queues publishers wait as long as the receiver is connected */
    bool crashes;      /* of the broker's machine; DISCONNECT may be forgotten then */
    bool refuses;      /* the broker, what it cannot keep now (sim_world_refused) */
    bool groups_lossy; /* members come and go: a group's messages may go with them */
};

void sim_oracle_init(struct sim_oracle *o, struct sim_world *w, uint32_t sessions);
void sim_oracle_fini(struct sim_oracle *o);

uint32_t sim_oracle_retained_topic(const struct sim_oracle *o, uint32_t session);
uint32_t sim_oracle_will_topic(const struct sim_oracle *o, uint32_t session);
struct gnt_slice sim_oracle_topic(const struct sim_oracle *o, uint32_t topic);

/* A message that is about to be published; M is copied, `handed` and what follows it is filled in.
 * Its payload is made by sim_oracle_payload, into at least SIZE bytes. */
enum { SIM_PAYLOAD_MIN = 8 };
uint32_t sim_oracle_publish(struct sim_oracle *o, const struct sim_message *m);
void sim_oracle_payload(const struct sim_oracle *o, uint32_t message, uint8_t *to);
/* Which message has this payload; it is whole. */
uint32_t sim_oracle_payload_message(struct sim_oracle *o, struct gnt_slice payload);

/* Whether what is published to the topic NAME, if there is one, may be received by anybody from now
 * on. */
void sim_oracle_permit(struct sim_oracle *o, const char *name, bool permitted);

void sim_oracle_published(struct sim_oracle *o, uint32_t message, bool ok);

/* What this publisher has in flight may be sent again as a new message. */
void sim_oracle_repeats(struct sim_oracle *o, uint32_t publisher);

/* SUBSCRIBE is asked for, has been answered, with a subscription or with none; UNSUBSCRIBE
 * likewise. */
uint32_t sim_oracle_subscribe(struct sim_oracle *o, const struct sim_sub *s);
void sim_oracle_subscribed(struct sim_oracle *o, uint32_t sub);
void sim_oracle_refused(struct sim_oracle *o, uint32_t sub);
uint32_t sim_oracle_unsubscribe(struct sim_oracle *o, uint32_t session, uint32_t filter);
void sim_oracle_unsubscribed(struct sim_oracle *o, uint32_t unsub);

/* The session is a new one. */
void sim_oracle_session_lost(struct sim_oracle *o, uint32_t session);

struct sim_delivery {
    const struct gnt_mqtt_publish *publish;
    const struct gnt_mqtt_props *props;
    bool ids; /* the client has given an identifier with each subscription: 1 + the sub */
};

/* A message has come to a client of SESSION: which one it is.  Broken promises are found here. */
uint32_t sim_oracle_seen(struct sim_oracle *o, uint32_t session, const struct sim_delivery *d);

/* It has accepted it: once for each time that it saw it, unless it did not acknowledge. */
void sim_oracle_delivered(struct sim_oracle *o, uint32_t session, uint32_t message, uint8_t qos);

/* All is quiet: what was due has come. */
void sim_oracle_audit(struct sim_oracle *o);

/* Whether the observer is subscribed, and sees from now on all wills. */
bool sim_oracle_observes(const struct sim_oracle *o);

/* Subscriptions that there are, by the model, at least and at most. */
struct sim_count {
    uint64_t least, most;
};
void sim_oracle_count(const struct sim_oracle *o, struct sim_count *all, struct sim_count *shared);

/* The last value of SESSION's retained topic: the message, SIM_NO_MESSAGE if there is none;
 * *sure: it is known. */
uint32_t sim_oracle_retained(const struct sim_oracle *o, uint32_t session, bool *sure);

/* Whether VALUE, or nothing (SIM_NO_MESSAGE), can be what SESSION's retained topic has after a
 * crash: nothing older than the last that was acknowledged. */
bool sim_oracle_may_be_retained(const struct sim_oracle *o, uint32_t session, uint32_t value);

#endif
