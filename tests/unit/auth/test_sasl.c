/* Both sides of SASL: what a server makes of everything that a client may say, what a client
 * chooses and believes, and one against the other for each mechanism. */

#include "support/alloc_fault.h"
#include "support/unit.h"

#include "auth/sasl.h"
#include "auth/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIT(name) GNT_SASL_BIT(GNT_SASL_##name)

static struct gnt_seeded seeded;
static struct gnt_users
    *users; /* ann: "secret" by both hashes; old: "secret", SHA-256; zoe: scrypt */

static void no_report(void *context, const char *file, unsigned line, const char *why)
{
    (void)context;
    (void)file;
    fail_msg("line %u: %s", line, why);
}

/* Those whose lines TEXT is. */
static struct gnt_users *read_users(const char *text)
{
    struct gnt_users *set = NULL;
    char path[64];
    snprintf(path, sizeof path, "/tmp/gnatter-sasl-%ld", (long)getpid());
    (void)unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(gnt_users_load(path, NULL, &seeded.door, no_report, NULL, &set), GNT_OK);
    (void)unlink(path);
    return set;
}

static int make_users(void **state)
{
    (void)state;
    char both[GNT_VERIFIER_TEXT], one[GNT_VERIFIER_TEXT], text[2048];
    gnt_err err = gnt_verifier_make_scram(LITERAL("secret"), 4096, &seeded.door, both);
    snprintf(one, sizeof one, "%s", both);
    *strchr(one, ',') = '\0';
    snprintf(text, sizeof text,
             "ann:%s\nold:%s\nzoe:$scrypt$ln=11,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA\n", both, one);
    users = read_users(text);
    return err;
}

static int drop_users(void **state)
{
    (void)state;
    gnt_users_unref(&users);
    return 0;
}

static struct gnt_sasl_terms all_terms(void)
{
    return (struct gnt_sasl_terms){.offered = GNT_SASL_ALL,
                                   .external = LITERAL("CN=ann,O=x"),
                                   .users = users,
                                   .random = &seeded.door};
}

/* ---- Names and offers */

static void mechanisms_by_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GNT_SASL_MECHANISMS; i++) {
        enum gnt_sasl_mechanism m = (enum gnt_sasl_mechanism)i;
        assert_int_equal(gnt_sasl_by_name(gnt_slice_str(gnt_sasl_name(m))), m);
    }
    assert_string_equal(gnt_sasl_name(GNT_SASL_SCRAM_SHA_256), gnt_scram_name(GNT_SCRAM_SHA_256));
    assert_string_equal(gnt_sasl_name(GNT_SASL_SCRAM_SHA_512), gnt_scram_name(GNT_SCRAM_SHA_512));
    static const char *const others[] = {"", "plain", "PLAIN ", "SCRAM-SHA-1", "GSSAPI", "LOGIN"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_int_equal(gnt_sasl_by_name(gnt_slice_str(others[i])), GNT_SASL_MECHANISMS);
}

static void offers_what_is_possible(void **state)
{
    (void)state;
    static char long_name[GNT_SASL_USER_MAX + 1];
    memset(long_name, 'a', sizeof long_name);
    struct gnt_slice none = gnt_slice(NULL, 0), ann = LITERAL("ann");
    struct gnt_users *scrypt =
        read_users("zoe:$scrypt$ln=11,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA\n");
    assert_int_equal(gnt_sasl_offer(0, ann, users, false), 0);
    assert_int_equal(gnt_sasl_offer(GNT_SASL_ALL, none, NULL, false), BIT(ANONYMOUS) | BIT(PLAIN));
    assert_int_equal(gnt_sasl_offer(GNT_SASL_ALL, none, scrypt, false),
                     BIT(ANONYMOUS) | BIT(PLAIN));
    assert_int_equal(gnt_sasl_offer(BIT(ANONYMOUS) | BIT(EXTERNAL), ann, users, false),
                     BIT(ANONYMOUS) | BIT(EXTERNAL));
    assert_int_equal(gnt_sasl_offer(BIT(EXTERNAL), gnt_slice(long_name, GNT_SASL_USER_MAX), NULL,
                                    false),
                     BIT(EXTERNAL));
    assert_int_equal(
        gnt_sasl_offer(BIT(EXTERNAL), gnt_slice(long_name, sizeof long_name), NULL, false), 0);
    /* Old has no SHA-512, so it would choose what it cannot use. */
    assert_int_equal(gnt_sasl_offer(GNT_SASL_SCRAM, none, users, false), BIT(SCRAM_SHA_256));
    /* Zoe has none at all: where it costs nobody anything, nobody is led to choose it. */
    assert_false(gnt_users_are_scram(users));
    assert_int_equal(gnt_sasl_offer(GNT_SASL_SCRAM | BIT(PLAIN), none, users, true), BIT(PLAIN));
    char one[GNT_VERIFIER_TEXT], text[GNT_VERIFIER_TEXT + 8];
    assert_int_equal(gnt_verifier_make_scram(LITERAL("secret"), 4096, &seeded.door, one), GNT_OK);
    snprintf(text, sizeof text, "ann:%s\n", one);
    struct gnt_users *all = read_users(text);
    assert_true(gnt_users_are_scram(all));
    for (int secret = 0; secret < 2; secret++)
        assert_int_equal(gnt_sasl_offer(GNT_SASL_SCRAM | BIT(PLAIN), none, all, secret),
                         GNT_SASL_SCRAM | BIT(PLAIN));
    gnt_users_unref(&all);
    gnt_users_unref(&scrypt);
}

/* ---- What a client says first */

#define NAME255                                                        \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *mechanism;
    const char *said;
    size_t size;
    enum gnt_sasl_state state;
    const char *user;
} firsts[] = {
#define SAID(text) (text), sizeof(text) - 1
    {"ANONYMOUS", SAID(""), GNT_SASL_ACCEPTED, ""},
    {"ANONYMOUS", SAID("sirhc"), GNT_SASL_ACCEPTED, ""},
    {"ANONYMOUS", SAID("\0\xff"), GNT_SASL_ACCEPTED, ""},
    {"EXTERNAL", SAID(""), GNT_SASL_ACCEPTED, "CN=ann,O=x"},
    {"EXTERNAL", SAID("CN=ann,O=x"), GNT_SASL_ACCEPTED, "CN=ann,O=x"},
    {"EXTERNAL", SAID("CN=ann,O="), GNT_SASL_REFUSED, "CN=ann,O=x"},
    {"EXTERNAL", SAID("CN=ann,O=x\0"), GNT_SASL_REFUSED, "CN=ann,O=x"},
    {"EXTERNAL", SAID("root"), GNT_SASL_REFUSED, "CN=ann,O=x"},
    {"PLAIN", SAID(""), GNT_SASL_ASKS, ""},
    {"PLAIN", SAID("\0ann\0secret"), GNT_SASL_CHECKS, "ann"},
    {"PLAIN", SAID("ann\0ann\0secret"), GNT_SASL_CHECKS, "ann"},
    {"PLAIN", SAID("\0" NAME255 "\0x"), GNT_SASL_CHECKS, NAME255},
    {"PLAIN", SAID("\0zo\xc3\xab\0\tp\xc3\xa4ss,=: w\x7f"), GNT_SASL_CHECKS, "zo\xc3\xab"},
    {"PLAIN", SAID("zoe\0ann\0secret"), GNT_SASL_REFUSED, "ann"},
    {"PLAIN", SAID("an\0ann\0secret"), GNT_SASL_REFUSED, "ann"},
    {"PLAIN", SAID("\0ann\0"), GNT_SASL_REFUSED, "ann"},
    {"PLAIN", SAID("\0ann\0sec\0ret"), GNT_SASL_REFUSED, "ann"},
    {"PLAIN", SAID("\0ann\0secret\0"), GNT_SASL_REFUSED, "ann"},
    {"PLAIN", SAID("\0ann\0sec\xff"), GNT_SASL_REFUSED, "ann"},
    {"PLAIN", SAID("\0ann"), GNT_SASL_REFUSED, ""},
    {"PLAIN", SAID("\0"), GNT_SASL_REFUSED, ""},
    {"PLAIN", SAID("\0\0"), GNT_SASL_REFUSED, ""},
    {"PLAIN", SAID("ann secret"), GNT_SASL_REFUSED, ""},
    {"PLAIN", SAID("\0\0secret"), GNT_SASL_REFUSED, ""},
    {"PLAIN", SAID("\0an\xffn\0secret"), GNT_SASL_REFUSED, ""},
    {"PLAIN", SAID("\0an\nn\0secret"), GNT_SASL_REFUSED, ""},
    {"PLAIN", SAID("\0" NAME255 "a\0secret"), GNT_SASL_REFUSED, ""},
    {"SCRAM-SHA-256", SAID(""), GNT_SASL_ASKS, ""},
    {"SCRAM-SHA-256", SAID("n,,n=ann,r=abc"), GNT_SASL_ASKS, "ann"},
    {"SCRAM-SHA-512", SAID("y,,n=ann,r=abc"), GNT_SASL_ASKS, "ann"},
    {"SCRAM-SHA-512", SAID("n,a=ann,n=ann,r=abc"), GNT_SASL_ASKS, "ann"},
    {"SCRAM-SHA-512", SAID("n,,n=nobody,r=abc"), GNT_SASL_ASKS, "nobody"},
    {"SCRAM-SHA-512", SAID("n,,n=old,r=abc"), GNT_SASL_ASKS, "old"},
    {"SCRAM-SHA-512", SAID("n,a=zoe,n=ann,r=abc"), GNT_SASL_REFUSED, ""},
    {"SCRAM-SHA-256", SAID("p=tls-exporter,,n=ann,r=abc"), GNT_SASL_REFUSED, ""},
    {"SCRAM-SHA-256", SAID("\0ann\0secret"), GNT_SASL_REFUSED, ""},
    {"SCRAM-SHA-256", SAID("n,,n=ann"), GNT_SASL_REFUSED, ""},
    {"SCRAM-SHA-256-PLUS", SAID("p=tls-exporter,,n=ann,r=abc"), GNT_SASL_UNOFFERED, ""},
    {"plain", SAID("\0ann\0secret"), GNT_SASL_UNOFFERED, ""},
    {"", SAID("\0ann\0secret"), GNT_SASL_UNOFFERED, ""},
#undef SAID
};

static void first_messages(void **state)
{
    (void)state;
    const struct gnt_sasl_terms terms = all_terms();
    for (size_t i = 0; i < COUNT_OF(firsts); i++) {
        struct gnt_sasl_server s = {0};
        struct gnt_buf out = {0};
        enum gnt_sasl_state at =
            gnt_sasl_server_begin(&s, &terms, gnt_slice_str(firsts[i].mechanism),
                                  gnt_slice(firsts[i].said, firsts[i].size), &out);
        if (at != firsts[i].state || s.state != at)
            fail_msg("row %zu, %s: %d", i, firsts[i].mechanism, (int)at);
        assert_string_equal(s.user, firsts[i].user);
        bool challenged = at == GNT_SASL_ASKS && firsts[i].size > 0;
        assert_int_equal(gnt_buf_size(&out) > 0, challenged);
        assert_int_equal(s.password.size > 0, at == GNT_SASL_CHECKS);
        gnt_sasl_server_fini(&s);
        gnt_buf_fini(&out);
    }
}

/* Nothing is taken that was not in the list that the client was told. */
static void not_what_was_not_offered(void **state)
{
    (void)state;
    for (unsigned i = 0; i < GNT_SASL_MECHANISMS; i++) {
        struct gnt_sasl_terms terms = all_terms();
        struct gnt_sasl_server s = {0};
        struct gnt_buf out = {0};
        struct gnt_slice name = gnt_slice_str(gnt_sasl_name((enum gnt_sasl_mechanism)i));
        terms.offered &= ~GNT_SASL_BIT(i);
        assert_int_equal(gnt_sasl_server_begin(&s, &terms, name, gnt_slice(NULL, 0), &out),
                         GNT_SASL_UNOFFERED);
        assert_int_equal(gnt_sasl_server_step(&s, &terms, LITERAL("\0ann\0secret"), &out),
                         GNT_SASL_REFUSED);
        gnt_sasl_server_fini(&s);
    }
    /* Nor where there is nothing to go by. */
    static const char *const rows[][2] = {{"EXTERNAL", ""}, {"SCRAM-SHA-256", "n,,n=ann,r=abc"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct gnt_sasl_terms bare = {.offered = GNT_SASL_ALL, .random = &seeded.door};
        struct gnt_sasl_server s = {0};
        struct gnt_buf out = {0};
        assert_int_equal(gnt_sasl_server_begin(&s, &bare, gnt_slice_str(rows[i][0]),
                                               gnt_slice_str(rows[i][1]), &out),
                         GNT_SASL_REFUSED);
        gnt_sasl_server_fini(&s);
    }
}

static void a_password_of_the_right_length(void **state)
{
    (void)state;
    static char text[2000] = "\0ann";
    const struct gnt_sasl_terms terms = all_terms();
    memset(text + 5, 'x', sizeof text - 5);
    for (size_t over = 0; over < 2; over++) {
        struct gnt_sasl_server s = {0};
        struct gnt_buf out = {0};
        assert_int_equal(gnt_sasl_server_begin(&s, &terms, LITERAL("PLAIN"),
                                               gnt_slice(text, 5 + GNT_SCRAM_PASSWORD_MAX + over),
                                               &out),
                         over ? GNT_SASL_REFUSED : GNT_SASL_CHECKS);
        gnt_sasl_server_fini(&s);
    }
}

/* What was left out of the first message comes as an answer to an empty challenge, but once. */
static void is_asked_for_what_it_left_out(void **state)
{
    (void)state;
    const struct {
        const char *mechanism;
        struct gnt_slice said;
        enum gnt_sasl_state state;
    } rows[] = {
        {"PLAIN", LITERAL("\0ann\0secret"), GNT_SASL_CHECKS},
        {"PLAIN", LITERAL(""), GNT_SASL_REFUSED},
        {"SCRAM-SHA-256", LITERAL("n,,n=ann,r=abc"), GNT_SASL_ASKS},
        {"SCRAM-SHA-256", LITERAL(""), GNT_SASL_REFUSED},
    };
    const struct gnt_sasl_terms terms = all_terms();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_sasl_server s = {0};
        struct gnt_buf out = {0};
        assert_int_equal(gnt_sasl_server_begin(&s, &terms, gnt_slice_str(rows[i].mechanism),
                                               gnt_slice(NULL, 0), &out),
                         GNT_SASL_ASKS);
        assert_int_equal(gnt_buf_size(&out), 0);
        assert_int_equal(gnt_sasl_server_step(&s, &terms, rows[i].said, &out), rows[i].state);
        gnt_sasl_server_fini(&s);
        gnt_buf_fini(&out);
    }
}

static void what_comes_of_a_password(void **state)
{
    (void)state;
    static const struct {
        gnt_err result;
        enum gnt_sasl_state state;
    } rows[] = {{GNT_OK, GNT_SASL_ACCEPTED},
                {GNT_DENIED, GNT_SASL_REFUSED},
                {GNT_NOMEM, GNT_SASL_UNAVAILABLE},
                {GNT_FULL, GNT_SASL_UNAVAILABLE},
                {GNT_STATE, GNT_SASL_UNAVAILABLE}};
    const struct gnt_sasl_terms terms = all_terms();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_sasl_server s = {0};
        struct gnt_buf out = {0};
        struct gnt_slice said = LITERAL("\0ann\0secret");
        assert_int_equal(gnt_sasl_server_begin(&s, &terms, LITERAL("PLAIN"), said, &out),
                         GNT_SASL_CHECKS);
        assert_slice(s.password, "secret");
        assert_int_equal(gnt_sasl_server_checked(&s, rows[i].result), rows[i].state);
        assert_int_equal(s.password.size, 0);
        assert_string_equal(s.user, "ann");
        assert_int_equal(gnt_sasl_server_checked(&s, GNT_OK), rows[i].state); /* once */
        gnt_sasl_server_fini(&s);
    }
}

/* Whoever speaks while the password is looked at is out, whatever comes of that. */
static void speaks_out_of_turn(void **state)
{
    (void)state;
    const struct gnt_sasl_terms terms = all_terms();
    struct gnt_sasl_server s = {0};
    struct gnt_buf out = {0};
    struct gnt_slice said = LITERAL("\0ann\0guess");
    assert_int_equal(gnt_sasl_server_begin(&s, &terms, LITERAL("PLAIN"), said, &out),
                     GNT_SASL_CHECKS);
    assert_int_equal(gnt_sasl_server_step(&s, &terms, said, &out), GNT_SASL_REFUSED);
    assert_int_equal(gnt_sasl_server_checked(&s, GNT_OK), GNT_SASL_REFUSED);
    gnt_sasl_server_fini(&s);

    assert_int_equal(gnt_sasl_server_begin(&s, &terms, LITERAL("ANONYMOUS"), gnt_slice(NULL, 0),
                                           &out),
                     GNT_SASL_ACCEPTED);
    assert_int_equal(gnt_sasl_server_step(&s, &terms, said, &out), GNT_SASL_REFUSED);
    gnt_sasl_server_fini(&s);
}

/* ---- What a client chooses */

static void chooses_the_best(void **state)
{
    (void)state;
    enum { SAFE = BIT(ANONYMOUS) | GNT_SASL_SCRAM, NONE = GNT_SASL_MECHANISMS };
    static const struct {
        uint32_t allowed, offered;
        const char *user;
        int chosen;
    } rows[] = {
        {GNT_SASL_ALL, GNT_SASL_ALL, "ann", GNT_SASL_EXTERNAL},
        {GNT_SASL_ALL, GNT_SASL_ALL, "", GNT_SASL_EXTERNAL},
        {SAFE, GNT_SASL_ALL, "ann", GNT_SASL_SCRAM_SHA_512},
        {SAFE, GNT_SASL_ALL, "", GNT_SASL_ANONYMOUS},
        {SAFE, BIT(SCRAM_SHA_256) | BIT(PLAIN) | BIT(ANONYMOUS), "ann", GNT_SASL_SCRAM_SHA_256},
        {SAFE, BIT(PLAIN) | BIT(ANONYMOUS), "ann", NONE}, /* neither in the clear nor as nobody */
        {SAFE | BIT(PLAIN), BIT(PLAIN) | BIT(ANONYMOUS), "ann", GNT_SASL_PLAIN},
        {SAFE | BIT(PLAIN), BIT(PLAIN) | BIT(SCRAM_SHA_256), "ann", GNT_SASL_SCRAM_SHA_256},
        {BIT(PLAIN), GNT_SASL_ALL, "ann", GNT_SASL_PLAIN},
        {BIT(PLAIN), GNT_SASL_ALL, "", NONE},
        {BIT(EXTERNAL), GNT_SASL_ALL & ~BIT(EXTERNAL), "ann", NONE},
        {SAFE, BIT(EXTERNAL) | BIT(PLAIN), "", NONE},
        {0, GNT_SASL_ALL, "ann", NONE},
        {GNT_SASL_ALL, 0, "ann", NONE},
        {UINT32_MAX, UINT32_MAX, "ann", GNT_SASL_EXTERNAL},
        {UINT32_MAX, ~GNT_SASL_ALL, "ann", NONE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_sasl_client c = {0};
        struct gnt_buf out = {0};
        const struct gnt_sasl_credentials who = {.allowed = rows[i].allowed,
                                                 .user = gnt_slice_str(rows[i].user),
                                                 .password = LITERAL("secret")};
        gnt_err err = gnt_sasl_client_begin(&c, &who, rows[i].offered, &seeded.door, &out);
        assert_int_equal(err, rows[i].chosen == NONE ? GNT_UNSUPPORTED : GNT_OK);
        if (!err)
            assert_int_equal(c.mechanism, rows[i].chosen);
        gnt_sasl_client_fini(&c);
        gnt_buf_fini(&out);
    }
}

static void what_a_client_says_first(void **state)
{
    (void)state;
    const struct {
        uint32_t mechanism;
        struct gnt_slice said;
    } rows[] = {{BIT(ANONYMOUS), {NULL, 0}},
                {BIT(EXTERNAL), {NULL, 0}},
                {BIT(PLAIN), LITERAL("\0ann\0se,cret")}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_sasl_client c = {0};
        struct gnt_buf out = {0};
        bool nobody = rows[i].mechanism == BIT(ANONYMOUS);
        const struct gnt_sasl_credentials who = {.allowed = rows[i].mechanism,
                                                 .user = nobody ? LITERAL("") : LITERAL("ann"),
                                                 .password = LITERAL("se,cret")};
        assert_int_equal(gnt_sasl_client_begin(&c, &who, GNT_SASL_ALL, &seeded.door, &out), GNT_OK);
        assert_true(gnt_slice_eq(gnt_buf_slice(&out), rows[i].said));
        gnt_buf_clear(&out);
        /* There is nothing to ask. */
        assert_int_equal(gnt_sasl_client_answer(&c, &who, LITERAL(""), &out), GNT_PROTOCOL);
        assert_int_equal(gnt_sasl_client_answer(&c, &who, LITERAL("r=1,s=AAAA,i=4096"), &out),
                         GNT_PROTOCOL);
        assert_int_equal(gnt_buf_size(&out), 0);
        assert_int_equal(gnt_sasl_client_confirm(&c, LITERAL("")), GNT_OK);
        gnt_sasl_client_fini(&c);
        gnt_buf_fini(&out);
    }
}

static void credentials_that_cannot_be(void **state)
{
    (void)state;
    static char long_one[GNT_SCRAM_PASSWORD_MAX + 1];
    memset(long_one, 'x', sizeof long_one);
    const struct {
        struct gnt_slice user, password;
    } rows[] = {
        {LITERAL("a\nb"), LITERAL("secret")},    {LITERAL("a\xff"), LITERAL("secret")},
        {LITERAL("a\0b"), LITERAL("secret")},    {LITERAL(NAME255 "a"), LITERAL("secret")},
        {LITERAL("ann"), LITERAL("")},           {LITERAL("ann"), LITERAL("se\0cret")},
        {LITERAL("ann"), LITERAL("secret\xc3")}, {LITERAL("ann"), {(uint8_t *)long_one, 1025}},
    };
    for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
        struct gnt_sasl_client c = {0};
        struct gnt_buf out = {0};
        const struct gnt_sasl_credentials who = {.allowed = i % 2 ? BIT(PLAIN) : GNT_SASL_SCRAM,
                                                 .user = rows[i / 2].user,
                                                 .password = rows[i / 2].password};
        assert_int_equal(gnt_sasl_client_begin(&c, &who, GNT_SASL_ALL, &seeded.door, &out),
                         GNT_INVALID);
        assert_int_equal(gnt_buf_size(&out), 0);
        gnt_sasl_client_fini(&c);
        gnt_buf_fini(&out);
    }
}

/* ---- One against the other */

/* How the server's last word comes to the client. */
enum last_word { IN_OUTCOME, IN_CHALLENGE, LEFT_OUT };

struct exchange {
    struct gnt_sasl_server server;
    struct gnt_sasl_client client;
    struct gnt_buf to_server, to_client;
    gnt_err client_err; /* GNT_OK: as far as it has come */
};

static void exchange_fini(struct exchange *x)
{
    gnt_sasl_server_fini(&x->server);
    gnt_sasl_client_fini(&x->client);
    gnt_buf_fini(&x->to_server);
    gnt_buf_fini(&x->to_client);
}

/* What the hasher says. */
static gnt_err check(const struct gnt_sasl_server *s)
{
    struct gnt_verifier v;
    bool known = gnt_users_find(users, gnt_slice_str(s->user), &v);
    gnt_err err = gnt_verifier_check(&v, s->password);
    return !err && !known ? GNT_DENIED : err;
}

/* The server's verdict; x->client_err is the client's, if that is ACCEPTED. */
static enum gnt_sasl_state run(struct exchange *x, const struct gnt_sasl_credentials *who,
                               enum last_word last)
{
    const struct gnt_sasl_terms terms = all_terms();
    x->client_err =
        gnt_sasl_client_begin(&x->client, who, terms.offered, &seeded.door, &x->to_server);
    if (x->client_err)
        return GNT_SASL_ASKS;
    enum gnt_sasl_state at =
        gnt_sasl_server_begin(&x->server, &terms, gnt_slice_str(gnt_sasl_name(x->client.mechanism)),
                              gnt_buf_slice(&x->to_server), &x->to_client);
    while (at == GNT_SASL_ASKS) {
        gnt_buf_clear(&x->to_server);
        x->client_err =
            gnt_sasl_client_answer(&x->client, who, gnt_buf_slice(&x->to_client), &x->to_server);
        if (x->client_err)
            return at;
        gnt_buf_clear(&x->to_client);
        at = gnt_sasl_server_step(&x->server, &terms, gnt_buf_slice(&x->to_server), &x->to_client);
    }
    if (at == GNT_SASL_CHECKS)
        at = gnt_sasl_server_checked(&x->server, check(&x->server));
    if (at != GNT_SASL_ACCEPTED)
        return at;
    if (last == IN_CHALLENGE && gnt_buf_size(&x->to_client)) {
        gnt_buf_clear(&x->to_server);
        x->client_err =
            gnt_sasl_client_answer(&x->client, who, gnt_buf_slice(&x->to_client), &x->to_server);
        assert_int_equal(gnt_buf_size(&x->to_server), 0);
    }
    if (!x->client_err)
        x->client_err =
            gnt_sasl_client_confirm(&x->client, last == IN_OUTCOME ? gnt_buf_slice(&x->to_client)
                                                                   : gnt_slice(NULL, 0));
    return at;
}

static const struct meeting {
    uint32_t allowed;
    const char *user, *password;
    enum gnt_sasl_state verdict;
    const char *is;
} meetings[] = {
    {BIT(ANONYMOUS), "", "", GNT_SASL_ACCEPTED, ""},
    {BIT(EXTERNAL), "ann", "", GNT_SASL_ACCEPTED, "CN=ann,O=x"},
    {BIT(PLAIN), "ann", "secret", GNT_SASL_ACCEPTED, "ann"},
    {BIT(PLAIN), "ann", "guess", GNT_SASL_REFUSED, "ann"},
    {BIT(PLAIN), "nobody", "secret", GNT_SASL_REFUSED, "nobody"},
    {BIT(SCRAM_SHA_256), "ann", "secret", GNT_SASL_ACCEPTED, "ann"},
    {BIT(SCRAM_SHA_512), "ann", "secret", GNT_SASL_ACCEPTED, "ann"},
    {BIT(SCRAM_SHA_256), "old", "secret", GNT_SASL_ACCEPTED, "old"},
    {BIT(SCRAM_SHA_512), "old", "secret", GNT_SASL_REFUSED, "old"},
    {BIT(SCRAM_SHA_256), "ann", "guess", GNT_SASL_REFUSED, "ann"},
    {BIT(SCRAM_SHA_512), "ann", "guess", GNT_SASL_REFUSED, "ann"},
    {BIT(SCRAM_SHA_256), "zoe", "secret", GNT_SASL_REFUSED, "zoe"},
    {BIT(SCRAM_SHA_512), "no,bo=dy", "secret", GNT_SASL_REFUSED, "no,bo=dy"},
};

static struct gnt_sasl_credentials credentials_of(const struct meeting *m)
{
    return (struct gnt_sasl_credentials){.allowed = m->allowed,
                                         .user = gnt_slice_str(m->user),
                                         .password = gnt_slice_str(m->password)};
}

static void both_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3 * COUNT_OF(meetings); i++) {
        const struct meeting *m = &meetings[i / 3];
        enum last_word last = (enum last_word)(i % 3);
        struct exchange x = {0};
        const struct gnt_sasl_credentials who = credentials_of(m);
        assert_int_equal(run(&x, &who, last), m->verdict);
        assert_string_equal(x.server.user, m->is);
        bool scram = m->allowed & GNT_SASL_SCRAM;
        if (m->verdict != GNT_SASL_ACCEPTED) /* and nothing is said about why */
            assert_int_equal(gnt_buf_size(&x.to_client), 0);
        else
            assert_int_equal(x.client_err, scram && last == LEFT_OUT ? GNT_DENIED : GNT_OK);
        exchange_fini(&x);
    }
}

/* A server that lets everybody in has proved nothing, at whatever point it does so. */
static void success_without_proof(void **state)
{
    (void)state;
    static const char *const words[] = {"", "v=", "v=AAAA", "e=invalid-proof",
                                        "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
    const struct gnt_sasl_credentials who = credentials_of(&meetings[5]);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        struct exchange x = {0};
        struct gnt_slice word = gnt_slice_str(words[i]);
        assert_int_equal(gnt_sasl_client_begin(&x.client, &who, GNT_SASL_ALL, &seeded.door,
                                               &x.to_server),
                         GNT_OK);
        assert_int_equal(gnt_sasl_client_confirm(&x.client, word), GNT_DENIED);
        exchange_fini(&x);

        x = (struct exchange){0};
        assert_int_equal(run(&x, &who, LEFT_OUT), GNT_SASL_ACCEPTED);
        assert_int_equal(gnt_sasl_client_confirm(&x.client, word), GNT_DENIED);
        assert_int_not_equal(gnt_sasl_client_answer(&x.client, &who, word, &x.to_server), GNT_OK);
        assert_int_equal(gnt_sasl_client_confirm(&x.client, gnt_slice(NULL, 0)), GNT_DENIED);
        /* But who has proved it has. */
        assert_int_equal(gnt_sasl_client_confirm(&x.client, gnt_buf_slice(&x.to_client)), GNT_OK);
        exchange_fini(&x);
    }
}

/* What one exchange has proved is nothing in another, to either side. */
static void replayed(void **state)
{
    (void)state;
    const struct gnt_sasl_terms terms = all_terms();
    const struct gnt_sasl_credentials who = credentials_of(&meetings[6]);
    struct exchange x = {0};
    struct gnt_sasl_server s = {0};
    struct gnt_sasl_client c = {0};
    struct gnt_buf challenge = {0}, out = {0}, first = {0};
    assert_int_equal(run(&x, &who, IN_OUTCOME), GNT_SASL_ACCEPTED);
    /* The recorded answer to another server's challenge, for the same first message. */
    struct gnt_slice said = gnt_buf_slice(&x.client.scram.exchanged);
    assert_int_equal(gnt_buf_put(&first, LITERAL("n,,")), GNT_OK);
    assert_int_equal(gnt_buf_put(&first, gnt_slice(said.data, x.client.scram.nonce_at + 24)),
                     GNT_OK);
    assert_int_equal(gnt_sasl_server_begin(&s, &terms, LITERAL("SCRAM-SHA-512"),
                                           gnt_buf_slice(&first), &challenge),
                     GNT_SASL_ASKS);
    assert_int_equal(gnt_sasl_server_step(&s, &terms, gnt_buf_slice(&x.to_server), &out),
                     GNT_SASL_REFUSED);
    /* The recorded last word, to a client that has answered another challenge. */
    gnt_buf_clear(&first);
    gnt_buf_clear(&challenge);
    gnt_sasl_server_fini(&s);
    assert_int_equal(gnt_sasl_client_begin(&c, &who, GNT_SASL_ALL, &seeded.door, &first), GNT_OK);
    assert_int_equal(gnt_sasl_server_begin(&s, &terms, LITERAL("SCRAM-SHA-512"),
                                           gnt_buf_slice(&first), &challenge),
                     GNT_SASL_ASKS);
    assert_int_equal(gnt_sasl_client_answer(&c, &who, gnt_buf_slice(&challenge), &out), GNT_OK);
    assert_int_equal(gnt_sasl_client_confirm(&c, gnt_buf_slice(&x.to_client)), GNT_DENIED);
    gnt_sasl_server_fini(&s);
    gnt_sasl_client_fini(&c);
    gnt_buf_fini(&challenge);
    gnt_buf_fini(&out);
    gnt_buf_fini(&first);
    exchange_fini(&x);
}

/* Challenges that a client does not answer. */
static void challenges_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *challenge;
        gnt_err result;
    } rows[] = {
        {"", GNT_MALFORMED},
        {"r=abc,s=AAAA,i=4096", GNT_DENIED},
        {"r=abc,s=AAAA,i=1", GNT_DENIED},
        {"v=AAAA", GNT_MALFORMED},
        {"m=x,r=abc,s=AAAA,i=4096", GNT_MALFORMED},
    };
    const struct gnt_sasl_credentials who = credentials_of(&meetings[6]);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct exchange x = {0};
        assert_int_equal(gnt_sasl_client_begin(&x.client, &who, GNT_SASL_ALL, &seeded.door,
                                               &x.to_server),
                         GNT_OK);
        gnt_buf_clear(&x.to_server);
        assert_int_equal(gnt_sasl_client_answer(&x.client, &who, gnt_slice_str(rows[i].challenge),
                                                &x.to_server),
                         rows[i].result);
        assert_int_equal(gnt_buf_size(&x.to_server), 0);
        assert_int_equal(gnt_sasl_client_confirm(&x.client, gnt_slice(NULL, 0)), GNT_DENIED);
        exchange_fini(&x);
    }
}

/* ---- Memory */

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(meetings); i++) {
        const struct meeting *m = &meetings[i];
        const struct gnt_sasl_credentials who = credentials_of(m);
        for (long n = 0;; n++) {
            struct exchange x = {0};
            gnt_alloc_fail_at(n);
            enum gnt_sasl_state at = run(&x, &who, IN_OUTCOME);
            bool failed = gnt_alloc_failed();
            gnt_alloc_fail_at(-1);
            if (!failed) {
                assert_int_equal(at, m->verdict);
            } else if (at == GNT_SASL_ASKS) {
                assert_int_equal(x.client_err, GNT_NOMEM);
                assert_int_equal(gnt_buf_size(&x.to_server), 0);
            } else {
                assert_int_equal(at, GNT_SASL_UNAVAILABLE);
                assert_int_equal(gnt_buf_size(&x.to_client), 0);
            }
            exchange_fini(&x);
            if (!failed)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mechanisms_by_name),
        cmocka_unit_test(offers_what_is_possible),
        cmocka_unit_test(first_messages),
        cmocka_unit_test(not_what_was_not_offered),
        cmocka_unit_test(a_password_of_the_right_length),
        cmocka_unit_test(is_asked_for_what_it_left_out),
        cmocka_unit_test(what_comes_of_a_password),
        cmocka_unit_test(speaks_out_of_turn),
        cmocka_unit_test(chooses_the_best),
        cmocka_unit_test(what_a_client_says_first),
        cmocka_unit_test(credentials_that_cannot_be),
        cmocka_unit_test(both_agree),
        cmocka_unit_test(success_without_proof),
        cmocka_unit_test(replayed),
        cmocka_unit_test(challenges_that_are_refused),
        cmocka_unit_test(bears_a_lack_of_memory),
    };
    gnt_seeded_init(&seeded, 1);
    return cmocka_run_group_tests(tests, make_users, drop_users);
}
