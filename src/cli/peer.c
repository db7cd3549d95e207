#include "cli/peer.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/say.h"
#include "conf/url.h"
#include "mqtt/codec/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

enum { TEXT_MAX = 2048, TLS_WORDS_MAX = 700, CLOSE_MS = 5000, END_S = 8 };

/* As large as a packet can be [MQTT5 2.1.4]: it is the user who asks for the messages. */
enum { PACKET_MAX = 5 + 268435455 };

const struct gnt_option_word gnt_peer_versions[] = {
    {"mqttv31", GNATTER_MQTT_3_1},
    {"31", GNATTER_MQTT_3_1},
    {"mqttv311", GNATTER_MQTT_3_1_1},
    {"311", GNATTER_MQTT_3_1_1},
    {"mqttv5", GNATTER_MQTT_5},
    {"5", GNATTER_MQTT_5},
    {NULL, 0},
};

const struct gnt_option_word gnt_peer_methods[] = {{"none", GNT_PEER_PLAIN},
                                                   {"SCRAM-SHA-256", GNT_PEER_SCRAM_256},
                                                   {"SCRAM-SHA-512", GNT_PEER_SCRAM_512},
                                                   {NULL, 0}};

const struct gnt_option_word gnt_peer_expiries[] = {
    {"-1", UINT32_MAX},
    {"∞", UINT32_MAX},
    {"auto", UINT64_MAX},
    {NULL, 0},
};

static uint8_t version_of(const struct gnt_peer_options *o, const struct gnt_properties *properties)
{
    bool five = (properties && properties->count > 0) || o->auth_method != GNT_PEER_PLAIN;
    return five ? GNATTER_MQTT_5 : (uint8_t)o->version;
}

/* ---- what failures of a connection mean, and what to do about them */

static const struct gnt_place_failure failures[] = {
    {GNATTER_ETIMEOUT, false, EX_UNAVAILABLE, "no answer in time",
     " Is that the address of an MQTT broker?"},
    {GNATTER_ECLOSED, false, EX_UNAVAILABLE, "the peer closes the connection at once",
     " Is that an MQTT broker, does it speak this version (--protocol-version), or does it want "
     "TLS "
     "(--cafile)?"},
    {GNATTER_EMALFORMED, false, EX_PROTOCOL, "the answer is not MQTT",
     " Is that the port of an MQTT broker?"},
    {GNATTER_EPROTOCOL, false, EX_PROTOCOL, "the answer breaks the protocol",
     " Is that the port of an MQTT broker?"},
    {GNATTER_EDENIED, false, EX_NOPERM, "the broker could not prove that it knows the password",
     " Is it the broker that you mean?"},
    {GNATTER_EMALFORMED, true, EX_PROTOCOL, "the broker sent a malformed packet", ""},
    {GNATTER_EPROTOCOL, true, EX_PROTOCOL, "the broker broke the protocol", ""},
    {GNATTER_ETOOBIG, true, EX_PROTOCOL, "the broker sent too large a packet", ""},
};

/* Advice for those reasons of a refusal that have one. */
static const struct {
    uint8_t reason;
    const char *advice;
} refusals[] = {
    {GNT_REASON_UNSUPPORTED_VERSION, " Try another --protocol-version."},
    {GNT_REASON_CLIENT_ID_NOT_VALID, " Give another client id (--id)."},
    {GNT_REASON_BAD_USER_OR_PASSWORD, " Check the user name and the password (-u, -P)."},
    {GNT_REASON_BAD_AUTH_METHOD, " Try without --auth-method."},
    {GNT_REASON_NOT_AUTHORIZED, " Give a user name and a password (-u, -P) that it accepts."},
};

static const char *refusal_advice(uint8_t reason)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i].reason == reason)
            return refusals[i].advice;
    }
    return "";
}

/* A CONNACK's code as the connection's version counts them. */
static int connack_code(uint8_t reason, uint8_t version)
{
    return version == GNATTER_MQTT_5 ? reason : gnt_mqtt_reason_to_v3_connack(reason);
}

/* What TLS has to say for itself. */
static const struct {
    int error, code;
    const char *advice;
} tls_failures[] = {
    {GNATTER_EDENIED, EX_NOPERM, ""},
    {GNATTER_EREFUSED, EX_NOPERM, ""},
    {GNATTER_EINVALID, EX_CONFIG, ""},
    {GNATTER_EPROTOCOL, EX_PROTOCOL, " Is that the port for TLS?"},
    {GNATTER_ECLOSED, EX_UNAVAILABLE, " Is that the port for TLS?"},
};

static int describe_tls(const struct gnatter_disconnected *d, const char *before, char *text,
                        size_t size)
{
    struct gnatter_property words;
    char shown[TLS_WORDS_MAX];
    size_t i = 0, last = sizeof tls_failures / sizeof tls_failures[0] - 1;
    if (!gnatter_properties_find(d->properties, GNATTER_REASON_STRING, &words))
        words = gnatter_property_text(GNATTER_REASON_STRING, gnatter_error_text(d->error));
    gnt_utf8_printable(gnt_slice(words.text.data, words.text.size), shown, sizeof shown);
    while (i < last && tls_failures[i].error != d->error)
        i++;
    (void)snprintf(text, size, "%s: %s.%s", before, shown, tls_failures[i].advice);
    return tls_failures[i].code;
}

/* " (the broker's own words)", or nothing; and ": another server", or nothing. */
static const char *own_words(const struct gnatter_disconnected *d, char *text, size_t size)
{
    static const struct {
        uint8_t id;
        const char *before, *after;
    } parts[] = {{GNATTER_REASON_STRING, " (", ")"}, {GNATTER_SERVER_REFERENCE, ": ", ""}};
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct gnatter_property property;
        if (!gnatter_properties_find(d->properties, parts[i].id, &property))
            continue;
        char shown[256];
        gnt_utf8_printable(gnt_slice(property.text.data, property.text.size), shown, sizeof shown);
        int n =
            snprintf(text + used, size - used, "%s%s%s", parts[i].before, shown, parts[i].after);
        used = n < 0 || (size_t)n >= size - used ? size - 1 : used + (size_t)n;
    }
    return text;
}

static uint16_t port_of(const struct gnt_peer_options *o)
{
    return gnt_cli_port(o->place.port, gnt_cli_tls_given(&o->place.tls));
}

/* The words and the exit code for the end of a connection or an attempt. */
static int describe(const struct gnt_peer *peer, const struct gnatter_disconnected *d, char *text,
                    size_t size)
{
    const struct gnt_peer_options *o = peer->options;
    const char *verb = d->was_connected ? "lost the connection to" : "cannot connect to";
    char words[600], place[GNT_PLACE_TEXT_MAX], before[GNT_PLACE_TEXT_MAX + 64];
    gnt_place_text(&o->place, port_of(o), place);
    (void)snprintf(before, sizeof before, "%s %s", verb, place);
    if (d->tls)
        return describe_tls(d, before, text, size);
    own_words(d, words, sizeof words);
    if (d->reason >= 0x80) {
        (void)snprintf(text, size, "%s: the broker says: %s%s.%s", before,
                       gnatter_reason_text(d->reason), words, refusal_advice(d->reason));
        return d->was_connected ? EX_UNAVAILABLE
                                : connack_code(d->reason, version_of(o, peer->properties));
    }
    const struct gnt_place_failure *failure =
        gnt_place_failure(failures, sizeof failures / sizeof failures[0], d->error,
                          d->was_connected);
    if (failure) {
        bool heard = words[0] && d->error == GNATTER_EREFUSED; /* by a server for WebSockets */
        (void)snprintf(text, size, "%s: %s%s.%s", before, failure->text, words,
                       heard ? " Is that a broker's URL? Its path is /mqtt." : failure->advice);
        return failure->code;
    }
    (void)snprintf(text, size, "%s: %s%s.", before, gnatter_error_text(d->error), words);
    return EX_UNAVAILABLE;
}

/* ---- the client's callbacks */

static void on_connected(gnatter_client *c, const struct gnatter_connected *connected,
                         void *context)
{
    struct gnt_peer *peer = context;
    struct gnatter_client_info info;
    char shown[300], place[GNT_PLACE_TEXT_MAX];
    gnatter_client_get_info(c, &info);
    gnt_place_text(&peer->options->place, port_of(peer->options), place);
    gnt_run_debug(&peer->run, "connected to %s as '%s', session %s", place,
                  gnt_utf8_printable(gnt_slice_str(info.client_id), shown, sizeof shown),
                  connected->session_present ? "taken up again" : "new");
    if (peer->told)
        gnt_run_say(&peer->run, "connected to %s", place);
    peer->told = false;
    atomic_store(&peer->connected_once, true);
    gnt_wait_wake(&peer->run.wait);
}

/* An absence is told once: when it begins, and, by on_connected, when it is over. */
static void on_disconnected(gnatter_client *c, const struct gnatter_disconnected *d, void *context)
{
    struct gnt_peer *peer = context;
    char text[TEXT_MAX];
    (void)c;
    if (d->error == 0)
        gnt_run_debug(&peer->run, "disconnected");
    if (d->error == 0 || !gnt_run_goes_on(&peer->run))
        return;
    int code = describe(peer, d, text, sizeof text);
    bool goes_on = d->will_reconnect && (peer->patient || atomic_load(&peer->connected_once));
    if (!peer->told || !goes_on)
        gnt_run_say(&peer->run, "%s%s", text, goes_on ? " Trying again." : "");
    else
        gnt_run_debug(&peer->run, "%s", text);
    peer->told = true;
    if (!goes_on)
        gnt_run_end(&peer->run, code);
}

static void on_message(gnatter_client *c, const struct gnatter_received *message, void *context)
{
    struct gnt_peer *peer = context;
    if (peer->on_message)
        peer->on_message(c, message, peer->context);
}

static void on_trace(enum gnatter_trace what, const void *bytes, size_t size, void *context)
{
    struct gnt_peer *peer = context;
    gnt_trace_take(&peer->trace, what, bytes, size);
}

/* ---- options */

gnt_err gnt_peer_check_url(const char *text, struct gnt_why *why)
{
    struct gnt_url url;
    gnt_err err = gnt_url_parse(text, &url, why);
    if (err || gnt_url_is_peer(&url, GNT_URL_MQTT))
        return err;
    gnt_why_set(why,
                "expected mqtt://HOST:PORT, ws://HOST:PORT/mqtt or unix:///PATH; for TLS mqtts "
                "or wss");
    return GNT_INVALID;
}

static bool check_will(const char *command, const struct gnt_peer_options *o, bool will_properties)
{
    bool needless = o->will_payload || o->will_qos > 0 || o->will_retain || will_properties;
    if (!o->will_topic && needless) {
        gnt_say(command, "a will needs --will-topic");
        return false;
    }
    return true;
}

bool gnt_peer_check(const char *command, const struct gnt_peer_options *o,
                    const struct gnt_properties *properties)
{
    static const struct gnt_properties none;
    struct gnatter_property list[GNT_PROPERTIES_MAX];
    const struct gnt_properties *given = properties ? properties : &none;
    bool five = version_of(o, given) == GNATTER_MQTT_5;
    bool for_ever = five && o->session_expiry_s == UINT32_MAX;
    const char *mistake = NULL;
    if (o->id && o->id_prefix)
        mistake = "--id and --id-prefix exclude each other";
    else if ((o->keep_session || for_ever) && !o->id)
        mistake = "a session that outlives the connection (-c, -x -1) needs a client id (--id)";
    else if (o->auth_method != GNT_PEER_PLAIN && (!o->place.username || !o->place.password))
        mistake = "--auth-method needs a user name and a password (-u, -P)";
    else if (o->place.password && !o->place.username && !five)
        mistake = "a password needs a user name (-u) before MQTT 5";
    else if (o->session_expiry_s != UINT64_MAX && !five)
        mistake = "-x needs MQTT 5: -V mqttv5";
    else
        mistake = gnt_cli_tls_mistake(&o->place.tls, o->place.url);
    if (mistake)
        gnt_say(command, "%s", mistake);
    return !mistake && check_will(command, o, gnt_properties_of(given, GNT_IN_WILL, list) > 0);
}

/* Options of CONNECT that the client has a word of its own for. */
static void pull_properties(struct gnt_properties *all, struct gnatter_mqtt_options *mqtt)
{
    uint32_t number;
    if (gnt_properties_pull(all, GNT_IN_CONNECT, GNATTER_RECEIVE_MAXIMUM, &number))
        mqtt->receive_maximum = (uint16_t)number;
    if (gnt_properties_pull(all, GNT_IN_CONNECT, GNATTER_TOPIC_ALIAS_MAXIMUM, &number))
        mqtt->inbound_aliases = (uint16_t)number;
    if (gnt_properties_pull(all, GNT_IN_CONNECT, GNATTER_MAXIMUM_PACKET_SIZE, &number))
        mqtt->packet_max = number;
    if (gnt_properties_pull(all, GNT_IN_CONNECT, GNATTER_SESSION_EXPIRY, &number))
        mqtt->session_expiry_s = number;
    if (gnt_properties_pull(all, GNT_IN_PUBLISH, GNATTER_TOPIC_ALIAS, &number))
        mqtt->outbound_aliases = UINT16_MAX;
}

/* The session: -c and -x. */
static void set_session(const struct gnt_peer_options *o, struct gnatter_mqtt_options *mqtt)
{
    mqtt->clean_start = !o->keep_session;
    if (o->session_expiry_s != UINT64_MAX)
        mqtt->session_expiry_s = (uint32_t)o->session_expiry_s;
    else if (o->keep_session)
        mqtt->session_expiry_s = UINT32_MAX;
}

/* Everything that lives until the client has copied it. */
struct built {
    struct gnatter_client_options options;
    struct gnatter_message will;
    struct gnatter_property connect[GNT_PROPERTIES_MAX], will_properties[GNT_PROPERTIES_MAX];
    struct gnt_cli_secret secret;
    char id[300];
};

static void build_will(const struct gnt_peer *peer, struct built *b)
{
    const struct gnt_peer_options *o = peer->options;
    if (!o->will_topic)
        return;
    b->will = (struct gnatter_message){
        .topic = o->will_topic,
        .payload = o->will_payload,
        .payload_size = o->will_payload ? strlen(o->will_payload) : 0,
        .qos = o->will_qos,
        .retain = o->will_retain,
    };
    if (peer->properties)
        b->will.properties = (struct gnatter_property_list){
            b->will_properties,
            gnt_properties_of(peer->properties, GNT_IN_WILL, b->will_properties)};
    b->options.mqtt.will = &b->will;
}

static void build(struct gnt_peer *peer, struct built *b)
{
    const struct gnt_peer_options *o = peer->options;
    struct gnatter_mqtt_options *mqtt = &b->options.mqtt;
    gnatter_client_options_init(&b->options);
    b->options.host = o->place.host;
    b->options.port = port_of(o);
    b->options.url = o->place.url;
    b->options.on_connected = on_connected;
    b->options.on_disconnected = on_disconnected;
    b->options.on_message = on_message;
    if (o->place.trace)
        b->options.on_trace = on_trace;
    b->options.context = peer;
    b->options.reconnect_max_ms = 10000;
    if (o->auth_method != GNT_PEER_PLAIN)
        b->options.auth_method = gnt_peer_methods[o->auth_method].word;
    mqtt->version = version_of(o, peer->properties);
    mqtt->client_id = o->id;
    if (o->id_prefix) {
        (void)snprintf(b->id, sizeof b->id, "%s-%ld", o->id_prefix, (long)getpid());
        mqtt->client_id = b->id;
    }
    mqtt->username = o->place.username;
    if (o->place.password)
        mqtt->password = (struct gnatter_bytes){o->place.password, strlen(o->place.password)};
    mqtt->keep_alive_s = o->keep_alive_s;
    mqtt->packet_max = PACKET_MAX;
    mqtt->inbound_aliases = 0; /* so that %A shows none that the user has not asked for */
    set_session(o, mqtt);
    build_will(peer, b);
    if (!peer->properties)
        return;
    pull_properties(peer->properties, mqtt);
    mqtt->properties = (struct gnatter_property_list){
        b->connect, gnt_properties_of(peer->properties, GNT_IN_CONNECT, b->connect)};
}

/* ---- the life of a peer */

static int make_client(struct gnt_peer *peer, const struct gnatter_client_options *options)
{
    int err = gnatter_client_new(options, &peer->client);
    if (err == GNATTER_EINVALID)
        gnt_say(peer->command,
                "an option cannot be sent: look at the client id, the user name, the "
                "will's topic and the properties; text has to be UTF-8");
    else if (err)
        gnt_say(peer->command, "%s", gnatter_error_text(err));
    return !err ? EX_OK : err == GNATTER_EINVALID ? EX_USAGE : EX_OSERR;
}

/* Signals are blocked when nobody is asked for a pass-phrase any more. */
static int open_with(struct gnt_peer *peer, struct built *b)
{
    const struct gnt_cli_tls *tls = &peer->options->place.tls;
    int code = gnt_cli_tls_options(peer->command, tls, &b->options.tls, &b->secret);
    if (code)
        return code;
    b->options.tls.on = gnt_cli_tls_given(tls) && !peer->options->place.url;
    code = gnt_run_init(&peer->run);
    if (code)
        return code;
    code = make_client(peer, &b->options);
    if (code)
        gnt_run_fini(&peer->run);
    return code;
}

int gnt_peer_open(struct gnt_peer *peer)
{
    struct built built = {0};
    peer->run.command = peer->command;
    peer->run.is_loud = peer->options->place.debug;
    peer->run.is_mute = peer->options->place.quiet;
    gnt_trace_init(&peer->trace, peer->command, GNT_DECODER_MQTT);
    build(peer, &built);
    if (peer->adjust)
        peer->adjust(&built.options);
    int code = open_with(peer, &built);
    gnt_cli_forget(&built.secret);
    return code;
}

int gnt_peer_start(struct gnt_peer *peer)
{
    int err = gnatter_client_start(peer->client);
    if (!err)
        return EX_OK;
    gnt_run_say(&peer->run, "%s", gnatter_error_text(err));
    return EX_OSERR;
}

int gnt_peer_close(struct gnt_peer *peer)
{
    struct gnatter_property list[GNT_PROPERTIES_MAX];
    struct gnatter_disconnect how = {0};
    struct gnatter_client_info info;
    if (peer->properties)
        how.properties = (struct gnatter_property_list){
            list, gnt_properties_of(peer->properties, GNT_IN_DISCONNECT, list)};
    gnt_wait_impatient();
    /* Its thread may hang in an output that nobody reads; then SIGALRM is the end. */
    (void)alarm(END_S);
    gnatter_client_get_info(peer->client, &info);
    int err = info.connected ? gnatter_client_disconnect(peer->client, &how, CLOSE_MS)
                             : gnatter_client_stop(peer->client, &how);
    if (err)
        gnt_run_debug(&peer->run, "disconnecting: %s", gnatter_error_text(err));
    gnatter_client_free(peer->client);
    (void)alarm(0);
    gnt_trace_fini(&peer->trace);
    gnt_run_fini(&peer->run);
    return gnt_run_code(&peer->run);
}

/* ---- requests */

int gnt_peer_result_code(const struct gnatter_result *result)
{
    return result->error == GNATTER_EREFUSED && result->reason ? result->reason : EX_UNAVAILABLE;
}

const char *gnt_peer_result_text(const struct gnatter_result *result, char *text, size_t size)
{
    if (result->error == GNATTER_EREFUSED)
        (void)snprintf(text, size, "refused: %s", gnatter_reason_text(result->reason));
    else
        (void)snprintf(text, size, "%s", gnatter_error_text(result->error));
    return text;
}
