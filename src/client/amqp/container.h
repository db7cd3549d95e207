/* What the files of the container share: the listening side, whose connections are those of the
 * client (client.h) the other way round.
 *
 * A peer's connection is a *guest*: a struct gnatter_amqp that was accepted instead of dialed and
 * is never made again.  All guests share the container's thread, loop and lock; the thread serves
 * those that are *due*: their stream is ready, their time has come, or somebody has asked something
 * of them.
 *
 * The links of a guest are ends (client.h) with a node, and live up to the peer's detach; what was
 * to be told about them is told first. */
#ifndef GNT_CLIENT_AMQP_CONTAINER_H
#define GNT_CLIENT_AMQP_CONTAINER_H

#include "callback/tls.h"
#include "callback/tls_client.h"
#include "client/amqp/client.h"
#include "net/acceptor.h"
#include "net/unix.h"

#include <gnatter/amqp_container.h>

/* What is at an address, counted by the container and by the links to it. */
struct gnt_node {
    struct gnt_list in_container;
    unsigned references;
    struct gnatter_amqp_node is; /* its address is owned; NULL: of one link */
};

/* A listening socket, and what holds for who comes by it. */
struct gnt_inlet {
    struct gnatter_amqp_container *container;
    struct gnt_acceptor *acceptor; /* NULL: not yet */
    int fd;
    char url[128];
    bool tls;
    bool anonymous;      /* nobody has to say who it is */
    uint32_t mechanisms; /* that it may use; EXTERNAL needs a certificate besides */
    char *path;          /* of a Unix socket; NULL: it is none */
    struct gnt_unix_file file;
};

struct gnatter_amqp_container {
    struct gnt_thread thread;                      /* its lock guards all of it */
    struct gnatter_amqp_container_options options; /* of its texts container_id, which is owned */
    struct gnt_amqp_options terms;                 /* of all engines */
    struct gnt_callback_tls judging;
    struct gnt_tls_context *tls; /* NULL: no listener has it */
    struct gnt_inlet *inlets;
    size_t inlet_count;
    struct gnt_list nodes;
    struct gnt_node *answers; /* what receivers for answers are attached to, counted */
    struct gnt_list guests;   /* of gnt_guest.in_container */
    struct gnt_list due;      /* of gnt_guest.in_due */
    struct gnt_list orphans;  /* deliveries whose guest has gone */
    size_t guest_count;
    bool started, quit;
};

struct gnt_guest {
    struct gnatter_amqp amqp;
    struct gnatter_amqp_container *container;
    const struct gnt_inlet *inlet;
    struct gnt_list in_container, in_due;
    struct gnt_timer timer; /* set as long as it lives */
    bool greeted;           /* it is known what it may log in by */
    uint32_t offered;
    struct gnt_slice names[GNT_SASL_MECHANISMS]; /* of `offered` */
    struct gnt_buf certificate;                  /* whom it names */
    struct gnt_sasl_server login;
};

/* ---- container.c */

/* Puts WORDS about WHAT where the options want them; returns ERR. */
gnt_err gnt_container_refuse(const struct gnatter_amqp_container_options *o, gnt_err err,
                             const char *what, const char *words);

GNT_MUST gnt_err gnt_node_new(const struct gnatter_amqp_node *is, struct gnt_node **out);
void gnt_node_unref(struct gnt_node *node); /* NULL is fine */

/* ---- inlet.c */

/* Binds what the options of K say.  What is open on failure is closed by _close. */
GNT_MUST gnt_err gnt_inlets_open(struct gnatter_amqp_container *k,
                                 const struct gnatter_amqp_container_options *o);
GNT_MUST gnt_err gnt_inlets_accept(struct gnatter_amqp_container *k);
void gnt_inlets_shut(struct gnatter_amqp_container *k); /* by the thread: nobody comes any more */
void gnt_inlets_close(struct gnatter_amqp_container *k);

/* ---- guest.c: the thread, and one peer's connection; with the lock but for _accept. */

void *gnt_container_run(void *container);
void gnt_guest_accept(void *inlet, struct gnt_stream *stream); /* by the thread */
void gnt_guest_due(struct gnt_guest *g);
GNT_MUST gnt_err gnt_guest_greet(struct gnt_guest *g); /* GNT_MORE: TLS shakes hands */
GNT_MUST gnt_err gnt_guest_login(struct gnt_guest *g, const struct gnt_amqp_event *event);
void gnt_guest_ended(struct gnt_guest *g); /* its links have no engine any more */

/* ---- host.c: links of guests; by the thread, with the lock. */

void gnt_guest_event(struct gnt_guest *g, const struct gnt_amqp_event *event);
void gnt_guest_given(gnatter_amqp_delivery *d);
void gnt_guest_wanted(gnatter_amqp_sender *s);
void gnt_guest_unwanted(struct gnt_end *e); /* and frees E */

#endif
