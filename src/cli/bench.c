/* gnatter bench: load and latency, one broker or several in turns. */
#include "auth/scram.h"
#include "base/clock.h"
#include "callback/tls_client.h"
#include "cli/bench_load.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/peer.h"
#include "cli/say.h"
#include "conf/url.h"
#include "net/resolve.h"
#include "net/unix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

static const char name[] = "bench";

enum { NOT_ALL_WELL = 1, CLIENTS_MAX = 1000000 };

struct options {
    struct gnt_strings scenarios, targets;
    uint32_t publishers, subscribers, groups, size, window;
    uint64_t rate, credit, ramp, warm_ms, duration_ms, drain_ms;
    uint32_t rounds;
    uint8_t qos;
    bool live, json;
    char *host, *username, *password;
    uint32_t protocol; /* enum gnt_url_kind */
    uint16_t port;
    struct gnt_cli_tls tls;
    uint32_t version, auth_method;
};

static const struct shape {
    const char *word, *help;
    uint32_t publishers, subscribers;
} shapes[] = {
#define GNT_BENCH_SHAPE(name, word, pubs, subs, help) [GNT_BENCH_##name] = {word, help, pubs, subs},
    GNT_BENCH_SHAPES(GNT_BENCH_SHAPE)
#undef GNT_BENCH_SHAPE
};

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static const struct gnt_option_word protocols[] = {{"mqtt", GNT_URL_MQTT},
                                                   {"amqp", GNT_URL_AMQP},
                                                   {NULL, 0}};

/* SHAPES: there is none of that name. */
static size_t find_shape(const char *text)
{
    size_t i = 0;
    while (i < SHAPES && strcmp(shapes[i].word, text) != 0)
        i++;
    return i;
}

static gnt_err check_scenario(const char *text, struct gnt_why *why)
{
    if (find_shape(text) < SHAPES)
        return GNT_OK;
    gnt_why_set(why, "expected pairs, fan-in, fan-out, shared, wild or idle");
    return GNT_INVALID;
}

/* ---- Targets: [NAME=]URL[,pid=PID] */

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

static gnt_err check_target(const char *text, struct gnt_why *why)
{
    struct gnt_bench_target t;
    struct gnt_url url;
    return read_target(text, &t, &url, why);
}

/* ---- Options */

#define FIELD(member) GNT_OPTION_FIELD(struct options, member)
#define NUMBER(word, member, least, most, standard, what, heading, text)                          \
    {                                                                                             \
        .flag = (word), .kind = GNT_OPTION_INTEGER, FIELD(member), .min = (least), .max = (most), \
        .fallback = (standard), .metavar = (what), .group = (heading), .help = (text)             \
    }
#define TIME(word, member, most_s, standard, text)                                 \
    {                                                                              \
        .flag = (word), .kind = GNT_OPTION_DURATION, FIELD(member),                \
        .max = (most_s)*UINT64_C(1000), .fallback = (standard), .metavar = "TIME", \
        .group = "Time", .help = (text)                                            \
    }

/* clang-format off */
static const struct gnt_option rows[] = {
    {.flag = "scenario", .letter = 's', .kind = GNT_OPTION_STRINGS, FIELD(scenarios),
     .metavar = "NAME", .check = check_scenario, .group = "Load",
     .help = "pairs, fan-in, fan-out, shared, wild or idle, see below; may be repeated. Without "
             "it: pairs."},
    NUMBER("publishers", publishers, 0, CLIENTS_MAX, NULL, "N", "Load",
           "How many publish; each scenario has its own default."),
    NUMBER("subscribers", subscribers, 0, CLIENTS_MAX, NULL, "N", "Load",
           "How many subscribe; likewise."),
    NUMBER("groups", groups, 1, 10000, "1", "N", "Load",
           "Into how many shared groups the subscribers of scenario shared are divided."),
    {.flag = "qos", .letter = 'q', .kind = GNT_OPTION_INTEGER, FIELD(qos), .fallback = "0",
     .max = 2, .metavar = "QOS", .group = "Load", .help = "Of publications and subscriptions."},
    {.flag = "size", .kind = GNT_OPTION_SIZE, FIELD(size), .fallback = "64", .metavar = "SIZE",
     .min = GNT_BENCH_SIZE_MIN, .max = 16 * 1024 * 1024, .group = "Load",
     .help = "Of a payload."},
    NUMBER("rate", rate, 0, 100000000, "0", "N", "Load",
           "Messages a second of all publishers together, as an open loop: they are due whatever "
           "the broker does, and latency counts from when a message was due. 0: as fast as it "
           "goes."),
    NUMBER("window", window, 1, 65535, "20", "N", "Load",
           "How many publications of QoS 1 and 2 a publisher has unacknowledged."),
    NUMBER("credit", credit, 0, UINT32_MAX, "0", "N", "Load",
           "Publishers wait while so many deliveries are outstanding, so that no broker has to "
           "drop; for comparing CPU. 0: they do not wait."),
    TIME("duration", duration_ms, 7 * 86400, "10s", "How long is measured."),
    TIME("warm-up", warm_ms, 86400, "1s", "What runs before and does not count."),
    TIME("drain", drain_ms, 86400, "10s",
         "How long to wait afterwards for what is on its way; ends early when nothing comes."),
    NUMBER("ramp", ramp, 0, 1000000, "0", "N", "Time",
           "Makes N connections a second. 0: as fast as the broker answers."),
    {.flag = "target", .letter = 't', .kind = GNT_OPTION_STRINGS, FIELD(targets),
     .metavar = "TARGET", .check = check_target, .group = "Broker",
     .help = "[NAME=]URL[,pid=PID], such as mine=mqtt://127.0.0.1:1884,pid=4711, amqp://HOST:PORT, "
             "ws://HOST:PORT/mqtt (or /amqp) or unix:///PATH; mqtts, amqps and wss for TLS, in which each client after the first resumes a session. May "
             "be repeated: each scenario is run on each in turn, and ratios to the first are shown. With a "
             "process id of this machine the broker's CPU and memory are shown too. Replaces "
             "--host and --port."},
    NUMBER("rounds", rounds, 1, 1000, "1", "N", "Broker",
           "Runs everything N times, the targets in turns, and shows medians."),
    {.flag = "protocol", .kind = GNT_OPTION_WORD, FIELD(protocol), .fallback = "mqtt",
     .metavar = "WORD", .words = protocols, .group = "Broker",
     .help = "mqtt or amqp: what is spoken to --host and --port; a target's URL says it itself. "
             "Over AMQP 1.0 each publisher sends to a queue that the broker makes for a "
             "subscriber; QoS 0 is sent settled, QoS 1 unsettled; scenarios are pairs, fan-in with "
             "one subscriber, and idle."},
    {.flag = "host", .letter = 'h', .kind = GNT_OPTION_STRING, FIELD(host), .max = 255,
     .fallback = "localhost", .metavar = "HOST", .group = "Broker",
     .help = "The broker's host name or address."},
    {.flag = "port", .letter = 'p', .kind = GNT_OPTION_INTEGER, FIELD(port), .min = 1,
     .max = 65535, .fallback = "auto", .metavar = "PORT", .group = "Broker",
     .words = gnt_cli_ports, .help = "The broker's port; auto is 1883, with TLS 8883; of "
     "AMQP 5672 and 5671."},
    {.flag = "username", .letter = 'u', .kind = GNT_OPTION_STRING, FIELD(username), .max = 65535,
     .metavar = "NAME", .group = "Broker", .help = "The user name of all clients."},
    {.flag = "pw", .letter = 'P', .kind = GNT_OPTION_STRING, FIELD(password), .max = 65535,
     .metavar = "PASSWORD", .group = "Broker", .help = "Their password."},
    {.flag = "auth-method", .kind = GNT_OPTION_WORD, FIELD(auth_method), .fallback = "none",
     .metavar = "METHOD", .words = gnt_peer_methods, .group = "Broker",
     .help = "SCRAM-SHA-256, SCRAM-SHA-512: how they log in, by MQTT 5. Each login is work for this "
             "process, as the broker asks; it is done before the load begins."},
    {.flag = "protocol-version", .letter = 'V', .kind = GNT_OPTION_WORD, FIELD(version),
     .fallback = "mqttv311", .metavar = "VERSION", .words = gnt_peer_versions, .group = "Broker",
     .help = "mqttv31, mqttv311 or mqttv5; also 31, 311 and 5."},
    GNT_CLI_TLS_ROWS(struct options, tls),
    {.flag = "live", .kind = GNT_OPTION_BOOL, FIELD(live), .group = "Output",
     .help = "Shows a line a second on stderr even where that is no terminal."},
    {.flag = "json", .kind = GNT_OPTION_BOOL, FIELD(json), .group = "Output",
     .help = "Prints one JSON document instead of the summaries."},
};
/* clang-format on */

static const struct gnt_args arguments = {
    .usage = "gnatter bench [OPTION]... [-s SCENARIO]... [-t TARGET]...",
    .about =
        "Puts a load on one broker, or on several in turns, and shows what became of it: messages "
        "a "
        "second, latency, and what was lost, duplicated or out of order.\n"
        "All clients run in one thread; where that shows nearly 100 % of a core, it is the limit, "
        "not the broker. Without --rate latency is mostly the time that messages stand in "
        "queues.",
    .footer = "Scenarios (publishers, subscribers):\n"
              "  pairs    100  100   each publisher has a topic and a subscriber of its own\n"
              "  fan-in    50    1   every subscriber gets what all publishers say\n"
              "  fan-out    1  500   the same, the other way round\n"
              "  shared    50   50   each shared group gets everything once\n"
              "  wild      50 1000   each message matches one subscriber's wildcard filter\n"
              "  idle       0 1000   nobody says anything: what a connection costs\n"
              "\n"
              "Examples:\n"
              "  gnatter bench                              what can the local broker do?\n"
              "  gnatter bench --rate 20000 --duration 1m   how late are 20,000 messages/s?\n"
              "  gnatter bench -s fan-in -q 1 --publishers 2000 --size 1KiB\n"
              "  gnatter bench --protocol amqp -q 1 --publishers 10\n"
              "  gnatter bench -s idle --subscribers 10000 -t mqtt://127.0.0.1,pid=4711\n"
              "  gnatter bench -s pairs -s wild --credit 5000 --rounds 5 \\\n"
              "      -t old=mqtt://127.0.0.1:1883,pid=471 -t new=mqtt://127.0.0.1:1884,pid=472\n"
              "\n"
              "About 28,000 connections fit between one address here and one port of a broker.\n"
              "Duplicates are told by number, in a window of 64 messages of a publisher for\n"
              "each receiver, of 4096 for each shared group.\n"
              "\n"
              "Exit codes: 0 all came, once, in order; 1 something was lost, duplicated,\n"
              "disordered, malformed or not sent, or connections were closed; else those of\n"
              "sysexits.h: 64 wrong usage, 68 host not found, 69 a broker does not answer.",
    .table = GNT_OPTION_TABLE(struct options, rows),
};

static size_t scenario_count(const struct options *o)
{
    return o->scenarios.count ? o->scenarios.count : 1;
}

static enum gnt_bench_shape scenario(const struct options *o, size_t i)
{
    return o->scenarios.count ? (enum gnt_bench_shape)find_shape(o->scenarios.items[i])
                              : GNT_BENCH_PAIRS;
}

/* ---- A run of runs */

struct bench {
    const struct options *options;
    struct gnt_bench_target *targets;
    size_t target_count;
    struct gnt_tls_context *tls; /* of all targets that have any; NULL: none has */
    double *figures;             /* [scenario][round][target][figure] */
    struct gnt_bench_result *result;
    struct gnt_wait wait;
    struct gnt_buf text, line;
    const char *target_name;
    size_t runs;
    bool terminal, interrupted, failed, not_all_well;
};

static void on_progress(void *context, const struct gnt_bench_progress *p)
{
    struct bench *b = context;
    gnt_buf_clear(&b->line);
    /* Without memory for a line there is none. */
    if (gnt_text_put(&b->line, "%s%s ", b->terminal ? "\r\033[K" : "", b->target_name) ||
        gnt_bench_put_live(&b->line, p) || (!b->terminal && gnt_text_put(&b->line, "\n")))
        return;
    struct gnt_slice text = gnt_buf_slice(&b->line);
    (void)fwrite(text.data, 1, text.size, stderr);
    (void)fflush(stderr);
}

static void end_live_line(const struct bench *b)
{
    if (b->terminal)
        (void)fputs("\r\033[K", stderr);
}

static bool put_out(struct gnt_buf *text)
{
    struct gnt_slice s = gnt_buf_slice(text);
    bool well = s.size == 0 || fwrite(s.data, 1, s.size, stdout) == s.size;
    gnt_buf_clear(text);
    return fflush(stdout) == 0 && well;
}

static struct gnt_bench_plan plan_of(const struct options *o, enum gnt_bench_shape shape)
{
    bool by_method = o->auth_method != GNT_PEER_PLAIN;
    struct gnt_bench_plan plan = {
        .shape = shape,
        .publishers = o->publishers ? o->publishers : shapes[shape].publishers,
        .subscribers = o->subscribers ? o->subscribers : shapes[shape].subscribers,
        .groups = o->groups,
        .size = o->size,
        .qos = o->qos,
        .version = by_method ? GNATTER_MQTT_5 : (uint8_t)o->version,
        .window = (uint16_t)o->window,
        .credit = o->credit,
        .rate = o->rate,
        .ramp = o->ramp,
        .warm_ns = o->warm_ms * GNT_NS_PER_MS,
        .duration_ns = o->duration_ms * GNT_NS_PER_MS,
        .drain_ns = o->drain_ms * GNT_NS_PER_MS,
        .username = o->username,
        .password = o->password,
        .method = by_method ? gnt_peer_methods[o->auth_method].word : NULL,
    };
    if (shape == GNT_BENCH_IDLE)
        plan.publishers = 0;
    if (shape == GNT_BENCH_PAIRS && o->publishers)
        plan.subscribers = plan.publishers;
    else if (shape == GNT_BENCH_PAIRS)
        plan.publishers = plan.subscribers;
    return plan;
}

static bool all_well(const struct gnt_bench_result *r)
{
    return !r->failure[0] &&
           r->lost + r->duplicated + r->disordered + r->malformed + r->refused + r->closed == 0;
}

static gnt_err one_run(struct bench *b, size_t which, unsigned round, size_t target)
{
    struct gnt_bench_plan plan = plan_of(b->options, scenario(b->options, which));
    const struct gnt_bench_target *t = &b->targets[target];
    bool live = b->terminal || b->options->live;
    b->target_name = t->name;
    gnt_bench_run(&plan, t, b->wait.signals, live ? on_progress : NULL, b, b->result,
                  &b->interrupted);
    end_live_line(b);
    if (b->interrupted && b->result->measured_s == 0)
        return GNT_OK; /* there is nothing to tell */
    b->failed |= b->result->failure[0] != '\0';
    b->not_all_well |= !all_well(b->result);
    size_t row = (which * b->options->rounds + round) * b->target_count + target;
    if (!b->result->failure[0])
        gnt_bench_figures(b->result, b->figures + row * GNT_BENCH_FIGURES);
    const char *before = "";
    if (b->options->json)
        before = b->runs ? ",\n" : "{\"runs\":[\n";
    else if (b->runs)
        before = "\n";
    b->runs++;
    gnt_err err = gnt_text_put(&b->text, "%s", before);
    if (!err)
        err = b->options->json ? gnt_bench_put_json(&b->text, &plan, t, round + 1, b->result)
                               : gnt_bench_put_summary(&b->text, &plan, t, b->result);
    return err;
}

static gnt_err compare(struct bench *b)
{
    gnt_err err = GNT_OK;
    size_t rounds = b->options->rounds;
    if (b->options->json)
        err = gnt_text_put(&b->text, "%s],\n\"comparison\":[", b->runs ? "\n" : "{\"runs\":[");
    bool worth = b->target_count > 1 || rounds > 1;
    for (size_t i = 0; !err && worth && i < scenario_count(b->options); i++) {
        err = gnt_text_put(&b->text, "%s", !b->options->json ? "\n" : i ? ",\n" : "\n");
        if (!err)
            err = gnt_bench_put_comparison(
                &b->text, scenario(b->options, i), b->targets, b->target_count,
                b->figures + i * rounds * b->target_count * GNT_BENCH_FIGURES, rounds,
                b->options->json);
    }
    if (!err && b->options->json)
        err = gnt_text_put(&b->text, "]}\n");
    return err;
}

/* In an odd round the targets change places, so that none is always measured first. */
static int run_all(struct bench *b)
{
    gnt_err err = GNT_OK;
    bool written = true;
    for (unsigned round = 0; round < b->options->rounds; round++)
        for (size_t s = 0; s < scenario_count(b->options); s++)
            for (size_t t = 0; t < b->target_count && !b->interrupted && !err && written; t++) {
                err = one_run(b, s, round, round % 2 ? b->target_count - 1 - t : t);
                written = put_out(&b->text);
            }
    if (!err)
        err = compare(b);
    if (err) {
        gnt_say(name, "%s", gnt_err_text(err));
        return EX_OSERR;
    }
    if (!put_out(&b->text) || !written)
        return EX_IOERR;
    if (b->failed)
        return EX_UNAVAILABLE;
    return b->not_all_well ? NOT_ALL_WELL : EX_OK;
}

/* ---- Preparing */

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

static int make_context(struct bench *b)
{
    struct gnatter_tls_options options;
    struct gnt_cli_secret secret;
    struct gnt_pki_why why;
    int code = gnt_cli_tls_options(name, &b->options->tls, &options, &secret);
    if (code == EX_OK &&
        gnt_tls_client_context(&options, NULL, NULL, NULL, &b->tls, &why) != GNT_OK) {
        gnt_say(name, "%s", why.text);
        code = EX_CONFIG;
    }
    gnt_cli_forget(&secret);
    return code;
}

static int set_tls(struct bench *b, struct gnt_bench_target *t, const struct gnt_url *url)
{
    const char *own = b->options->tls.server_name;
    int code = url->scheme->tls && !b->tls ? make_context(b) : EX_OK;
    (void)snprintf(t->server, sizeof t->server, "%s", own ? own : url->host);
    t->tls = url->scheme->tls ? b->tls : NULL;
    return code;
}

/* What is asked for that AMQP does not have here; NULL: nothing. */
static const char *amqp_mistake(const struct options *o)
{
    for (size_t i = 0; i < scenario_count(o); i++) {
        enum gnt_bench_shape shape = scenario(o, i);
        bool known = shape == GNT_BENCH_PAIRS || shape == GNT_BENCH_IDLE ||
                     (shape == GNT_BENCH_FAN_IN && plan_of(o, shape).subscribers == 1);
        if (!known)
            return "over AMQP scenarios are pairs, fan-in with one subscriber, and idle";
    }
    if (o->qos > 1)
        return "over AMQP the QoS is 0 or 1";
    if (o->size > GNT_BENCH_AMQP_MAX)
        return "over AMQP a payload has 512 KiB at most";
    return o->auth_method != GNT_PEER_PLAIN ? "over AMQP a password is sent by PLAIN" : NULL;
}

static int make_target(struct bench *b, const char *word, struct gnt_bench_target *t)
{
    struct gnt_url url;
    struct gnt_why why;
    if (read_target(word, t, &url, &why)) {
        gnt_say(name, "%s: %s", word, why.text);
        return EX_USAGE;
    }
    const char *mistake = t->amqp ? amqp_mistake(b->options) : NULL;
    if (mistake) {
        gnt_say(name, "%s: %s, see --help", t->url, mistake);
        return EX_USAGE;
    }
    int code = set_tls(b, t, &url);
    return code ? code : find_address(t, &url);
}

/* Without a target, --host and --port. */
static int make_targets(struct bench *b)
{
    const struct options *o = b->options;
    char text[300];
    bool tls = gnt_cli_tls_given(&o->tls), amqp = o->protocol == GNT_URL_AMQP;
    unsigned usual = !amqp ? gnt_cli_port(0, tls) : tls ? 5671 : 5672;
    (void)snprintf(text, sizeof text, strchr(o->host, ':') ? "%s%s://[%s]:%u" : "%s%s://%s:%u",
                   amqp ? "amqp" : "mqtt", tls ? "s" : "", o->host, o->port ? o->port : usual);
    b->target_count = o->targets.count ? o->targets.count : 1;
    int code = EX_OK;
    for (size_t i = 0; i < b->target_count && !code; i++)
        code = make_target(b, o->targets.count ? o->targets.items[i] : text, &b->targets[i]);
    return code;
}

static bool make_memory(struct bench *b)
{
    const struct options *o = b->options;
    size_t targets = o->targets.count ? o->targets.count : 1;
    b->targets = calloc(targets, sizeof *b->targets);
    b->figures =
        calloc(scenario_count(o) * targets * o->rounds * GNT_BENCH_FIGURES, sizeof *b->figures);
    b->result = calloc(1, sizeof *b->result);
    return b->targets && b->figures && b->result;
}

static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* else it is told when they run out */
    }
}

static int run(const struct options *o)
{
    struct bench b = {.options = o, .terminal = isatty(STDERR_FILENO) == 1};
    gnt_err err = gnt_wait_init(&b.wait);
    if (err) {
        gnt_say(name, "%s", gnt_err_text(err));
        return EX_OSERR;
    }
    allow_many_files();
    int code = EX_OSERR;
    if (make_memory(&b)) {
        code = make_targets(&b);
        if (code == EX_OK)
            code = run_all(&b);
    } else {
        gnt_say(name, "%s", gnt_err_text(GNT_NOMEM));
    }
    for (size_t i = 0; b.targets && i < b.target_count; i++)
        if (b.targets[i].list)
            freeaddrinfo(b.targets[i].list);
    gnt_tls_context_unref(&b.tls);
    free(b.targets);
    free(b.figures);
    free(b.result);
    gnt_buf_fini(&b.text);
    gnt_buf_fini(&b.line);
    gnt_wait_fini(&b.wait);
    return code;
}

/* What does not go together. */
static bool check(const struct options *o)
{
    const char *mistake = gnt_cli_tls_mistake(&o->tls, NULL);
    if (mistake) {
        gnt_say(name, "%s, see --help", mistake);
        return false;
    }
    for (size_t i = 0; i < scenario_count(o); i++) {
        enum gnt_bench_shape shape = scenario(o, i);
        if (shape == GNT_BENCH_PAIRS && o->publishers && o->subscribers &&
            o->publishers != o->subscribers) {
            gnt_say(name, "pairs have as many subscribers as publishers, see --help");
            return false;
        }
        if (shape == GNT_BENCH_SHARED && o->groups > plan_of(o, shape).subscribers) {
            gnt_say(name, "there are more shared groups than subscribers, see --help");
            return false;
        }
    }
    if (o->auth_method != GNT_PEER_PLAIN &&
        !(gnt_scram_text_valid(gnt_slice_str(o->username), GNT_SCRAM_NAME_MAX) && o->password)) {
        gnt_say(name, "--auth-method needs a user name and a password (-u, -P), see --help");
        return false;
    }
    if (o->password && !o->username && o->version != GNATTER_MQTT_5) {
        gnt_say(name, "--pw needs --username before MQTT 5, see --help");
        return false;
    }
    return true;
}

int gnt_command_bench(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    code = check(&options) ? run(&options) : EX_USAGE;
    gnt_options_fini(&arguments.table, &options);
    return code;
}
