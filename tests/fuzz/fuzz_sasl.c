/* SASL from somebody who means ill; the first byte says which side it talks to.
 *   's'  a server: the mechanism's name, the initial response and further ones, a line each
 *   'c'  a client: a letter from A on for the mechanisms that are offered, as a set, then
 * challenges, a line each; "r=" and the client's nonce are put before one that begins with '+'. The
 * last one comes with the success. Nobody is let in as somebody without having shown it, and no
 * server is believed that has not. */
#include "auth/sasl.h"
#include "auth/users.h"
#include "base/assert.h"
#include "fuzz.h"
#include "lines.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define IDENTITY "CN=ann"

static struct gnt_seeded seeded;

static void no_report(void *context, const char *file, unsigned line, const char *why)
{
    (void)context;
    (void)file;
    (void)line;
    (void)why;
}

/* One user, whom nobody has the password of; kept for all inputs. */
static const struct gnt_users *only_ann(void)
{
    static const char text[] = "ann:SCRAM-SHA-256$4096:AAAA$"
                               "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
                               ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n";
    static struct gnt_users *users;
    char path[64];
    if (users)
        return users;
    int fd = memfd_create("users", MFD_CLOEXEC);
    GNT_ASSERT(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    gnt_err err = gnt_users_load(path, NULL, &seeded.door, no_report, NULL, &users);
    GNT_ASSERT(!err);
    close(fd);
    return users;
}

/* What the server has made of a message that was SAID to it. */
static void check(const struct gnt_sasl_server *s, struct gnt_slice said, const struct gnt_buf *out)
{
    struct gnt_slice user = gnt_slice_str(s->user);
    GNT_ASSERT(user.size == 0 || gnt_scram_text_valid(user, GNT_SASL_USER_MAX));
    switch (s->state) {
    case GNT_SASL_ASKS: GNT_ASSERT(s->mechanism != GNT_SASL_ANONYMOUS); break;
    case GNT_SASL_CHECKS:
        GNT_ASSERT(s->mechanism == GNT_SASL_PLAIN && user.size > 0 && s->password.size > 0);
        GNT_ASSERT(said.size >= user.size + s->password.size + 2);
        break;
    case GNT_SASL_ACCEPTED:
        GNT_ASSERT(s->mechanism == GNT_SASL_ANONYMOUS
                       ? user.size == 0
                       : s->mechanism == GNT_SASL_EXTERNAL && gnt_slice_eq_str(user, IDENTITY));
        break;
    case GNT_SASL_UNAVAILABLE: GNT_ASSERT(false); break;
    case GNT_SASL_REFUSED:
    case GNT_SASL_UNOFFERED: break;
    }
    GNT_ASSERT(gnt_buf_size(out) == 0 || s->state == GNT_SASL_ASKS);
}

static void server(struct gnt_slice in)
{
    const struct gnt_sasl_terms terms = {.offered = GNT_SASL_ALL,
                                         .external = gnt_slice_str(IDENTITY),
                                         .users = only_ann(),
                                         .random = &seeded.door};
    struct gnt_sasl_server s = {.begun = false};
    struct gnt_buf out = {0};
    struct gnt_slice mechanism = take_line(&in), said = take_line(&in);
    (void)gnt_sasl_server_begin(&s, &terms, mechanism, said, &out);
    check(&s, said, &out);
    for (int more = 0; more < 4; more++) {
        bool over = s.state != GNT_SASL_ASKS;
        said = take_line(&in);
        gnt_buf_clear(&out);
        (void)gnt_sasl_server_step(&s, &terms, said, &out);
        GNT_ASSERT(!over || s.state == GNT_SASL_REFUSED);
        check(&s, said, &out);
    }
    gnt_sasl_server_fini(&s);
    gnt_buf_fini(&out);
}

static void answer(struct gnt_sasl_client *c, const struct gnt_sasl_credentials *who,
                   struct gnt_slice line)
{
    struct gnt_buf challenge = {0}, out = {0};
    gnt_err err = GNT_OK;
    if (line.size && line.data[0] == '+' && gnt_buf_size(&c->scram.exchanged)) {
        err = gnt_buf_put(&challenge, gnt_slice_str("r="));
        if (!err)
            err = gnt_buf_put(&challenge, gnt_slice_skip(gnt_buf_slice(&c->scram.exchanged),
                                                         c->scram.nonce_at));
        line = gnt_slice_skip(line, 1);
    }
    if (!err)
        err = gnt_buf_put(&challenge, line);
    GNT_ASSERT(!err);
    err = gnt_sasl_client_answer(c, who, gnt_buf_slice(&challenge), &out);
    GNT_ASSERT(!err || gnt_buf_size(&out) == 0);
    gnt_buf_fini(&challenge);
    gnt_buf_fini(&out);
}

static void client(struct gnt_slice in)
{
    const struct gnt_sasl_credentials who = {.allowed = GNT_SASL_ALL,
                                             .user = gnt_slice_str("ann"),
                                             .password = gnt_slice_str("pencil")};
    struct gnt_sasl_client c = {.proved = false};
    struct gnt_buf out = {0};
    uint32_t offered = in.size ? (uint32_t)(in.data[0] - 'A') & GNT_SASL_ALL : 0;
    in = gnt_slice_skip(in, in.size > 0);
    gnt_err err =
        is_slow(in) ? GNT_INVALID : gnt_sasl_client_begin(&c, &who, offered, &seeded.door, &out);
    if (!err) {
        bool scram = GNT_SASL_BIT(c.mechanism) & GNT_SASL_SCRAM;
        GNT_ASSERT(c.mechanism != GNT_SASL_ANONYMOUS);
        GNT_ASSERT(offered & GNT_SASL_BIT(c.mechanism));
        for (int more = 0; more < 2; more++)
            answer(&c, &who, take_line(&in));
        GNT_ASSERT(!c.proved);
        GNT_ASSERT(gnt_sasl_client_confirm(&c, in) == (scram ? GNT_DENIED : GNT_OK));
    }
    gnt_sasl_client_fini(&c);
    gnt_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gnt_seeded_init(&seeded, 1);
    struct gnt_slice in = gnt_slice(data, size), rest = gnt_slice_skip(in, size > 0);
    if (size && data[0] == 's')
        server(rest);
    else if (size && data[0] == 'c')
        client(rest);
    return 0;
}
