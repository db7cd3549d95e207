/* A CA, what it has issued, and two streams of TLS that are each other's peer. */
#ifndef GNT_TESTS_UNIT_NET_TLS_WORLD_H
#define GNT_TESTS_UNIT_NET_TLS_WORLD_H

#include "net/pair.h"
#include "net/tls.h"
#include "pki/issue.h"
#include "pki/key.h"
#include "support/unit.h"
#include "unit/net/fake_loop.h"

#include <string.h>
#include <time.h>

enum { DAY = 86400, ROOM = 64 * 1024 };

enum side { CLIENT, SERVER };

static struct fake_loop fake;
static struct gnt_stream *ends[2]; /* by side */
static struct gnt_tls_terms terms[2];
static struct gnt_tls_context *contexts[2];
static const char *host; /* that the client means */

static struct {
    EVP_PKEY *ca_key, *key;
    X509 *ca;
    STACK_OF(X509) * cas;
    struct gnt_identity server, client;
} pki;

static EVP_PKEY *new_key(const char *spec)
{
    struct gnt_pki_why why;
    EVP_PKEY *key = NULL;
    assert_int_equal(gnt_key_make(spec, &key, &why), GNT_OK);
    return key;
}

/* Of pki.key, by pki.ca or, if BY_ITSELF, by nobody; FROM and UNTIL in days from now. */
static X509 *new_certificate(enum gnt_issue_role role, const char *subject, char *name, int from,
                             int until, bool by_itself)
{
    struct gnt_pki_why why;
    X509 *certificate = NULL;
    int64_t now = (int64_t)time(NULL);
    struct gnt_issue plan = {.role = role,
                             .subject = subject,
                             .names = &name,
                             .name_count = name != NULL,
                             .from = now + from * DAY,
                             .until = now + until * DAY,
                             .path_length = -1};
    gnt_err err =
        gnt_issue(&plan, role == GNT_ISSUE_CA ? pki.ca_key : pki.key, by_itself ? NULL : pki.ca,
                  by_itself ? NULL : pki.ca_key, &certificate, &why);
    if (err)
        fail_msg("%s", why.text);
    return certificate;
}

/* With a count of pki.key.  CERTIFICATE is given away. */
static struct gnt_identity identity_of(X509 *certificate)
{
    EVP_PKEY_up_ref(pki.key);
    return (struct gnt_identity){certificate, pki.key, sk_X509_new_null()};
}

static int make_pki(void **state)
{
    static char name[] = "broker.example";
    (void)state;
    pki.ca_key = new_key("ec:P-256");
    pki.key = new_key("ec:P-256");
    pki.ca = new_certificate(GNT_ISSUE_CA, "CN=ca", NULL, -30, 300, true);
    pki.cas = sk_X509_new_null();
    sk_X509_push(pki.cas, pki.ca);
    pki.server = identity_of(new_certificate(GNT_ISSUE_SERVER, "CN=s", name, -1, 30, false));
    pki.client = identity_of(new_certificate(GNT_ISSUE_CLIENT, "CN=c", NULL, -1, 30, false));
    return 0;
}

static int free_pki(void **state)
{
    (void)state;
    gnt_identity_fini(&pki.server);
    gnt_identity_fini(&pki.client);
    sk_X509_pop_free(pki.cas, X509_free);
    EVP_PKEY_free(pki.key);
    EVP_PKEY_free(pki.ca_key);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fake_loop_init(&fake);
    host = "broker.example";
    terms[CLIENT] = (struct gnt_tls_terms){.cas = pki.cas};
    terms[SERVER] = (struct gnt_tls_terms){
        .server = true, .cas = pki.cas, .identities = &pki.server, .identity_count = 1};
    return 0;
}

static void hang_up(void)
{
    gnt_stream_close(&ends[CLIENT]);
    gnt_stream_close(&ends[SERVER]);
}

static int teardown(void **state)
{
    (void)state;
    hang_up();
    gnt_tls_context_unref(&contexts[CLIENT]);
    gnt_tls_context_unref(&contexts[SERVER]);
    gnt_loop_fini(&fake.loop);
    return 0;
}

static void quiet(struct gnt_stream *s)
{
    gnt_stream_want(s, 0);
}

/* A new context of terms[SIDE]. */
static void agree(enum side side)
{
    struct gnt_pki_why why;
    struct gnt_tls_context *before = contexts[side];
    terms[side].before = before;
    if (gnt_tls_context_new(&terms[side], &contexts[side], &why))
        fail_msg("%s", why.text);
    gnt_tls_context_unref(&before);
}

static void put_on(struct gnt_stream **inner, enum side side)
{
    assert_int_equal(gnt_tls_new(inner, contexts[side], side == CLIENT ? host : NULL, &ends[side]),
                     GNT_OK);
    assert_null(*inner);
    ends[side]->on_ready = quiet;
}

/* A connection begins, in a wire with ROOM bytes. */
static void dial(size_t room)
{
    struct gnt_stream *inner[2];
    hang_up();
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, room, &inner[CLIENT], &inner[SERVER]),
                     GNT_OK);
    put_on(&inner[CLIENT], CLIENT);
    put_on(&inner[SERVER], SERVER);
}

static void turn(unsigned times)
{
    while (times--)
        gnt_loop_turn(&fake.loop, 0);
}

static gnt_err read_says(struct gnt_stream *s)
{
    char byte;
    size_t n;
    return gnt_stream_read(s, &byte, 1, &n);
}

/* Both agree, and are open. */
__attribute__((unused)) static void meet(size_t room)
{
    for (int side = CLIENT; side <= SERVER; side++)
        if (!contexts[side])
            agree((enum side)side);
    dial(room);
    for (int i = 0; i < 20000; i++) {
        if (ends[CLIENT]->events & ends[SERVER]->events & GNT_WRITABLE)
            return;
        turn(1);
        /* Behind the handshake come tickets, which fill a narrow wire until they are read. */
        if (gnt_tls_peer_certificate(ends[CLIENT]))
            assert_int_equal(read_says(ends[CLIENT]), GNT_MORE);
    }
    fail_msg("no handshake");
}

static gnt_err put(struct gnt_stream *s, const char *text)
{
    const struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    size_t n;
    return gnt_stream_writev(s, &iov, 1, &n);
}

#define assert_reads(s, text)                                                              \
    do {                                                                                   \
        char got_[256];                                                                    \
        size_t n_, size_ = 0;                                                              \
        while (gnt_stream_read((s), got_ + size_, sizeof got_ - 1 - size_, &n_) == GNT_OK) \
            size_ += n_;                                                                   \
        got_[size_] = '\0';                                                                \
        assert_string_equal(got_, (text));                                                 \
    } while (0)

#define assert_words(s, text)                                    \
    do {                                                         \
        char words_[GNT_TLS_WORDS_MAX];                          \
        assert_string_equal(gnt_tls_words((s), words_), (text)); \
    } while (0)

#endif
