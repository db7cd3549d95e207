/* MQTT over any stream: one engine and one stream for each connection, on one side; sessions and
 * routing of the core on the other.  A front belongs to one worker and its thread.
 *
 * A connection begins at the worker that accepted it.  Once CONNECT names the client it moves to
 * the home of that client's session, with all bytes that have come, and stays there. */
#ifndef GNT_FRONT_MQTT_FRONT_H
#define GNT_FRONT_MQTT_FRONT_H

#include "base/buf.h"
#include "base/random.h"
#include "core/core.h"
#include "mqtt/engine/server.h"
#include "net/loop.h"

enum { GNT_MQTT_REFERENCE_MAX = 255 };

/* Where clients are sent [MQTT5 4.11]. */
struct gnt_mqtt_moved {
    char to[GNT_MQTT_REFERENCE_MAX + 1]; /* "": nobody is sent anywhere */
    bool all;                            /* else those beyond connections_max only */
    bool permanent;                      /* all are, for good */
};

/* What the configuration allows clients. */
struct gnt_mqtt_limits {
    struct gnt_mqtt_server_options engine; /* of a connection: those when it was accepted */
    uint32_t connections_max;
    uint32_t connect_rate;     /* clients a second, of all fronts; 0: no limit */
    uint32_t write_timeout_ms; /* for a client that takes nothing; 0: no limit */
    uint16_t client_id_max;    /* bytes */
    struct gnt_mqtt_moved moved;
    bool tell_dropped; /* how many of its messages were dropped, to a client that comes again */
    bool qos0_waits;   /* at a full queue, QoS 0 publishers are held back instead of dropped */
    size_t output_max; /* bytes that may wait for one client before it gets no more deliveries */
};

struct gnt_lobby;
struct gnt_users;

/* What the connections of one front that came under the same limits share.  They own it together.
 */
struct gnt_mqtt_terms {
    struct gnt_mqtt_server_options options;
    uint32_t connections; /* that have them */
};

/* What all fronts of a broker share; constant while they live, but for the counters. */
struct gnt_mqtt_shared {
    struct gnt_mqtt_limits limits; /* that the fronts begin with */
    struct gnt_lobby *lobby;       /* of the broker (front/base/lobby.h) */
    struct gnt_mqtt_front *fronts; /* of each home */
};

enum { GNT_MQTT_READ_SIZE = 64 * 1024 };

struct gnt_withheld;
struct gnt_withholding;

struct gnt_mqtt_front {
    struct gnt_mqtt_shared *shared;
    struct gnt_loop *loop;
    struct gnt_home *home;
    struct gnt_mqtt_limits limits; /* its own copy: see gnt_mqtt_front_configure */
    struct gnt_mqtt_terms *terms;  /* of connections to come: NULL if the next one has to make them,
                                      else lent by the connections that have them */
    struct gnt_users *users;       /* counted; NULL: nobody can log in */
    struct gnt_list connections;
    struct gnt_list dirty; /* that are written at the end of the turn, by `flush`, */
    struct gnt_list bulk;  /* and behind those, who had much the last time */
    struct gnt_task flush;
    struct gnt_list paused;   /* that have much to say and wait for their visit, or may not be read
                                 until this worker's mail has been taken, */
    struct gnt_list settling; /* and those of them that have deliveries to acknowledge */
    struct gnt_list held;     /* that have much written, until the store has caught up, */
    struct gnt_kept held_until;
    struct gnt_list working; /* nor these, until what they have said is done, in slices */
    struct gnt_work work;    /* on those */
    uint32_t filters_left;   /* of this turn's slice */
    size_t read_left;        /* bytes, of the visit to the connection that is being read */
    uint64_t visit_end;      /* in `effort` (io.c) */
    uint64_t input;          /* what reading has come to, in its units */
    bool stopping;
    struct gnt_map gates;       /* by connection (gate.h) */
    struct gnt_map withholding; /* by session, and */
    struct gnt_map withheld;    /* by session and packet id: see withhold.c */
    struct gnt_withheld *ready; /* the record for the next acknowledgement that is withheld */
    struct gnt_withholding *ready_all; /* and for the next session from whose client one is */
    struct gnt_buf extras;             /* scratch, for one PUBLISH */
    uint8_t *read_buffer; /* GNT_MQTT_READ_SIZE: what has come for the connection being read */
};

GNT_MUST gnt_err gnt_mqtt_front_init(struct gnt_mqtt_front *front, struct gnt_mqtt_shared *shared,
                                     struct gnt_loop *loop, struct gnt_home *home);

/* Closes what is still open, without a word. */
void gnt_mqtt_front_fini(struct gnt_mqtt_front *front);

/* A stream, in the front's loop, that was accepted; the front owns it. */
void gnt_mqtt_front_accept(struct gnt_mqtt_front *front, struct gnt_stream *stream);

/* Once a turn, at its beginning; true if it has more to do, and the turn must not wait. */
bool gnt_mqtt_front_turn(struct gnt_mqtt_front *front);

/* Between turns: whether something is left for the next one, which its loop does not know of. */
bool gnt_mqtt_front_has_more(const struct gnt_mqtt_front *front);

/* New limits, on this front's thread.  Where they send all clients elsewhere, those that are
 * connected are told, and their connections end. */
void gnt_mqtt_front_configure(struct gnt_mqtt_front *front, const struct gnt_mqtt_limits *limits);

/* From now on these are the users, on this front's thread: takes the reference.  Who has logged in
 * stays. */
void gnt_mqtt_front_take_users(struct gnt_mqtt_front *front, struct gnt_users **users);

/* Topics of the broker's own, where nobody else publishes. */
bool gnt_mqtt_topic_reserved(struct gnt_slice topic);

/* Says good-bye to every client; connections that are accepted later are closed at once.  Done when
 * gnt_mqtt_front_idle is true, some turns later. */
void gnt_mqtt_front_stop(struct gnt_mqtt_front *front);
bool gnt_mqtt_front_idle(const struct gnt_mqtt_front *front);

#endif
