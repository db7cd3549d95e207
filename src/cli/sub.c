/* gnatter sub: subscribes, and prints what comes. */
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/peer.h"
#include "cli/say.h"
#include "model/topic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

static const char name[] = "sub";

enum {
    TIME_IS_UP = 27,        /* mosquitto_sub's exit code for it */
    PROPERTIES_SHOWN = 256, /* of one message */
};

struct options {
    struct gnt_peer_options peer;
    struct gnt_properties properties;
    struct gnt_strings topics, unsubscribe, filter_out;
    uint8_t qos;
    uint32_t count, timeout_s;
    char *format;
    bool verbose, no_newline, no_retained, retained_only, remove_retained, retain_as_published;
    bool exit_after;
};

static gnt_err check_filter(const char *text, struct gnt_why *why)
{
    struct gnt_share share;
    struct gnt_slice filter = gnt_slice_str(text);
    gnt_err err = gnt_topic_share(filter, &share);
    if (err == GNT_OK)
        filter = share.filter;
    if (err != GNT_INVALID && gnt_topic_filter_valid(filter, 0))
        return GNT_OK;
    gnt_why_set(why, "expected a topic filter such as sensors/+/temperature or sensors/#; + and # "
                     "stand for whole levels, # for the last ones");
    return GNT_INVALID;
}

#define FIELD(member) GNT_OPTION_FIELD(struct options, member)

static const struct gnt_option rows[] = {
    {.flag = "topic",
     .letter = 't',
     .kind = GNT_OPTION_STRINGS,
     FIELD(topics),
     .metavar = "FILTER",
     .check = check_filter,
     .help = "Subscribes to this topic or filter; may be repeated."},
    {.flag = "qos",
     .letter = 'q',
     .kind = GNT_OPTION_INTEGER,
     FIELD(qos),
     .fallback = "0",
     .max = 2,
     .metavar = "QOS",
     .help = "The highest QoS in which messages are wanted."},
    {.flag = "unsubscribe",
     .letter = 'U',
     .kind = GNT_OPTION_STRINGS,
     FIELD(unsubscribe),
     .metavar = "FILTER",
     .check = check_filter,
     .help = "Ends a subscription of the session (-c) after the new ones are made; may be "
             "repeated."},
    {.flag = "filter-out",
     .letter = 'T',
     .kind = GNT_OPTION_STRINGS,
     FIELD(filter_out),
     .metavar = "FILTER",
     .check = check_filter,
     .help = "Shows nothing of these topics; may be repeated."},
    {.flag = "no-retained",
     .letter = 'R',
     .kind = GNT_OPTION_BOOL,
     FIELD(no_retained),
     .help = "Shows no retained messages, only fresh ones."},
    {.flag = "retained-only",
     .kind = GNT_OPTION_BOOL,
     FIELD(retained_only),
     .help = "Shows only retained messages, and ends with the first fresh one."},
    {.flag = "remove-retained",
     .kind = GNT_OPTION_BOOL,
     FIELD(remove_retained),
     .help = "Removes the retained messages that come from the broker; those that --filter-out "
             "matches stay."},
    {.flag = "retain-as-published",
     .kind = GNT_OPTION_BOOL,
     FIELD(retain_as_published),
     .help = "MQTT 5: the retain flag of a message is its publisher's."},
    {.flag = "property",
     .letter = 'D',
     .kind = GNT_OPTION_TAKE,
     FIELD(properties),
     .metavar = "PACKET NAME VALUE",
     .take = gnt_property_take,
     .help = "An MQTT 5 property of a connect, subscribe, unsubscribe, disconnect or will packet; "
             "user-property takes a name and a value: -D connect user-property from me. Turns "
             "MQTT 5 on."},
    {.flag = "count",
     .letter = 'C',
     .kind = GNT_OPTION_INTEGER,
     FIELD(count),
     .min = 1,
     .max = UINT32_MAX,
     .metavar = "N",
     .group = "When to end",
     .help = "Ends after N messages."},
    {.flag = "timeout",
     .letter = 'W',
     .kind = GNT_OPTION_INTEGER,
     FIELD(timeout_s),
     .min = 1,
     .max = UINT32_MAX,
     .metavar = "SECONDS",
     .group = "When to end",
     .help = "Ends after so many seconds, with exit code 27."},
    {.flag = "exit-after-subscribing",
     .letter = 'E',
     .kind = GNT_OPTION_BOOL,
     FIELD(exit_after),
     .group = "When to end",
     .help = "Ends when the broker has answered; with -c a session is then there that collects "
             "messages."},
    {.flag = "verbose",
     .letter = 'v',
     .kind = GNT_OPTION_BOOL,
     FIELD(verbose),
     .group = "Output",
     .help = "Prints the topic in front of each payload."},
    {.flag = "format",
     .letter = 'F',
     .kind = GNT_OPTION_STRING,
     FIELD(format),
     .metavar = "FORMAT",
     .check = gnt_format_check,
     .group = "Output",
     .help = "Prints each message like this: %t topic, %p payload, %x payload in hex, %l its "
             "length, %q QoS, %r retained, %m packet id, %j all as JSON, %J the same with a "
             "payload that is JSON itself, %I time, %U time in seconds since 1970; of MQTT 5 %A "
             "topic alias, %C content type, %D correlation data, %E expiry, %F payload format, %P "
             "user properties, %R response topic, %S subscription identifier; @X is strftime's "
             "%X, @N nanoseconds; \\n \\t \\0 \\e and so on. %10t and %-10t are at least 10 wide, "
             "%.10t "
             "at most."},
    {.flag = "no-newline",
     .letter = 'N',
     .kind = GNT_OPTION_BOOL,
     FIELD(no_newline),
     .group = "Output",
     .help = "Prints no line end after a message."},
    GNT_PEER_ROWS(struct options),
    GNT_PEER_WILL_ROWS(struct options),
};

static const struct gnt_args arguments = {
    .usage = "gnatter sub [OPTION]... -t FILTER...",
    .about = "Subscribes to topics and prints the messages that come, until it is interrupted. "
             "The options are those of mosquitto_sub; where a broker goes away it is waited for.",
    .footer = "Examples:\n"
              "  gnatter sub -t 'sensors/+/temperature' -v\n"
              "  gnatter sub -t '#' -F '%I %t %p'            with the time\n"
              "  gnatter sub -t answers -C 1 -W 10           one message, for at most 10 s\n"
              "  gnatter sub -i me -c -q 1 -t jobs           nothing is missed between two runs\n"
              "  gnatter sub -h broker.example --cafile ca.pem --pfx me.pfx -t '#'\n"
              "\n"
              "Exit codes: 0 all went well; the code of the broker's CONNACK if it refuses the\n"
              "connection (1 to 5, in MQTT 5 128 and more) or of its SUBACK if it refuses all\n"
              "subscriptions; 27 time is up (-W); else those of sysexits.h, such as 64 wrong\n"
              "usage, 68 host not found, 69 no connection, 74 the output failed, 77 one side\n"
              "refuses the other's certificate, 78 files of TLS that cannot be used.",
    .table = GNT_OPTION_TABLE(struct options, rows),
};

/* What the client's thread works on; the main thread looks at nothing of it. */
struct sub {
    struct gnt_peer peer;
    const struct options *options;
    struct gnt_buf line;
    uint32_t seen;
    bool over; /* what comes now is not for us any more */
};

/* ---- messages: the client's thread */

static bool is_filtered_out(const struct options *o, struct gnt_slice topic)
{
    for (size_t i = 0; i < o->filter_out.count; i++) {
        if (gnt_topic_matches(gnt_slice_str(o->filter_out.items[i]), topic))
            return true;
    }
    return false;
}

static size_t shown_properties(struct gnatter_properties rest,
                               struct gnt_mqtt_prop props[PROPERTIES_SHOWN])
{
    struct gnatter_property property;
    size_t count = 0;
    while (count < PROPERTIES_SHOWN && gnatter_properties_next(&rest, &property))
        count += gnt_property_row(&property, &props[count]) ? 1 : 0;
    return count;
}

/* With -v an empty payload is "(null)", as mosquitto_sub has it. */
static const char *format_of(const struct options *o, bool empty)
{
    if (o->format)
        return o->format;
    if (!o->verbose)
        return "%p";
    return empty ? "%t (null)" : "%t %p";
}

/* The line into sub->line. */
static gnt_err format_message(struct sub *sub, const struct gnatter_received *m)
{
    struct gnt_mqtt_prop props[PROPERTIES_SHOWN];
    struct gnt_format_message message = {
        .topic = gnt_slice(m->topic, m->topic_size),
        .payload = gnt_slice(m->payload, m->payload_size),
        .qos = m->qos,
        .retain = m->retain,
        .id = m->id,
        .props = props,
        .prop_count = shown_properties(m->properties, props),
    };
    (void)clock_gettime(CLOCK_REALTIME, &message.time);
    gnt_buf_clear(&sub->line);
    gnt_err err =
        gnt_format_put(format_of(sub->options, m->payload_size == 0), &message, &sub->line);
    if (!err && !sub->options->no_newline)
        err = gnt_buf_put(&sub->line, gnt_slice_str("\n"));
    return err;
}

/* Writes the line so that a reader has it at once.  A reader that has gone ends us without a word.
 */
static bool write_line(struct sub *sub)
{
    struct gnt_slice line = gnt_buf_slice(&sub->line);
    if (fwrite(line.data, 1, line.size, stdout) == line.size && fflush(stdout) == 0)
        return true;
    if (errno != EPIPE)
        gnt_run_say(&sub->peer.run, "cannot write the output: %s", strerror(errno));
    gnt_run_end(&sub->peer.run, errno == EPIPE ? EX_OK : EX_IOERR);
    sub->over = true;
    return false;
}

static bool show(struct sub *sub, const struct gnatter_received *m)
{
    char shown[128];
    gnt_err err = format_message(sub, m);
    if (!err)
        return write_line(sub);
    if (err == GNT_INVALID)
        gnt_run_say(&sub->peer.run, "the payload is not JSON, as %%J wants it, on the topic %s",
                    gnt_utf8_printable(gnt_slice(m->topic, m->topic_size), shown, sizeof shown));
    else
        gnt_run_say(&sub->peer.run, "a message is not shown: %s", gnt_err_text(err));
    return true;
}

static void remove_retained(struct sub *sub, const struct gnatter_received *m)
{
    const struct gnatter_message nothing = {.topic = m->topic, .qos = 1, .retain = true};
    int err = gnatter_client_publish(sub->peer.client, &nothing, NULL, NULL, NULL);
    if (err)
        gnt_run_say(&sub->peer.run, "a retained message is not removed: %s",
                    gnatter_error_text(err));
}

/* False: the message is left unacknowledged, for the session's next life. */
static bool take_message(struct sub *sub, const struct gnatter_received *m)
{
    const struct options *o = sub->options;
    if (sub->over)
        return false;
    if (o->retained_only && !m->retain) {
        sub->over = true;
        gnt_run_end(&sub->peer.run, EX_OK);
        return false;
    }
    if (is_filtered_out(o, gnt_slice(m->topic, m->topic_size)))
        return true;
    if (o->remove_retained && m->retain)
        remove_retained(sub, m);
    if (o->no_retained && m->retain)
        return true;
    if (!show(sub, m))
        return false;
    if (o->count > 0 && ++sub->seen == o->count) {
        sub->over = true;
        gnt_run_end(&sub->peer.run, EX_OK);
    }
    return true;
}

static void on_message(gnatter_client *c, const struct gnatter_received *message, void *context)
{
    struct sub *sub = context;
    gnt_run_debug(&sub->peer.run, "received PUBLISH, QoS %u, %zu bytes", message->qos,
                  message->payload_size);
    if (!take_message(sub, message) || !message->ack)
        return;
    int err = gnatter_client_ack(c, message->ack, 0);
    if (err)
        gnt_run_debug(&sub->peer.run, "not acknowledged: %s", gnatter_error_text(err));
}

/* A message that was not printed is not acknowledged. */
static void adjust(struct gnatter_client_options *options)
{
    options->mqtt.manual_ack = true;
}

/* ---- subscribing */

static void say_refused(struct sub *sub, const struct gnatter_result *result)
{
    size_t refused = 0;
    for (size_t i = 0; i < result->code_count && i < sub->options->topics.count; i++) {
        if (result->codes[i] < 0x80) {
            gnt_run_debug(&sub->peer.run, "subscribed to %s at QoS %u",
                          sub->options->topics.items[i], result->codes[i]);
            continue;
        }
        refused++;
        bool why = result->codes[i] > 0x80; /* which is all that 3.1.1 can say */
        gnt_run_say(&sub->peer.run, "the broker refuses the subscription to %s%s%s",
                    sub->options->topics.items[i], why ? ": " : "",
                    why ? gnatter_reason_text(result->codes[i]) : "");
    }
    if (refused == sub->options->topics.count)
        gnt_run_end(&sub->peer.run, result->reason);
}

static void on_subscribed(gnatter_client *c, const struct gnatter_result *result, void *context)
{
    struct sub *sub = context;
    char text[128];
    (void)c;
    if (result->error == 0 || result->error == GNATTER_EREFUSED)
        say_refused(sub, result);
    else if (result->error != GNATTER_ECLOSED) {
        gnt_run_say(&sub->peer.run, "cannot subscribe: %s",
                    gnt_peer_result_text(result, text, sizeof text));
        gnt_run_end(&sub->peer.run, gnt_peer_result_code(result));
    }
    if (sub->options->exit_after && sub->options->unsubscribe.count == 0)
        gnt_run_end(&sub->peer.run, EX_OK);
}

static void on_unsubscribed(gnatter_client *c, const struct gnatter_result *result, void *context)
{
    struct sub *sub = context;
    char text[128];
    (void)c;
    if (result->error && result->error != GNATTER_ECLOSED)
        gnt_run_say(&sub->peer.run, "cannot unsubscribe: %s",
                    gnt_peer_result_text(result, text, sizeof text));
    if (sub->options->exit_after || sub->options->topics.count == 0)
        gnt_run_end(&sub->peer.run, result->error ? gnt_peer_result_code(result) : EX_OK);
}

static int subscribe(struct sub *sub)
{
    const struct options *o = sub->options;
    struct gnatter_property list[GNT_PROPERTIES_MAX];
    struct gnatter_property_list properties = {list, gnt_properties_of(&o->properties,
                                                                       GNT_IN_SUBSCRIBE, list)};
    struct gnatter_subscription *all = calloc(o->topics.count, sizeof *all);
    if (!all)
        return GNATTER_ENOMEM;
    for (size_t i = 0; i < o->topics.count; i++) {
        all[i] = (struct gnatter_subscription){.filter = o->topics.items[i],
                                               .qos = o->qos,
                                               .retain_as_published = o->retain_as_published};
    }
    int err = gnatter_client_subscribe(sub->peer.client, all, o->topics.count, &properties,
                                       on_subscribed, sub, NULL);
    free(all);
    return err;
}

static int unsubscribe(struct sub *sub)
{
    const struct options *o = sub->options;
    struct gnatter_property list[GNT_PROPERTIES_MAX];
    struct gnatter_property_list properties = {list, gnt_properties_of(&o->properties,
                                                                       GNT_IN_UNSUBSCRIBE, list)};
    return gnatter_client_unsubscribe(sub->peer.client, (const char *const *)o->unsubscribe.items,
                                      o->unsubscribe.count, &properties, on_unsubscribed, sub,
                                      NULL);
}

static int request(struct sub *sub)
{
    int err = sub->options->topics.count > 0 ? subscribe(sub) : 0;
    if (!err && sub->options->unsubscribe.count > 0)
        err = unsubscribe(sub);
    if (!err)
        return gnt_peer_start(&sub->peer);
    gnt_say(name, "cannot subscribe: %s", gnatter_error_text(err));
    return err == GNATTER_EINVALID ? EX_USAGE : EX_OSERR;
}

/* ---- the command */

static bool check(const struct options *o)
{
    const char *mistake = NULL;
    if (o->topics.count == 0 && o->unsubscribe.count == 0)
        mistake = "a topic is missing: -t FILTER";
    else if (o->no_retained && o->retained_only)
        mistake = "--no-retained and --retained-only together leave nothing";
    if (mistake)
        gnt_say(name, "%s, see --help", mistake);
    return !mistake && gnt_peer_check(name, &o->peer, &o->properties);
}

/* Waits for the end; that its reader closes our output is one. */
static void serve(struct sub *sub)
{
    const struct options *o = sub->options;
    uint64_t now = gnt_now(&gnt_clock_system);
    uint64_t until = o->timeout_s ? gnt_deadline(now, o->timeout_s * GNT_NS_PER_S) : GNT_NEVER;
    bool closed;
    while (gnt_run_wait(&sub->peer.run, until, STDOUT_FILENO, 0, &closed)) {
        if (closed) {
            gnt_run_end(&sub->peer.run, EX_OK);
        } else if (gnt_now(&gnt_clock_system) >= until) {
            gnt_run_say(&sub->peer.run, "time is up");
            gnt_run_end(&sub->peer.run, TIME_IS_UP);
        }
    }
}

static int run(const struct options *o, struct gnt_properties *properties)
{
    struct sub sub = {.options = o};
    sub.peer = (struct gnt_peer){.command = name,
                                 .options = &o->peer,
                                 .properties = properties,
                                 .on_message = on_message,
                                 .context = &sub,
                                 .adjust = adjust};
    int code = gnt_peer_open(&sub.peer);
    if (code)
        return code;
    code = request(&sub);
    if (code)
        gnt_run_end(&sub.peer.run, code);
    serve(&sub);
    code = gnt_peer_close(&sub.peer);
    gnt_buf_fini(&sub.line);
    return code;
}

int gnt_command_sub(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    struct gnt_properties properties = options.properties;
    code = check(&options) ? run(&options, &properties) : EX_USAGE;
    gnt_options_fini(&arguments.table, &options);
    return code;
}
