/* What is agreed to, and what is refused: by whom, and in which words on both sides. */
#include "pki/crl.h"
#include "support/alloc_fault.h"
#include "unit/net/tls_world.h"

#include <openssl/x509_vfy.h>

/* ---- Refusals */

/* The side that looks at a certificate, and what it has to look at. */
enum wrong {
    EXPIRED,
    NOT_YET_VALID,
    WRONG_HOST,
    WRONG_ADDRESS,
    WRONG_CA,
    SELF_SIGNED,
    WRONG_USE,
    REVOKED,
    NO_CRL,
    NO_CERTIFICATE,
};

struct refusal {
    enum side by;
    enum wrong what;
    const char *words, *peer_words;
};

#define PEER "the peer says: "

static const struct refusal refusals[] = {
    {CLIENT, EXPIRED, "the server's certificate: expired", PEER "certificate expired"},
    {CLIENT, NOT_YET_VALID, "the server's certificate: not yet valid", PEER "bad certificate"},
    {CLIENT, WRONG_HOST,
     "the server's certificate: wrong host: it is for other.example, not broker.example",
     PEER "bad certificate"},
    {CLIENT, WRONG_ADDRESS,
     "the server's certificate: wrong host: it is for other.example, not 127.0.0.1",
     PEER "bad certificate"},
    {CLIENT, WRONG_CA, "the server's certificate: wrong CA", PEER "unknown CA"},
    {CLIENT, SELF_SIGNED, "the server's certificate: self-signed", PEER "unknown CA"},
    {CLIENT, WRONG_USE, "the server's certificate: not for this use",
     PEER "unsupported certificate"},
    {CLIENT, REVOKED, "the server's certificate: revoked", PEER "certificate revoked"},
    {CLIENT, NO_CRL, "the server's certificate: its CA's revocation list is missing",
     PEER "unknown CA"},
    {SERVER, EXPIRED, "the client's certificate: expired", PEER "certificate expired"},
    {SERVER, NOT_YET_VALID, "the client's certificate: not yet valid", PEER "bad certificate"},
    {SERVER, WRONG_CA, "the client's certificate: wrong CA", PEER "unknown CA"},
    {SERVER, SELF_SIGNED, "the client's certificate: self-signed", PEER "unknown CA"},
    {SERVER, WRONG_USE, "the client's certificate: not for this use",
     PEER "unsupported certificate"},
    {SERVER, REVOKED, "the client's certificate: revoked", PEER "certificate revoked"},
    {SERVER, NO_CERTIFICATE, "missing client certificate", "the server wants a client certificate"},
};

/* A list of pki.ca's with CERTIFICATE in it; NULL: with nothing. */
static STACK_OF(X509_CRL) * revoke(const X509 *certificate)
{
    struct gnt_pki_why why;
    struct gnt_index *index = NULL;
    X509_CRL *crl = NULL;
    int64_t now = (int64_t)time(NULL);
    const struct gnt_crl plan = {.number = "01", .from = now - DAY, .until = now + DAY};
    STACK_OF(X509_CRL) *crls = sk_X509_CRL_new_null();
    assert_int_equal(gnt_index_load("/nonexistent/index.txt", &index, &why), GNT_OK);
    if (certificate) {
        assert_int_equal(gnt_index_add(index, certificate, "unknown"), GNT_OK);
        assert_int_equal(gnt_index_revoke(index, 0, "keyCompromise", now - DAY), GNT_OK);
    }
    assert_int_equal(gnt_crl_make(&plan, index, pki.ca, pki.ca_key, &crl, &why), GNT_OK);
    gnt_index_free(index);
    sk_X509_CRL_push(crls, crl);
    return crls;
}

static X509 *wrong_certificate(enum wrong what, enum gnt_issue_role role)
{
    static char name[] = "broker.example", other[] = "other.example";
    char *own = what == WRONG_HOST || what == WRONG_ADDRESS ? other : name;
    int from = what == NOT_YET_VALID ? 1 : -10, until = what == EXPIRED ? -1 : 10;
    if (what == WRONG_USE)
        role = role == GNT_ISSUE_CLIENT ? GNT_ISSUE_SERVER : GNT_ISSUE_CLIENT;
    return new_certificate(role, "CN=x", own, from, until, what == SELF_SIGNED);
}

/* The handshake comes to its end, and what has gone over the wire behind it is read. */
static void come_to_an_end(gnt_err said[2])
{
    turn(10);
    said[CLIENT] = read_says(ends[CLIENT]);
    turn(2);
    said[SERVER] = read_says(ends[SERVER]);
    turn(2);
    said[CLIENT] = read_says(ends[CLIENT]);
}

static void check_refusal(const struct refusal *r)
{
    enum gnt_issue_role role = r->by == CLIENT ? GNT_ISSUE_SERVER : GNT_ISSUE_CLIENT;
    struct gnt_identity identity = identity_of(wrong_certificate(r->what, role));
    struct gnt_tls_terms *judges = &terms[r->by], *shows = &terms[!r->by];
    STACK_OF(X509_CRL) *crls =
        r->what == REVOKED ? revoke(identity.certificate) : sk_X509_CRL_new_null();
    STACK_OF(X509) *nobody = sk_X509_new_null();
    gnt_err said[2];
    shows->identities = r->what == NO_CERTIFICATE ? NULL : &identity;
    shows->identity_count = shows->identities != NULL;
    terms[SERVER].ask = r->by == SERVER ? GNT_TLS_REQUIRED : GNT_TLS_NOT_ASKED;
    judges->cas = r->what == WRONG_CA ? nobody : pki.cas;
    judges->crls = r->what == REVOKED || r->what == NO_CRL ? crls : NULL;
    host = r->what == WRONG_ADDRESS ? "127.0.0.1" : "broker.example";
    agree(CLIENT);
    agree(SERVER);
    dial(ROOM);
    come_to_an_end(said);
    assert_words(ends[r->by], r->words);
    assert_true(gnt_tls_lasting(ends[CLIENT]) == (r->by == SERVER || r->what != NOT_YET_VALID));
    assert_int_equal(said[r->by], GNT_DENIED);
    assert_int_equal(said[!r->by], GNT_REFUSED);
    if (r->peer_words)
        assert_words(ends[!r->by], r->peer_words);
    sk_X509_CRL_pop_free(crls, X509_CRL_free);
    sk_X509_free(nobody);
    gnt_identity_fini(&identity);
}

static void test_certificates_are_refused(void **state)
{
    static const enum gnt_tls_version versions[] = {GNT_TLS_1_2, GNT_TLS_1_3};
    for (size_t v = 0; v < COUNT_OF(versions); v++)
        for (size_t i = 0; i < COUNT_OF(refusals); i++) {
            setup(state);
            terms[SERVER].greatest = versions[v];
            check_refusal(&refusals[i]);
            teardown(state);
        }
    setup(state);
}

/* A client with many names, and none. */
static void test_wrong_host_in_words(void **state)
{
    (void)state;
    static char many[] = "n000.a-long-enough-name.example";
    static const struct {
        int names;
        const char *words;
    } rows[] = {
        {0, "it is for x, not broker.example"},
        {2, "it is for n000.a-long-enough-name.example, n001.a-long-enough-name.example, not "
            "broker.example"},
        {9, "it is for n000.a-long-enough-name.example, n001.a-long-enough-name.example, "
            "n002.a-long-enough-name.example, n003.a-long-enough-name.example, ..., not "
            "broker.example"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_pki_why why;
        char text[9][sizeof many], *names[9], expected[GNT_TLS_WORDS_MAX];
        gnt_err said[2];
        X509 *certificate;
        int64_t now = (int64_t)time(NULL);
        for (int k = 0; k < rows[i].names; k++) {
            memcpy(text[k], many, sizeof many);
            text[k][3] = (char)('0' + k);
            names[k] = text[k];
        }
        const struct gnt_issue plan = {.role = GNT_ISSUE_SERVER,
                                       .subject = "CN=x",
                                       .names = names,
                                       .name_count = (size_t)rows[i].names,
                                       .from = now - DAY,
                                       .until = now + DAY,
                                       .path_length = -1};
        assert_int_equal(gnt_issue(&plan, pki.key, pki.ca, pki.ca_key, &certificate, &why), GNT_OK);
        struct gnt_identity own = identity_of(certificate);
        terms[SERVER].identities = &own;
        agree(CLIENT);
        agree(SERVER);
        dial(ROOM);
        come_to_an_end(said);
        (void)snprintf(expected, sizeof expected, "the server's certificate: wrong host: %s",
                       rows[i].words);
        assert_words(ends[CLIENT], expected);
        assert_true(gnt_tls_lasting(ends[CLIENT]));
        gnt_identity_fini(&own);
    }
}

/* The peer goes away in the middle of the handshake. */
static void test_ended_instead(void **state)
{
    (void)state;
    agree(CLIENT);
    agree(SERVER);
    dial(ROOM);
    gnt_stream_close(&ends[SERVER]);
    turn(4);
    assert_true(read_says(ends[CLIENT]) < 0);
    assert_words(ends[CLIENT], "the peer has ended the connection instead");
    assert_false(gnt_tls_lasting(ends[CLIENT]));
}

struct mismatch {
    struct gnt_tls_terms client, server; /* of which versions, ciphers and protocols are taken */
    gnt_err said[2];
    const char *words[2];
};

static const char *const mqtt[] = {"mqtt"}, *const http[] = {"h2", "http/1.1"};

static const struct mismatch mismatches[] = {
    {{.greatest = GNT_TLS_1_2},
     {.least = GNT_TLS_1_3},
     {GNT_REFUSED, GNT_PROTOCOL},
     {PEER "protocol version", "no TLS version in common"}},
    {{.least = GNT_TLS_1_3},
     {.greatest = GNT_TLS_1_2},
     {GNT_REFUSED, GNT_PROTOCOL},
     {PEER "protocol version", "no TLS version in common"}},
    {{.least = GNT_TLS_1_0, .greatest = GNT_TLS_1_1},
     {.least = GNT_TLS_ANY},
     {GNT_REFUSED, GNT_PROTOCOL},
     {PEER "protocol version", "no TLS version in common"}},
    {{.greatest = GNT_TLS_1_2, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"},
     {.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"},
     {GNT_REFUSED, GNT_PROTOCOL},
     {PEER "handshake failure", "no shared cipher"}},
    {{.suites = "TLS_AES_128_GCM_SHA256", .least = GNT_TLS_1_3},
     {.suites = "TLS_AES_256_GCM_SHA384"},
     {GNT_REFUSED, GNT_PROTOCOL},
     {PEER "handshake failure", "no shared cipher"}},
    {{.protocols = mqtt, .protocol_count = 1},
     {.protocols = http, .protocol_count = 2},
     {GNT_REFUSED, GNT_PROTOCOL},
     {PEER "no application protocol", "no application protocol (ALPN) in common"}},
};

static void take(struct gnt_tls_terms *to, const struct gnt_tls_terms *from)
{
    to->least = from->least;
    to->greatest = from->greatest;
    to->ciphers = from->ciphers;
    to->suites = from->suites;
    to->protocols = from->protocols;
    to->protocol_count = from->protocol_count;
}

static void test_nothing_in_common(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mismatches); i++) {
        const struct mismatch *m = &mismatches[i];
        gnt_err said[2];
        take(&terms[CLIENT], &m->client);
        take(&terms[SERVER], &m->server);
        agree(CLIENT);
        agree(SERVER);
        dial(ROOM);
        come_to_an_end(said);
        for (int side = CLIENT; side <= SERVER; side++) {
            assert_words(ends[side], m->words[side]);
            assert_int_equal(said[side], m->said[side]);
        }
    }
}

static void test_old_versions_on_request(void **state)
{
    (void)state;
    terms[CLIENT].greatest = terms[CLIENT].least = GNT_TLS_1_0;
    terms[SERVER].least = GNT_TLS_1_0;
    meet(ROOM);
    assert_string_equal(gnt_tls_facts(ends[SERVER]).version, "TLSv1");
    assert_int_equal(put(ends[CLIENT], "old"), GNT_OK);
    assert_reads(ends[SERVER], "old");
}

static void test_no_tls_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "the peer speaks HTTP without TLS"},
                {"\x10\x10\0\4MQTT\4\2\0\x3c\0\4four", "the peer speaks MQTT without TLS"},
                {"AMQP\3\1\0\0AMQP\0\1\0\0\0\0", NULL}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_stream *inner, *raw;
        agree(SERVER);
        hang_up();
        assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &inner, &raw), GNT_OK);
        put_on(&inner, SERVER);
        const struct iovec iov = {(void *)(uintptr_t)rows[i].text, 18};
        size_t n;
        assert_int_equal(gnt_stream_writev(raw, &iov, 1, &n), GNT_OK);
        turn(2);
        assert_int_equal(read_says(ends[SERVER]), GNT_PROTOCOL);
        assert_words(ends[SERVER], rows[i].words ? rows[i].words : "the peer does not speak TLS");
        gnt_stream_close(&raw);
    }
}

static void test_bad_terms(void **state)
{
    (void)state;
    static const char *const empty[] = {""};
    struct gnt_identity mixed = {pki.server.certificate, pki.ca_key, pki.server.chain};
    const struct gnt_tls_terms rows[] = {
        {.server = true},
        {.server = true, .identities = &mixed, .identity_count = 1},
        {.ciphers = "NO-SUCH"},
        {.suites = "NO-SUCH"},
        {.least = GNT_TLS_1_3, .greatest = GNT_TLS_1_2},
        {.greatest = GNT_TLS_1_1},
        {.protocols = empty, .protocol_count = 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_pki_why why = {""};
        struct gnt_tls_context *none = NULL;
        assert_int_equal(gnt_tls_context_new(&rows[i], &none, &why), GNT_INVALID);
        assert_null(none);
        assert_true(why.text[0]);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct gnt_identity own[] = {pki.server, pki.server};
    struct gnt_tls_context *c = NULL;
    struct gnt_pki_why why;
    long n = 0;
    terms[SERVER].identities = own;
    terms[SERVER].identity_count = COUNT_OF(own);
    for (bool failed = true; failed; n++) {
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_tls_context_new(&terms[SERVER], &c, &why);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        assert_int_equal(c != NULL, !failed);
        if (failed)
            assert_string_equal(why.text, "out of memory");
    }
    assert_int_equal(n, 3);
    gnt_tls_context_unref(&c);
}

/* ---- What is agreed to */

static void test_client_certificates(void **state)
{
    (void)state;
    static const struct {
        enum gnt_tls_ask ask;
        bool shows, seen;
    } rows[] = {
        {GNT_TLS_NOT_ASKED, true, false},
        {GNT_TLS_OPTIONAL, false, false},
        {GNT_TLS_OPTIONAL, true, true},
        {GNT_TLS_REQUIRED, true, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        terms[SERVER].ask = rows[i].ask;
        terms[CLIENT].identities = &pki.client;
        terms[CLIENT].identity_count = rows[i].shows;
        agree(CLIENT);
        agree(SERVER);
        meet(ROOM);
        const X509 *seen = gnt_tls_peer_certificate(ends[SERVER]);
        assert_int_equal(seen != NULL, rows[i].seen);
        if (seen)
            assert_int_equal(X509_cmp(seen, pki.client.certificate), 0);
    }
}

static void test_application_protocol(void **state)
{
    (void)state;
    static const char *const both[] = {"mqtt", "http/1.1"};
    terms[SERVER].protocols = both;
    terms[SERVER].protocol_count = 2;
    meet(ROOM);
    assert_int_equal(gnt_tls_facts(ends[SERVER]).protocol.size, 0); /* who offers none is welcome */
    terms[CLIENT].protocols = http;
    terms[CLIENT].protocol_count = 2;
    agree(CLIENT);
    meet(ROOM);
    assert_slice(gnt_tls_facts(ends[SERVER]).protocol, "http/1.1");
    assert_slice(gnt_tls_facts(ends[CLIENT]).protocol, "http/1.1");
}

static void test_certificate_by_host(void **state)
{
    (void)state;
    static char wildcard[] = "*.second.example", third[] = "third.example", rsa[] = "rsa.example";
    EVP_PKEY *elliptic = pki.key;
    struct gnt_identity own[] = {
        pki.server,
        identity_of(new_certificate(GNT_ISSUE_SERVER, "CN=2", wildcard, -1, 9, false)),
        identity_of(new_certificate(GNT_ISSUE_SERVER, "CN=3", third, -1, 9, false)),
        {NULL, NULL, NULL},
    };
    static const struct {
        const char *host;
        size_t shown;
    } rows[] = {{"broker.example", 0}, {"a.second.example", 1}, {"third.example", 2},
                {"rsa.example", 3},    {"THIRD.example", 2},    {NULL, 0}};
    /* Of another kind: a client that takes both gets the one for the host. */
    pki.key = new_key("rsa:2048");
    own[3] = identity_of(new_certificate(GNT_ISSUE_SERVER, "CN=4", rsa, -1, 9, false));
    EVP_PKEY_free(pki.key);
    pki.key = elliptic;
    terms[SERVER].identities = own;
    terms[SERVER].identity_count = COUNT_OF(own);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        host = rows[i].host;
        meet(ROOM);
        assert_int_equal(
            X509_cmp(gnt_tls_peer_certificate(ends[CLIENT]), own[rows[i].shown].certificate), 0);
    }
    for (size_t i = 1; i < COUNT_OF(own); i++)
        gnt_identity_fini(&own[i]);
}

static void test_address_of_the_server(void **state)
{
    (void)state;
    static char address[] = "::1";
    struct gnt_identity own =
        identity_of(new_certificate(GNT_ISSUE_SERVER, "CN=s", address, -1, 9, false));
    terms[SERVER].identities = &own;
    host = "0:0::1";
    meet(ROOM);
    assert_null(gnt_tls_facts(ends[SERVER]).host); /* an address is not asked for */
    gnt_identity_fini(&own);
}

/* ---- The judge */

static struct {
    bool accepts;
    int verdict, chain;
    unsigned calls;
} judged;

static bool judge(void *context, X509 *certificate, STACK_OF(X509) * chain, int verdict, int depth)
{
    assert_ptr_equal(context, &judged);
    assert_non_null(certificate);
    assert_int_equal(depth, 0);
    judged.verdict = verdict;
    judged.chain = sk_X509_num(chain);
    judged.calls++;
    return judged.accepts;
}

static void test_the_judge_has_the_last_word(void **state)
{
    (void)state;
    gnt_err said[2];
    terms[CLIENT].judge = judge;
    terms[CLIENT].judge_context = &judged;
    host = "other.example";
    judged.accepts = true;
    meet(ROOM);
    assert_int_equal(judged.verdict, X509_V_ERR_HOSTNAME_MISMATCH);
    assert_true(judged.chain >= 1);
    assert_int_equal(put(ends[CLIENT], "x"), GNT_OK);

    host = "broker.example";
    judged.accepts = false;
    dial(ROOM);
    come_to_an_end(said);
    assert_int_equal(judged.verdict, X509_V_OK);
    assert_int_equal(judged.chain, 2);
    assert_int_equal(judged.calls, 2);
    assert_int_equal(said[CLIENT], GNT_DENIED);
    assert_int_equal(said[SERVER], GNT_REFUSED);
    assert_words(ends[CLIENT], "the server's certificate: refused by this program");
}

/* Whom the server's certificate is for does not matter; who has signed it does. */
static void test_any_host(void **state)
{
    static const char *const hosts[] = {"other.example", "127.0.0.1"};
    STACK_OF(X509) *nobody = sk_X509_new_null();
    gnt_err said[2];
    terms[CLIENT].any_host = true;
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        host = hosts[i];
        meet(ROOM);
        const char *asked = gnt_tls_facts(ends[SERVER]).host;
        assert_int_equal(asked != NULL, i == 0);
    }
    teardown(state);
    setup(state);
    terms[CLIENT].any_host = true;
    terms[CLIENT].cas = nobody;
    agree(CLIENT);
    agree(SERVER);
    dial(ROOM);
    come_to_an_end(said);
    assert_words(ends[CLIENT], "the server's certificate: wrong CA");
    sk_X509_free(nobody);
}

/* OpenSSL takes no name for any name. */
static void test_nobody_is_not_anybody(void **state)
{
    (void)state;
    SSL *ssl = NULL;
    agree(CLIENT);
    assert_int_not_equal(gnt_tls_context_begin(contexts[CLIENT], "", &ssl), GNT_OK);
    assert_null(ssl);
}

/* ---- Choosing what to show */

static struct {
    gnt_err says;
    char host[64];
    int issuers; /* -1: NULL */
    unsigned calls;
} chosen;

static gnt_err choose(void *context, const char *for_host, const STACK_OF(X509_NAME) * issuers,
                      struct gnt_identity *out)
{
    assert_ptr_equal(context, &chosen);
    (void)snprintf(chosen.host, sizeof chosen.host, "%s", for_host ? for_host : "");
    chosen.issuers = issuers ? sk_X509_NAME_num(issuers) : -1;
    chosen.calls++;
    if (!chosen.says) {
        enum gnt_issue_role role = issuers ? GNT_ISSUE_CLIENT : GNT_ISSUE_SERVER;
        static char name[] = "broker.example";
        *out = identity_of(new_certificate(role, "CN=chosen", name, -1, 9, false));
    }
    return chosen.says;
}

static void test_the_client_chooses(void **state)
{
    static const enum gnt_tls_version versions[] = {GNT_TLS_1_2, GNT_TLS_1_3};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        chosen.calls = 0;
        chosen.says = GNT_OK;
        terms[SERVER].greatest = versions[i];
        terms[SERVER].ask = GNT_TLS_NOT_ASKED;
        terms[CLIENT].choose = choose;
        terms[CLIENT].choose_context = &chosen;
        meet(ROOM);
        assert_int_equal(chosen.calls, 0); /* nobody asks */
        teardown(state);
        setup(state);
        terms[SERVER].greatest = versions[i];
        terms[SERVER].ask = GNT_TLS_REQUIRED;
        terms[CLIENT].choose = choose;
        terms[CLIENT].choose_context = &chosen;
        meet(ROOM);
        assert_int_equal(chosen.calls, 1);
        assert_string_equal(chosen.host, "broker.example");
        assert_int_equal(chosen.issuers, 1);
        char name[32];
        const X509 *seen = gnt_tls_peer_certificate(ends[SERVER]);
        X509_NAME_get_text_by_NID(X509_get_subject_name(seen), NID_commonName, name, sizeof name);
        assert_string_equal(name, "chosen");
        teardown(state);
        setup(state);
    }
}

static void test_the_client_cannot_choose(void **state)
{
    (void)state;
    static const struct {
        gnt_err says;
        const char *words; /* of the client */
    } rows[] = {{GNT_NOTFOUND, "the server wants a client certificate"},
                {GNT_NOMEM, "callback failed"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        gnt_err said[2];
        chosen.says = rows[i].says;
        terms[SERVER].ask = GNT_TLS_REQUIRED;
        terms[CLIENT].choose = choose;
        terms[CLIENT].choose_context = &chosen;
        agree(CLIENT);
        agree(SERVER);
        dial(ROOM);
        come_to_an_end(said);
        assert_words(ends[CLIENT], rows[i].words);
    }
}

static void test_the_server_chooses(void **state)
{
    (void)state;
    chosen.says = GNT_OK;
    terms[SERVER].choose = choose;
    terms[SERVER].choose_context = &chosen;
    meet(ROOM);
    assert_string_equal(chosen.host, "broker.example");
    assert_int_equal(chosen.issuers, -1);
}

/* ---- Resumption and reload */

/* The client has to have read the ticket. */
static bool meet_again(void)
{
    meet(ROOM);
    assert_int_equal(put(ends[SERVER], "x"), GNT_OK);
    assert_reads(ends[CLIENT], "x");
    bool resumed = gnt_tls_facts(ends[CLIENT]).resumed;
    assert_int_equal(gnt_tls_facts(ends[SERVER]).resumed, resumed);
    return resumed;
}

static void test_resumption(void **state)
{
    static const enum gnt_tls_version versions[] = {GNT_TLS_1_2, GNT_TLS_1_3};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        setup(state);
        terms[SERVER].greatest = versions[i];
        terms[SERVER].ask = GNT_TLS_REQUIRED;
        terms[CLIENT].identities = &pki.client;
        terms[CLIENT].identity_count = 1;
        assert_false(meet_again());
        assert_true(meet_again());
        assert_true(meet_again());
        assert_int_equal(X509_cmp(gnt_tls_peer_certificate(ends[SERVER]), pki.client.certificate),
                         0);
        host = NULL; /* of whom nothing is kept */
        assert_false(meet_again());
        host = "broker.example";
        assert_true(meet_again());
        agree(CLIENT);
        assert_false(meet_again());
        teardown(state);
    }
    setup(state);
}

/* Each host has its own, and the last of many are kept. */
static void test_many_hosts(void **state)
{
    (void)state;
    static char any[] = "*.many.example";
    char names[20][32];
    struct gnt_identity own =
        identity_of(new_certificate(GNT_ISSUE_SERVER, "CN=s", any, -1, 9, false));
    terms[SERVER].identities = &own;
    for (int i = 0; i < 20; i++) {
        (void)snprintf(names[i], sizeof names[i], "h%d.many.example", i);
        host = names[i];
        assert_false(meet_again());
    }
    assert_true(meet_again());
    host = names[5];
    assert_true(meet_again());
    host = names[0];
    assert_false(meet_again());
    gnt_identity_fini(&own);
}

static void test_reload(void **state)
{
    (void)state;
    static char name[] = "broker.example";
    struct gnt_identity next =
        identity_of(new_certificate(GNT_ISSUE_SERVER, "CN=next", name, -1, 9, false));
    assert_false(meet_again());
    struct gnt_stream *old[2] = {ends[CLIENT], ends[SERVER]};
    ends[CLIENT] = ends[SERVER] = NULL;

    terms[SERVER].identities = &next;
    agree(SERVER);
    assert_true(meet_again()); /* under the new terms, by a ticket of the old ones */
    agree(CLIENT);
    assert_false(meet_again());
    assert_int_equal(X509_cmp(gnt_tls_peer_certificate(ends[CLIENT]), next.certificate), 0);
    assert_int_equal(put(old[CLIENT], "alive"), GNT_OK);
    assert_reads(old[SERVER], "alive");
    assert_int_equal(X509_cmp(gnt_tls_peer_certificate(old[CLIENT]), pki.server.certificate), 0);
    gnt_stream_close(&old[CLIENT]);
    gnt_stream_close(&old[SERVER]);
    gnt_identity_fini(&next);
}

/* A ticket does not help who has been revoked since, and the others do not need to care. */
static void test_revoked_client_does_not_resume(void **state)
{
    (void)state;
    STACK_OF(X509_CRL) *empty = revoke(NULL), *crls = revoke(pki.client.certificate);
    gnt_err said[2];
    terms[SERVER].ask = GNT_TLS_REQUIRED;
    terms[SERVER].crls = empty;
    terms[CLIENT].identities = &pki.client;
    terms[CLIENT].identity_count = 1;
    assert_false(meet_again());
    agree(SERVER);
    assert_true(meet_again());
    terms[SERVER].crls = crls;
    agree(SERVER);
    dial(ROOM);
    come_to_an_end(said);
    assert_int_equal(said[SERVER], GNT_DENIED);
    assert_words(ends[SERVER], "the client's certificate: revoked");
    sk_X509_CRL_pop_free(crls, X509_CRL_free);
    sk_X509_CRL_pop_free(empty, X509_CRL_free);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_certificates_are_refused),
        T(test_wrong_host_in_words),
        T(test_ended_instead),
        T(test_any_host),
        T(test_nobody_is_not_anybody),
        T(test_the_client_chooses),
        T(test_the_client_cannot_choose),
        T(test_the_server_chooses),
        T(test_nothing_in_common),
        T(test_old_versions_on_request),
        T(test_no_tls_at_all),
        T(test_bad_terms),
        T(test_out_of_memory),
        T(test_client_certificates),
        T(test_application_protocol),
        T(test_certificate_by_host),
        T(test_address_of_the_server),
        T(test_the_judge_has_the_last_word),
        T(test_resumption),
        T(test_many_hosts),
        T(test_reload),
        T(test_revoked_client_does_not_resume),
    };
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
