/* SCRAM against the example of RFC 7677, and the same exchange with SHA-512, whose values Python's
 * library has computed (tests/support/scram.py); against itself, and against every message that is
 * not as it should be. */

#include "support/alloc_fault.h"
#include "support/unit.h"

#include "base/base64.h"
#include "auth/scram.h"

#include <stdio.h>
#include <stdlib.h>

/* [RFC 7677 3] */
#define RFC_BARE      "n=user,r=rOprNGfwEbeRWgbNEkqO"
#define RFC_NONCE     "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_SALT      "W22ZaJ0SNY7soEsUEjb6gQ=="
#define RFC_CHALLENGE "r=" RFC_NONCE ",s=" RFC_SALT ",i=4096"

static const struct {
    const char *name, *verifier, *answer, *last;
} standard[GNT_SCRAM_HASHES] = {
    [GNT_SCRAM_SHA_256] = {"SCRAM-SHA-256",
                           "SCRAM-SHA-256$4096:" RFC_SALT
                           "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
                           ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
                           "c=biws,r=" RFC_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                           "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    [GNT_SCRAM_SHA_512] = {"SCRAM-SHA-512",
                           "SCRAM-SHA-512$4096:" RFC_SALT
                           "$6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2"
                           "hK/60dzj9DoO5DvVkOHbvg=="
                           ":jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFe"
                           "wf91nLDfKF24mvD5nmE6rA==",
                           "c=biws,r=" RFC_NONCE
                           ",p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC"
                           "6wdp6dybEmDYXYTxwnYPJQ==",
                           "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4"
                           "+5ZxXnJq199RVG2rR7N7Zw=="},
};

#define KEY "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define LONG_KEY                                       \
    "6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8Q" \
    "aCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg=="

/* For each of the hashes. */
#define EACH_HASH(hash)                                         \
    for (enum gnt_scram_hash hash = 0; hash < GNT_SCRAM_HASHES; \
         hash = (enum gnt_scram_hash)(hash + 1))

static struct gnt_seeded seeded;

static struct gnt_scram_verifier standard_verifier(enum gnt_scram_hash hash)
{
    static const uint8_t salt[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                   0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};
    struct gnt_scram_verifier v;
    const char *why;
    assert_int_equal(gnt_scram_verifier_read(gnt_slice_str(standard[hash].verifier), &v, &why),
                     GNT_OK);
    assert_int_equal(v.hash, hash);
    assert_memory_equal(v.salt, salt, sizeof salt);
    return v;
}

static void methods_by_name(void **state)
{
    (void)state;
    EACH_HASH(hash)
    {
        assert_string_equal(gnt_scram_name(hash), standard[hash].name);
        assert_int_equal(gnt_scram_by_name(gnt_slice_str(standard[hash].name)), hash);
    }
    static const char *const others[] = {"",           "SCRAM-SHA-1",        "scram-sha-256",
                                         "SCRAM-SHA-", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-51"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_int_equal(gnt_scram_by_name(gnt_slice_str(others[i])), GNT_SCRAM_HASHES);
}

/* ---- The example of the standard */

static void verifier_of_the_standard(void **state)
{
    (void)state;
    EACH_HASH(hash)
    {
        struct gnt_scram_verifier v = standard_verifier(hash);
        assert_int_equal(gnt_scram_verifier_check(&v, LITERAL("pencil")), GNT_OK);
        assert_int_equal(gnt_scram_verifier_check(&v, LITERAL("pencils")), GNT_DENIED);
        assert_int_equal(gnt_scram_verifier_check(&v, LITERAL("")), GNT_DENIED);
    }
}

static void server_of_the_standard(void **state)
{
    (void)state;
    EACH_HASH(hash)
    {
        struct gnt_scram_server s = {0};
        struct gnt_buf out = {0};
        assert_int_equal(gnt_scram_server_begin(&s, LITERAL("n,," RFC_BARE), &out), GNT_OK);
        assert_string_equal(s.name, "user");
        assert_slice(gnt_slice(gnt_buf_slice(&s.exchanged).data + s.nonce_at, s.nonce_size),
                     "rOprNGfwEbeRWgbNEkqO");
        /* The challenge of the example, as its nonce is not ours to choose. */
        s.verifier = standard_verifier(hash);
        s.known = true;
        assert_int_equal(gnt_buf_put(&s.exchanged, LITERAL("," RFC_CHALLENGE)), GNT_OK);
        s.nonce_at = sizeof RFC_BARE + 2;
        s.nonce_size = sizeof RFC_NONCE - 1;
        assert_int_equal(gnt_scram_server_finish(&s, gnt_slice_str(standard[hash].answer), &out),
                         GNT_OK);
        assert_true(gnt_slice_eq_str(gnt_buf_slice(&out), standard[hash].last));
        gnt_scram_server_fini(&s);
        gnt_buf_fini(&out);
    }
}

static void client_of_the_standard(void **state)
{
    (void)state;
    EACH_HASH(hash)
    {
        struct gnt_scram_client c = {.hash = hash, .nonce_at = sizeof "n=user,r=" - 1};
        struct gnt_buf out = {0};
        char more[160];
        assert_int_equal(gnt_buf_put(&c.exchanged, LITERAL(RFC_BARE)), GNT_OK);
        assert_int_equal(
            gnt_scram_client_answer(&c, LITERAL(RFC_CHALLENGE), LITERAL("pencil"), &out), GNT_OK);
        assert_true(gnt_slice_eq_str(gnt_buf_slice(&out), standard[hash].answer));
        assert_int_equal(gnt_scram_client_verify(&c, gnt_slice_str(standard[hash].last)), GNT_OK);
        snprintf(more, sizeof more, "%s,x=more", standard[hash].last);
        assert_int_equal(gnt_scram_client_verify(&c, gnt_slice_str(more)), GNT_OK);
        gnt_scram_client_fini(&c);
        gnt_buf_fini(&out);
    }
}

/* ---- One side against the other */

struct exchange {
    struct gnt_scram_server server;
    struct gnt_scram_client client;
    struct gnt_buf first, challenge, answer, last;
};

static void exchange_fini(struct exchange *x)
{
    gnt_scram_server_fini(&x->server);
    gnt_scram_client_fini(&x->client);
    gnt_buf_fini(&x->first);
    gnt_buf_fini(&x->challenge);
    gnt_buf_fini(&x->answer);
    gnt_buf_fini(&x->last);
}

/* Up to the client's answer. */
static gnt_err run_up(struct exchange *x, enum gnt_scram_hash hash, const char *name,
                      const char *password, bool known)
{
    struct gnt_scram_verifier v = standard_verifier(hash);
    gnt_err err =
        gnt_scram_client_begin(&x->client, hash, gnt_slice_str(name), &seeded.door, &x->first);
    if (!err)
        err = gnt_scram_server_begin(&x->server, gnt_buf_slice(&x->first), &x->challenge);
    if (!err)
        err = gnt_scram_server_challenge(&x->server, &v, known, &seeded.door, &x->challenge);
    if (!err)
        err = gnt_scram_client_answer(&x->client, gnt_buf_slice(&x->challenge),
                                      gnt_slice_str(password), &x->answer);
    return err;
}

/* Up to the server's verdict. */
static gnt_err run(struct exchange *x, enum gnt_scram_hash hash, const char *name,
                   const char *password, bool known)
{
    gnt_err err = run_up(x, hash, name, password, known);
    if (!err)
        err = gnt_scram_server_finish(&x->server, gnt_buf_slice(&x->answer), &x->last);
    return err;
}

static void both_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"user", "a,b=c", "=2C", "zo\xc3\xab", " "};
    for (size_t i = 0; i < COUNT_OF(names) * GNT_SCRAM_HASHES; i++) {
        const char *name = names[i % COUNT_OF(names)];
        struct exchange x = {0};
        assert_int_equal(run(&x, (enum gnt_scram_hash)(i / COUNT_OF(names)), name, "pencil", true),
                         GNT_OK);
        assert_string_equal(x.server.name, name);
        assert_int_equal(gnt_scram_client_verify(&x.client, gnt_buf_slice(&x.last)), GNT_OK);
        exchange_fini(&x);
    }
}

/* A client's answer by one hash is nothing to a server that has the verifier of the other. */
static void hashes_do_not_mix(void **state)
{
    (void)state;
    EACH_HASH(hash)
    {
        enum gnt_scram_hash other =
            hash == GNT_SCRAM_SHA_256 ? GNT_SCRAM_SHA_512 : GNT_SCRAM_SHA_256;
        struct exchange x = {0};
        assert_int_equal(run_up(&x, hash, "user", "pencil", true), GNT_OK);
        x.server.verifier = standard_verifier(other);
        assert_int_equal(gnt_scram_server_finish(&x.server, gnt_buf_slice(&x.answer), &x.last),
                         GNT_MALFORMED);
        assert_slice(gnt_buf_slice(&x.last), "e=invalid-encoding");
        assert_int_equal(gnt_scram_client_verify(&x.client, gnt_slice_str(standard[other].last)),
                         GNT_MALFORMED);
        exchange_fini(&x);
    }
}

/* Any message that ends too early is none, whatever it ends with. */
static void cut_anywhere(void **state)
{
    (void)state;
    struct exchange x = {0};
    struct gnt_buf out = {0};
    assert_int_equal(run_up(&x, GNT_SCRAM_SHA_512, "user", "pencil", true), GNT_OK);
    struct gnt_slice first = gnt_buf_slice(&x.first), answer = gnt_buf_slice(&x.answer);
    for (size_t n = 0; n < first.size - 24; n++) { /* less of the nonce is another one */
        struct gnt_scram_server s = {0};
        assert_int_equal(gnt_scram_server_begin(&s, gnt_slice(first.data, n), &out), GNT_MALFORMED);
        gnt_scram_server_fini(&s);
    }
    for (size_t n = 0; n < answer.size; n++)
        assert_int_not_equal(gnt_scram_server_finish(&x.server, gnt_slice(answer.data, n), &out),
                             GNT_OK);
    assert_int_equal(gnt_scram_server_finish(&x.server, answer, &x.last), GNT_OK);
    struct gnt_slice last = gnt_buf_slice(&x.last);
    for (size_t n = 0; n < last.size; n++)
        assert_int_not_equal(gnt_scram_client_verify(&x.client, gnt_slice(last.data, n)), GNT_OK);
    assert_int_equal(gnt_scram_client_verify(&x.client, last), GNT_OK);
    exchange_fini(&x);
    gnt_buf_fini(&out);
}

static void a_wrong_password_and_no_user_look_the_same(void **state)
{
    (void)state;
    EACH_HASH(hash)
    {
        struct exchange wrong = {0}, nobody = {0};
        assert_int_equal(run(&wrong, hash, "user", "pen", true), GNT_DENIED);
        assert_int_equal(run(&nobody, hash, "user", "pencil", false), GNT_DENIED);
        assert_slice(gnt_buf_slice(&wrong.last), "e=invalid-proof");
        assert_slice(gnt_buf_slice(&nobody.last), "e=invalid-proof");
        assert_int_equal(gnt_scram_client_verify(&wrong.client, gnt_buf_slice(&wrong.last)),
                         GNT_DENIED);
        exchange_fini(&wrong);
        exchange_fini(&nobody);
    }
}

static void nonces_are_new_each_time(void **state)
{
    (void)state;
    struct exchange a = {0}, b = {0};
    assert_int_equal(run(&a, GNT_SCRAM_SHA_256, "user", "pencil", true), GNT_OK);
    assert_int_equal(run_up(&b, GNT_SCRAM_SHA_256, "user", "pencil", true), GNT_OK);
    assert_false(gnt_slice_eq(gnt_buf_slice(&a.first), gnt_buf_slice(&b.first)));
    /* What one exchange has proved is nothing in another. */
    assert_int_equal(gnt_scram_server_finish(&b.server, gnt_buf_slice(&a.answer), &b.last),
                     GNT_DENIED);
    assert_slice(gnt_buf_slice(&b.last), "e=other-error");
    exchange_fini(&a);
    exchange_fini(&b);
}

/* ---- What a client may not say */

static const struct {
    const char *first, *answer; /* answer is the e= here */
} firsts[] = {
    {"", "e=other-error"},
    {"n", "e=other-error"},
    {"n,", "e=other-error"},
    {"n,,", "e=other-error"},
    {"p=tls-unique,,n=user,r=abc", "e=channel-binding-not-supported"},
    {"p=,,n=user,r=abc", "e=channel-binding-not-supported"},
    {"x,,n=user,r=abc", "e=other-error"},
    {"N,,n=user,r=abc", "e=other-error"},
    {"n,user,n=user,r=abc", "e=other-error"},
    {"n,a=,n=user,r=abc", "e=other-error"},
    {"n,a=other,n=user,r=abc", "e=other-error"},
    {"n,a==,n=user,r=abc", "e=other-error"},
    {"n,,m=ext,n=user,r=abc", "e=extensions-not-supported"},
    {"n,,r=abc,n=user", "e=other-error"},
    {"n,,n=user", "e=other-error"},
    {"n,,n=user,", "e=other-error"},
    {"n,,n=user,r=", "e=other-error"},
    {"n,,n=user,r=a b", "e=other-error"},
    {"n,,n=user,r=\xc3\xa9", "e=other-error"},
    {"n,,n=user,r=abc,", "e=other-error"},
    {"n,,n=user,r=abc,x", "e=other-error"},
    {"n,,n=user,r=abc,1=x", "e=other-error"},
    {"n,,n=user,r=abc,x=", "e=other-error"},
    {"n,,n=user,s=abc,r=abc", "e=other-error"},
    {"n,,n=,r=abc", "e=other-error"},
    {"n,,n=us=er,r=abc", "e=invalid-username-encoding"},
    {"n,,n=user=2,r=abc", "e=invalid-username-encoding"},
    {"n,,n=user=2c,r=abc", "e=invalid-username-encoding"},
    {"n,,n=us\ter,r=abc", "e=invalid-username-encoding"},
    {"n,,n=us\x7f,r=abc", "e=invalid-username-encoding"},
    {"n,,n=us\xff,r=abc", "e=other-error"},
};

static void first_messages_that_cannot_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(firsts); i++) {
        struct gnt_scram_server s = {0};
        struct gnt_buf out = {0};
        gnt_err err = gnt_scram_server_begin(&s, gnt_slice_str(firsts[i].first), &out);
        struct gnt_slice said = gnt_buf_slice(&out);
        if (err != GNT_MALFORMED || !gnt_slice_eq_str(said, firsts[i].answer))
            fail_msg("'%s': %d '%.*s'", firsts[i].first, err, (int)said.size,
                     (const char *)said.data);
        gnt_scram_server_fini(&s);
        gnt_buf_fini(&out);
    }
}

static const char *const good_firsts[] = {
    "n,,n=user,r=abc",       "y,,n=user,r=abc",
    "n,a=user,n=user,r=abc", "n,,n=user,r=abc,x=an extension,y==2C",
    "n,,n=user,r=!#+-~",
};

static void first_messages_that_can_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_firsts); i++) {
        struct gnt_scram_server s = {0};
        struct gnt_buf out = {0};
        assert_int_equal(gnt_scram_server_begin(&s, gnt_slice_str(good_firsts[i]), &out), GNT_OK);
        assert_string_equal(s.name, "user");
        assert_int_equal(gnt_buf_size(&out), 0);
        gnt_scram_server_fini(&s);
    }
}

static void too_long_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t name, nonce, extension;
        gnt_err result;
    } rows[] = {
        {255, 256, 3000, GNT_OK},    {256, 3, 3, GNT_MALFORMED},  {3, 257, 3, GNT_MALFORMED},
        {3, 3, 5000, GNT_MALFORMED}, {5000, 3, 3, GNT_MALFORMED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_scram_server s = {0};
        struct gnt_buf out = {0};
        static char text[16000], many[5001];
        memset(many, 'a', 5000);
        snprintf(text, sizeof text, "n,,n=%.*s,r=%.*s,x=%.*s", (int)rows[i].name, many,
                 (int)rows[i].nonce, many, (int)rows[i].extension, many);
        assert_int_equal(gnt_scram_server_begin(&s, gnt_slice_str(text), &out), rows[i].result);
        gnt_scram_server_fini(&s);
        gnt_buf_fini(&out);
    }
}

/* Edits of an answer that is right: what is put in place of the first occurrence of what. */
static const struct {
    const char *what, *by, *answer;
    gnt_err result;
    enum gnt_scram_hash hash;
} answers[] = {
    {"c=biws", "c=eSws", "e=channel-bindings-dont-match", GNT_MALFORMED,
     GNT_SCRAM_SHA_256}, /* y,, */
    {"c=biws", "c=biwsbiws", "e=channel-bindings-dont-match", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {"c=biws", "c=biw", "e=invalid-encoding", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {"c=biws,", "", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {"c=biws", "c=", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {"c=biws", "x=biws", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {",r=", ",s=", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {",r=", ",r=x", "e=other-error", GNT_DENIED, GNT_SCRAM_SHA_256},
    {",p=", ",x=1,p=", "e=invalid-proof", GNT_DENIED,
     GNT_SCRAM_SHA_256}, /* well-formed, but not what was signed */
    {",p=", ",m=1,p=", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {",p=", ",p=====,p=", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {",p=", ",q=", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {",p=", ",", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {",p=", ",p=AAAA", "e=invalid-encoding", GNT_MALFORMED, GNT_SCRAM_SHA_256}, /* 35 bytes */
    {",p=", ",p=AAAA", "e=invalid-encoding", GNT_MALFORMED, GNT_SCRAM_SHA_512}, /* 67 */
    {"==", "=", "e=invalid-encoding", GNT_MALFORMED, GNT_SCRAM_SHA_512},
    {"c=biws", "c=eSws", "e=channel-bindings-dont-match", GNT_MALFORMED, GNT_SCRAM_SHA_512},
    {",r=", ",r=x", "e=other-error", GNT_DENIED, GNT_SCRAM_SHA_512},
    {",p=", ",x=1,p=", "e=invalid-proof", GNT_DENIED, GNT_SCRAM_SHA_512},
    {",p=", ",p=A", "e=invalid-encoding", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {",p=", ",p=\xc3\xa9", "e=invalid-encoding", GNT_MALFORMED, GNT_SCRAM_SHA_256},
    {",p=", ",p=\xff", "e=other-error", GNT_MALFORMED, GNT_SCRAM_SHA_256},
};

static void answers_that_cannot_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct exchange x = {0};
        char text[1024], edited[1024];
        assert_int_equal(run_up(&x, answers[i].hash, "user", "pencil", true), GNT_OK);
        snprintf(text, sizeof text, "%.*s", (int)gnt_buf_size(&x.answer),
                 (const char *)gnt_buf_slice(&x.answer).data);
        char *at = strstr(text, answers[i].what);
        assert_non_null(at);
        *at = '\0';
        snprintf(edited, sizeof edited, "%s%s%s", text, answers[i].by,
                 at + strlen(answers[i].what));
        gnt_err err = gnt_scram_server_finish(&x.server, gnt_slice_str(edited), &x.last);
        struct gnt_slice said = gnt_buf_slice(&x.last);
        if (err != answers[i].result || !gnt_slice_eq_str(said, answers[i].answer))
            fail_msg("'%s': %d '%.*s'", edited, err, (int)said.size, (const char *)said.data);
        exchange_fini(&x);
    }
}

/* Whatever header a client has begun with, its c= repeats that. */
static void headers_that_can_be(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"n,,", "biws"},
                                          {"y,,", "eSws"},
                                          {"n,a=user,", "bixhPXVzZXIs"},
                                          {"y,a=user,", "eSxhPXVzZXIs"}};
    for (size_t i = 0; i < COUNT_OF(rows) * COUNT_OF(rows); i++) {
        size_t begun = i / COUNT_OF(rows), said = i % COUNT_OF(rows);
        struct gnt_scram_server s = {0};
        struct gnt_scram_verifier v = standard_verifier(GNT_SCRAM_SHA_256);
        struct gnt_buf out = {0};
        char text[256];
        snprintf(text, sizeof text, "%sn=user,r=abc", rows[begun][0]);
        assert_int_equal(gnt_scram_server_begin(&s, gnt_slice_str(text), &out), GNT_OK);
        assert_int_equal(gnt_scram_server_challenge(&s, &v, true, &seeded.door, &out), GNT_OK);
        snprintf(text, sizeof text, "c=%s,r=%.*s,p=%s", rows[said][1], (int)s.nonce_size,
                 (const char *)gnt_buf_slice(&s.exchanged).data + s.nonce_at, KEY);
        gnt_buf_clear(&out);
        assert_int_equal(gnt_scram_server_finish(&s, gnt_slice_str(text), &out),
                         begun == said ? GNT_DENIED : GNT_MALFORMED);
        assert_true(gnt_slice_eq_str(gnt_buf_slice(&out), begun == said
                                                              ? "e=invalid-proof"
                                                              : "e=channel-bindings-dont-match"));
        gnt_scram_server_fini(&s);
        gnt_buf_fini(&out);
    }
}

/* ---- What a server may not say.  %s is the client's nonce. */

static const struct {
    const char *challenge;
    gnt_err result;
} challenges[] = {
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=4096", GNT_OK},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=4096,x=y", GNT_OK},
    {"r=%s,s=QSXCR+Q6sek8bf92,i=4096", GNT_DENIED},
    {"r=x%s,s=QSXCR+Q6sek8bf92,i=4096", GNT_DENIED},
    {"r=xyz,s=QSXCR+Q6sek8bf92,i=4096", GNT_DENIED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=4095", GNT_DENIED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=10000001", GNT_DENIED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=4294971392", GNT_DENIED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=0", GNT_DENIED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=04096", GNT_DENIED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=-4096", GNT_DENIED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=4096x", GNT_DENIED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92,i=", GNT_MALFORMED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf92", GNT_MALFORMED},
    {"r=%sxyz,s=QSXCR+Q6sek8bf9,i=4096", GNT_MALFORMED},
    {"r=%sxyz,s=,i=4096", GNT_MALFORMED},
    {"r=%sxyz,i=4096,s=QSXCR+Q6sek8bf92", GNT_MALFORMED},
    {"r=%sx z,s=QSXCR+Q6sek8bf92,i=4096", GNT_MALFORMED},
    {"m=x,r=%sxyz,s=QSXCR+Q6sek8bf92,i=4096", GNT_MALFORMED},
    {"e=other-error", GNT_MALFORMED},
    {"", GNT_MALFORMED},
};

static void challenges_that_cannot_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(challenges); i++) {
        struct gnt_scram_client c = {0};
        struct gnt_buf first = {0}, answer = {0};
        char nonce[64], text[256];
        assert_int_equal(gnt_scram_client_begin(&c, GNT_SCRAM_SHA_256, LITERAL("user"),
                                                &seeded.door, &first),
                         GNT_OK);
        struct gnt_slice own = gnt_slice_skip(gnt_buf_slice(&c.exchanged), c.nonce_at);
        snprintf(nonce, sizeof nonce, "%.*s", (int)own.size, (const char *)own.data);
        const char *mark = strstr(challenges[i].challenge, "%s");
        size_t before = mark ? (size_t)(mark - challenges[i].challenge) : 0;
        snprintf(text, sizeof text, "%.*s%s%s", (int)before, challenges[i].challenge,
                 mark ? nonce : "", mark ? mark + 2 : challenges[i].challenge);
        gnt_err err = gnt_scram_client_answer(&c, gnt_slice_str(text), LITERAL("pencil"), &answer);
        if (err != challenges[i].result)
            fail_msg("'%s': %d", text, err);
        gnt_scram_client_fini(&c);
        gnt_buf_fini(&first);
        gnt_buf_fini(&answer);
    }
}

static const struct {
    const char *last;
    gnt_err result;
} lasts[] = {
    {"", GNT_MALFORMED},
    {"v=", GNT_MALFORMED},
    {"v=AAAA", GNT_MALFORMED},
    {"x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", GNT_MALFORMED},
    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", GNT_MALFORMED},
    {"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95GA=", GNT_DENIED},
    {"e=invalid-proof", GNT_DENIED},
    {"e=invalid-proof,x", GNT_DENIED},
};

static void a_server_has_to_prove_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lasts); i++) {
        struct exchange x = {0};
        assert_int_equal(run(&x, GNT_SCRAM_SHA_256, "user", "pencil", true), GNT_OK);
        gnt_err err = gnt_scram_client_verify(&x.client, gnt_slice_str(lasts[i].last));
        if (err != lasts[i].result)
            fail_msg("'%s': %d", lasts[i].last, err);
        exchange_fini(&x);
    }
    /* Nor is it known before the client has answered: a signature of zeros is none. */
    struct gnt_scram_client c = {0};
    assert_int_equal(
        gnt_scram_client_verify(&c, LITERAL("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        GNT_DENIED);
    gnt_scram_client_fini(&c);
}

/* Whichever byte of a key or a signature is another one, it is not the right one. */
static void every_byte_counts(void **state)
{
    (void)state;
    EACH_HASH(hash)
    {
        uint8_t right[GNT_SCRAM_KEY_MAX];
        char text[2 + GNT_BASE64_SIZE(GNT_SCRAM_KEY_MAX)] = "v=";
        struct exchange x = {0};
        size_t size;
        assert_int_equal(run(&x, hash, "user", "pencil", true), GNT_OK);
        struct gnt_slice last = gnt_buf_slice(&x.last);
        assert_int_equal(gnt_base64_read(gnt_slice_skip(last, 2), right, sizeof right, &size),
                         GNT_OK);
        for (size_t i = 0; i <= size; i++) {
            uint8_t one[GNT_SCRAM_KEY_MAX];
            memcpy(one, right, size);
            if (i < size)
                one[i] ^= 1;
            gnt_base64_write((uint8_t *)text + 2, gnt_slice(one, size));
            assert_int_equal(gnt_scram_client_verify(&x.client, gnt_slice(text, last.size)),
                             i < size ? GNT_DENIED : GNT_OK);
        }
        exchange_fini(&x);
        for (size_t i = 0; i <= size; i += size / 4) {
            struct gnt_scram_verifier v = standard_verifier(hash);
            v.stored_key[i < size ? i : size - 1] ^= 1;
            assert_int_equal(gnt_scram_verifier_check(&v, LITERAL("pencil")), GNT_DENIED);
        }
    }
}

static void names_of_a_client(void **state)
{
    (void)state;
    struct gnt_scram_client c = {0};
    struct gnt_buf first = {0};
    assert_int_equal(gnt_scram_client_begin(&c, GNT_SCRAM_SHA_512, LITERAL(""), &seeded.door,
                                            &first),
                     GNT_INVALID);
    assert_int_equal(gnt_scram_client_begin(&c, GNT_SCRAM_SHA_512, LITERAL("a\nb"), &seeded.door,
                                            &first),
                     GNT_INVALID);
    assert_int_equal(gnt_scram_client_begin(&c, GNT_SCRAM_SHA_512, LITERAL("a\xff"), &seeded.door,
                                            &first),
                     GNT_INVALID);
}

/* ---- Verifiers */

static void verifiers_as_text(void **state)
{
    (void)state;
    EACH_HASH(hash)
    {
        struct gnt_scram_verifier v, back;
        char text[GNT_SCRAM_VERIFIER_TEXT], start[32];
        const char *why;
        assert_int_equal(gnt_scram_verifier_make(hash, LITERAL("secret"), 4096, &seeded.door, &v),
                         GNT_OK);
        gnt_scram_verifier_write(&v, text);
        snprintf(start, sizeof start, "%s$4096:", standard[hash].name);
        assert_true(gnt_slice_starts(gnt_slice_str(text), gnt_slice_str(start)));
        assert_int_equal(gnt_scram_verifier_read(gnt_slice_str(text), &back, &why), GNT_OK);
        assert_memory_equal(&v, &back, sizeof v);
        assert_int_equal(gnt_scram_verifier_check(&back, LITERAL("secret")), GNT_OK);

        v.iterations = GNT_SCRAM_ITERATIONS_MAX; /* the longest text there is */
        v.salt_size = GNT_SCRAM_SALT_MAX;
        gnt_scram_verifier_write(&v, text);
        assert_true(strlen(text) < sizeof text);
        assert_int_equal(gnt_scram_verifier_read(gnt_slice_str(text), &back, &why), GNT_OK);

        assert_int_equal(gnt_scram_verifier_make(hash, LITERAL("x"), 4095, &seeded.door, &v),
                         GNT_INVALID);
        assert_int_equal(gnt_scram_verifier_make(hash, LITERAL("x"), 10000001, &seeded.door, &v),
                         GNT_INVALID);
    }
}

static const char *const bad_verifiers[] = {
    "",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256$",
    "SCRAM-SHA-1$4096:AAAA$" KEY ":" KEY,
    "scram-sha-256$4096:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-256$4095:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-256$:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-256$4096:$" KEY ":" KEY,
    "SCRAM-SHA-256$4096:AAA$" KEY ":" KEY,
    "SCRAM-SHA-256$4096:AAAA:" KEY ":" KEY,
    "SCRAM-SHA-256$4096:AAAA$" KEY,
    "SCRAM-SHA-256$4096:AAAA$" KEY ":",
    "SCRAM-SHA-256$4096:AAAA$" KEY ":AAAA",
    "SCRAM-SHA-256$4096:AAAA$AAAA:" KEY,
    "SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY "x",
    "SCRAM-SHA-256$4096:AAAA$" KEY ":" KEY ":x",
    "SCRAM-SHA-256$4096:" KEY KEY "$" KEY ":" KEY,
    "SCRAM-SHA-512$4096:AAAA$" KEY ":" KEY,
    "SCRAM-SHA-512$4096:AAAA$" LONG_KEY ":" KEY,
    "SCRAM-SHA-256$4096:AAAA$" LONG_KEY ":" LONG_KEY,
};

static void verifiers_that_cannot_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_verifiers); i++) {
        struct gnt_scram_verifier v;
        const char *why;
        if (gnt_scram_verifier_read(gnt_slice_str(bad_verifiers[i]), &v, &why) != GNT_MALFORMED)
            fail_msg("taken: %s", bad_verifiers[i]);
        assert_non_null(why);
    }
}

/* ---- Memory */

static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        struct exchange x = {0};
        gnt_alloc_fail_at(n);
        gnt_err err = run(&x, GNT_SCRAM_SHA_512, "user", "pencil", true);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        exchange_fini(&x);
        if (!failed)
            break;
    }
    for (long n = 0; n < 2; n++) { /* refusing needs some, too */
        struct gnt_scram_server s = {0};
        struct gnt_buf out = {0};
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_scram_server_begin(&s, LITERAL("p=x,,n=u,r=r"), &out);
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, n == 0 ? GNT_NOMEM : GNT_MALFORMED);
        assert_int_equal(gnt_buf_size(&out) == 0, n == 0);
        gnt_scram_server_fini(&s);
        gnt_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_by_name),
        cmocka_unit_test(verifier_of_the_standard),
        cmocka_unit_test(server_of_the_standard),
        cmocka_unit_test(client_of_the_standard),
        cmocka_unit_test(both_agree),
        cmocka_unit_test(hashes_do_not_mix),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(a_wrong_password_and_no_user_look_the_same),
        cmocka_unit_test(nonces_are_new_each_time),
        cmocka_unit_test(first_messages_that_cannot_be),
        cmocka_unit_test(first_messages_that_can_be),
        cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(answers_that_cannot_be),
        cmocka_unit_test(headers_that_can_be),
        cmocka_unit_test(challenges_that_cannot_be),
        cmocka_unit_test(a_server_has_to_prove_itself),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(names_of_a_client),
        cmocka_unit_test(verifiers_as_text),
        cmocka_unit_test(verifiers_that_cannot_be),
        cmocka_unit_test(bears_a_lack_of_memory),
    };
    gnt_seeded_init(&seeded, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
