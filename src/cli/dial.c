#include "cli/dial.h"
#include "base/utf8.h"
#include "cli/say.h"
#include "conf/url.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

enum { PORT = 5672, TLS_PORT = 5671, TEXT_MAX = 2048, CLOSE_MS = 5000, END_S = 8 };

enum { AUTO };

const struct gnt_option_word gnt_dial_mechanisms[] = {{"auto", AUTO},       {"EXTERNAL", 1},
                                                      {"SCRAM-SHA-512", 2}, {"SCRAM-SHA-256", 3},
                                                      {"PLAIN", 4},         {"ANONYMOUS", 5},
                                                      {"none", 6},          {NULL, 0}};

/* ---- What a broker says is wrong */

static const struct {
    const char *condition;
    int code;
} codes[] = {
    {"amqp:unauthorized-access", EX_NOPERM},
    {"amqp:not-found", EX_NOINPUT},
    {"amqp:resource-limit-exceeded", EX_TEMPFAIL},
    {"amqp:resource-locked", EX_TEMPFAIL},
    {"amqp:link:message-size-exceeded", EX_DATAERR},
    {"amqp:decode-error", EX_PROTOCOL},
    {"amqp:connection:framing-error", EX_PROTOCOL},
    {"amqp:not-allowed", EX_PROTOCOL},
    {"amqp:invalid-field", EX_USAGE},
};

int gnt_dial_code(const struct gnatter_amqp_error *why)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(codes[i].condition, why->condition) == 0)
            return codes[i].code;
    }
    return EX_UNAVAILABLE;
}

const char *gnt_dial_why(const struct gnatter_amqp_error *why, char out[GNT_DIAL_WHY_MAX])
{
    char condition[sizeof why->condition * 4], description[sizeof why->description];
    gnt_utf8_printable(gnt_slice_str(why->condition), condition, sizeof condition);
    gnt_utf8_printable(gnt_slice_str(why->description), description, sizeof description);
    bool both = condition[0] && description[0];
    (void)snprintf(out, GNT_DIAL_WHY_MAX, "%s%s%s", condition, both ? ": " : "", description);
    if (!out[0])
        (void)snprintf(out, GNT_DIAL_WHY_MAX, "it does not say why");
    return out;
}

void gnt_dial_detached(struct gnt_dial *dial, const char *verb, const char *address, int error,
                       const struct gnatter_amqp_error *why)
{
    char words[GNT_DIAL_WHY_MAX], shown[300];
    if (!gnt_run_goes_on(&dial->run))
        return;
    gnt_run_say(&dial->run, "cannot %s %s: %s", verb,
                gnt_utf8_printable(gnt_slice_str(address), shown, sizeof shown),
                error == GNATTER_EREFUSED ? gnt_dial_why(why, words) : gnatter_error_text(error));
    gnt_run_end(&dial->run, gnt_dial_code(why));
}

/* ---- The ends of connections, and attempts at one */

static const struct gnt_place_failure failures[] = {
    {GNATTER_ETIMEOUT, false, EX_UNAVAILABLE, "no answer in time",
     " Is that the address of a broker of AMQP 1.0?"},
    {GNATTER_ECLOSED, false, EX_UNAVAILABLE, "the peer closes the connection at once",
     " Is that a broker of AMQP 1.0, or does it want TLS (--cafile)?"},
    {GNATTER_EUNSUPPORTED, false, EX_PROTOCOL, "it speaks something else than AMQP 1.0",
     " Is that the port for AMQP, and does it want SASL (--auth-method)?"},
    {GNATTER_EMALFORMED, false, EX_PROTOCOL, "the answer is not AMQP",
     " Is that the port of a broker of AMQP 1.0?"},
    {GNATTER_EPROTOCOL, false, EX_PROTOCOL, "the answer breaks the protocol",
     " Is that the port of a broker of AMQP 1.0?"},
    {GNATTER_EDENIED, false, EX_NOPERM, "denied",
     " Check the user name and the password (-u, -P), and --auth-method."},
    {GNATTER_EINVALID, false, EX_CONFIG, "TLS cannot be used like that", ""},
    {GNATTER_EMALFORMED, true, EX_PROTOCOL, "the broker sent a malformed frame", ""},
    {GNATTER_EPROTOCOL, true, EX_PROTOCOL, "the broker broke the protocol", ""},
    {GNATTER_ETOOBIG, true, EX_PROTOCOL, "the broker sent too large a frame", ""},
};

static uint16_t port_of(const struct gnt_place *place)
{
    return place->port ? place->port : gnt_cli_tls_given(&place->tls) ? TLS_PORT : PORT;
}

/* Where TLS fails, its own words say it, and a password is not what to look at. */
static const char *tls_advice(const struct gnatter_amqp_disconnected *d)
{
    if (d->error == GNATTER_EDENIED && strstr(d->why.description, "certificate"))
        return "";
    if (d->error == GNATTER_EPROTOCOL && strstr(d->why.description, "TLS"))
        return " Is that the port for TLS?";
    return NULL;
}

/* The words and the exit code for the end of a connection or an attempt. */
static int describe(const struct gnt_dial *dial, const struct gnatter_amqp_disconnected *d,
                    char *text, size_t size)
{
    const char *verb = d->was_connected ? "lost the connection to" : "cannot connect to";
    char place[GNT_PLACE_TEXT_MAX], words[GNT_DIAL_WHY_MAX];
    bool said = d->why.condition[0] || d->why.description[0];
    gnt_place_text(&dial->options->place, port_of(&dial->options->place), place);
    gnt_dial_why(&d->why, words);
    if (d->why.condition[0]) {
        (void)snprintf(text, size, "%s %s: the broker says: %s.", verb, place, words);
        return gnt_dial_code(&d->why);
    }
    const struct gnt_place_failure *failure =
        gnt_place_failure(failures, sizeof failures / sizeof failures[0], d->error,
                          d->was_connected);
    const char *advice = tls_advice(d);
    if (failure && advice) {
        (void)snprintf(text, size, "%s %s: %s.%s", verb, place, words, advice);
        return failure->code;
    }
    if (failure) {
        (void)snprintf(text, size, "%s %s: %s%s%s%s.%s", verb, place, failure->text,
                       said ? " (" : "", said ? words : "", said ? ")" : "",
                       said && d->error == GNATTER_EREFUSED ? "" : failure->advice);
        return failure->code;
    }
    (void)snprintf(text, size, "%s %s: %s.", verb, place, gnatter_error_text(d->error));
    return EX_UNAVAILABLE;
}

/* ---- The client's callbacks */

static void on_connected(gnatter_amqp *amqp, void *context)
{
    struct gnt_dial *dial = context;
    struct gnatter_amqp_info info;
    char place[GNT_PLACE_TEXT_MAX], peer[300];
    gnatter_amqp_get_info(amqp, &info);
    gnt_place_text(&dial->options->place, port_of(&dial->options->place), place);
    gnt_utf8_printable(gnt_slice_str(info.peer_container_id), peer, sizeof peer);
    gnt_run_debug(&dial->run, "connected to %s, which is '%s', as '%s' by %s", place, peer,
                  info.container_id, info.mechanism[0] ? info.mechanism : "no SASL");
    if (dial->told)
        gnt_run_say(&dial->run, "connected to %s", place);
    dial->told = false;
    atomic_store(&dial->connected_once, true);
    gnt_wait_wake(&dial->run.wait);
}

/* An absence is told once: when it begins, and, by on_connected, when it is over. */
static void on_disconnected(gnatter_amqp *amqp, const struct gnatter_amqp_disconnected *d,
                            void *context)
{
    struct gnt_dial *dial = context;
    char text[TEXT_MAX];
    (void)amqp;
    if (d->error == 0)
        gnt_run_debug(&dial->run, "disconnected");
    if (d->error == 0 || !gnt_run_goes_on(&dial->run))
        return;
    int code = describe(dial, d, text, sizeof text);
    bool goes_on = d->will_reconnect && !dial->once && atomic_load(&dial->connected_once);
    if (!dial->told || !goes_on)
        gnt_run_say(&dial->run, "%s%s", text, goes_on ? " Trying again." : "");
    else
        gnt_run_debug(&dial->run, "%s", text);
    dial->told = true;
    if (!goes_on)
        gnt_run_end(&dial->run, code);
}

static void on_trace(enum gnatter_trace what, const void *bytes, size_t size, void *context)
{
    struct gnt_dial *dial = context;
    gnt_trace_take(&dial->trace, what, bytes, size);
}

/* ---- Options */

gnt_err gnt_dial_check_url(const char *text, struct gnt_why *why)
{
    struct gnt_url url;
    gnt_err err = gnt_url_parse(text, &url, why);
    if (err || gnt_url_is_peer(&url, GNT_URL_AMQP))
        return err;
    gnt_why_set(why, "expected amqp://HOST:PORT, ws://HOST:PORT/amqp or unix:///PATH; for TLS "
                     "amqps or wss");
    return GNT_INVALID;
}

bool gnt_dial_check(const char *command, const struct gnt_dial_options *o)
{
    const struct gnt_place *place = &o->place;
    const char *mistake = gnt_cli_tls_mistake(&place->tls, place->url);
    if (place->password && !place->username)
        mistake = "a password needs a user name (-u)";
    if (mistake)
        gnt_say(command, "%s", mistake);
    return !mistake;
}

/* What lives until the client has copied it. */
struct built {
    struct gnatter_amqp_options options;
    struct gnt_cli_secret secret;
    char url[300];
};

static void build(struct gnt_dial *dial, struct built *b)
{
    const struct gnt_dial_options *o = dial->options;
    const struct gnt_place *place = &o->place;
    bool tls = gnt_cli_tls_given(&place->tls);
    bool bare = strchr(place->host, ':') && place->host[0] != '['; /* an address of IPv6 */
    gnatter_amqp_options_init(&b->options);
    (void)snprintf(b->url, sizeof b->url, "%s://%s%s%s:%u", tls ? "amqps" : "amqp", bare ? "[" : "",
                   place->host, bare ? "]" : "", port_of(place));
    b->options.url = place->url ? place->url : b->url;
    b->options.user = place->username;
    b->options.password = place->password;
    if (o->mechanism != AUTO)
        b->options.mechanism = gnt_dial_mechanisms[o->mechanism].word;
    b->options.allow_plain = o->mechanism != AUTO; /* who asks for it by name shall have it */
    b->options.container_id = o->container_id;
    b->options.idle_timeout_ms = o->idle_s * 1000;
    b->options.no_reconnect = dial->once;
    b->options.reconnect_max_ms = 10000;
    if (dial->queue_messages)
        b->options.queue_messages = dial->queue_messages;
    if (dial->message_max)
        b->options.queue_bytes = b->options.message_max = dial->message_max;
    b->options.on_connected = on_connected;
    b->options.on_disconnected = on_disconnected;
    b->options.on_trace = place->trace ? on_trace : NULL;
    b->options.context = dial;
}

/* ---- The life of a connection */

static int make(struct gnt_dial *dial, const struct gnatter_amqp_options *options)
{
    int err = gnatter_amqp_new(options, &dial->amqp);
    if (err == GNATTER_EINVALID)
        gnt_say(dial->command, "an option cannot be: look at the host, the container id, the user "
                               "name and the password; text has to be UTF-8");
    else if (err)
        gnt_say(dial->command, "%s", gnatter_error_text(err));
    return !err ? EX_OK : err == GNATTER_EINVALID ? EX_USAGE : EX_OSERR;
}

/* Signals are blocked when nobody is asked for a pass-phrase any more. */
static int open_with(struct gnt_dial *dial, struct built *b)
{
    int code =
        gnt_cli_tls_options(dial->command, &dial->options->place.tls, &b->options.tls, &b->secret);
    if (!code)
        code = gnt_run_init(&dial->run);
    if (code)
        return code;
    code = make(dial, &b->options);
    if (code)
        gnt_run_fini(&dial->run);
    return code;
}

int gnt_dial_open(struct gnt_dial *dial)
{
    struct built built = {.url = ""};
    dial->run.command = dial->command;
    dial->run.is_loud = dial->options->place.debug;
    dial->run.is_mute = dial->options->place.quiet;
    gnt_trace_init(&dial->trace, dial->command, GNT_DECODER_AMQP);
    build(dial, &built);
    int code = open_with(dial, &built);
    gnt_cli_forget(&built.secret);
    return code;
}

int gnt_dial_start(struct gnt_dial *dial)
{
    int err = gnatter_amqp_start(dial->amqp);
    if (err)
        gnt_run_say(&dial->run, "%s", gnatter_error_text(err));
    return err ? EX_OSERR : EX_OK;
}

int gnt_dial_close(struct gnt_dial *dial)
{
    struct gnatter_amqp_info info;
    gnt_wait_impatient();
    /* Its thread may hang in an output that nobody reads; then SIGALRM is the end. */
    (void)alarm(END_S);
    gnatter_amqp_get_info(dial->amqp, &info);
    const uint32_t patience_ms = gnt_run_code(&dial->run) ? 0 : CLOSE_MS; /* else it has failed */
    int err = info.connected ? gnatter_amqp_close(dial->amqp, patience_ms) : 0;
    if (err)
        gnt_run_debug(&dial->run, "disconnecting: %s", gnatter_error_text(err));
    gnatter_amqp_free(dial->amqp);
    (void)alarm(0);
    gnt_trace_fini(&dial->trace);
    gnt_run_fini(&dial->run);
    return gnt_run_code(&dial->run);
}
