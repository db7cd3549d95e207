/* gnatter store: a data directory looked at, checked and made smaller. */
#include "base/utf8.h"
#include "broker/inspect.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/say.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

static const char name[] = "store";

struct options {
    bool json;
};

static const struct gnt_option rows[] = {
    {.flag = "json",
     .letter = 'j',
     .kind = GNT_OPTION_BOOL,
     GNT_OPTION_FIELD(struct options, json),
     .help = "Prints one JSON object."},
};

static const struct gnt_args arguments = {
    .usage = "gnatter store info [OPTION]... DIR\n"
             "gnatter store check [OPTION]... DIR\n"
             "gnatter store compact [OPTION]... DIR",
    .about = "What a broker keeps in the data directory DIR. info says what is there, and changes "
             "nothing; while a broker has DIR it tells the files only, and the broker tells the "
             "rest under $SYS/broker. check reads all of it and names what is damaged. compact "
             "makes data.mdb as small as it can be and leaves out what is damaged; what is good "
             "stays.",
    .footer = "docs/durability.md says what is kept, and when it is safe.\n"
              "\n"
              "Examples:\n"
              "  gnatter store info /var/lib/gnatter\n"
              "  gnatter store check /var/lib/gnatter || mail -s 'damage' root </dev/null\n"
              "  gnatter store compact ~/.local/state/gnatter\n"
              "\n"
              "Exit codes: 0 done, and nothing is damaged; else those of sysexits.h: 64 wrong\n"
              "usage, 65 damage was found, 66 there is no store, 71 the system refused\n"
              "something, 74 it cannot be read or written, 75 a broker has it, 77 not\n"
              "permitted, 78 a newer version has written it.",
    .table = GNT_OPTION_TABLE(struct options, rows),
    .words_min = 2,
    .words_max = 2,
};

static const struct {
    gnt_err err;
    int code;
} exits[] = {
    {GNT_OK, EX_OK},         {GNT_MALFORMED, EX_DATAERR}, {GNT_NOTFOUND, EX_NOINPUT},
    {GNT_NOMEM, EX_OSERR},   {GNT_IO, EX_IOERR},          {GNT_FULL, EX_IOERR},
    {GNT_BUSY, EX_TEMPFAIL}, {GNT_DENIED, EX_NOPERM},     {GNT_UNSUPPORTED, EX_CONFIG},
};

static int failed(gnt_err err, const char *why)
{
    gnt_say(name, "%s", why[0] ? why : gnt_err_text(err));
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++)
        if (exits[i].err == err)
            return exits[i].code;
    return EX_OSERR;
}

/* ---- What is found out: lines for people, or members of one JSON object */

struct report {
    struct gnt_buf text;
    bool json;
    bool any;
    gnt_err err; /* sticks */
};

enum { LABEL_WIDTH = 18 };

/* KEY is the member's name, and the line's with blanks for its underscores. */
static void begin(struct report *r, const char *key)
{
    char label[64];
    if (r->err)
        return;
    snprintf(label, sizeof label, "%s", key);
    for (char *at = label; *at && !r->json; at++)
        *at = *at == '_' ? ' ' : *at;
    r->err = r->json ? gnt_text_put(&r->text, "%s\n  \"%s\": ", r->any ? "," : "{", label)
                     : gnt_text_put(&r->text, "%-*s", LABEL_WIDTH, label);
    r->any = true;
}

static void end(struct report *r)
{
    if (!r->err && !r->json)
        r->err = gnt_text_put(&r->text, "\n");
}

static void put_text(struct report *r, const char *key, const char *text)
{
    begin(r, key);
    if (!r->err)
        r->err = r->json ? gnt_json_put_text(&r->text, gnt_slice_str(text))
                         : gnt_text_put(&r->text, "%s", text);
    end(r);
}

static void put_number(struct report *r, const char *key, uint64_t n)
{
    begin(r, key);
    if (!r->err)
        r->err = gnt_text_put(&r->text, "%" PRIu64, n);
    end(r);
}

/* Bytes, for people in a unit that fits. */
static void put_size(struct report *r, const char *key, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    size_t unit = 0;
    for (; n >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        n /= 1024;
    if (r->json) {
        put_number(r, key, bytes);
        return;
    }
    begin(r, key);
    if (!r->err)
        r->err = gnt_text_put(&r->text, unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
    end(r);
}

static void put_time(struct report *r, const char *key, int64_t seconds)
{
    char text[32];
    time_t at = (time_t)seconds;
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    put_text(r, key, text);
}

/* Prints what was found out.  Returns CODE, or what went wrong. */
static int print(struct report *r, int code)
{
    if (!r->err && r->json)
        r->err = gnt_text_put(&r->text, "\n}\n");
    if (r->err)
        return failed(r->err, "");
    struct gnt_slice text = gnt_buf_slice(&r->text);
    bool written = fwrite(text.data, 1, text.size, stdout) == text.size && fflush(stdout) == 0;
    return written ? code : EX_IOERR;
}

/* ---- info */

static void put_holder(struct report *r, const struct gnt_inspect_holder *holder)
{
    char text[64] = "nobody";
    if (holder->held && holder->pid)
        snprintf(text, sizeof text, "process %ld", (long)holder->pid);
    else if (holder->held)
        snprintf(text, sizeof text, "another process");
    put_text(r, "held_by", text);
}

static void put_contents(struct report *r, const struct gnt_inspect_contents *c)
{
    const struct gnt_journal_report *j = &c->recovery.journal;
    put_number(r, "sessions", c->sessions);
    put_number(r, "subscriptions", c->subscriptions);
    put_number(r, "shared_groups", c->groups);
    put_number(r, "queues", c->queues);
    put_number(r, "messages_waiting", c->messages);
    put_number(r, "retained_messages", c->retained);
    put_number(r, "journal_commits", j->records);
    put_size(r, "journal_bytes", j->bytes);
    if (j->damaged || j->cut || c->recovery.unreadable)
        put_text(r, "journal_state", "damaged: see gnatter store check");
    else if (j->torn)
        put_text(r, "journal_state", "its last write was not finished");
}

static int info(struct report *r, const char *path)
{
    struct gnt_inspection found;
    char why[GNT_DIRECTORY_WHY_MAX] = "";
    gnt_err err = gnt_inspect(path, &found, why);
    if (err)
        return failed(err, why);
    put_holder(r, &found.holder);
    put_number(r, "format", GNT_GROUND_FORMAT);
    put_time(r, "last_written", found.files.written_s);
    put_size(r, "data.mdb", found.files.data);
    put_size(r, "free_in_it", found.spare);
    put_size(r, "journal_files", found.files.journal);
    put_size(r, "reserve", found.files.reserve);
    if (!found.holder.held)
        put_contents(r, &found.contents);
    return print(r, EX_OK);
}

/* ---- check */

static void on_damage(void *context, const char *text)
{
    (void)context;
    gnt_say(name, "%s", text);
}

static int check(struct report *r, const char *path)
{
    struct gnt_inspect_check c = {.tell = on_damage};
    char why[GNT_DIRECTORY_WHY_MAX] = "";
    gnt_err err = gnt_inspect_check(path, &c, why);
    if (err)
        return failed(err, why);
    uint64_t damages = gnt_inspect_damages(&c);
    put_number(r, "good_records", c.data.good);
    put_number(r, "journal_commits", c.journal.journal.records);
    put_number(r, "damaged", damages);
    if (c.journal.journal.torn) {
        put_text(r, "torn", c.journal.journal.where);
        put_text(r, "which_means",
                 "the last write was not finished, of which nobody had been told that it is safe");
    }
    return print(r, damages ? EX_DATAERR : EX_OK);
}

/* ---- compact */

static int compact(struct report *r, const char *path)
{
    struct gnt_lmdb_report report;
    uint64_t size;
    char why[GNT_DIRECTORY_WHY_MAX] = "";
    gnt_err err = gnt_inspect_compact(path, &report, &size, why);
    if (err)
        return failed(err, why);
    put_size(r, "before", report.size);
    put_size(r, "after", size);
    put_number(r, "good_records", report.good);
    put_number(r, "left_out", report.damaged + report.unreadable);
    if (report.where[0])
        put_text(r, "first_of_them", report.where);
    else if (size == report.size)
        put_text(r, "which_means", "it was as small as it can be, and stays as it is");
    return print(r, EX_OK);
}

/* ---- The command */

static const struct {
    const char *word;
    int (*run)(struct report *r, const char *path);
} verbs[] = {{"info", info}, {"check", check}, {"compact", compact}};

static int run(const struct options *o, const char *word, const char *path)
{
    struct report report = {.json = o->json};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].word, word) != 0)
            continue;
        int code = verbs[i].run(&report, path);
        gnt_buf_fini(&report.text);
        return code;
    }
    char shown[64];
    gnt_say(name, "expected info, check or compact, got '%s'",
            gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
    return EX_USAGE;
}

int gnt_command_store(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    code = run(&options, argv[0], argv[1]);
    gnt_options_fini(&arguments.table, &options);
    return code;
}
