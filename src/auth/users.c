#include "auth/users.h"

#include "auth/scram_private.h"
#include "base/hash.h"
#include "base/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_SIZE = 1024 };

struct user {
    struct gnt_map_node node;
    struct gnt_scram_verifier verifier;
    size_t name_size;
    uint8_t name[];
};

struct gnt_users {
    _Atomic unsigned refs;
    struct gnt_map map;
    struct user **list; /* in the file's order */
    size_t count, cap;
    uint8_t secret[GNT_SCRAM_KEY_SIZE]; /* what made up salts come from */
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

/* Salt and iteration count for a name that is nobody's: as random as they look, and always the
 * same.  The count is one that some user has. */
static void make_up(const struct gnt_users *users, struct gnt_slice name,
                    struct gnt_scram_verifier *out)
{
    uint8_t derived[GNT_SCRAM_KEY_SIZE];
    *out = (struct gnt_scram_verifier){.iterations = GNT_SCRAM_ITERATIONS,
                                       .salt_size = GNT_SCRAM_SALT_SIZE};
    if (gnt_scram_hmac(users->secret, name, derived))
        memset(derived, 0, sizeof derived); /* without memory nothing can be proved anyway */
    memcpy(out->salt, derived, GNT_SCRAM_SALT_SIZE);
    if (users->count) {
        size_t which =
            ((size_t)derived[GNT_SCRAM_SALT_SIZE] << 8 | derived[GNT_SCRAM_SALT_SIZE + 1]) %
            users->count;
        out->iterations = users->list[which]->verifier.iterations;
    }
}

bool gnt_users_find(const struct gnt_users *users, struct gnt_slice name,
                    struct gnt_scram_verifier *out)
{
    const struct user *u = find(users, name);
    if (u)
        *out = u->verifier;
    else
        make_up(users, name, out);
    return u != NULL;
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
                   const struct gnt_scram_verifier *verifier)
{
    gnt_err err = make_room(users);
    struct user *u = err ? NULL : malloc(sizeof *u + name.size);
    if (!u)
        return GNT_NOMEM;
    u->verifier = *verifier;
    u->name_size = name.size;
    memcpy(u->name, name.data, name.size);
    err = gnt_map_insert(&users->map, &u->node, gnt_hash(name));
    if (err)
        wipe_and_free(u);
    else
        users->list[users->count++] = u;
    return err;
}

/* GNT_MALFORMED: *why. */
static gnt_err read_line(struct gnt_users *users, struct gnt_slice line, const char **why)
{
    struct gnt_scram_verifier v;
    const uint8_t *colon = memchr(line.data, ':', line.size);
    *why = NULL;
    if (line.size > LINE_MAX_SIZE)
        *why = "too long a line";
    else if (!colon)
        *why = "expected NAME:SCRAM-SHA-256$...";
    if (*why)
        return GNT_MALFORMED;
    struct gnt_slice name = gnt_slice(line.data, (size_t)(colon - line.data));
    gnt_err err = gnt_scram_verifier_read(gnt_slice_skip(line, name.size + 1), &v, why);
    if (!gnt_users_name_valid(name))
        *why = "a name has 1 to 255 bytes of UTF-8 without control characters";
    else if (find(users, name))
        *why = "this user has a line already, which holds";
    if (!*why)
        err = add(users, name, &v);
    gnt_scram_wipe(&v, sizeof v);
    return *why ? GNT_MALFORMED : err;
}

static struct gnt_slice without_end(const char *line, size_t size)
{
    while (size && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    return gnt_slice(line, size);
}

/* What is read, and who is told. */
struct reading {
    const char *file;
    gnt_users_report *report;
    void *context;
};

static gnt_err read_lines(struct gnt_users *users, FILE *from, const struct reading *reading)
{
    char *line = NULL;
    size_t cap = 0, bad = 0;
    ssize_t size;
    gnt_err err = GNT_OK;
    errno = 0;
    for (unsigned number = 1; !err && (size = getline(&line, &cap, from)) >= 0; number++) {
        struct gnt_slice text = without_end(line, (size_t)size);
        if (text.size == 0 || text.data[0] == '#')
            continue;
        const char *why;
        err = read_line(users, text, &why);
        if (err != GNT_MALFORMED)
            continue;
        reading->report(reading->context, reading->file, number, why);
        bad++;
        err = GNT_OK;
    }
    if (!err && !feof(from))
        err = gnt_err_from_errno(errno);
    if (line)
        gnt_scram_wipe(line, cap);
    free(line);
    return !err && bad && users->count == 0 ? GNT_MALFORMED : err;
}

/* Who can read it can try passwords on it for as long as they like. */
static void check_mode(int fd, const struct reading *reading)
{
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_mode & S_IROTH)
        reading->report(reading->context, reading->file, 0,
                        "every user of this machine can read it: chmod o= would end that");
}

static gnt_err read_file(struct gnt_users *users, const struct reading *reading)
{
    int fd = open(reading->file, O_RDONLY | O_CLOEXEC);
    FILE *from = fd < 0 ? NULL : fdopen(fd, "r");
    if (!from) {
        gnt_err err = gnt_err_from_errno(errno);
        if (fd >= 0)
            close(fd);
        return err;
    }
    check_mode(fd, reading);
    gnt_err err = read_lines(users, from, reading);
    int number = errno;
    fclose(from);
    errno = number;
    return err;
}

gnt_err gnt_users_load(const char *file, const struct gnt_users *before,
                       const struct gnt_random *random, gnt_users_report *report, void *context,
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
    const struct reading reading = {file, report, context};
    gnt_err err = read_file(users, &reading);
    if (err)
        gnt_users_unref(&users);
    else
        *out = users;
    return err;
}
