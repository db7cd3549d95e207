/* Any bytes as a file of users, and as one verifier: no crash, no leak; what is told has words and
 * nothing of the file; nobody is let in. */
#include "auth/users.h"
#include "base/assert.h"
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned told;

static void report(void *context, const char *file, unsigned line, const char *why)
{
    (void)context;
    (void)file;
    GNT_ASSERT(why && why[0]);
    told += line > 0;
}

/* What asks for little enough work is checked. */
static bool is_quick(const struct gnt_verifier *v)
{
    switch (v->kind) {
    case GNT_VERIFIER_SCRAM:
        return v->scram[GNT_SCRAM_SHA_256].iterations < 5000 &&
               v->scram[GNT_SCRAM_SHA_512].iterations < 5000;
    case GNT_VERIFIER_SCRYPT: return v->hash.log_n < 11 && v->hash.r * v->hash.p < 16;
    case GNT_VERIFIER_PBKDF2: return v->hash.iterations < 1000;
    case GNT_VERIFIER_SHA512: return true;
    case GNT_VERIFIER_KINDS: break;
    }
    GNT_ASSERT(false);
    return false;
}

static void use(const struct gnt_users *users, struct gnt_slice in)
{
    struct gnt_verifier v, again;
    struct gnt_scram_verifier scram;
    struct gnt_slice name = gnt_slice(in.data, in.size < 8 ? in.size : 8);
    bool known = gnt_users_find(users, name, &v);
    for (unsigned i = 0; i < GNT_SCRAM_HASHES; i++) {
        enum gnt_scram_hash hash = (enum gnt_scram_hash)i;
        bool has = known && gnt_verifier_scram(&v, hash);
        GNT_ASSERT(gnt_users_find_scram(users, name, hash, &scram) == has);
        GNT_ASSERT(scram.hash == hash && scram.salt_size > 0);
        GNT_ASSERT(scram.iterations >= GNT_SCRAM_ITERATIONS_MIN);
        GNT_ASSERT(!gnt_users_offer_scram(users, hash) || has || !known ||
                   v.kind != GNT_VERIFIER_SCRAM);
    }
    (void)gnt_users_find(users, name, &again);
    GNT_ASSERT(memcmp(&v, &again, sizeof v) == 0);
    if (is_quick(&v))
        GNT_ASSERT(gnt_verifier_check(&v, gnt_slice_str("not the password")) == GNT_DENIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gnt_users *users = NULL;
    struct gnt_verifier v;
    struct gnt_seeded seeded;
    const char *why;
    char path[64];
    gnt_seeded_init(&seeded, 1);
    gnt_err err = gnt_verifier_read(gnt_slice(data, size), &v, &why);
    GNT_ASSERT((err == GNT_MALFORMED) == (why != NULL));
    GNT_ASSERT(err || gnt_verifier_looks(gnt_slice(data, size)));

    int fd = memfd_create("users", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    told = 0;
    err = gnt_users_load(path, NULL, &seeded.door, report, NULL, &users);
    close(fd);
    GNT_ASSERT(err == GNT_OK || (err == GNT_MALFORMED && told > 0));
    if (!err)
        use(users, gnt_slice(data, size));
    gnt_users_unref(&users);
    return 0;
}
