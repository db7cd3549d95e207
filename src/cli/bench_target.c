#include "cli/bench_target.h"

#include "callback/tls_client.h"
#include "cli/peer.h"
#include "cli/say.h"
#include "conf/url.h"
#include "net/resolve.h"
#include "net/unix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const char name[] = "bench";

/* ---- Their words */

static gnt_err read_pid(char *text, struct gnt_bench_target *t, struct gnt_why *why)
{
    char *comma = strrchr(text, ','), *end;
    if (!comma)
        return GNT_OK;
    *comma = '\0';
    long pid = strncmp(comma + 1, "pid=", 4) == 0 ? strtol(comma + 5, &end, 10) : 0;
    if (pid > 0 && *end == '\0') {
        t->pid = (pid_t)pid;
        return GNT_OK;
    }
    gnt_why_set(why, "expected a process id behind the URL, such as mqtt://127.0.0.1,pid=4711");
    return GNT_INVALID;
}

static void set_websocket(struct gnt_bench_target *t, const struct gnt_url *url)
{
    t->amqp = url->scheme->kind == GNT_URL_AMQP ||
              (url->scheme->kind == GNT_URL_WEBSOCKET && strcmp(url->path, "/amqp") == 0);
    t->websocket = url->scheme->kind == GNT_URL_WEBSOCKET;
    if (!t->websocket)
        return;
    gnt_url_host_text(url, t->host);
    (void)snprintf(t->path, sizeof t->path, "%s", gnt_url_websocket_path(url));
}

/* URL borrows from T. */
static gnt_err read_target(const char *text, struct gnt_bench_target *t, struct gnt_url *url,
                           struct gnt_why *why)
{
    char copy[512];
    *t = (struct gnt_bench_target){0};
    if ((size_t)snprintf(copy, sizeof copy, "%s", text) >= sizeof copy) {
        gnt_why_set(why, "expected a text of less than %zu bytes", sizeof copy);
        return GNT_INVALID;
    }
    gnt_err err = read_pid(copy, t, why);
    if (err)
        return err;
    char *equals = strchr(copy, '='), *from = equals ? equals + 1 : copy;
    if (equals)
        *equals = '\0';
    (void)snprintf(t->name, sizeof t->name, "%.63s", copy);
    (void)snprintf(t->url, sizeof t->url, "%s", from);
    err = gnt_url_parse(t->url, url, why);
    if (!err)
        set_websocket(t, url);
    return err;
}

gnt_err gnt_bench_target_check(const char *text, struct gnt_why *why)
{
    struct gnt_bench_target t;
    struct gnt_url url;
    return read_target(text, &t, &url, why);
}

/* ---- Where they are */

static gnt_err find_file(struct gnt_bench_target *t, const struct gnt_url *url)
{
    t->address = (const struct sockaddr *)&t->file;
    t->address_size = sizeof t->file;
    return gnt_unix_address(url->path, &t->file);
}

static gnt_err find_host(struct gnt_bench_target *t, const struct gnt_url *url)
{
    gnt_err err = gnt_resolve(url->host[0] ? url->host : "localhost", url->port, false, &t->list);
    if (err)
        return err;
    t->address = t->list->ai_addr;
    t->address_size = t->list->ai_addrlen;
    return GNT_OK;
}

static int find_address(struct gnt_bench_target *t, const struct gnt_url *url)
{
    gnt_err err = url->scheme->file ? find_file(t, url) : find_host(t, url);
    if (!err)
        return EX_OK;
    gnt_say(name, "%s: %s", t->url, gnt_err_text(err));
    return err == GNT_RESOLVE ? EX_NOHOST : EX_OSERR;
}

static int make_context(const struct gnt_bench_options *o, struct gnt_tls_context **out)
{
    struct gnatter_tls_options options;
    struct gnt_cli_secret secret;
    struct gnt_pki_why why;
    int code = gnt_cli_tls_options(name, &o->tls, &options, &secret);
    if (code == EX_OK && gnt_tls_client_context(&options, NULL, NULL, NULL, out, &why) != GNT_OK) {
        gnt_say(name, "%s", why.text);
        code = EX_CONFIG;
    }
    gnt_cli_forget(&secret);
    return code;
}

static int set_tls(const struct gnt_bench_options *o, struct gnt_bench_target *t,
                   const struct gnt_url *url, struct gnt_tls_context **tls)
{
    const char *own = o->tls.server_name;
    int code = url->scheme->tls && !*tls ? make_context(o, tls) : EX_OK;
    (void)snprintf(t->server, sizeof t->server, "%s", own ? own : url->host);
    t->tls = url->scheme->tls ? *tls : NULL;
    return code;
}

/* What is asked for that AMQP does not have here; NULL: nothing. */
static const char *amqp_mistake(const struct gnt_bench_options *o)
{
    for (size_t i = 0; i < gnt_bench_scenario_count(o); i++) {
        enum gnt_bench_shape shape = gnt_bench_scenario(o, i);
        bool known = shape == GNT_BENCH_PAIRS || shape == GNT_BENCH_IDLE ||
                     (shape == GNT_BENCH_FAN_IN && gnt_bench_plan_of(o, shape).subscribers == 1);
        if (!known)
            return "over AMQP scenarios are pairs, fan-in with one subscriber, and idle";
    }
    if (o->qos > 1)
        return "over AMQP the QoS is 0 or 1";
    if (o->size > GNT_BENCH_AMQP_MAX)
        return "over AMQP a payload has 512 KiB at most";
    return o->auth_method != GNT_PEER_PLAIN ? "over AMQP a password is sent by PLAIN" : NULL;
}

static int find_target(const struct gnt_bench_options *o, const char *word,
                       struct gnt_bench_target *t, struct gnt_tls_context **tls)
{
    struct gnt_url url;
    struct gnt_why why;
    if (read_target(word, t, &url, &why)) {
        gnt_say(name, "%s: %s", word, why.text);
        return EX_USAGE;
    }
    const char *mistake = t->amqp ? amqp_mistake(o) : NULL;
    if (mistake) {
        gnt_say(name, "%s: %s, see --help", t->url, mistake);
        return EX_USAGE;
    }
    int code = set_tls(o, t, &url, tls);
    return code ? code : find_address(t, &url);
}

size_t gnt_bench_target_count(const struct gnt_bench_options *o)
{
    return o->targets.count ? o->targets.count : 1;
}

int gnt_bench_targets_find(const struct gnt_bench_options *o, struct gnt_bench_target *targets,
                           struct gnt_tls_context **tls)
{
    char text[300];
    bool safe = gnt_cli_tls_given(&o->tls), amqp = o->protocol == GNT_URL_AMQP;
    unsigned usual = !amqp ? gnt_cli_port(0, safe) : safe ? 5671 : 5672;
    (void)snprintf(text, sizeof text, strchr(o->host, ':') ? "%s%s://[%s]:%u" : "%s%s://%s:%u",
                   amqp ? "amqp" : "mqtt", safe ? "s" : "", o->host, o->port ? o->port : usual);
    int code = EX_OK;
    for (size_t i = 0; i < gnt_bench_target_count(o) && !code; i++)
        code = find_target(o, o->targets.count ? o->targets.items[i] : text, &targets[i], tls);
    return code;
}

void gnt_bench_targets_fini(struct gnt_bench_target *targets, size_t count,
                            struct gnt_tls_context **tls)
{
    for (size_t i = 0; i < count; i++)
        if (targets[i].list)
            freeaddrinfo(targets[i].list);
    gnt_tls_context_unref(tls);
}
