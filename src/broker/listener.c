#include "broker/listener.h"

#include "base/log.h"
#include "net/resolve.h"
#include "net/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKLOG = 1024, FILE_MODE = 0660 };

/* What opening one of the configuration's listeners goes by. */
struct opening {
    struct gnt_listeners *all;
    const struct gnt_config_listener *one;
    struct gnt_listener_terms *terms;
    struct gnt_url url;
    bool loopback_only; /* whoever could connect would need no password */
    char *problem;
    size_t cap;
};

/* Room for one more, which the caller counts. */
static gnt_err next_item(struct opening *o, struct gnt_listener **out)
{
    struct gnt_listeners *l = o->all;
    struct gnt_listener *item = realloc(l->item, (l->count + 1) * sizeof *item);
    if (!item)
        return GNT_NOMEM;
    l->item = item;
    *out = &item[l->count];
    **out = (struct gnt_listener){
        .fd = -1,
        .kind = o->url.scheme->kind,
        .terms = o->terms,
        .origins = {o->terms->origins.items, o->terms->origins.count, false},
    };
    return GNT_OK;
}

/* What the system's words do not say. */
static const char *hint(const struct opening *o, gnt_err err, const char *address)
{
    if (err != GNT_BUSY)
        return errno == EADDRNOTAVAIL ? " (this machine has no such address)" : "";
    for (size_t i = 0; i < o->all->count; i++) {
        const char *after = strstr(o->all->item[i].url, "://");
        if (after && strcmp(after + 3, address) == 0)
            return " (another listener here is on it, too)";
    }
    return " (is another broker running there?)";
}

static gnt_err add_address(struct opening *o, const struct addrinfo *a, bool *family_missing)
{
    struct gnt_listener *item;
    struct sockaddr_storage bound;
    char text[64];
    *family_missing = false;
    gnt_tcp_address_text(a->ai_addr, text, sizeof text);
    gnt_err err = next_item(o, &item);
    if (err)
        return err;
    err = gnt_tcp_listen(a->ai_addr, a->ai_addrlen, BACKLOG, &item->fd, &bound);
    if (err) {
        *family_missing = errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL;
        snprintf(o->problem, o->cap, "cannot listen on %s: %s%s", text, strerror(errno),
                 hint(o, err, text));
        return err;
    }
    gnt_tcp_address_text((const struct sockaddr *)&bound, text, sizeof text);
    item->origins.loopback = gnt_tcp_is_loopback(a->ai_addr);
    snprintf(item->url, sizeof item->url, "%s://%s", o->url.scheme->name, text);
    o->all->count++;
    return GNT_OK;
}

static const char *words_of(gnt_err err)
{
    if (err == GNT_BUSY)
        return "somebody listens there (is another broker running?)";
    return err == GNT_EXISTS ? "what is there is no socket" : strerror(errno);
}

static gnt_err add_file(struct opening *o)
{
    struct gnt_listener *item;
    const char *mode = o->one->mode;
    gnt_err err = next_item(o, &item);
    if (err)
        return err;
    err = gnt_unix_listen(o->url.path, mode ? (mode_t)strtoul(mode, NULL, 8) : FILE_MODE, BACKLOG,
                          &item->fd, &item->file);
    if (err) {
        snprintf(o->problem, o->cap, "cannot listen on %s: %s", o->url.path, words_of(err));
        return err;
    }
    snprintf(item->url, sizeof item->url, "%s://%s", o->url.scheme->name, o->url.path);
    o->all->count++;
    return GNT_OK;
}

/* One that is open to other machines, where that would be too much. */
static gnt_err refuse(const struct opening *o)
{
    snprintf(o->problem, o->cap,
             "%s: other machines could connect without a password%s name who may (--users FILE), "
             "ask for certificates (mqtts:// or amqps:// with --ca FILE), or say "
             "'allow_anonymous: true' (--allow-anonymous=true) if that is what you want",
             o->one->url,
             o->one->proxies.count ? " through its proxies;" : "; listen on 127.0.0.1,");
    return GNT_DENIED;
}

static gnt_err add_addresses(struct opening *o)
{
    struct addrinfo *list;
    gnt_err err = gnt_resolve(o->url.host, o->url.port, true, &list);
    if (err) {
        snprintf(o->problem, o->cap, "%s: %s", o->one->url, gnt_err_text(err));
        return err;
    }
    size_t before = o->all->count;
    for (const struct addrinfo *a = list; a && !err; a = a->ai_next) {
        bool family_missing = false;
        err = o->loopback_only && !gnt_tcp_is_loopback(a->ai_addr)
                  ? refuse(o)
                  : add_address(o, a, &family_missing);
        /* "localhost" on a machine without IPv6: one address is enough. */
        if (family_missing && (a->ai_next || o->all->count > before)) {
            o->problem[0] = '\0';
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

static gnt_err read_proxies(const struct gnt_strings *from, struct gnt_networks *to)
{
    const char *problem;
    gnt_err err = GNT_OK;
    if (!from->count)
        return GNT_OK;
    to->items = calloc(from->count, sizeof *to->items);
    if (!to->items)
        return GNT_NOMEM;
    for (; to->count < from->count && !err; to->count++)
        err = gnt_network_parse(from->items[to->count], &to->items[to->count], &problem);
    return err;
}

static gnt_err fill_terms(struct gnt_listener_terms *terms, const struct gnt_config *config,
                          const struct gnt_config_listener *one, char *problem, size_t cap)
{
    gnt_err err = copy_strings(&one->origins, &terms->origins);
    if (!err)
        err = read_proxies(&one->proxies, &terms->proxies);
    return err ? err : gnt_listener_tls_open(&terms->tls, config, one, problem, cap);
}

static gnt_err open_one(struct gnt_listeners *l, const struct gnt_config *config,
                        const struct gnt_config_listener *one, bool loopback_only, char *problem,
                        size_t cap)
{
    struct opening o = {.all = l,
                        .one = one,
                        .terms = &l->terms[l->term_count++],
                        .loopback_only = loopback_only && !gnt_config_is_authenticated(config, one),
                        .problem = problem,
                        .cap = cap};
    struct gnt_why why;
    gnt_err err = gnt_url_parse(one->url, &o.url, &why);
    if (err)
        snprintf(problem, cap, "%s", why.text);
    o.terms->tls.program = l->program;
    if (!err)
        err = fill_terms(o.terms, config, one, problem, cap);
    if (!err && o.loopback_only && one->proxies.count)
        err = refuse(&o);
    if (!err)
        err = o.url.scheme->file ? add_file(&o) : add_addresses(&o);
    if (err == GNT_BUSY && one->optional) {
        gnt_log(GNT_LOG_NOTICE, NULL, "listen", GNT_F_STR("left_out", one->url),
                GNT_F_STR("reason", problem));
        problem[0] = '\0';
        return GNT_OK;
    }
    return err;
}

static bool asks(const struct gnt_config *config, const struct gnt_config_listener *listener)
{
    struct gnt_config_tls tls;
    struct gnt_why why;
    return !gnt_config_tls(config, listener, &tls, &why) && tls.ask != GNT_CONFIG_ASK_NONE;
}

/* They would be thought to hold. */
static void warn_idle_tls(const struct gnt_config *config)
{
    bool any = false, lists = config->tls.crls.count, asked = false;
    for (size_t i = 0; i < config->listeners.count; i++) {
        const struct gnt_config_listener *one = &config->listeners.items[i];
        any = any || gnt_config_takes_tls(one);
        lists = lists || one->tls.crls.count;
        asked = asked || (gnt_config_takes_tls(one) && asks(config, one));
    }
    if (any && lists && !asked)
        gnt_log(GNT_LOG_WARNING, NULL, "tls",
                GNT_F_STR("problem", "there is a revocation list, and no client is asked for a "
                                     "certificate: --ca FILE"));
    if (!any && (config->tls.certificates.count || config->tls.pfxs.count || config->tls.cas.count))
        gnt_log(GNT_LOG_WARNING, NULL, "tls",
                GNT_F_STR("problem",
                          "there are certificates, and no listener is mqtts, amqps or https"));
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

/* The file goes first: as long as somebody listens there it is nobody else's. */
static void shut(struct gnt_listener *item)
{
    if (item->fd < 0)
        return;
    if (item->file.inode)
        gnt_unix_remove(strstr(item->url, "://") + 3, &item->file);
    close(item->fd);
    item->fd = -1;
}

void gnt_listeners_shut(struct gnt_listeners *l)
{
    for (size_t i = 0; i < l->count; i++)
        shut(&l->item[i]);
}

static void terms_fini(struct gnt_listener_terms *terms)
{
    while (terms->origins.count)
        free(terms->origins.items[--terms->origins.count]);
    free(terms->origins.items);
    free(terms->proxies.items);
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
