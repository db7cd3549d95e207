#include "cli/bench_options.h"

#include "auth/scram.h"
#include "base/clock.h"
#include "cli/bench_target.h"
#include "cli/peer.h"

#include <string.h>

enum { CLIENTS_MAX = 1000000 };

static const struct shape {
    const char *word;
    uint32_t publishers, subscribers;
} shapes[] = {
#define GNT_BENCH_SHAPE(name, word, pubs, subs, help) [GNT_BENCH_##name] = {word, pubs, subs},
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

/* ---- The table */

#define FIELD(member) GNT_OPTION_FIELD(struct gnt_bench_options, member)
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
     .metavar = "TARGET", .check = gnt_bench_target_check, .group = "Broker",
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
    GNT_CLI_TLS_ROWS(struct gnt_bench_options, tls),
    {.flag = "live", .kind = GNT_OPTION_BOOL, FIELD(live), .group = "Output",
     .help = "Shows a line a second on stderr even where that is no terminal."},
    {.flag = "json", .kind = GNT_OPTION_BOOL, FIELD(json), .group = "Output",
     .help = "Prints one JSON document instead of the summaries."},
};
/* clang-format on */

const struct gnt_args gnt_bench_arguments = {
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
    .table = GNT_OPTION_TABLE(struct gnt_bench_options, rows),
};

/* ---- What comes of them */

size_t gnt_bench_scenario_count(const struct gnt_bench_options *o)
{
    return o->scenarios.count ? o->scenarios.count : 1;
}

enum gnt_bench_shape gnt_bench_scenario(const struct gnt_bench_options *o, size_t i)
{
    return o->scenarios.count ? (enum gnt_bench_shape)find_shape(o->scenarios.items[i])
                              : GNT_BENCH_PAIRS;
}

struct gnt_bench_plan gnt_bench_plan_of(const struct gnt_bench_options *o,
                                        enum gnt_bench_shape shape)
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

const char *gnt_bench_mistake(const struct gnt_bench_options *o)
{
    const char *mistake = gnt_cli_tls_mistake(&o->tls, NULL);
    if (mistake)
        return mistake;
    for (size_t i = 0; i < gnt_bench_scenario_count(o); i++) {
        enum gnt_bench_shape shape = gnt_bench_scenario(o, i);
        if (shape == GNT_BENCH_PAIRS && o->publishers && o->subscribers &&
            o->publishers != o->subscribers)
            return "pairs have as many subscribers as publishers";
        if (shape == GNT_BENCH_SHARED && o->groups > gnt_bench_plan_of(o, shape).subscribers)
            return "there are more shared groups than subscribers";
    }
    if (o->auth_method != GNT_PEER_PLAIN &&
        !(gnt_scram_text_valid(gnt_slice_str(o->username), GNT_SCRAM_NAME_MAX) && o->password))
        return "--auth-method needs a user name and a password (-u, -P)";
    if (o->password && !o->username && o->version != GNATTER_MQTT_5)
        return "--pw needs --username before MQTT 5";
    return NULL;
}
