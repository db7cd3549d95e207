/* Where a container listens, and who may come by which way. */
#include "client/amqp/container.h"

#include "net/resolve.h"
#include "net/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 128, FILE_MODE = 0660 };

/* ---- Who may come */

/* GNT_DENIED: everybody could.  GNT_INVALID: nobody could. */
static gnt_err admit(struct gnt_inlet *inlet, const struct gnatter_amqp_container_options *o,
                     const char *url, bool loopback)
{
    const bool certificates = inlet->tls && o->tls.ca_file;
    const bool safe = inlet->tls || loopback || o->allow_plain;
    inlet->anonymous = o->allow_anonymous || (!o->on_login && loopback);
    if (inlet->anonymous)
        inlet->mechanisms |= GNT_SASL_BIT(GNT_SASL_ANONYMOUS);
    if (certificates)
        inlet->mechanisms |= GNT_SASL_BIT(GNT_SASL_EXTERNAL);
    if (o->on_login && safe)
        inlet->mechanisms |= GNT_SASL_BIT(GNT_SASL_PLAIN);
    if (inlet->mechanisms)
        return GNT_OK;
    if (o->on_login)
        return gnt_container_refuse(o, GNT_INVALID, url,
                                    "passwords could be overheard: amqps, or allow_plain");
    return gnt_container_refuse(o, GNT_DENIED, url,
                                "other machines could connect without a password: on_login, "
                                "certificates, or allow_anonymous");
}

/* ---- Sockets */

static struct gnt_inlet *add(struct gnatter_amqp_container *k)
{
    struct gnt_inlet *inlets = realloc(k->inlets, (k->inlet_count + 1) * sizeof *inlets);
    if (!inlets)
        return NULL;
    k->inlets = inlets;
    inlets[k->inlet_count] = (struct gnt_inlet){.container = k, .fd = -1};
    return &inlets[k->inlet_count++];
}

static gnt_err open_file(struct gnatter_amqp_container *k,
                         const struct gnatter_amqp_container_options *o, const char *text,
                         const struct gnt_url *url)
{
    struct gnt_inlet *inlet = add(k);
    char *path = inlet ? strdup(url->path) : NULL;
    if (!path)
        return GNT_NOMEM;
    gnt_err err = admit(inlet, o, text, true);
    if (!err) {
        err = gnt_unix_listen(path, FILE_MODE, BACKLOG, &inlet->fd, &inlet->file);
        if (err)
            err = gnt_container_refuse(o, err, text, gnt_err_text(err));
    }
    if (err) {
        free(path);
        return err;
    }
    inlet->path = path;
    (void)snprintf(inlet->url, sizeof inlet->url, "unix://%s", path);
    return GNT_OK;
}

/* GNT_UNSUPPORTED: this machine has no such kind of address. */
static gnt_err open_address(struct gnatter_amqp_container *k,
                            const struct gnatter_amqp_container_options *o, const char *named,
                            const struct gnt_url *url, const struct addrinfo *a)
{
    struct sockaddr_storage bound;
    char text[64];
    struct gnt_inlet *inlet = add(k);
    if (!inlet)
        return GNT_NOMEM;
    inlet->tls = url->scheme->tls;
    gnt_err err = admit(inlet, o, named, gnt_tcp_is_loopback(a->ai_addr));
    if (err)
        return err;
    err = gnt_tcp_listen(a->ai_addr, a->ai_addrlen, BACKLOG, &inlet->fd, &bound);
    if (err && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        k->inlet_count--;
        return GNT_UNSUPPORTED;
    }
    if (err)
        return gnt_container_refuse(o, err, named, strerror(errno));
    gnt_tcp_address_text((const struct sockaddr *)&bound, text, sizeof text);
    (void)snprintf(inlet->url, sizeof inlet->url, "%s://%s", url->scheme->name, text);
    return GNT_OK;
}

/* "localhost" on a machine without IPv6: one address is enough. */
static gnt_err open_place(struct gnatter_amqp_container *k,
                          const struct gnatter_amqp_container_options *o, const char *text,
                          const struct gnt_url *url)
{
    const size_t before = k->inlet_count;
    struct addrinfo *list;
    gnt_err err = gnt_resolve(url->host, url->port, true, &list);
    if (err)
        return gnt_container_refuse(o, err, text, gnt_err_text(err));
    for (const struct addrinfo *a = list; a && (!err || err == GNT_UNSUPPORTED); a = a->ai_next)
        err = open_address(k, o, text, url, a);
    freeaddrinfo(list);
    if (err == GNT_UNSUPPORTED)
        err = k->inlet_count > before
                  ? GNT_OK
                  : gnt_container_refuse(o, GNT_IO, text, "this machine has no such address");
    return err;
}

static gnt_err open_url(struct gnatter_amqp_container *k,
                        const struct gnatter_amqp_container_options *o, const char *text)
{
    struct gnt_url url;
    struct gnt_why why;
    if (gnt_url_parse(text, &url, &why))
        return gnt_container_refuse(o, GNT_INVALID, text, why.text);
    if (url.scheme->file)
        return open_file(k, o, text, &url);
    if (url.scheme->kind != GNT_URL_AMQP)
        return gnt_container_refuse(o, GNT_INVALID, text, "expected amqp, amqps or unix");
    if (url.scheme->tls && !k->tls)
        return gnt_container_refuse(o, GNT_INVALID, text, "TLS needs a certificate");
    return open_place(k, o, text, &url);
}

gnt_err gnt_inlets_open(struct gnatter_amqp_container *k,
                        const struct gnatter_amqp_container_options *o)
{
    gnt_err err = GNT_OK;
    if (!o->listener_count)
        return open_url(k, o, "amqp://127.0.0.1");
    for (size_t i = 0; i < o->listener_count && !err; i++)
        err = open_url(k, o, o->listeners[i]);
    return err;
}

gnt_err gnt_inlets_accept(struct gnatter_amqp_container *k)
{
    gnt_err err = GNT_OK;
    for (size_t i = 0; i < k->inlet_count && !err; i++) {
        struct gnt_inlet *inlet = &k->inlets[i];
        if (!inlet->acceptor)
            err = gnt_acceptor_new(&k->thread.loop, inlet->fd, gnt_guest_accept, inlet,
                                   &inlet->acceptor);
    }
    return err;
}

void gnt_inlets_shut(struct gnatter_amqp_container *k)
{
    for (size_t i = 0; i < k->inlet_count; i++)
        gnt_acceptor_free(&k->inlets[i].acceptor);
}

void gnt_inlets_close(struct gnatter_amqp_container *k)
{
    gnt_inlets_shut(k);
    for (size_t i = 0; i < k->inlet_count; i++) {
        struct gnt_inlet *inlet = &k->inlets[i];
        if (inlet->path)
            gnt_unix_remove(inlet->path, &inlet->file);
        if (inlet->fd >= 0)
            close(inlet->fd);
        free(inlet->path);
    }
    free(k->inlets);
}
