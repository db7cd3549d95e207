/* A client of the simulation, on gnatter's own engine: it connects, subscribes, publishes, breaks
 * and comes back as chance will have it, until it is told to be calm. */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include "mqtt/engine/client.h"
#include "oracle.h"
#include "wire.h"

/* What kind of client it is, for all its life. */
struct sim_character {
    uint8_t version;
    bool durable;      /* its session lasts for ever */
    uint32_t expiry_s; /* else, in MQTT 5: how long */
    uint16_t keep_alive_s;
    uint16_t receive_max; /* 0: does not say */
    uint32_t packet_max;  /* 0: any */
    uint16_t alias_max;
    uint32_t ack_delay_ms; /* 0: acknowledges at once */
    bool will;
    uint8_t will_qos;
    uint32_t will_delay_s;
    bool observer;         /* subscribes to all and never ends a session or a subscription */
    bool shares;           /* may join groups */
    unsigned eager;        /* publishes in a hundred actions */
    uint64_t pause_ns;     /* between two actions, on the average */
    unsigned break_one_in; /* actions that end the connection */
};

struct sim_unacked {
    uint64_t due, ack;
    uint32_t message;
    uint8_t qos;
};

struct sim_device {
    struct sim_world *world;
    struct sim_oracle *oracle;
    struct sim_character is;
    uint32_t index;
    char id[16];
    struct gnt_client *engine;
    struct sim_wire *wire;
    struct gnt_timer turn;
    bool up; /* CONNACK has come */
    bool had_session;
    bool written;      /* that it is connected, since CONNACK */
    bool watched;      /* its will is kept, and seen if this connection breaks */
    unsigned attempts; /* to connect */
    bool saying_bye; /* DISCONNECT is being written; the wire stays until the broker has ended it */
    bool calm, gone;
    uint32_t will; /* the message, if it has one */
    uint64_t connect_at, began_at, act_at, stalled_until, bye_until;
    uint64_t last_heard, heard_before; /* bytes, on this connection and before it */
    uint32_t outstanding_subs;         /* SUBSCRIBEs and UNSUBSCRIBEs */
    unsigned gave_up;                  /* for want of an answer, since it is calm */
    struct sim_unacked *unacked;
    size_t unacked_count, unacked_cap;
};

/* Its first connection is at START. */
void sim_device_init(struct sim_device *d, struct sim_world *w, struct sim_oracle *o,
                     uint32_t index, const struct sim_character *is, uint64_t start);
void sim_device_fini(struct sim_device *d);

/* From now on it only stays connected, receives and acknowledges. */
void sim_device_calm(struct sim_device *d);

/* Connected, and nothing it has asked for is outstanding. */
bool sim_device_settled(const struct sim_device *d);

/* Ends its session and does not come back. */
void sim_device_leave(struct sim_device *d);
bool sim_device_left(const struct sim_device *d);

#endif
