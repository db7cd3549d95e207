/* gnatter send: sends one message over AMQP 1.0, or one for each line of the standard input. */
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/body.h"
#include "cli/command.h"
#include "cli/dial.h"
#include "cli/entry.h"
#include "cli/number.h"
#include "cli/say.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

static const char name[] = "send";

enum {
    BODY_MAX = 268435455,
    QUEUE_MESSAGES = 1000, /* that wait for their outcome */
    ENTRIES_MAX = 256,
    TIME_IS_UP = 27,    /* as gnatter sub has it */
    PATIENCE_MS = 2000, /* before it is said what is waited for */
};

enum { AS_DATA, AS_TEXT };

struct options {
    struct gnt_dial_options dial;
    struct gnt_body body;
    uint32_t as;
    char *subject, *content_type, *message_id, *correlation_id, *reply_to, *to, *group_id;
    uint64_t ttl_ms; /* UINT64_MAX: not given */
    uint32_t priority;
    bool durable, settled;
    struct gnt_strings properties, annotations;
    uint32_t count, timeout_s;
    int64_t rate_milli; /* messages in 1,000 seconds; 0: as many as can be */
};

static const struct gnt_option_word as_words[] = {{"data", AS_DATA}, {"text", AS_TEXT}, {NULL, 0}};
static const struct gnt_option_word ever_words[] = {{"for-ever", UINT64_MAX}, {NULL, 0}};

static int take_rate(const struct gnt_option *row, void *values, int count, char *const *words,
                     struct gnt_why *why)
{
    struct options *o = values;
    (void)row;
    if (count < 1 || gnt_number_decimal(words[0], 3, &o->rate_milli) || o->rate_milli <= 0) {
        gnt_why_set(why, "expected messages a second such as 100 or 0.5");
        return GNT_INVALID;
    }
    return 1;
}

#define FIELD(member) GNT_OPTION_FIELD(struct options, member)
#define PROPERTY(flag_, member, metavar_, help_)                                 \
    {                                                                            \
        .flag = (flag_), .kind = GNT_OPTION_STRING, FIELD(member), .max = 65535, \
        .metavar = (metavar_), .group = "The message", .help = (help_)           \
    }

static const struct gnt_option rows[] = {
    GNT_BODY_ROWS(struct options, body, "What to send (one of these)", BODY_MAX),
    {.flag = "as",
     .kind = GNT_OPTION_WORD,
     FIELD(as),
     .fallback = "data",
     .metavar = "KIND",
     .words = as_words,
     .group = "The message",
     .help =
         "What the body is: data, which are bytes; or text, which is a value that is a string."},
    PROPERTY("subject", subject, "TEXT", "The subject."),
    PROPERTY("content-type", content_type, "TYPE", "What the body is, such as application/json."),
    PROPERTY("message-id", message_id, "ID", "The message id, a string."),
    PROPERTY("correlation-id", correlation_id, "ID", "The correlation id, a string."),
    PROPERTY("reply-to", reply_to, "ADDRESS", "Where answers are to go."),
    PROPERTY("to", to, "ADDRESS", "Whom it is for."),
    PROPERTY("group-id", group_id, "ID", "The group that it is one of."),
    {.flag = "property",
     .letter = 'D',
     .kind = GNT_OPTION_STRINGS,
     FIELD(properties),
     .max = ENTRIES_MAX,
     .metavar = "NAME[:TYPE]=VALUE",
     .check = gnt_entry_check,
     .group = "The message",
     .help =
         "An application property, a string unless a type is named: level:int=3. Types are "
         "boolean, ubyte, ushort, uint, ulong, byte, short, int, long, float, double, timestamp "
         "(milliseconds since 1970), uuid, binary (in hex), symbol, string and null. May be "
         "repeated."},
    {.flag = "annotation",
     .letter = 'A',
     .kind = GNT_OPTION_STRINGS,
     FIELD(annotations),
     .max = ENTRIES_MAX,
     .metavar = "NAME[:TYPE]=VALUE",
     .check = gnt_entry_check,
     .group = "The message",
     .help = "A message annotation, likewise."},
    {.flag = "ttl",
     .kind = GNT_OPTION_DURATION,
     FIELD(ttl_ms),
     .fallback = "for-ever",
     .max = UINT32_MAX,
     .words = ever_words,
     .metavar = "TIME",
     .group = "The message",
     .help = "How long it is worth keeping."},
    {.flag = "priority",
     .kind = GNT_OPTION_INTEGER,
     FIELD(priority),
     .fallback = "4",
     .max = 255,
     .metavar = "N",
     .group = "The message",
     .help = "The higher the sooner; brokers tell 0 to 9 apart."},
    {.flag = "durable",
     .kind = GNT_OPTION_BOOL,
     FIELD(durable),
     .group = "The message",
     .help = "The broker keeps it over a restart, and accepts it when it is safe."},
    {.flag = "settled",
     .kind = GNT_OPTION_BOOL,
     FIELD(settled),
     .group = "Sending",
     .help = "Does not wait for what becomes of it: at most once."},
    {.flag = "count",
     .letter = 'C',
     .kind = GNT_OPTION_INTEGER,
     FIELD(count),
     .fallback = "1",
     .min = 1,
     .max = UINT32_MAX,
     .metavar = "N",
     .group = "Sending",
     .help = "Sends the same message N times; not with -l."},
    {.flag = "timeout",
     .letter = 'W',
     .kind = GNT_OPTION_INTEGER,
     FIELD(timeout_s),
     .min = 1,
     .max = UINT32_MAX,
     .metavar = "SECONDS",
     .group = "Sending",
     .help = "Ends after so many seconds, with exit code 27; what has not been accepted by then "
             "may have been sent, or not."},
    {.flag = "rate",
     .kind = GNT_OPTION_TAKE,
     FIELD(rate_milli),
     .metavar = "N",
     .take = take_rate,
     .group = "Sending",
     .help = "At most so many messages a second; fractions such as 0.5 are fine."},
    GNT_DIAL_ROWS(struct options),
};

static const struct gnt_args arguments = {
    .usage = "gnatter send [OPTION]... ADDRESS (-m TEXT | -f FILE | -l | -s | -n)",
    .about = "Sends a message over AMQP 1.0, waits until the broker has accepted it, and ends. "
             "ADDRESS is the name of a queue, or topic://NAME for an MQTT topic.",
    .footer = "Examples:\n"
              "  gnatter send orders -m '3 apples' --durable\n"
              "  gnatter send orders -f order.json --content-type application/json \\\n"
              "      -D customer=7 -D total:double=12.5\n"
              "  gnatter send topic://sensors/kitchen -m 21.5\n"
              "  tail -f log | gnatter send log -l\n"
              "  gnatter send test -m x --count 1000 --rate 50\n"
              "\n"
              "Exit codes: 0 the broker has accepted all of it; 27 time is up (-W); else those\n"
              "of sysexits.h, such as 64 wrong usage, 65 it rejects a message, 66 there is no\n"
              "such address, or an input cannot be read, 68 host not found, 69 no connection,\n"
              "75 it does not take a message now, 77 not permitted, or one side refuses the\n"
              "other's certificate, 78 files of TLS that cannot be used.",
    .table = GNT_OPTION_TABLE(struct options, rows),
    .words_min = 1,
    .words_max = 1,
};

struct send {
    struct gnt_dial dial;
    const struct options *options;
    const char *address;
    gnatter_amqp_sender *sender;
    gnatter_amqp_message *message;
    atomic_uint_least64_t settled; /* by the client's thread */
    uint64_t asked;
    uint64_t began;     /* of the first message, for --rate */
    atomic_int refused; /* the exit code of a message that was not accepted */
    uint64_t until;     /* when time is up; GNT_NEVER */
    uint64_t progress;  /* messages that were settled, when something last changed, */
    uint64_t since;     /* and when that was */
    bool told;          /* what it waits for */
};

/* ---- The message */

static int build_fields(gnatter_amqp_message *m, const struct options *o)
{
    const struct {
        enum gnatter_amqp_field field;
        const char *text;
    } texts[] = {
        {GNATTER_AMQP_SUBJECT, o->subject},       {GNATTER_AMQP_CONTENT_TYPE, o->content_type},
        {GNATTER_AMQP_MESSAGE_ID, o->message_id}, {GNATTER_AMQP_CORRELATION_ID, o->correlation_id},
        {GNATTER_AMQP_REPLY_TO, o->reply_to},     {GNATTER_AMQP_TO, o->to},
        {GNATTER_AMQP_GROUP_ID, o->group_id},
    };
    int err = 0;
    for (size_t i = 0; !err && i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].text)
            err = gnatter_amqp_set(m, texts[i].field, gnatter_amqp_string(texts[i].text));
    }
    if (!err && o->durable)
        err = gnatter_amqp_set(m, GNATTER_AMQP_DURABLE, gnatter_amqp_boolean(true));
    if (!err && o->priority != 4)
        err = gnatter_amqp_set(m, GNATTER_AMQP_PRIORITY,
                               gnatter_amqp_number(GNATTER_AMQP_UBYTE, o->priority));
    if (!err && o->ttl_ms != UINT64_MAX)
        err = gnatter_amqp_set(m, GNATTER_AMQP_TTL, gnatter_amqp_uint((uint32_t)o->ttl_ms));
    return err;
}

static int build_entries(gnatter_amqp_message *m, enum gnatter_amqp_section section,
                         const struct gnt_strings *texts)
{
    int err = 0;
    for (size_t i = 0; !err && i < texts->count; i++) {
        struct gnt_entry entry;
        struct gnt_why why;
        gnt_err read = gnt_entry_read(texts->items[i], &entry, &why);
        if (read)
            return (int)read;
        err = gnatter_amqp_put(m, section, entry.name, entry.value);
        gnt_entry_fini(&entry);
    }
    return err;
}

static int set_body(const struct send *s, struct gnt_slice body)
{
    if (s->options->as == AS_TEXT)
        return gnatter_amqp_set_value(s->message, gnatter_amqp_bytes(GNATTER_AMQP_STRING, body.data,
                                                                     body.size));
    int err = gnatter_amqp_clear_body(s->message);
    return err ? err : gnatter_amqp_add_data(s->message, body.data, body.size);
}

static int build(struct send *s)
{
    const struct options *o = s->options;
    int err = gnatter_amqp_message_new(&s->message);
    if (!err)
        err = build_fields(s->message, o);
    if (!err)
        err = build_entries(s->message, GNATTER_AMQP_APPLICATION_PROPERTIES, &o->properties);
    if (!err)
        err = build_entries(s->message, GNATTER_AMQP_MESSAGE_ANNOTATIONS, &o->annotations);
    if (err)
        gnt_say(name, "the message cannot be: %s", gnatter_error_text(err));
    return !err ? EX_OK : err == GNATTER_ENOMEM ? EX_OSERR : EX_USAGE;
}

/* ---- Sending */

static const char *const states[] = {
    [GNATTER_AMQP_NO_STATE] = "refused",    [GNATTER_AMQP_ACCEPTED] = "accepted",
    [GNATTER_AMQP_REJECTED] = "rejected",   [GNATTER_AMQP_RELEASED] = "released",
    [GNATTER_AMQP_MODIFIED] = "given back",
};

static void say_refused(struct send *s, const struct gnatter_amqp_outcome *outcome)
{
    char words[GNT_DIAL_WHY_MAX];
    bool refused = outcome->error == GNATTER_EREFUSED;
    bool said = outcome->why.condition[0] || outcome->why.description[0];
    bool invalid = outcome->state == GNATTER_AMQP_REJECTED || outcome->error == GNATTER_ETOOBIG;
    gnt_run_say(&s->dial.run, "a message is not accepted: %s%s%s",
                refused ? states[outcome->state] : gnatter_error_text(outcome->error),
                said ? ": " : "", said ? gnt_dial_why(&outcome->why, words) : "");
    atomic_store(&s->refused, invalid ? EX_DATAERR : EX_TEMPFAIL);
}

static void on_outcome(gnatter_amqp_sender *sender, const struct gnatter_amqp_outcome *outcome,
                       void *context)
{
    struct send *s = context;
    (void)sender;
    /* That its link has ended is told once, not for each message that waited. */
    bool with_link = outcome->error == GNATTER_EREFUSED && outcome->state == GNATTER_AMQP_NO_STATE;
    bool told = with_link || outcome->error == GNATTER_ECLOSED || !gnt_run_goes_on(&s->dial.run);
    if (outcome->error && !told)
        say_refused(s, outcome);
    else if (!outcome->error)
        gnt_run_debug(&s->dial.run, "a message is %s", states[outcome->state]);
    atomic_fetch_add(&s->settled, 1);
    gnt_wait_wake(&s->dial.run.wait);
}

static void on_attached(const char *address, void *context)
{
    struct send *s = context;
    gnt_run_debug(&s->dial.run, "attached to %s", address);
}

static void on_detached(int error, const struct gnatter_amqp_error *why, void *context)
{
    struct send *s = context;
    gnt_dial_detached(&s->dial, "send to", s->address, error, why);
}

/* ---- Waiting */

static uint64_t outstanding(struct send *s)
{
    return s->asked - atomic_load(&s->settled);
}

/* A queue that is full gives no credit, which nobody would see otherwise. */
static void say_waiting(struct send *s)
{
    struct gnatter_amqp_link_info info;
    char shown[300];
    gnatter_amqp_sender_get_info(s->sender, &info);
    if (!info.attached)
        return; /* that there is no connection is said elsewhere */
    gnt_utf8_printable(gnt_slice_str(s->address), shown, sizeof shown);
    if (info.credit == 0)
        gnt_run_say(&s->dial.run, "waiting for credit from '%s' (the queue may be full)", shown);
    else
        gnt_run_say(&s->dial.run, "waiting for '%s' to accept what was sent", shown);
    s->told = true;
}

static void time_is_up(struct send *s)
{
    const uint64_t left = outstanding(s);
    if (left)
        gnt_run_say(&s->dial.run, "time is up: not accepted: %" PRIu64, left);
    else
        gnt_run_say(&s->dial.run, "time is up");
    gnt_run_end(&s->dial.run, TIME_IS_UP);
}

/* Waits for a change, UNTIL at most, or for EVENTS of FD.  False: the command is to end. */
static bool await(struct send *s, uint64_t until, int fd, short events, bool *ready)
{
    uint64_t now = gnt_now(&gnt_clock_system), settled = atomic_load(&s->settled);
    if (settled != s->progress || settled == s->asked || !s->since) {
        s->progress = settled;
        s->since = now;
    }
    uint64_t look = gnt_deadline(s->since, PATIENCE_MS * GNT_NS_PER_MS);
    if (!s->told && settled != s->asked && now >= look) {
        say_waiting(s);
        s->since = now;
        look = gnt_deadline(now, PATIENCE_MS * GNT_NS_PER_MS);
    }
    if (!s->told && settled != s->asked && look < until)
        until = look;
    if (!gnt_run_wait(&s->dial.run, until < s->until ? until : s->until, fd, events, ready))
        return false;
    if (gnt_now(&gnt_clock_system) >= s->until) {
        time_is_up(s);
        return false;
    }
    return true;
}

/* Waits until no more than LEFT messages are outstanding, and there is a broker at all.  False: the
 * command is to end. */
static bool settle(struct send *s, uint64_t left)
{
    bool ready;
    while (outstanding(s) > left || !atomic_load(&s->dial.connected_once)) {
        if (!await(s, GNT_NEVER, -1, 0, &ready))
            return false;
    }
    return true;
}

/* Until it is time for the next one. */
static bool keep_pace(struct send *s)
{
    const uint64_t rate = (uint64_t)s->options->rate_milli;
    bool ready;
    if (!rate)
        return true;
    if (!s->began)
        s->began = gnt_now(&gnt_clock_system);
    uint64_t until = s->began + (uint64_t)((double)s->asked / (double)rate * 1e12);
    while (gnt_now(&gnt_clock_system) < until) {
        if (!await(s, until, -1, 0, &ready))
            return false;
    }
    return true;
}

/* Sends what s->message is; where the queue is full, the broker is waited for.  False: to end. */
static bool send_one(struct send *s, struct gnt_slice body)
{
    int err = keep_pace(s) ? set_body(s, body) : GNATTER_ECLOSED;
    while (!err) {
        const uint64_t before = outstanding(s);
        err = gnatter_amqp_send(s->sender, s->message, on_outcome, s);
        if (!err) {
            s->asked++;
            return true;
        }
        if (err == GNATTER_EFULL && before > 0)
            err = settle(s, before - 1) ? 0 : GNATTER_ECLOSED;
    }
    if (gnt_run_goes_on(&s->dial.run) && err != GNATTER_EREFUSED) {
        gnt_run_say(&s->dial.run, "a message cannot be sent: %s", gnatter_error_text(err));
        gnt_run_end(&s->dial.run, err == GNATTER_ENOMEM ? EX_OSERR : EX_DATAERR);
    }
    return false;
}

static bool send_lines(struct send *s, struct gnt_input *in)
{
    struct gnt_slice line;
    while (gnt_input_line(in, &line)) {
        if (!send_one(s, line))
            return false;
    }
    return true;
}

static void read_lines(struct send *s)
{
    struct gnt_input in = {.fd = STDIN_FILENO, .max = BODY_MAX};
    gnt_err err = GNT_MORE;
    bool ready, going = true;
    while (going && err == GNT_MORE) {
        going = await(s, GNT_NEVER, in.fd, POLLIN, &ready);
        if (!going || !ready)
            continue;
        err = gnt_input_read(&in);
        going = send_lines(s, &in);
    }
    if (err < 0) {
        gnt_run_say(&s->dial.run, "cannot read the standard input: %s", gnt_err_text(err));
        gnt_run_end(&s->dial.run, EX_NOINPUT);
    }
    gnt_input_fini(&in);
}

/* ---- The command */

static bool check(const struct options *o)
{
    const char *mistake = NULL;
    if (gnt_body_kinds(&o->body) != 1)
        mistake = "what to send has to be said by exactly one of -m, -f, -l, -s and -n";
    else if (o->body.lines && o->count > 1)
        mistake = "--count and -l exclude each other";
    if (mistake)
        gnt_say(name, "%s, see --help", mistake);
    return !mistake && gnt_dial_check(name, &o->dial);
}

static int attach(struct send *s)
{
    const struct gnatter_amqp_link link = {
        .address = s->address,
        .settle = s->options->settled ? GNATTER_AMQP_SETTLED : GNATTER_AMQP_UNSETTLED,
        .on_attached = on_attached,
        .on_detached = on_detached,
        .context = s,
    };
    int err = gnatter_amqp_sender_new(s->dial.amqp, &link, &s->sender);
    if (err)
        gnt_say(name, "the address cannot be: %s", gnatter_error_text(err));
    return !err ? gnt_dial_start(&s->dial) : err == GNATTER_EINVALID ? EX_USAGE : EX_OSERR;
}

static int serve(struct send *s, struct gnt_slice body)
{
    int code = attach(s);
    if (code)
        gnt_run_end(&s->dial.run, code);
    else if (s->options->body.lines)
        read_lines(s);
    for (uint32_t i = 0; !code && !s->options->body.lines && i < s->options->count; i++) {
        if (!send_one(s, body))
            break;
    }
    (void)settle(s, 0);
    code = gnt_dial_close(&s->dial);
    return code ? code : atomic_load(&s->refused);
}

static int run(const struct options *o, const char *address, struct gnt_slice body)
{
    struct send s = {.options = o, .address = address, .until = GNT_NEVER};
    if (o->timeout_s)
        s.until = gnt_deadline(gnt_now(&gnt_clock_system), o->timeout_s * GNT_NS_PER_S);
    s.dial = (struct gnt_dial){.command = name,
                               .options = &o->dial,
                               .queue_messages = QUEUE_MESSAGES,
                               .message_max = BODY_MAX + (UINT64_C(1) << 20)};
    int code = build(&s);
    if (!code)
        code = gnt_dial_open(&s.dial);
    if (!code)
        code = serve(&s, body);
    gnatter_amqp_message_free(s.message);
    return code;
}

static int load_and_run(const struct options *o, const char *address)
{
    struct gnt_input in;
    int code = EX_NOINPUT;
    if (gnt_body_load(name, &o->body, BODY_MAX, "a message", &in) == GNT_OK)
        code = run(o, address, gnt_body_bytes(&o->body, &in));
    gnt_input_fini(&in);
    return code;
}

int gnt_command_send(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    code = check(&options) ? load_and_run(&options, argv[0]) : EX_USAGE;
    gnt_options_fini(&arguments.table, &options);
    return code;
}
