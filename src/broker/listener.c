#include "broker/listener.h"

#include "base/log.h"
#include "conf/url.h"
#include "net/resolve.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static gnt_err add(struct gnt_listeners *l, const struct gnt_url *url,
                   struct gnt_listener_terms *terms, const struct addrinfo *a, bool *family_missing,
                   char *problem, size_t cap)
{
    char text[64];
    *family_missing = false;
    gnt_tcp_address_text(a->ai_addr, text, sizeof text);
    struct gnt_listener *item = realloc(l->item, (l->count + 1) * sizeof *item);
    if (!item)
        return GNT_NOMEM;
    l->item = item;
    struct sockaddr_storage bound;
    int fd;
    gnt_err err = gnt_tcp_listen(a->ai_addr, a->ai_addrlen, BACKLOG, &fd, &bound);
    if (err) {
        *family_missing = errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL;
        snprintf(problem, cap, "cannot listen on %s: %s%s", text, strerror(errno),
                 err == GNT_BUSY ? " (is another broker running there?)" : "");
        return err;
    }
    gnt_tcp_address_text((const struct sockaddr *)&bound, text, sizeof text);
    item[l->count] = (struct gnt_listener){
        .fd = fd,
        .http = url->scheme->kind == GNT_URL_HTTP,
        .terms = terms,
        .origins = {terms->origins.items, terms->origins.count, is_loopback(a->ai_addr)},
    };
    snprintf(item[l->count].url, sizeof item->url, "%s://%s", url->scheme->name, text);
    l->count++;
    return GNT_OK;
}

/* LOOPBACK_ONLY: whoever could connect would need no password. */
static gnt_err open_url(struct gnt_listeners *l, const char *text, struct gnt_listener_terms *terms,
                        bool loopback_only, char *problem, size_t cap)
{
    struct gnt_url url;
    struct gnt_why why;
    gnt_err err = gnt_url_parse(text, &url, &why);
    if (err) {
        snprintf(problem, cap, "%s", why.text);
        return err;
    }
    struct addrinfo *list;
    err = gnt_resolve(url.host, url.port, true, &list);
    if (err) {
        snprintf(problem, cap, "%s: %s", text, gnt_err_text(err));
        return err;
    }
    size_t before = l->count;
    for (const struct addrinfo *a = list; a && !err; a = a->ai_next) {
        bool family_missing = false;
        if (loopback_only && !is_loopback(a->ai_addr)) {
            snprintf(
                problem, cap,
                "%s: other machines could connect without a password; listen on 127.0.0.1, name "
                "who may (--users FILE), ask for certificates (mqtts:// with --ca FILE), or say "
                "'allow_anonymous: true' (--allow-anonymous=true) if that is what you want",
                text);
            err = GNT_DENIED;
        } else {
            err = add(l, &url, terms, a, &family_missing, problem, cap);
        }
        /* "localhost" on a machine without IPv6: one address is enough. */
        if (family_missing && (a->ai_next || l->count > before)) {
            problem[0] = '\0';
            err = GNT_OK;
        }
    }
    freeaddrinfo(list);
    return err;
}

/* The configuration goes, the listeners stay. */
static gnt_err copy_strings(const struct gnt_strings *from, struct gnt_strings *to)
{
    if (!from->count)
        return GNT_OK;
    to->items = calloc(from->count, sizeof *to->items);
    if (!to->items)
        return GNT_NOMEM;
    for (; to->count < from->count; to->count++) {
        to->items[to->count] = strdup(from->items[to->count]);
        if (!to->items[to->count])
            return GNT_NOMEM;
    }
    return GNT_OK;
}

static gnt_err open_one(struct gnt_listeners *l, const struct gnt_config *config,
                        const struct gnt_config_listener *one, bool loopback_only, char *problem,
                        size_t cap)
{
    struct gnt_listener_terms *terms = &l->terms[l->term_count++];
    gnt_err err = copy_strings(&one->origins, &terms->origins);
    if (!err)
        err = gnt_listener_tls_open(&terms->tls, config, one, problem, cap);
    if (!err)
        err = open_url(l, one->url, terms,
                       loopback_only && !gnt_config_is_authenticated(config, one), problem, cap);
    if (err == GNT_BUSY && one->optional) {
        gnt_log(GNT_LOG_NOTICE, NULL, "listen", GNT_F_STR("left_out", one->url),
                GNT_F_STR("reason", problem));
        problem[0] = '\0';
        return GNT_OK;
    }
    return err;
}

/* They would be thought to hold. */
static void warn_idle_tls(const struct gnt_config *config)
{
    bool any = false;
    for (size_t i = 0; i < config->listeners.count; i++)
        any = any || gnt_config_is_tls(&config->listeners.items[i]);
    if (!any && (config->tls.certificates.count || config->tls.pfxs.count || config->tls.cas.count))
        gnt_log(GNT_LOG_WARNING, NULL, "tls",
                GNT_F_STR("problem", "there are certificates, and no listener is mqtts or https"));
}

gnt_err gnt_listeners_open(struct gnt_listeners *l, const struct gnt_config *config, char *problem,
                           size_t cap)
{
    bool loopback_only =
        config->allow_anonymous == GNT_ANONYMOUS_LOOPBACK && !gnt_config_users(config);
    l->terms = calloc(config->listeners.count, sizeof *l->terms);
    gnt_err err = l->terms ? GNT_OK : GNT_NOMEM;
    warn_idle_tls(config);
    for (size_t i = 0; i < config->listeners.count && !err; i++)
        err = open_one(l, config, &config->listeners.items[i], loopback_only, problem, cap);
    return err;
}

void gnt_listeners_reload(struct gnt_listeners *l, const struct gnt_config *config)
{
    for (size_t i = 0; i < l->term_count; i++)
        gnt_listener_tls_reload(&l->terms[i].tls, config);
}

void gnt_listeners_shut(struct gnt_listeners *l)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->item[i].fd >= 0)
            close(l->item[i].fd);
        l->item[i].fd = -1;
    }
}

static void terms_fini(struct gnt_listener_terms *terms)
{
    while (terms->origins.count)
        free(terms->origins.items[--terms->origins.count]);
    free(terms->origins.items);
    gnt_listener_tls_close(&terms->tls);
}

void gnt_listeners_close(struct gnt_listeners *l)
{
    gnt_listeners_shut(l);
    for (size_t i = 0; i < l->term_count; i++)
        terms_fini(&l->terms[i]);
    free(l->terms);
    free(l->item);
    *l = (struct gnt_listeners){0};
}
