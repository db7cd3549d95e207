#include "auth/users.h"

#include "auth/field.h"
#include "auth/scram_private.h"
#include "base/hash.h"
#include "base/list.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LINE_MAX_SIZE = 1024 };

struct user {
    struct gnt_map_node node;
    struct gnt_verifier verifier;
    size_t name_size;
    uint8_t name[];
};

struct gnt_users {
    _Atomic unsigned refs;
    struct gnt_map map;
    struct user **list; /* in the file's order */
    size_t count, cap;
    size_t of_kind[GNT_VERIFIER_KINDS]; /* how many of them */
    size_t of_scram[GNT_SCRAM_HASHES];  /* and how many who can log in by SCRAM so */
    uint8_t secret[GNT_SCRAM_KEY_MAX];  /* what made up salts come from */
};

static void wipe_and_free(struct user *u)
{
    gnt_scram_wipe(&u->verifier, sizeof u->verifier);
    free(u);
}

struct gnt_users *gnt_users_ref(struct gnt_users *users)
{
    atomic_fetch_add_explicit(&users->refs, 1, memory_order_relaxed);
    return users;
}

void gnt_users_unref(struct gnt_users **users)
{
    struct gnt_users *gone = *users;
    *users = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    gnt_map_fini(&gone->map);
    for (size_t i = 0; i < gone->count; i++)
        wipe_and_free(gone->list[i]);
    free(gone->list);
    gnt_scram_wipe(gone->secret, sizeof gone->secret);
    free(gone);
}

size_t gnt_users_count(const struct gnt_users *users)
{
    return users->count;
}

bool gnt_users_name_valid(struct gnt_slice name)
{
    return gnt_scram_text_valid(name, GNT_SCRAM_NAME_MAX) && name.data[0] != '#' &&
           !memchr(name.data, ':', name.size);
}

/* ---- Looking up */

static const struct user *find(const struct gnt_users *users, struct gnt_slice name)
{
    struct gnt_map_node *node = gnt_map_first(&users->map, gnt_hash(name));
    for (; node; node = gnt_map_next(node)) {
        const struct user *u = GNT_CONTAINER(node, struct user, node);
        if (gnt_slice_eq(gnt_slice(u->name, u->name_size), name))
            return u;
    }
    return NULL;
}

/* The kind that most users have; of an empty file what new ones get. */
static enum gnt_verifier_kind usual_kind(const struct gnt_users *users)
{
    enum gnt_verifier_kind usual = GNT_VERIFIER_SCRYPT;
    for (unsigned kind = 0; kind < GNT_VERIFIER_KINDS; kind++)
        if (users->of_kind[kind] > users->of_kind[usual])
            usual = (enum gnt_verifier_kind)kind;
    return usual;
}

/* What a user might have who has a verifier of KIND, and, unless HASH is GNT_SCRAM_HASHES, one for
 * that: as costly as that of one who has it, chosen by WHICH. */
static struct gnt_verifier like(const struct gnt_users *users, enum gnt_verifier_kind kind,
                                enum gnt_scram_hash hash, size_t which)
{
    bool any = hash == GNT_SCRAM_HASHES;
    if (any ? !users->of_kind[kind] : !users->of_scram[hash])
        return gnt_verifier_costs(kind);
    for (;; which++) {
        const struct gnt_verifier *v = &users->list[which % users->count]->verifier;
        if (any ? v->kind == kind : gnt_verifier_scram(v, hash) != NULL)
            return *v;
    }
}

/* The same for a name that is nobody's: as random as it looks, and always the same. */
static struct gnt_verifier make_up(const struct gnt_users *users, struct gnt_slice name,
                                   enum gnt_verifier_kind kind, enum gnt_scram_hash hash)
{
    uint8_t derived[GNT_SCRAM_KEY_MAX];
    if (gnt_scram_hmac(GNT_SCRAM_SHA_512, users->secret, name, derived))
        memset(derived, 0, sizeof derived); /* without memory nothing can be proved anyway */
    const uint8_t *last = derived + sizeof derived - 2; /* which are in no salt */
    struct gnt_verifier v = like(users, kind, hash, (size_t)last[0] << 8 | last[1]);
    gnt_verifier_blank(&v, derived);
    return v;
}

bool gnt_users_find(const struct gnt_users *users, struct gnt_slice name, struct gnt_verifier *out)
{
    const struct user *u = find(users, name);
    *out = u ? u->verifier : make_up(users, name, usual_kind(users), GNT_SCRAM_HASHES);
    return u != NULL;
}

bool gnt_users_find_scram(const struct gnt_users *users, struct gnt_slice name,
                          enum gnt_scram_hash hash, struct gnt_scram_verifier *out)
{
    const struct user *u = find(users, name);
    const struct gnt_scram_verifier *own = u ? gnt_verifier_scram(&u->verifier, hash) : NULL;
    *out = own ? *own : make_up(users, name, GNT_VERIFIER_SCRAM, hash).scram[hash];
    return own != NULL;
}

bool gnt_users_offer_scram(const struct gnt_users *users, enum gnt_scram_hash hash)
{
    size_t count = users->of_scram[hash];
    return count > 0 && count == users->of_kind[GNT_VERIFIER_SCRAM];
}

bool gnt_users_are_scram(const struct gnt_users *users)
{
    return users->of_kind[GNT_VERIFIER_SCRAM] == users->count;
}

/* ---- Reading the file */

static gnt_err make_room(struct gnt_users *users)
{
    if (users->count < users->cap)
        return GNT_OK;
    size_t cap = users->cap ? users->cap * 2 : 16;
    struct user **list = realloc(users->list, cap * sizeof(struct user *));
    if (!list)
        return GNT_NOMEM;
    users->list = list;
    users->cap = cap;
    return GNT_OK;
}

static gnt_err add(struct gnt_users *users, struct gnt_slice name,
                   const struct gnt_verifier *verifier)
{
    gnt_err err = make_room(users);
    struct user *u = err ? NULL : malloc(sizeof *u + name.size);
    if (!u)
        return GNT_NOMEM;
    u->verifier = *verifier;
    u->name_size = name.size;
    memcpy(u->name, name.data, name.size);
    err = gnt_map_insert(&users->map, &u->node, gnt_hash(name));
    if (err) {
        wipe_and_free(u);
    } else {
        users->list[users->count++] = u;
        users->of_kind[verifier->kind]++;
        for (unsigned hash = 0; hash < GNT_SCRAM_HASHES; hash++)
            users->of_scram[hash] +=
                gnt_verifier_scram(verifier, (enum gnt_scram_hash)hash) != NULL;
    }
    return err;
}

static gnt_err take_line(void *self, struct gnt_slice line, const char **why)
{
    struct gnt_users *users = self;
    struct gnt_slice name;
    struct gnt_verifier v;
    *why = "expected NAME:VERIFIER";
    if (!gnt_field_until(&line, ':', &name))
        return GNT_MALFORMED;
    gnt_err err = gnt_verifier_read(line, &v, why);
    if (!gnt_users_name_valid(name))
        *why = "a name has 1 to 255 bytes of UTF-8 without control characters";
    else if (find(users, name))
        *why = "this user has a line already, which holds";
    if (!*why)
        err = add(users, name, &v);
    gnt_scram_wipe(&v, sizeof v);
    return *why ? GNT_MALFORMED : err;
}

/* Who can read it can try passwords on it for as long as they like. */
static void check_mode(const struct gnt_lines *lines)
{
    struct stat status;
    if (stat(lines->file, &status) == 0 && status.st_mode & S_IROTH)
        lines->report(lines->context, lines->file, 0,
                      "every user of this machine can read it: chmod o= would end that");
}

gnt_err gnt_users_load(const char *file, const struct gnt_users *before,
                       const struct gnt_random *random, gnt_lines_report *report, void *context,
                       struct gnt_users **out)
{
    struct gnt_users *users = calloc(1, sizeof *users);
    if (!users)
        return GNT_NOMEM;
    users->refs = 1;
    if (before)
        memcpy(users->secret, before->secret, sizeof users->secret);
    else
        random->fill(random->self, users->secret, sizeof users->secret);
    const struct gnt_lines lines = {.file = file,
                                    .line_max = LINE_MAX_SIZE,
                                    .take = take_line,
                                    .self = users,
                                    .report = report,
                                    .context = context};
    size_t bad;
    gnt_err err = gnt_lines_read(&lines, &bad);
    if (!err)
        check_mode(&lines);
    if (!err && bad && users->count == 0)
        err = GNT_MALFORMED;
    if (err) {
        int number = errno;
        gnt_users_unref(&users);
        errno = number;
    } else {
        *out = users;
    }
    return err;
}
