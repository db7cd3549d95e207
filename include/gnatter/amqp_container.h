/* The listening side of AMQP 1.0: addresses of a program's own, which others send to, ask, and
 * receive from.
 *
 *     static void shout(gnatter_amqp_delivery *request, void *context)
 *     {
 *         gnatter_amqp_message *answer;
 *         gnatter_amqp_message_new(&answer);
 *         gnatter_amqp_add_data(answer, "HELLO", 5);
 *         gnatter_amqp_reply(request, answer);
 *         gnatter_amqp_message_free(answer);
 *     }
 *
 *     gnatter_amqp_container_new(NULL, &container);      for everybody on this machine, port 5672
 *     gnatter_amqp_container_add(
 *         container, &(struct gnatter_amqp_node){.address = "shout", .on_request = shout});
 *     gnatter_amqp_container_start(container);           it serves, on a thread of its own
 *     ...
 *     gnatter_amqp_container_free(container);
 *
 * There is no broker in it: nothing is stored, and what is behind an address is what its callbacks
 * do.  Messages, deliveries, outcomes and senders are those of gnatter/amqp.h.
 *
 * Ownership  gnatter_amqp_container_new() to _free().  What you pass in is copied before the call
 *            returns.  A delivery is yours, and ends by one of the functions for that
 *            (gnatter_amqp_accept, gnatter_amqp_reply, ...); a sender is lent up to on_unwanted.
 * Threads    any function from any thread, but _free not from a callback.  All callbacks of a
 *            container run on its one thread, one at a time: what takes longer than some
 *            milliseconds belongs on a thread of yours, which ends the delivery when it is done.
 *            The functions of gnatter/amqp.h that wait return GNATTER_ESTATE in a callback.
 * Memory     bounded by the options: connections, links, and for each link of a peer that sends
 *            credit messages of message_max, for each connection that receives queue_bytes.
 * Errors     0 or a negative GNATTER_E*; a call that fails has changed nothing. */
#ifndef GNATTER_AMQP_CONTAINER_H
#define GNATTER_AMQP_CONTAINER_H

#include <gnatter/amqp.h>

GNATTER_BEGIN

typedef struct gnatter_amqp_container gnatter_amqp_container;

/* ---- Addresses */

/* A message that a peer has sent here, or a request: DELIVERY is yours. */
typedef void gnatter_amqp_on_given(gnatter_amqp_delivery *delivery, void *context);

/* A peer wants up to CREDIT messages more from here: gnatter_amqp_send, as many as there are, now
 * and later, by any thread.  What is sent beyond the credit waits in the connection's queue.  With
 * DRAIN it wants only what is there now: what was sent when this returns. */
typedef void gnatter_amqp_on_wanted(gnatter_amqp_sender *sender, uint32_t credit, bool drain,
                                    void *context);

/* It has gone, and so has SENDER when this returns.  Outcomes of what it was sent have been told.
 * Also for a sender that on_wanted has never been called for. */
typedef void gnatter_amqp_on_unwanted(gnatter_amqp_sender *sender, void *context);

/* What is at an address: each callback may be NULL, and then peers cannot do that
 * (amqp:not-allowed).
 *
 * With on_request, an answer goes to the request's `reply-to` on the same connection: the peer has
 * a receiver there whose source is dynamic, or one from the address itself whose target is that
 * name.  A request without one is rejected (amqp:not-found). */
struct gnatter_amqp_node {
    const char *address;
    gnatter_amqp_on_given *on_message; /* peers send here; not together with on_request */
    gnatter_amqp_on_given *on_request; /* they ask here: gnatter_amqp_reply */
    gnatter_amqp_on_wanted *on_wanted; /* they receive from here */
    gnatter_amqp_on_unwanted *on_unwanted;
    uint32_t credit; /* of each link of a peer that sends: messages that have not ended [0: 100] */
    void *context;   /* handed to all of these */
};

/* ---- Who may come, and to what: each callback may be NULL. */

/* Whether that is the password of USER; UTF-8 texts.  Asked for PLAIN, which is offered where the
 * password cannot be overheard: over TLS, a Unix socket, to this machine, and with allow_plain. */
typedef bool gnatter_amqp_on_login(const char *user, const char *password, void *context);

/* A link that a peer wants to attach. */
struct gnatter_amqp_wish {
    const char *address;    /* "": none */
    bool sends;             /* the peer does; else it receives */
    bool dynamic;           /* it wants an address made for it */
    const char *link;       /* how the peer calls it */
    const char *container;  /* how the peer calls itself */
    const char *user;       /* who it is; "": anonymous */
    const char *capability; /* the first one that it asks for, as "queue"; "": none */
};

enum gnatter_amqp_answer {
    GNATTER_AMQP_USUAL,  /* as the addresses that were added say */
    GNATTER_AMQP_HERE,   /* *node is what is there, for this link alone */
    GNATTER_AMQP_REFUSE, /* *why says why, else amqp:unauthorized-access */
};

/* Decides about each link.  *node and *why are zeroed before, and what they point to is copied;
 * node->address may be left NULL. */
typedef enum gnatter_amqp_answer gnatter_amqp_on_link(const struct gnatter_amqp_wish *wish,
                                                      struct gnatter_amqp_node *node,
                                                      struct gnatter_amqp_error *why,
                                                      void *context);

/* ---- Options: the values in brackets are gnatter_amqp_container_options_init's */

struct gnatter_amqp_container_options {
    size_t size; /* of this struct, set by gnatter_amqp_container_options_init: leave it */

    /* Where it listens: "amqp://HOST:PORT" (5672 unless it is named, 0 any free one; without HOST
     * on all addresses), "amqps://" (5671) by TLS, or "unix:///PATH"; there is no WebSocket here.
     * [none: amqp://127.0.0.1] */
    const char *const *listeners;
    size_t listener_count;

    /* For amqps: `identity` has to be there.  With ca_file a peer has to show a certificate by one
     * of its CAs (crl_file is looked at), and may log in by it (EXTERNAL), as its common name.  Of
     * the others versions, ciphers, suites and judge are used, and nothing else may be set. */
    struct gnatter_tls_options tls;

    /* Peers may come without saying who they are, from other machines, too. [false: only where
     * there is no on_login and a listener is on a loopback address; a listener on another one is
     * refused then, unless peers have to show a certificate] */
    bool allow_anonymous;
    bool allow_plain; /* passwords may be overheard [false] */

    const char *container_id; /* how it is called [NULL: a random name] */

    uint32_t connections;      /* at a time; one more is closed at once [100] */
    uint32_t links;            /* of a connection [100] */
    uint32_t max_frame_size;   /* of what a peer may send, 512 or more [64 KiB] */
    uint32_t idle_timeout_ms;  /* a peer that is silent for so long is gone [60,000; 0: never] */
    uint32_t login_timeout_ms; /* until TLS, SASL and open are over [10,000] */
    uint64_t message_max;      /* a larger message ends its link [1 MiB] */

    /* What is sent on a connection and not settled; at a bound: GNATTER_EFULL. */
    size_t queue_messages; /* [1,000] */
    size_t queue_bytes;    /* [16 MiB] */

    gnatter_amqp_on_login *on_login;
    gnatter_amqp_on_link *on_link;
    void *context; /* handed to these two */

    /* Where gnatter_amqp_container_new puts a line for people when it fails; cut to PROBLEM_SIZE.
     * [NULL: nowhere] */
    char *problem;
    size_t problem_size;
};

#define gnatter_amqp_container_options_init(options) \
    gnatter_amqp_container_options_init_size((options), sizeof *(options))
GNATTER_API void
gnatter_amqp_container_options_init_size(struct gnatter_amqp_container_options *options,
                                         size_t size);

/* ---- Life */

/* Binds the listeners, so that peers can connect; nobody answers them yet.  OPTIONS may be NULL.
 *   GNATTER_EINVALID  an option that cannot be, or a file of TLS that cannot be read
 *   GNATTER_EDENIED   a listener that is open to other machines, without on_login, certificates or
 *                     allow_anonymous; a port that only the superuser may use
 *   GNATTER_EBUSY     an address that is in use
 *   GNATTER_ERESOLVE  a host name that is not found; GNATTER_EIO, GNATTER_ENOMEM */
GNATTER_API int gnatter_amqp_container_new(const struct gnatter_amqp_container_options *options,
                                           gnatter_amqp_container **out);

/* Serves from now on, once: else GNATTER_ESTATE. */
GNATTER_API int gnatter_amqp_container_start(gnatter_amqp_container *container);

/* Closes all connections (for 2 seconds at most), with the callbacks that belong to it, and frees.
 * Deliveries that you still have are freed, too.  NULL is fine. */
GNATTER_API void gnatter_amqp_container_free(gnatter_amqp_container *container);

/* Where it listens, with the port that was chosen: "amqp://127.0.0.1:35413".  A name with several
 * addresses counts several times; NULL past the last one.  Valid as long as the container. */
GNATTER_API const char *gnatter_amqp_container_url(const gnatter_amqp_container *container,
                                                   size_t index);

/* Puts NODE at its address.  GNATTER_EEXISTS: something is there.  GNATTER_EINVALID: no address, or
 * on_message together with on_request. */
GNATTER_API int gnatter_amqp_container_add(gnatter_amqp_container *container,
                                           const struct gnatter_amqp_node *node);

/* Nobody can attach there any more; links that there are go on, and so do their callbacks.
 * GNATTER_ENOTFOUND: nothing is there. */
GNATTER_API int gnatter_amqp_container_remove(gnatter_amqp_container *container,
                                              const char *address);

/* ---- Requests */

/* Ends REQUEST, which has come to an on_request, with MESSAGE as its answer: the correlation id
 * becomes that of the request, or else its message id, and `to` its reply-to.  REQUEST is accepted.
 *   GNATTER_ENOTFOUND  nobody is there for an answer any more: it is rejected
 *   GNATTER_EFULL      the connection's queue: it is released
 *   GNATTER_ECLOSED    its connection has ended
 *   GNATTER_EINVALID   MESSAGE is empty, or has remembered a failure, GNATTER_ENOMEM: likewise
 * In all cases REQUEST has ended. */
GNATTER_API int gnatter_amqp_reply(gnatter_amqp_delivery *request, gnatter_amqp_message *message);

GNATTER_END

#endif
