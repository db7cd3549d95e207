/* The option table: one row says everything about one option, and the YAML reader (yaml.h), the
 * command line and --help (args.h), the reference in docs/ and the comparison of two sets of
 * values all work from it.
 *
 *     struct sky { uint32_t stars; char *name; };
 *     static const struct gnt_option rows[] = {
 *         {.path = "stars", .flag = "stars", .kind = GNT_OPTION_INTEGER, .metavar = "N",
 *          GNT_OPTION_FIELD(struct sky, stars), .fallback = "10", .min = 1, .max = 9000,
 *          .help = "How many stars there are."}, ...
 *     };
 *     static const struct gnt_option_table table = GNT_OPTION_TABLE(struct sky, rows);
 *
 * Ownership  a set of values is a struct of the caller's: gnt_options_init() to
 *            gnt_options_fini().  Its strings and lists belong to it.
 * Threads    tables are constant; a set of values belongs to one thread at a time. */
#ifndef GNT_CONF_OPTION_H
#define GNT_CONF_OPTION_H

#include "conf/text.h"

/*    KIND      C type of the field                  what a person writes */
#define GNT_OPTION_KINDS(X)                                                                 \
    X(BOOL)     /* bool                                 true, false */                      \
    X(INTEGER)  /* unsigned, 1, 2, 4 or 8 bytes         1000 */                             \
    X(SIZE)     /* unsigned: bytes                      64KiB */                            \
    X(DURATION) /* unsigned: milliseconds               500ms */                            \
    X(SECONDS)  /* unsigned: seconds                    10s */                              \
    X(WORD)     /* enum: the value of one of `words`    drop_newest */                      \
    X(STRING)   /* char *, NULL if unset                text */                             \
    X(STRINGS)  /* struct gnt_strings                   a text or list; a flag to repeat */ \
    X(MAPS)     /* struct gnt_option_list               a list of maps; a flag to repeat */ \
    X(TAKE)     /* whatever `take` does                 words of the command line, no YAML */

enum gnt_option_kind {
#define GNT_OPTION_ENUM(name) GNT_OPTION_##name,
    GNT_OPTION_KINDS(GNT_OPTION_ENUM)
#undef GNT_OPTION_ENUM
};

/* A word with a meaning; a table of them ends with a NULL word.  The first word of a value is its
 * name in texts, later ones (next to it) are accepted too. */
struct gnt_option_word {
    const char *word;
    uint64_t value;
};

struct gnt_strings {
    char **items;
    size_t count;
};

/* Any list of structs: a field of this layout whose `items` points to its own struct type. */
struct gnt_option_list {
    void *items;
    size_t count;
};

struct gnt_option {
    const char *path; /* in YAML, nested maps with dots ("limits.packet"); NULL: not in YAML */
    const char *flag; /* on the command line, without "--"; NULL: not there */
    char letter;      /* the same for "-"; 0: none */
    enum gnt_option_kind kind;
    uint8_t width; /* bytes of the field; with the offset from GNT_OPTION_FIELD */
    size_t offset;
    const char *fallback; /* the default as it would be written; NULL: 0, unset or empty */
    uint64_t min, max;    /* of numbers; bytes of a string (max 0: 4096); items of a list (max 0:
                           * 4096), where the minimum binds a list that a file gives */
    const struct gnt_option_word *words;  /* of WORD; of numbers: words besides the numbers */
    const struct gnt_option_table *items; /* of MAPS; a text alone sets its first row */
    const char
        *implied; /* the value of a flag without one; BOOL: always "true"; NULL: it needs one */

    /* STRING and STRINGS: a further look at a text; GNT_INVALID and WHY refuse it. */
    gnt_err (*check)(const char *text, struct gnt_why *why);

    /* TAKE: looks at the COUNT words behind the flag and says how many it took, or a gnt_err: with
     * GNT_INVALID, WHY tells the reason. */
    int (*take)(const struct gnt_option *row, void *values, int count, char *const *words,
                struct gnt_why *why);

    bool required;       /* in a map of a list: must be given */
    bool restart;        /* a change takes effect only at the next start */
    const char *unit;    /* what a number counts, for the reference: "messages" */
    const char *metavar; /* the value's name in --help; NULL: shown without one */
    const char *group;   /* the heading in --help; rows of one group stand together */
    const char *help;    /* full sentences */
};

struct gnt_option_table {
    const struct gnt_option *rows;
    size_t count;
    size_t size; /* of the struct of values */
    size_t line; /* of maps in a list: where in the struct the line of the file goes (uint32_t) that
                  * one begins in, for what is found wrong with it later; 0: nowhere */
};

#define GNT_OPTION_FIELD(type, member) \
    .offset = offsetof(type, member), .width = (uint8_t)sizeof(((type *)0)->member)

#define GNT_OPTION_TABLE(type, array)                                                    \
    {                                                                                    \
        .rows = (array), .count = sizeof(array) / sizeof(array)[0], .size = sizeof(type) \
    }

/* No table has more rows; readers keep what they have seen in arrays of this size. */
enum { GNT_OPTION_ROWS = 128 };

/* All fields to their defaults, whatever was in VALUES (all of it is zeroed first).  GNT_NOMEM
 * leaves VALUES zeroed. */
GNT_MUST gnt_err gnt_options_init(const struct gnt_option_table *table, void *values);

/* Frees what the values own and zeroes them; a zeroed set of values may be given too. */
void gnt_options_fini(const struct gnt_option_table *table, void *values);

/* Sets the field from a text; a list gets it as a further item.  GNT_INVALID: nothing changed, and
 * WHY says what was expected: "expected a size such as 64KiB, 1MiB or 268435455, got '12 parrots'".
 */
GNT_MUST gnt_err gnt_option_set(const struct gnt_option *row, void *values, struct gnt_slice text,
                                struct gnt_why *why);

/* MAPS: appends an item with its defaults; *item is valid until the list changes.  GNT_FULL at
 * the row's maximum, with WHY. */
GNT_MUST gnt_err gnt_option_list_add(const struct gnt_option *row, void *values, void **item,
                                     struct gnt_why *why);

/* STRINGS and MAPS: empties the list. */
void gnt_option_list_clear(const struct gnt_option *row, void *values);

/* How many items a STRINGS or MAPS field has. */
size_t gnt_option_list_count(const struct gnt_option *row, const void *values);

bool gnt_option_equal(const struct gnt_option *row, const void *a, const void *b);

/* Whether ROW's value in B instead of that in A holds from the next start only.  Of a list of maps
 * that are as many as before only what its own rows say needs one. */
bool gnt_option_needs_restart(const struct gnt_option *row, const void *a, const void *b);

/* Appends the value as it would be written in YAML: 1MiB, [a, b], [{url: mqtt://:1883}]; an unset
 * string as nothing. */
GNT_MUST gnt_err gnt_option_text(const struct gnt_option *row, const void *values,
                                 struct gnt_buf *out);

/* Appends what the row accepts, as it stands after "expected" in errors: "an integer from 1 to 64
 * or auto". */
GNT_MUST gnt_err gnt_option_expects(const struct gnt_option *row, struct gnt_buf *out);

/* The row with this path, NULL if there is none. */
const struct gnt_option *gnt_option_find(const struct gnt_option_table *table, const char *path);

#endif
