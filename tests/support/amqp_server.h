/* An AMQP 1.0 server for tests of clients, on a loopback port and a thread of its own: queues in
 * memory, one connection at a time.
 *
 * What an address does:
 *   refused      its link is refused: amqp:not-found, "nobody here"
 *   rejects, releases, modifies    the outcome that messages to it have
 *   holds        messages are kept without an outcome, until the next connection: then accepted
 *   late         messages are accepted, and settled when the sender has done so
 *   mute         no credit is given
 *   ends         its link is closed with the first message: amqp:link:detach-forced
 *   others       are queues
 * A coordinator declares transactions; what is posted is in the queue once they are discharged
 * well, and what is retired is accepted then.  Who is "user" has the password "secret". */
#ifndef GNT_TESTS_AMQP_SERVER_H
#define GNT_TESTS_AMQP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct amqp_server;

/* What has happened; each only grows. */
struct amqp_server_seen {
    unsigned connections, sessions, links;
    unsigned received, settled_received; /* messages; of them settled by the sender */
    unsigned begun, aborted;             /* deliveries of which a frame has come; given up */
    unsigned accepted, rejected, released, modified, retired; /* of what was sent */
    unsigned declared, discharged, rolled_back;
    unsigned drained;
    unsigned forgotten; /* messages that the sender has settled after their outcome */
    char mechanism[32];
    char hostname[64], container[64];
    char condition[64]; /* of the last rejection by the client */
    char filter[256];   /* of the last source, as text */
};

struct amqp_server *amqp_server_new(void);
void amqp_server_free(struct amqp_server *s);

/* "amqp://127.0.0.1:PORT"; lives as long as S. */
const char *amqp_server_url(const struct amqp_server *s);
uint16_t amqp_server_port(const struct amqp_server *s);

void amqp_server_seen(struct amqp_server *s, struct amqp_server_seen *out);

/* Waits until CONDITION holds for what was seen; fails the test after a while. */
void amqp_server_until(struct amqp_server *s,
                       bool (*condition)(const struct amqp_server_seen *seen));

/* Cuts the connection without a word, and lets nobody in until _open. */
void amqp_server_cut(struct amqp_server *s, bool shut);
void amqp_server_open(struct amqp_server *s);

/* Closes the connection with amqp:connection:forced. */
void amqp_server_force(struct amqp_server *s);

/* While it is choked nothing is said: no window, no credit, no outcome. */
void amqp_server_choke(struct amqp_server *s, bool choked);

/* Coordinators are refused as the address "refused" is. */
void amqp_server_refuse_transactions(struct amqp_server *s);

/* How many messages are in the queue ADDRESS. */
size_t amqp_server_waiting(struct amqp_server *s, const char *address);

/* From now on only these mechanisms are offered: a set of auth/sasl.h's; 0: no SASL. */
void amqp_server_offer(struct amqp_server *s, uint32_t mechanisms);

#endif
