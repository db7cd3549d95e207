/* gnatter pub: publishes one message, or one for each line of the standard input. */
#include "base/buf.h"
#include "base/clock.h"
#include "cli/body.h"
#include "cli/command.h"
#include "cli/number.h"
#include "cli/peer.h"
#include "cli/say.h"
#include "model/topic.h"

#include <poll.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

static const char name[] = "pub";

enum {
    PAYLOAD_MAX = 268435455, /* what a packet can hold [MQTT5 2.1.4] */
    QUEUE_MESSAGES = 1000,   /* lines that wait for their acknowledgement */
    QUEUE_BYTES = 300 << 20, /* no less than the largest message */
};

struct options {
    struct gnt_peer_options peer;
    struct gnt_properties properties;
    struct gnt_body body;
    char *topic;
    uint8_t qos;
    bool retain;
    uint32_t repeat;
    uint64_t repeat_delay_ns;
};

static gnt_err check_topic(const char *text, struct gnt_why *why)
{
    if (gnt_topic_name_valid(gnt_slice_str(text), 0))
        return GNT_OK;
    gnt_why_set(why, "expected a topic name such as sensors/kitchen: UTF-8 without + and #");
    return GNT_INVALID;
}

#define FIELD(member) GNT_OPTION_FIELD(struct options, member)

static const struct gnt_option rows[] = {
    {.flag = "topic",
     .letter = 't',
     .kind = GNT_OPTION_STRING,
     FIELD(topic),
     .max = GNT_TOPIC_MAX,
     .metavar = "TOPIC",
     .check = check_topic,
     .help = "Publishes to this topic."},
    {.flag = "qos",
     .letter = 'q',
     .kind = GNT_OPTION_INTEGER,
     FIELD(qos),
     .fallback = "0",
     .max = 2,
     .metavar = "QOS",
     .help = "0 at most once, 1 at least once, 2 exactly once."},
    {.flag = "retain",
     .letter = 'r',
     .kind = GNT_OPTION_BOOL,
     FIELD(retain),
     .help = "The broker keeps the message for later subscribers; an empty one ends that."},
    {.flag = "property",
     .letter = 'D',
     .kind = GNT_OPTION_TAKE,
     FIELD(properties),
     .metavar = "PACKET NAME VALUE",
     .take = gnt_property_take,
     .help = "An MQTT 5 property of a connect, publish, disconnect or will packet; user-property "
             "takes a name and a value: -D publish user-property unit C. Turns MQTT 5 on."},
    GNT_BODY_ROWS(struct options, body, "What to publish (one of these)", PAYLOAD_MAX),
    {.flag = "repeat",
     .kind = GNT_OPTION_INTEGER,
     FIELD(repeat),
     .fallback = "1",
     .min = 1,
     .max = UINT32_MAX,
     .metavar = "N",
     .group = "Repeating",
     .help = "Publishes the same message N times; not with -l."},
    {.flag = "repeat-delay",
     .kind = GNT_OPTION_TAKE,
     FIELD(repeat_delay_ns),
     .metavar = "SECONDS",
     .take = gnt_number_take_seconds,
     .group = "Repeating",
     .help = "Waits so long between them; fractions such as 0.5 are fine."},
    GNT_PEER_ROWS(struct options),
    GNT_PEER_WILL_ROWS(struct options),
};

static const struct gnt_args arguments = {
    .usage = "gnatter pub [OPTION]... -t TOPIC (-m TEXT | -f FILE | -l | -s | -n)",
    .about = "Publishes a message, waits until the broker has it, and ends. The options are those "
             "of mosquitto_pub.",
    .footer = "Examples:\n"
              "  gnatter pub -t greeting -m hello\n"
              "  gnatter pub -t camera/front -q 1 -r -f picture.jpg\n"
              "  gnatter pub -t camera/front -r -n           takes the retained picture away\n"
              "  tail -f log | gnatter pub -t log -l -q 1\n"
              "  gnatter pub -t a -m 21 -D publish message-expiry-interval 60\n"
              "  gnatter pub -h broker.example --cafile ca.pem --pfx me.pfx -t a -m 21\n"
              "\n"
              "Exit codes: 0 the broker has all of it; the code of the broker's CONNACK if it\n"
              "refuses the connection (1 to 5, in MQTT 5 128 and more) or of its answer if it\n"
              "refuses a message; else those of sysexits.h, such as 64 wrong usage, 66 an\n"
              "input that cannot be read, 68 host not found, 69 no connection, 77 one side\n"
              "refuses the other's certificate, 78 files of TLS that cannot be used.",
    .table = GNT_OPTION_TABLE(struct options, rows),
};

struct pub {
    struct gnt_peer peer;
    const struct options *options;
    struct gnatter_message message;
    struct gnatter_property properties[GNT_PROPERTIES_MAX];
    atomic_uint_least64_t settled; /* by the client's thread */
    uint64_t asked;
    atomic_int refused; /* the exit code of a message that was not accepted */
};

/* ---- publishing */

static void on_done(gnatter_client *c, const struct gnatter_result *result, void *context)
{
    struct pub *pub = context;
    char text[128];
    (void)c;
    if (result->error && result->error != GNATTER_ECLOSED) {
        gnt_run_say(&pub->peer.run, "a message is not published: %s",
                    gnt_peer_result_text(result, text, sizeof text));
        atomic_store(&pub->refused, gnt_peer_result_code(result));
    } else if (!result->error) {
        gnt_run_debug(&pub->peer.run, "published: %s", gnatter_reason_text(result->reason));
    }
    atomic_fetch_add(&pub->settled, 1);
    gnt_wait_wake(&pub->peer.run.wait);
}

/* Waits until no more than LEFT messages are outstanding, and there is a broker at all.  False: the
 * command is to end. */
static bool settle(struct pub *pub, uint64_t left)
{
    bool ready;
    while (pub->asked - atomic_load(&pub->settled) > left ||
           !atomic_load(&pub->peer.connected_once)) {
        if (!gnt_run_wait(&pub->peer.run, GNT_NEVER, -1, 0, &ready))
            return false;
    }
    return true;
}

/* Publishes PAYLOAD; where the queue is full, the broker is waited for.  False: to end. */
static bool publish(struct pub *pub, struct gnt_slice payload)
{
    pub->message.payload = payload.data;
    pub->message.payload_size = payload.size;
    for (;;) {
        uint64_t outstanding = pub->asked - atomic_load(&pub->settled);
        int err = gnatter_client_publish(pub->peer.client, &pub->message, on_done, pub, NULL);
        if (!err) {
            pub->asked++;
            return true;
        }
        if (err != GNATTER_EFULL || outstanding == 0) {
            gnt_run_say(&pub->peer.run, "a message cannot be published: %s",
                        gnatter_error_text(err));
            gnt_run_end(&pub->peer.run, err == GNATTER_ENOMEM ? EX_OSERR : EX_DATAERR);
            return false;
        }
        if (!settle(pub, outstanding - 1))
            return false;
    }
}

static bool pause_for(struct pub *pub, uint64_t span_ns)
{
    uint64_t until = gnt_deadline(gnt_now(&gnt_clock_system), span_ns);
    bool ready;
    while (gnt_now(&gnt_clock_system) < until) {
        if (!gnt_run_wait(&pub->peer.run, until, -1, 0, &ready))
            return false;
    }
    return true;
}

/* Each repetition goes when the one before has been delivered. */
static void publish_one(struct pub *pub, struct gnt_slice payload)
{
    for (uint32_t i = 0; i < pub->options->repeat; i++) {
        if (i > 0 && !pause_for(pub, pub->options->repeat_delay_ns))
            return;
        if (!publish(pub, payload) || !settle(pub, 0))
            return;
    }
}

/* Every whole line that is there. */
static bool publish_lines(struct pub *pub, struct gnt_input *in)
{
    struct gnt_slice line;
    while (gnt_input_line(in, &line)) {
        if (!publish(pub, line))
            return false;
    }
    return true;
}

static void read_lines(struct pub *pub)
{
    struct gnt_input in = {.fd = STDIN_FILENO, .max = PAYLOAD_MAX};
    gnt_err err = GNT_MORE;
    bool ready, going = true;
    while (going && err == GNT_MORE) {
        going = gnt_run_wait(&pub->peer.run, GNT_NEVER, in.fd, POLLIN, &ready);
        if (!going || !ready)
            continue;
        err = gnt_input_read(&in);
        going = publish_lines(pub, &in);
    }
    if (err < 0) {
        gnt_run_say(&pub->peer.run, "cannot read the standard input: %s", gnt_err_text(err));
        gnt_run_end(&pub->peer.run, EX_NOINPUT);
    }
    (void)settle(pub, 0);
    gnt_input_fini(&in);
}

/* ---- the command */

static bool check(const struct options *o)
{
    const char *mistake = NULL;
    if (!o->topic)
        mistake = "a topic is missing: -t TOPIC";
    else if (gnt_body_kinds(&o->body) != 1)
        mistake = "what to publish has to be said by exactly one of -m, -f, -l, -s and -n";
    else if (o->body.lines && o->repeat > 1)
        mistake = "--repeat and -l exclude each other";
    if (mistake)
        gnt_say(name, "%s, see --help", mistake);
    return !mistake && gnt_peer_check(name, &o->peer, &o->properties);
}

static void adjust(struct gnatter_client_options *options)
{
    options->mqtt.queue_messages = QUEUE_MESSAGES;
    options->mqtt.queue_bytes = QUEUE_BYTES;
}

static void build_message(struct pub *pub)
{
    const struct options *o = pub->options;
    pub->message = (struct gnatter_message){
        .topic = o->topic,
        .qos = o->qos,
        .retain = o->retain,
        .properties = {pub->properties,
                       gnt_properties_of(pub->peer.properties, GNT_IN_PUBLISH, pub->properties)},
    };
}

/* PAYLOAD: of everything but -l. */
static int serve(struct pub *pub, struct gnt_slice payload)
{
    int code = gnt_peer_start(&pub->peer);
    if (code)
        gnt_run_end(&pub->peer.run, code);
    else if (pub->options->body.lines)
        read_lines(pub);
    else
        publish_one(pub, payload);
    code = gnt_peer_close(&pub->peer);
    return code ? code : atomic_load(&pub->refused);
}

static int run(const struct options *o, struct gnt_properties *properties, struct gnt_slice payload)
{
    struct pub pub = {.options = o};
    pub.peer = (struct gnt_peer){
        .command = name, .options = &o->peer, .properties = properties, .adjust = adjust};
    int code = gnt_peer_open(&pub.peer);
    if (code)
        return code;
    build_message(&pub);
    return serve(&pub, payload);
}

static int load_and_run(const struct options *o)
{
    struct gnt_properties properties = o->properties;
    struct gnt_input in;
    int code = EX_NOINPUT;
    if (gnt_body_load(name, &o->body, PAYLOAD_MAX, "an MQTT message", &in) == GNT_OK)
        code = run(o, &properties, gnt_body_bytes(&o->body, &in));
    gnt_input_fini(&in);
    return code;
}

int gnt_command_pub(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    code = check(&options) ? load_and_run(&options) : EX_USAGE;
    gnt_options_fini(&arguments.table, &options);
    return code;
}
