#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_SIZE = 2048, FIELD_MAX_SIZE = 400 };

static const char *const level_words[] = {
#define LEVEL_WORD(name, word) [GNT_LOG_##name] = (word),
    GNT_LOG_LEVELS(LEVEL_WORD)
#undef LEVEL_WORD
};

static struct {
    _Atomic int level;
    _Atomic int format;
    void (*write)(void *context, enum gnt_log_level, const char *line, size_t size);
    void *context;
} log_state = {.level = GNT_LOG_INFO};

void gnt_log_configure(enum gnt_log_level most_detailed, enum gnt_log_format format)
{
    atomic_store_explicit(&log_state.level, (int)most_detailed, memory_order_relaxed);
    atomic_store_explicit(&log_state.format, (int)format, memory_order_relaxed);
}

void gnt_log_divert(void (*write)(void *context, enum gnt_log_level, const char *line, size_t size),
                    void *context)
{
    log_state.write = write;
    log_state.context = context;
}

bool gnt_log_enabled(enum gnt_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

/* A line under construction; what does not fit is cut. */
struct line {
    char text[LINE_MAX_SIZE];
    size_t size;
};

static void add(struct line *l, const char *text)
{
    size_t n = strlen(text), room = sizeof l->text - 2 - l->size;
    if (n > room)
        n = room;
    memcpy(l->text + l->size, text, n);
    l->size += n;
}

/* TEXT in double quotes, as JSON and as a shell reader would expect it. */
static void add_quoted(struct line *l, const char *text)
{
    char piece[2 * FIELD_MAX_SIZE];
    size_t n = 0;
    for (; *text && n < sizeof piece - 2; text++) {
        if (*text == '"' || *text == '\\')
            piece[n++] = '\\';
        piece[n++] = *text;
    }
    piece[n] = '\0';
    add(l, "\"");
    add(l, piece);
    add(l, "\"");
}

static bool needs_quotes(const char *text)
{
    return *text == '\0' || strpbrk(text, " \"=\\") != NULL;
}

static void add_value(struct line *l, const struct gnt_log_field *f, bool json)
{
    char text[FIELD_MAX_SIZE];
    if (!f->text.data) {
        snprintf(text, sizeof text, "%lld", (long long)f->number);
        add(l, text);
        return;
    }
    gnt_utf8_printable(f->text, text, sizeof text);
    if (json || needs_quotes(text))
        add_quoted(l, text);
    else
        add(l, text);
}

static void add_time(struct line *l)
{
    uint64_t ms = gnt_wall_ms(&gnt_clock_system);
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char date[32], text[48];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "%s.%03uZ", date, (unsigned)(ms % 1000));
    add(l, text);
}

static void format_text(struct line *l, enum gnt_log_level level, const char *on, const char *event,
                        const struct gnt_log_field *fields, size_t count)
{
    char word[16];
    snprintf(word, sizeof word, " %-6s ", level_words[level]);
    add_time(l);
    add(l, word);
    if (on) {
        add(l, on);
        add(l, " ");
    }
    add(l, event);
    for (size_t i = 0; i < count; i++) {
        add(l, " ");
        add(l, fields[i].key);
        add(l, "=");
        add_value(l, &fields[i], false);
    }
}

static void format_json(struct line *l, enum gnt_log_level level, const char *on, const char *event,
                        const struct gnt_log_field *fields, size_t count)
{
    add(l, "{\"time\":\"");
    add_time(l);
    add(l, "\",\"level\":\"");
    add(l, level_words[level]);
    add(l, "\"");
    if (on) {
        add(l, ",\"on\":");
        add_quoted(l, on);
    }
    add(l, ",\"event\":");
    add_quoted(l, event);
    /* A line that is cut would not be JSON: fields that may not fit are left out. */
    for (size_t i = 0; i < count && l->size + 2 * FIELD_MAX_SIZE + 64 < sizeof l->text; i++) {
        add(l, ",\"");
        add(l, fields[i].key);
        add(l, "\":");
        add_value(l, &fields[i], true);
    }
    add(l, "}");
}

static void format_line(struct line *l, enum gnt_log_level level, const char *on, const char *event,
                        const struct gnt_log_field *fields, size_t count)
{
    if (atomic_load_explicit(&log_state.format, memory_order_relaxed) == GNT_LOG_JSON)
        format_json(l, level, on, event, fields, count);
    else
        format_text(l, level, on, event, fields, count);
}

static void write_stderr(struct line *l)
{
    l->text[l->size++] = '\n';
    const char *text = l->text;
    for (size_t left = l->size; left;) {
        ssize_t n = write(STDERR_FILENO, text, left);
        if (n < 0 && errno != EINTR)
            return; /* nowhere left to tell it */
        if (n > 0) {
            text += n;
            left -= (size_t)n;
        }
    }
}

/* Whether a line, and one more, can be written without waiting: a pipe that can be written to has
 * room for PIPE_BUF bytes, and two lines are no more. */
static bool can_write(void)
{
    _Static_assert(2 * sizeof((struct line *)0)->text <= PIPE_BUF, "two lines fit into a pipe");
    struct pollfd stderr_now = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&stderr_now, 1, 0) != 0;
}

/* A reader of stderr that does not read must not hold up a worker: lines are left out then, and
 * counted.  The lock keeps lines whole and in order; it is held for a poll and writes that do not
 * wait. */
static void emit(struct line *l)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t lost;
    pthread_mutex_lock(&lock);
    if (!can_write()) {
        lost++;
    } else {
        if (lost) {
            const struct gnt_log_field field = GNT_F_NUM("lines", lost);
            struct line note = {.size = 0};
            format_line(&note, GNT_LOG_WARNING, NULL, "log not read", &field, 1);
            write_stderr(&note);
            lost = 0;
        }
        write_stderr(l);
    }
    pthread_mutex_unlock(&lock);
}

void gnt_log_event(enum gnt_log_level level, const char *on, const char *event,
                   const struct gnt_log_field *fields, size_t count)
{
    struct line l = {.size = 0};
    format_line(&l, level, on, event, fields, count);
    if (log_state.write) {
        l.text[l.size] = '\0';
        log_state.write(log_state.context, level, l.text, l.size);
        return;
    }
    emit(&l);
}

bool gnt_log_pass(struct gnt_log_limit *limit, uint32_t *left_out)
{
    uint64_t second = gnt_now(&gnt_clock_system) / GNT_NS_PER_S;
    if (atomic_exchange_explicit(&limit->second, second, memory_order_relaxed) != second)
        atomic_store_explicit(&limit->passed, 0, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&limit->passed, 1, memory_order_relaxed) >= GNT_LOG_BURST) {
        atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
        return false;
    }
    *left_out = atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed);
    return true;
}
