/* The log: one line per event, to stderr, as text or JSON.
 *
 *     2026-11-22T10:00:00.123Z info  c17 connect client=sensor-1 version=5 clean=1
 *     {"time":"2026-11-22T10:00:00.123Z","level":"info","on":"c17","event":"connect","client":...}
 *
 * Any thread; a line is written with one write(2), which never waits: while nobody reads stderr
 * lines are left out, and the next one is preceded by "log not read lines=N".  What comes from a
 * peer goes in as a field and is made printable here.  What a peer can trigger at will goes through
 * gnt_log_limited, or is a counter. */
#ifndef GNT_BASE_LOG_H
#define GNT_BASE_LOG_H

#include "base/err.h"
#include "base/slice.h"

#include <stdatomic.h>

/*    name    word in the log and in the configuration */
#define GNT_LOG_LEVELS(X) \
    X(ERROR, "error")     \
    X(WARNING, "warn")    \
    X(NOTICE, "notice")   \
    X(INFO, "info")       \
    X(DEBUG, "debug")

enum gnt_log_level {
#define GNT_LOG_ENUM(name, word) GNT_LOG_##name,
    GNT_LOG_LEVELS(GNT_LOG_ENUM)
#undef GNT_LOG_ENUM
};

enum gnt_log_format { GNT_LOG_TEXT, GNT_LOG_JSON };

struct gnt_log_field {
    const char *key;
    struct gnt_slice text; /* if data is not NULL */
    int64_t number;
};

#define GNT_F_TEXT(key, slice) ((struct gnt_log_field){(key), (slice), 0})
#define GNT_F_STR(key, string) ((struct gnt_log_field){(key), gnt_slice_str(string), 0})
#define GNT_F_NUM(key, value)  ((struct gnt_log_field){(key), {NULL, 0}, (int64_t)(value)})
#define GNT_F_ERR(err)         GNT_F_STR("error", gnt_err_text(err))

/* Process-wide; set before threads start or from one thread at a time. */
void gnt_log_configure(enum gnt_log_level most_detailed, enum gnt_log_format format);

/* Sends lines (without the newline) to WRITE instead of stderr; NULL: to stderr again. */
void gnt_log_divert(void (*write)(void *context, enum gnt_log_level, const char *line, size_t size),
                    void *context);

bool gnt_log_enabled(enum gnt_log_level level);

/* ON names the connection, worker or file that the event is about, NULL for none. */
void gnt_log_event(enum gnt_log_level level, const char *on, const char *event,
                   const struct gnt_log_field *fields, size_t count);

/* gnt_log(level, on, event, field...), with no field or any number of them:
 *     gnt_log(GNT_LOG_INFO, "c17", "connect", GNT_F_TEXT("client", id), GNT_F_NUM("version", 5)) */
#define gnt_log(level, on, ...)                                                 \
    do {                                                                        \
        if (gnt_log_enabled(level)) {                                           \
            const struct gnt_log_field fields_[] = {                            \
                GNT_LOG_FIELDS_(__VA_ARGS__, GNT_F_NUM("", 0))};                \
            gnt_log_event((level), (on), GNT_LOG_NAME_(__VA_ARGS__, ), fields_, \
                          sizeof fields_ / sizeof fields_[0] - 1);              \
        }                                                                       \
    } while (0)

/* The event and the fields of a call; a last field that the macros add makes them never none. */
#define GNT_LOG_NAME_(event, ...)   (event)
#define GNT_LOG_FIELDS_(event, ...) __VA_ARGS__

/* At most GNT_LOG_BURST lines a second pass one limit; the first line after a silence tells how
 * many were left out.  A zeroed limit is ready. */
enum { GNT_LOG_BURST = 10 };

struct gnt_log_limit {
    _Atomic uint64_t second; /* of the monotonic clock */
    _Atomic uint32_t passed, left_out;
};

/* Whether a line may pass; *left_out: how many could not since the last that did. */
bool gnt_log_pass(struct gnt_log_limit *limit, uint32_t *left_out);

#define gnt_log_limited(level, on, ...)                                              \
    do {                                                                             \
        static struct gnt_log_limit limit_;                                          \
        uint32_t left_out_;                                                          \
        if (gnt_log_enabled(level) && gnt_log_pass(&limit_, &left_out_)) {           \
            const struct gnt_log_field fields_[] = {                                 \
                GNT_LOG_FIELDS_(__VA_ARGS__, GNT_F_NUM("left_out", left_out_))};     \
            gnt_log_event((level), (on), GNT_LOG_NAME_(__VA_ARGS__, ), fields_,      \
                          sizeof fields_ / sizeof fields_[0] - (left_out_ ? 0 : 1)); \
        }                                                                            \
    } while (0)

#endif
