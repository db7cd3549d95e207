/* gnatter receive and gnatter peek: messages from an address over AMQP 1.0, printed. */
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/dial.h"
#include "cli/say.h"
#include "cli/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    TIME_IS_UP = 27,               /* as gnatter sub has it */
    LOOK_MS = 100,                 /* between two looks whether the command is to end */
    DRAIN_MS = 60000,              /* for a broker to say that there is nothing more */
    MESSAGE_MAX = (256 << 20) + 1, /* what gnatter send can send, and its fields */
};

struct options {
    struct gnt_dial_options dial;
    uint32_t count, timeout_s, credit;
    char *selector, *reject, *link;
    bool release, settled, drain, follow;
    bool verbose, json, no_newline;
};

#define FIELD(member) GNT_OPTION_FIELD(struct options, member)

#define COUNT_ROW                                                                           \
    {                                                                                       \
        .flag = "count", .letter = 'C', .kind = GNT_OPTION_INTEGER, FIELD(count), .min = 1, \
        .max = UINT32_MAX, .metavar = "N", .group = "When to end",                          \
        .help = "Ends after N messages, and asks for no more than these."                   \
    }
#define TIMEOUT_ROW                                                                               \
    {                                                                                             \
        .flag = "timeout", .letter = 'W', .kind = GNT_OPTION_INTEGER, FIELD(timeout_s), .min = 1, \
        .max = UINT32_MAX, .metavar = "SECONDS", .group = "When to end",                          \
        .help = "Ends after so many seconds, with exit code 27."                                  \
    }
#define WHICH_ROWS                                                                                \
    {.flag = "selector",                                                                          \
     .kind = GNT_OPTION_STRING,                                                                   \
     FIELD(selector),                                                                             \
     .max = 65535,                                                                                \
     .metavar = "SQL",                                                                            \
     .group = "Which messages",                                                                   \
     .help = "Only those for which this is true, such as \"colour = 'red' AND size > 3\"; "       \
             "docs/selectors.md says more."},                                                     \
    {                                                                                             \
        .flag = "credit", .kind = GNT_OPTION_INTEGER, FIELD(credit), .fallback = "100", .min = 1, \
        .max = 100000, .metavar = "N", .group = "Which messages",                                 \
        .help = "So many may be on their way at once."                                            \
    }
#define OUTPUT_ROWS                                                                            \
    {.flag = "verbose",                                                                        \
     .letter = 'v',                                                                            \
     .kind = GNT_OPTION_BOOL,                                                                  \
     FIELD(verbose),                                                                           \
     .group = "Output",                                                                        \
     .help = "Prints the fields of header, properties and annotations in front of each body, " \
             "each on a line, and an empty line between these."},                              \
        {.flag = "json",                                                                       \
         .letter = 'j',                                                                        \
         .kind = GNT_OPTION_BOOL,                                                              \
         FIELD(json),                                                                          \
         .group = "Output",                                                                    \
         .help = "Prints each message as one line of JSON, with all of its sections."},        \
    {                                                                                          \
        .flag = "no-newline", .letter = 'N', .kind = GNT_OPTION_BOOL, FIELD(no_newline),       \
        .group = "Output", .help = "Prints no line end after a message."                       \
    }

static const struct gnt_option receive_rows[] = {
    COUNT_ROW,
    TIMEOUT_ROW,
    {.flag = "drain",
     .kind = GNT_OPTION_BOOL,
     FIELD(drain),
     .group = "When to end",
     .help = "Ends when there is nothing there any more."},
    {.flag = "release",
     .kind = GNT_OPTION_BOOL,
     FIELD(release),
     .group = "What becomes of the messages (else they are accepted, which takes them)",
     .help = "When it ends they are given back, and may be received again."},
    {.flag = "reject",
     .kind = GNT_OPTION_STRING,
     FIELD(reject),
     .max = 4096,
     .implied = "",
     .metavar = "WHY",
     .group = "What becomes of the messages (else they are accepted, which takes them)",
     .help = "They are rejected, and go to the dead-letter queue, ADDRESS/$DeadLetterQueue."},
    {.flag = "settled",
     .kind = GNT_OPTION_BOOL,
     FIELD(settled),
     .group = "What becomes of the messages (else they are accepted, which takes them)",
     .help = "The broker settles each with sending it: at most once."},
    WHICH_ROWS,
    {.flag = "link",
     .kind = GNT_OPTION_STRING,
     FIELD(link),
     .max = 255,
     .metavar = "NAME",
     .group = "Which messages",
     .help = "The name of the link; without one, a random one."},
    OUTPUT_ROWS,
    GNT_DIAL_ROWS(struct options),
};

static const struct gnt_option peek_rows[] = {
    COUNT_ROW,
    TIMEOUT_ROW,
    {.flag = "follow",
     .kind = GNT_OPTION_BOOL,
     FIELD(follow),
     .group = "When to end",
     .help = "Goes on with what comes later; else it ends when it has shown what is there."},
    WHICH_ROWS,
    OUTPUT_ROWS,
    GNT_DIAL_ROWS(struct options),
};

#define EXIT_CODES                                                                      \
    "Exit codes: 0 all went well; 27 time is up (-W); else those of sysexits.h, such\n" \
    "as 64 wrong usage, 66 there is no such address, 68 host not found, 69 no\n"        \
    "connection, 74 the output failed, 75 it cannot be had now, 77 not permitted, or\n" \
    "one side refuses the other's certificate, 78 files of TLS that cannot be used."

static const struct gnt_args receive_arguments = {
    .usage = "gnatter receive [OPTION]... ADDRESS",
    .about = "Receives messages over AMQP 1.0 and prints their bodies, until it is interrupted. "
             "What has been printed is accepted, and with that taken from its queue. ADDRESS is "
             "the name of a queue, NAME/$DeadLetterQueue for what could not be handled, or "
             "topic://FILTER for MQTT topics.",
    .footer = "Examples:\n"
              "  gnatter receive orders\n"
              "  gnatter receive orders -C 1 -W 10 -v         one message, for at most 10 s\n"
              "  gnatter receive orders --drain --json >all.json\n"
              "  gnatter receive 'topic://sensors/#'\n"
              "  gnatter receive orders --selector \"customer = '7'\"\n"
              "\n" EXIT_CODES,
    .table = GNT_OPTION_TABLE(struct options, receive_rows),
    .words_min = 1,
    .words_max = 1,
};

static const struct gnt_args peek_arguments = {
    .usage = "gnatter peek [OPTION]... ADDRESS",
    .about = "Prints the messages that are in a queue, over AMQP 1.0, and leaves them there.",
    .footer = "Examples:\n"
              "  gnatter peek orders\n"
              "  gnatter peek orders -C 1 -v\n"
              "  gnatter peek 'orders/$DeadLetterQueue' --json\n"
              "\n" EXIT_CODES,
    .table = GNT_OPTION_TABLE(struct options, peek_rows),
    .words_min = 1,
    .words_max = 1,
};

struct receive {
    struct gnt_dial dial;
    const struct options *options;
    const char *address;
    bool browse, drains;
    gnatter_amqp_receiver *receiver;
    /* By whoever handles messages: the client's thread, or with `drains` the main one. */
    struct gnt_buf line;
    uint32_t seen, asked; /* messages; for so many there has been credit */
    bool over;            /* what comes now is not for us any more */
    struct {
        gnatter_amqp_delivery **items;
        size_t count, cap;
    } kept; /* to be given back */
};

/* ---- Printing */

static gnt_err format(struct receive *r, const gnatter_amqp_message *m)
{
    const struct options *o = r->options;
    gnt_err err = GNT_OK;
    gnt_buf_clear(&r->line);
    if (o->json)
        err = gnt_show_json(&r->line, m);
    if (!o->json && o->verbose)
        err = gnt_show_head(&r->line, m);
    if (!err && !o->json && o->verbose)
        err = gnt_buf_put(&r->line, gnt_slice_str("\n"));
    if (!err && !o->json)
        err = gnt_show_body(&r->line, m);
    if (!err && !o->no_newline)
        err = gnt_buf_put(&r->line, gnt_slice_str(o->verbose && !o->json ? "\n\n" : "\n"));
    return err;
}

static void end(struct receive *r, int code)
{
    r->over = true;
    gnt_run_end(&r->dial.run, code);
}

/* A reader of ours that has gone ends us without a word. */
static bool print(struct receive *r, const gnatter_amqp_message *m)
{
    gnt_err err = format(r, m);
    struct gnt_slice line = gnt_buf_slice(&r->line);
    if (err) {
        gnt_run_say(&r->dial.run, "a message is not shown: %s", gnt_err_text(err));
        end(r, EX_OSERR);
        return false;
    }
    if (fwrite(line.data, 1, line.size, stdout) == line.size && fflush(stdout) == 0)
        return true;
    if (errno != EPIPE)
        gnt_run_say(&r->dial.run, "cannot write the output: %s", strerror(errno));
    end(r, errno == EPIPE ? EX_OK : EX_IOERR);
    return false;
}

/* ---- What becomes of messages */

/* To be given back in the end: if it were now, it would come again at once. */
static int keep(struct receive *r, gnatter_amqp_delivery *delivery)
{
    if (r->kept.count == r->kept.cap) {
        size_t cap = r->kept.cap ? r->kept.cap * 2 : 64;
        void *items = realloc(r->kept.items, cap * sizeof(gnatter_amqp_delivery *));
        if (!items)
            return gnatter_amqp_release(delivery);
        r->kept.items = items;
        r->kept.cap = cap;
    }
    r->kept.items[r->kept.count++] = delivery;
    return 0;
}

static void give_back(struct receive *r)
{
    for (size_t i = 0; i < r->kept.count; i++)
        (void)gnatter_amqp_release(r->kept.items[i]);
    free(r->kept.items);
}

static int settle(struct receive *r, gnatter_amqp_delivery *delivery)
{
    const struct options *o = r->options;
    if (o->release)
        return keep(r, delivery);
    if (o->reject)
        return gnatter_amqp_reject(delivery, NULL, o->reject[0] ? o->reject : NULL);
    return gnatter_amqp_accept(delivery);
}

/* Messages that may still come by the credit that was given; a peer may send more than that. */
static uint32_t awaited(const struct receive *r)
{
    return r->asked > r->seen ? r->asked - r->seen : 0;
}

/* Credit for those that are still wanted. */
static void give_credit(struct receive *r)
{
    const struct options *o = r->options;
    uint32_t room = o->credit - awaited(r);
    if (o->count && r->asked >= o->count)
        room = 0;
    else if (o->count && o->count - r->asked < room)
        room = o->count - r->asked;
    if (!room || gnatter_amqp_receiver_credit(r->receiver, room))
        return;
    r->asked += room;
}

/* Prints it, and settles it.  What is not printed is left to the broker. */
static void take(struct receive *r, gnatter_amqp_delivery *delivery)
{
    if (r->over || !print(r, gnatter_amqp_delivery_message(delivery))) {
        gnatter_amqp_delivery_free(delivery);
        return;
    }
    int err = settle(r, delivery);
    if (err)
        gnt_run_debug(&r->dial.run, "not settled: %s", gnatter_error_text(err));
    r->seen++;
    if (r->seen == r->options->count)
        end(r, EX_OK);
}

static void on_message(gnatter_amqp_receiver *receiver, gnatter_amqp_delivery *delivery,
                       void *context)
{
    struct receive *r = context;
    (void)receiver;
    take(r, delivery);
    if (!r->over && awaited(r) <= r->options->credit / 2)
        give_credit(r);
}

static void on_attached(const char *address, void *context)
{
    struct receive *r = context;
    char shown[300];
    gnt_run_debug(&r->dial.run, "attached to %s",
                  gnt_utf8_printable(gnt_slice_str(address), shown, sizeof shown));
}

static void on_detached(int error, const struct gnatter_amqp_error *why, void *context)
{
    struct receive *r = context;
    gnt_dial_detached(&r->dial, "receive from", r->address, error, why);
}

/* ---- The command */

static int attach(struct receive *r)
{
    const struct options *o = r->options;
    const struct gnatter_amqp_link link = {
        .address = r->address,
        .name = o->link,
        .settle = o->settled ? GNATTER_AMQP_SETTLED : GNATTER_AMQP_UNSETTLED,
        .manual = true,
        .browse = r->browse,
        .selector = o->selector,
        .on_message = r->drains ? NULL : on_message,
        .on_attached = on_attached,
        .on_detached = on_detached,
        .context = r,
    };
    int err = gnatter_amqp_receiver_new(r->dial.amqp, &link, &r->receiver);
    if (err)
        gnt_say(r->dial.command, "the address or the selector cannot be: %s",
                gnatter_error_text(err));
    return !err ? EX_OK : err == GNATTER_EINVALID ? EX_USAGE : EX_OSERR;
}

static uint64_t deadline(const struct options *o)
{
    uint64_t now = gnt_now(&gnt_clock_system);
    return o->timeout_s ? gnt_deadline(now, o->timeout_s * GNT_NS_PER_S) : GNT_NEVER;
}

static void time_is_up(struct receive *r)
{
    gnt_run_say(&r->dial.run, "time is up");
    gnt_run_end(&r->dial.run, TIME_IS_UP);
}

/* Waits for the end; that its reader closes our output is one. */
static void wait_for_end(struct receive *r, uint64_t until)
{
    bool closed;
    while (gnt_run_wait(&r->dial.run, until, STDOUT_FILENO, 0, &closed)) {
        if (closed)
            gnt_run_end(&r->dial.run, EX_OK);
        else if (gnt_now(&gnt_clock_system) >= until)
            time_is_up(r);
    }
}

/* Those that have come. */
static void take_all(struct receive *r)
{
    gnatter_amqp_delivery *delivery;
    while (!gnatter_amqp_receive(r->receiver, 0, &delivery))
        take(r, delivery);
}

/* The link is there; false: the command is to end. */
static bool is_attached(struct receive *r, uint64_t until)
{
    for (;;) {
        bool ready;
        int err = gnatter_amqp_receiver_ready(r->receiver, 0);
        if (!err)
            return true;
        uint64_t look = gnt_deadline(gnt_now(&gnt_clock_system), LOOK_MS * GNT_NS_PER_MS);
        if (!gnt_run_wait(&r->dial.run, look < until ? look : until, -1, 0, &ready))
            return false;
        if (gnt_now(&gnt_clock_system) >= until)
            time_is_up(r);
    }
}

static uint32_t left_ms(uint64_t until)
{
    uint64_t now = gnt_now(&gnt_clock_system);
    uint64_t left = until > now ? (until - now) / GNT_NS_PER_MS : 0;
    return left < DRAIN_MS ? (uint32_t)left : DRAIN_MS;
}

/* Takes what is there, a credit's worth at a time.  From here on a signal ends the process. */
static void drain(struct receive *r, uint64_t until)
{
    int err = 0;
    uint32_t before;
    if (!is_attached(r, until))
        return;
    gnt_wait_impatient();
    do {
        before = r->seen;
        r->asked = r->seen; /* the rest of the credit was forgotten */
        give_credit(r);
        err = gnatter_amqp_receiver_drain(r->receiver, left_ms(until));
        take_all(r);
    } while (!err && !r->over && r->seen > before);
    if (!gnt_run_goes_on(&r->dial.run))
        return;
    if (err == GNATTER_ETIMEOUT) {
        time_is_up(r);
    } else if (err) {
        gnt_run_say(&r->dial.run, "not all was received: %s", gnatter_error_text(err));
        gnt_run_end(&r->dial.run, EX_UNAVAILABLE);
    }
}

static int serve(struct receive *r)
{
    uint64_t until = deadline(r->options);
    int code = attach(r);
    if (!code && !r->drains)
        give_credit(r);
    if (!code)
        code = gnt_dial_start(&r->dial);
    if (code)
        gnt_run_end(&r->dial.run, code);
    else if (r->drains)
        drain(r, until);
    else
        wait_for_end(r, until);
    give_back(r);
    return gnt_dial_close(&r->dial);
}

static int run(const char *name, const struct options *o, const char *address, bool browse)
{
    struct receive r = {.options = o,
                        .address = address,
                        .browse = browse,
                        .drains = browse ? !o->follow : o->drain};
    r.dial = (struct gnt_dial){
        .command = name, .options = &o->dial, .message_max = MESSAGE_MAX, .once = r.drains};
    int code = gnt_dial_open(&r.dial);
    if (!code)
        code = serve(&r);
    gnt_buf_fini(&r.line);
    return code;
}

static bool check(const char *name, const struct options *o)
{
    const char *mistake = NULL;
    if (o->release + (o->reject != NULL) + o->settled > 1)
        mistake = "--release, --reject and --settled exclude each other";
    else if (o->json && o->verbose)
        mistake = "--json and --verbose exclude each other";
    if (mistake)
        gnt_say(name, "%s, see --help", mistake);
    return !mistake && gnt_dial_check(name, &o->dial);
}

static int command(const char *name, const struct gnt_args *arguments, bool browse, int argc,
                   char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, arguments, argc, argv, &options, &code))
        return code;
    code = check(name, &options) ? run(name, &options, argv[0], browse) : EX_USAGE;
    gnt_options_fini(&arguments->table, &options);
    return code;
}

int gnt_command_receive(int argc, char **argv)
{
    return command("receive", &receive_arguments, false, argc, argv);
}

int gnt_command_peek(int argc, char **argv)
{
    return command("peek", &peek_arguments, true, argc, argv);
}
