/* What an access list is made of. */
#ifndef GNT_AUTH_ACCESS_PRIVATE_H
#define GNT_AUTH_ACCESS_PRIVATE_H

#include "auth/access.h"
#include "auth/rules.h"
#include "base/hash.h"
#include "model/entity_name.h"

#include <stdatomic.h>

/* In the text of a filter, what the client id and the user name take the place of.  Neither byte is
 * one of UTF-8. */
enum { GNT_ACCESS_CLIENT = 0xfe, GNT_ACCESS_USER = 0xff };

/* A rule with its own text. */
struct gnt_access_row {
    char *who; /* NULL: everybody; of the file always */
    uint8_t *text;
    uint32_t size;
    uint8_t verbs; /* all of them of GNT_VERBS_OF_QUEUES, or none */
    bool permits;
    bool filled; /* something takes a place in it */
};

/* BYTE as it stands in the filter of ROW: names of queues are folded, topics are not. */
static inline uint8_t gnt_access_byte(const struct gnt_access_row *row, uint8_t byte)
{
    return row->verbs & GNT_VERBS_OF_QUEUES ? gnt_entity_fold_byte(byte) : byte;
}

struct gnt_access_rows {
    struct gnt_access_row *items;
    size_t count, cap;
};

/* A user of the file; an empty name for who has none. */
struct gnt_access_user {
    struct gnt_map_node node;
    struct gnt_access_rows rows; /* until the list is sealed */
    struct gnt_rules *rules;     /* from then on */
    size_t name_size;
    uint8_t name[];
};

struct gnt_access {
    _Atomic unsigned refs;
    bool sealed;
    struct gnt_access_rows own, patterns;
    struct gnt_map users;
    gnt_access_ask *ask; /* instead of all that; NULL: there are rules */
    void *ask_context;
};

/* What stands for the client and the user in a filter: "${client}" and "${user}", or "%c" and
 * "%u". */
struct gnt_access_marks {
    const char *client, *user;
};

/* Appends a rule about FILTER, with VERBS that are all about queues or all about topics; what is
 * said about "$queue/NAME" as a topic is about the queue NAME.  GNT_INVALID: *why; GNT_NOMEM. MARKS
 * NULL: none is looked for. */
GNT_MUST gnt_err gnt_access_append(struct gnt_access_rows *rows, struct gnt_slice who,
                                   uint8_t verbs, bool permits, struct gnt_slice filter,
                                   const struct gnt_access_marks *marks, const char **why);

/* The user NAME of the file; NULL: has no line. */
struct gnt_access_user *gnt_access_user(const struct gnt_access *access, struct gnt_slice name);

/* Rights of three lists, one behind the other; the first and the last one are the rights' own, the
 * middle one belongs to ACCESS. */
GNT_MUST gnt_err gnt_rights_new(struct gnt_access *access, struct gnt_rules **first,
                                const struct gnt_rules *middle, struct gnt_rules **last,
                                struct gnt_rights **out);

/* Rights of one that is asked about each time; WHO is copied. */
GNT_MUST gnt_err gnt_rights_asking(struct gnt_access *access, struct gnt_principal who,
                                   struct gnt_rights **out);

#endif
