/* TLS as a stream: both sides over pairs of streams, however little goes through at once. */
#include "base/asan.h"
#include "net/epoll.h"
#include "net/tcp.h"
#include "support/alloc_fault.h"
#include "unit/net/tls_world.h"

#include <malloc.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BIG = 300 * 1000 };

static struct fake_loop fake_other;

/* Two wires: what `far` of the one has written is put into `far` of the other by hand. */
static struct gnt_stream *far[2];

static void dial_by_hand(void)
{
    struct gnt_stream *inner;
    hang_up();
    for (int side = CLIENT; side <= SERVER; side++) {
        if (!contexts[side])
            agree((enum side)side);
        gnt_stream_close(&far[side]);
        assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &inner, &far[side]), GNT_OK);
        put_on(&inner, (enum side)side);
    }
}

static void drop_by_hand(void)
{
    hang_up();
    gnt_stream_close(&far[CLIENT]);
    gnt_stream_close(&far[SERVER]);
}

/* What FROM has said, to the other, after the first CUT bytes with a turn in between.  Returns how
 * much. */
static size_t carry(enum side from, size_t cut)
{
    static char bytes[ROOM];
    size_t n, end, written;
    turn(2);
    if (gnt_stream_read(far[from], bytes, sizeof bytes, &end))
        return 0;
    for (size_t at = 0; at < end; at += n) {
        n = at < cut && cut < end ? cut - at : end - at;
        const struct iovec iov = {bytes + at, n};
        assert_int_equal(gnt_stream_writev(far[!from], &iov, 1, &written), GNT_OK);
        turn(2);
    }
    return end;
}

static bool is_open(void)
{
    return ends[CLIENT]->events & ends[SERVER]->events & GNT_WRITABLE;
}

/* ---- Opening */

static void test_handshake_without_the_owners(void **state)
{
    (void)state;
    meet(ROOM);
    struct gnt_tls_facts facts = gnt_tls_facts(ends[SERVER]);
    assert_string_equal(facts.version, "TLSv1.3");
    assert_string_equal(facts.host, "broker.example");
    assert_false(facts.resumed);
    assert_int_equal(facts.protocol.size, 0);
    assert_words(ends[CLIENT], "");
    assert_non_null(gnt_tls_peer_certificate(ends[CLIENT]));
    assert_null(gnt_tls_peer_certificate(ends[SERVER]));
    assert_int_equal(put(ends[CLIENT], "hello"), GNT_OK);
    assert_reads(ends[SERVER], "hello");
    assert_int_equal(put(ends[SERVER], "you too"), GNT_OK);
    assert_reads(ends[CLIENT], "you too");
    char peer[32];
    gnt_stream_peer(ends[CLIENT], peer, sizeof peer);
    assert_string_equal(peer, "pair");
}

static void test_nothing_before_the_handshake_is_over(void **state)
{
    (void)state;
    agree(CLIENT);
    agree(SERVER);
    dial(ROOM);
    assert_int_equal(ends[SERVER]->events, 0);
    assert_int_equal(read_says(ends[SERVER]), GNT_MORE);
    assert_int_equal(put(ends[CLIENT], "early"), GNT_MORE);
    assert_null(gnt_tls_peer_certificate(ends[CLIENT]));
    turn(10);
    assert_true(is_open());
}

static void test_handshake_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 1, most = 2; cut < most; cut++) {
        dial_by_hand();
        for (enum side from = CLIENT, tries = 0; !is_open() && tries < 20; tries++, from = !from) {
            size_t size = carry(from, cut);
            most = size > most ? size : most;
        }
        assert_true(is_open());
        carry(SERVER, cut);
        assert_int_equal(put(ends[CLIENT], "hello"), GNT_OK);
        carry(CLIENT, cut);
        assert_reads(ends[SERVER], "hello");
    }
    drop_by_hand();
}

/* What was read of the stream below before there was TLS is the beginning of the handshake, however
 * much of it that was. */
static void test_what_was_read_before(void **state)
{
    (void)state;
    char bytes[ROOM];
    size_t n, size = 1;
    for (size_t cut = 0; cut <= size; cut += cut + 41 > size && cut < size ? size - cut : 41) {
        struct gnt_buf early = {0};
        dial_by_hand();
        gnt_loop_turn(&fake.loop, 0);
        assert_int_equal(gnt_stream_read(far[CLIENT], bytes, sizeof bytes, &size), GNT_OK);
        assert_true(cut <= size);
        assert_int_equal(gnt_buf_put(&early, gnt_slice(bytes, cut)), GNT_OK);
        gnt_tls_came(ends[SERVER], &early);
        assert_int_equal(gnt_buf_size(&early), 0);
        turn(2);
        const struct iovec rest = {bytes + cut, size - cut};
        if (rest.iov_len)
            assert_int_equal(gnt_stream_writev(far[SERVER], &rest, 1, &n), GNT_OK);
        for (enum side from = SERVER, tries = 0; !is_open() && tries < 20; tries++, from = !from)
            carry(from, 0);
        assert_true(is_open());
        assert_int_equal(put(ends[CLIENT], "hello"), GNT_OK);
        carry(CLIENT, 0);
        assert_reads(ends[SERVER], "hello");
    }
    drop_by_hand();
}

/* What was read before, and will never be the beginning of a handshake. */
static void test_no_hello_was_read_before(void **state)
{
    (void)state;
    struct gnt_buf early = {0};
    dial_by_hand();
    assert_int_equal(gnt_buf_put(&early, gnt_slice_str("GET / HTTP/1.1\r\n\r\n")), GNT_OK);
    gnt_tls_came(ends[SERVER], &early);
    turn(2);
    assert_int_equal(gnt_tls_handshake(ends[SERVER]), GNT_PROTOCOL);
    assert_words(ends[SERVER], "the peer speaks HTTP without TLS");
    drop_by_hand();
}

/* What comes in one piece with the last of the handshake is not forgotten. */
static void test_data_together_with_the_handshake(void **state)
{
    (void)state;
    char bytes[ROOM];
    size_t n;
    dial_by_hand();
    carry(CLIENT, 0);
    carry(SERVER, 0);
    turn(2);
    assert_true(ends[CLIENT]->events & GNT_WRITABLE);
    assert_int_equal(put(ends[CLIENT], "at once"), GNT_OK);
    assert_int_equal(gnt_stream_read(far[CLIENT], bytes, sizeof bytes, &n), GNT_OK);
    const struct iovec iov = {bytes, n};
    assert_int_equal(gnt_stream_writev(far[SERVER], &iov, 1, &n), GNT_OK);
    turn(2);
    assert_true(ends[SERVER]->events & GNT_READABLE);
    assert_reads(ends[SERVER], "at once");
    drop_by_hand();
}

/* ---- Much, through little */

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 13 >> 3);
}

struct way {
    struct gnt_stream *from, *to;
    size_t sent, received, cap;
};

static void push(struct way *w, size_t total)
{
    static uint8_t out[40000];
    struct iovec iov[GNT_STREAM_IOV_MAX];
    size_t size = w->sent * 7 % sizeof out + 1, n, done = 0;
    int count = 0;
    size = size < total - w->sent ? size : total - w->sent;
    for (size_t i = 0; i < size; i++)
        out[i] = byte_at(w->sent + i);
    while (done < size) { /* pieces of all sizes, the last the rest */
        size_t piece = count == GNT_STREAM_IOV_MAX - 1 ? size - done : (size_t)count * 37;
        piece = piece < size - done ? piece : size - done;
        iov[count++] = (struct iovec){out + done, piece};
        done += piece;
    }
    gnt_err err = count ? gnt_stream_writev(w->from, iov, count, &n) : GNT_MORE;
    assert_true(err >= 0);
    w->sent += err ? 0 : n;
}

/* Reads only while that is said to be possible. */
static void pull(struct way *w)
{
    uint8_t got[5000];
    size_t n;
    while (w->to->events & GNT_READABLE) {
        gnt_err err = gnt_stream_read(w->to, got, w->cap, &n);
        if (err == GNT_MORE)
            break;
        assert_int_equal(err, GNT_OK);
        for (size_t i = 0; i < n; i++, w->received++)
            if (got[i] != byte_at(w->received))
                fail_msg("byte %zu is wrong", w->received);
    }
}

static void test_both_ways_at_once(void **state)
{
    (void)state;
    static const struct {
        size_t room, total, cap;
    } rows[] = {
        {1, 2000, 100}, {7, 9000, 1}, {100, 40000, 999}, {4096, BIG, 5000}, {ROOM, BIG, 5000}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        meet(rows[i].room);
        struct way ways[] = {{ends[CLIENT], ends[SERVER], 0, 0, rows[i].cap},
                             {ends[SERVER], ends[CLIENT], 0, 0, rows[i].cap}};
        for (long turns = 0; ways[0].received + ways[1].received < 2 * rows[i].total; turns++) {
            assert_true(turns < 1000 * 1000);
            for (int w = 0; w < 2; w++) {
                if (ways[w].sent < rows[i].total)
                    push(&ways[w], rows[i].total);
                pull(&ways[w]);
            }
            turn(1);
        }
    }
}

/* Small pieces share a record. */
static void test_one_writev_is_one_record(void **state)
{
    (void)state;
    char bytes[1000];
    struct iovec iov[GNT_STREAM_IOV_MAX];
    size_t n;
    dial_by_hand();
    carry(CLIENT, 0);
    carry(SERVER, 0);
    carry(CLIENT, 0);
    carry(SERVER, 0);
    for (int i = 0; i < GNT_STREAM_IOV_MAX; i++)
        iov[i] = (struct iovec){(void *)(uintptr_t) "abcdefgh", 8};
    assert_int_equal(gnt_stream_writev(ends[SERVER], iov, GNT_STREAM_IOV_MAX, &n), GNT_OK);
    assert_int_equal(n, 512);
    assert_int_equal(gnt_stream_read(far[SERVER], bytes, sizeof bytes, &n), GNT_OK);
    assert_int_equal(n, 5 + 512 + 1 + 16);
    drop_by_hand();
}

/* A wire that takes nothing: what is encrypted waits without the owner, and no more is taken. */
static void test_a_record_waits(void **state)
{
    (void)state;
    static char big[100 * 1000], got[100 * 1000];
    const struct iovec iov = {big, sizeof big};
    size_t n, taken, received = 0;
    meet(1000);
    assert_reads(ends[CLIENT], "");
    assert_int_equal(gnt_stream_writev(ends[SERVER], &iov, 1, &taken), GNT_OK);
    assert_int_equal(taken, SSL3_RT_MAX_PLAIN_LENGTH);
    assert_false(ends[SERVER]->events & GNT_WRITABLE);
    assert_int_equal(put(ends[SERVER], "x"), GNT_MORE);
    assert_true(gnt_stream_untaken(ends[SERVER]) > 15 * 1024);
    for (int i = 0; i < 100; i++) {
        if (!gnt_stream_read(ends[CLIENT], got, sizeof got, &n))
            received += n;
        turn(1);
    }
    assert_int_equal(received, taken);
    assert_int_equal(gnt_stream_untaken(ends[SERVER]), 0);
    assert_true(ends[SERVER]->events & GNT_WRITABLE);
}

/* ---- Readiness */

static unsigned called;

static void count_call(struct gnt_stream *s)
{
    called++;
    gnt_stream_want(s, 0);
}

/* A read of less than there is leaves the rest to be told of, though it is with OpenSSL already. */
static void test_ready_for_what_is_buffered(void **state)
{
    (void)state;
    char got[4];
    size_t n;
    meet(ROOM);
    assert_reads(ends[CLIENT], "");
    ends[CLIENT]->on_ready = count_call;
    assert_int_equal(put(ends[SERVER], "01234"), GNT_OK);
    assert_int_equal(put(ends[SERVER], "56789"), GNT_OK);
    for (unsigned i = 1; i <= 3; i++) {
        gnt_stream_want(ends[CLIENT], GNT_READABLE);
        turn(1);
        assert_int_equal(called, i);
        assert_int_equal(gnt_stream_read(ends[CLIENT], got, sizeof got, &n), GNT_OK);
        assert_int_equal(n, i < 3 ? 4 : 2);
    }
    gnt_stream_want(ends[CLIENT], GNT_READABLE);
    turn(2);
    assert_int_equal(called, 3);
    assert_false(ends[CLIENT]->events & GNT_READABLE);
}

/* Over sockets, which know when they are empty: what came together with the handshake is told of
 * although nothing more becomes readable. */
static void test_ready_for_what_came_with_the_handshake(void **state)
{
    (void)state;
    struct gnt_loop loop;
    struct gnt_poller *poller;
    int fds[2];
    const struct sockaddr nobody = {.sa_family = AF_UNIX};
    char got[4];
    size_t n;
    agree(CLIENT);
    agree(SERVER);
    assert_int_equal(gnt_epoll_new(&poller), GNT_OK);
    assert_int_equal(gnt_loop_init(&loop, &gnt_clock_system, &poller), GNT_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int side = CLIENT; side <= SERVER; side++) {
        struct gnt_stream *inner;
        assert_int_equal(gnt_tcp_stream(&loop, fds[side], &nobody, &inner), GNT_OK);
        put_on(&inner, (enum side)side);
    }
    while (!(ends[CLIENT]->events & GNT_WRITABLE))
        gnt_loop_turn(&loop, GNT_NEVER);
    struct sockaddr_storage address;
    gnt_stream_address(ends[SERVER], &address);
    assert_int_equal(address.ss_family, AF_UNIX);
    assert_int_equal(put(ends[CLIENT], "01234"), GNT_OK);
    assert_int_equal(put(ends[CLIENT], "56789"), GNT_OK);
    while (!is_open())
        gnt_loop_turn(&loop, GNT_NEVER);
    called = 0;
    ends[SERVER]->on_ready = count_call;
    for (unsigned i = 1; i <= 3; i++) {
        gnt_stream_want(ends[SERVER], GNT_READABLE);
        gnt_loop_turn(&loop, 0);
        assert_int_equal(called, i);
        assert_int_equal(gnt_stream_read(ends[SERVER], got, sizeof got, &n), GNT_OK);
        assert_int_equal(n, i < 3 ? 4 : 2);
    }
    assert_false(ends[SERVER]->events & GNT_READABLE);
    hang_up();
    gnt_loop_fini(&loop);
}

/* OpenSSL itself as the client, over memory: what it has to say goes to far[SERVER] and back. */
static SSL *dial_openssl(void)
{
    struct gnt_stream *inner;
    SSL *ssl;
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &inner, &far[SERVER]), GNT_OK);
    put_on(&inner, SERVER);
    assert_int_equal(gnt_tls_context_begin(contexts[CLIENT], host, &ssl), GNT_OK);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

static void hang_up_openssl(SSL *ssl)
{
    SSL_free(ssl);
    drop_by_hand();
}

static void pass(SSL *ssl)
{
    static char bytes[16 * 1024];
    size_t n;
    while (!gnt_stream_read(far[SERVER], bytes, sizeof bytes, &n))
        assert_int_equal(BIO_write(SSL_get_rbio(ssl), bytes, (int)n), n);
    for (int size; (size = BIO_read(SSL_get_wbio(ssl), bytes, sizeof bytes)) > 0;) {
        const struct iovec iov = {bytes, (size_t)size};
        assert_int_equal(gnt_stream_writev(far[SERVER], &iov, 1, &n), GNT_OK);
        assert_int_equal(n, size);
    }
}

static void shake_hands_with(SSL *ssl)
{
    while (!(ends[SERVER]->events & GNT_WRITABLE)) {
        (void)SSL_do_handshake(ssl);
        pass(ssl);
        turn(1);
    }
    pass(ssl);
}

static void renew_keys(SSL *ssl, int times)
{
    while (times--) {
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(ssl), 1);
    }
}

/* Records that bring nothing do not keep the loop from the others, and are not forgotten; there are
 * not many of them. */
static void test_many_key_updates(void **state)
{
    (void)state;
    enum { MANY = 32 };
    static char big[ROOM];
    char byte;
    size_t n;
    agree(CLIENT);
    agree(SERVER);
    SSL *ssl = dial_openssl();
    shake_hands_with(ssl);
    ends[SERVER]->on_ready = count_call;
    for (int i = 0; i < 2; i++) {
        int calls = 0;
        renew_keys(ssl, MANY);
        assert_int_equal(SSL_write(ssl, "x", 1), 1);
        pass(ssl);
        while (gnt_stream_read(ends[SERVER], big, calls % 2 ? 1 : sizeof big, &n) == GNT_MORE) {
            assert_true(++calls < 100);
            called = 0;
            gnt_stream_want(ends[SERVER], GNT_READABLE);
            turn(2);
            assert_int_equal(called, 1);
        }
        assert_int_equal(n, 1);
        assert_true(calls > 1);
        assert_int_equal(put(ends[SERVER], "y"), GNT_OK); /* under the new keys of this side */
        pass(ssl);
        assert_int_equal(SSL_read(ssl, &byte, 1), 1);
    }
    renew_keys(ssl, MANY + 1);
    pass(ssl);
    for (int i = 0; i < 3 && read_says(ends[SERVER]) == GNT_MORE; i++)
        turn(1);
    assert_int_equal(read_says(ends[SERVER]), GNT_PROTOCOL);
    assert_words(ends[SERVER], "too many key updates");
    hang_up_openssl(ssl);
}

/* A small device says how much it takes at once [RFC 6066 4]. */
static void test_small_records_for_who_asks(void **state)
{
    (void)state;
    static char big[5000];
    const struct iovec iov = {big, sizeof big};
    uint8_t header[5];
    size_t n;
    for (int i = 0; i < 2; i++) {
        terms[CLIENT].greatest = i ? GNT_TLS_1_2 : GNT_TLS_1_3;
        agree(CLIENT);
        agree(SERVER);
        SSL *ssl = dial_openssl();
        assert_int_equal(SSL_set_tlsext_max_fragment_length(ssl, TLSEXT_max_fragment_length_512),
                         1);
        shake_hands_with(ssl);
        assert_int_equal(gnt_stream_writev(ends[SERVER], &iov, 1, &n), GNT_OK);
        assert_int_equal(n, sizeof big);
        while (!gnt_stream_read(far[SERVER], header, sizeof header, &n) && n == sizeof header) {
            size_t size = (size_t)header[3] << 8 | header[4];
            assert_in_range(size, 1, 512 + 256);
            assert_int_equal(gnt_stream_read(far[SERVER], big, size, &n), GNT_OK);
            assert_int_equal(n, size);
        }
        hang_up_openssl(ssl);
    }
}

static void test_moves_with_bytes_buffered(void **state)
{
    (void)state;
    char got[4];
    size_t n;
    meet(ROOM);
    assert_reads(ends[CLIENT], "");
    called = 0;
    ends[CLIENT]->on_ready = count_call;
    assert_int_equal(put(ends[SERVER], "moving"), GNT_OK);
    assert_int_equal(gnt_stream_read(ends[CLIENT], got, 3, &n), GNT_OK);
    gnt_stream_want(ends[CLIENT], GNT_READABLE);
    assert_int_equal(gnt_stream_move(ends[CLIENT], NULL), GNT_OK);
    assert_int_equal(put(ends[SERVER], " on"), GNT_OK);
    turn(2);
    assert_int_equal(called, 0);
    fake_loop_init(&fake_other);
    assert_int_equal(gnt_stream_move(ends[CLIENT], &fake_other.loop), GNT_OK);
    gnt_loop_turn(&fake_other.loop, 0);
    assert_int_equal(called, 1);
    assert_reads(ends[CLIENT], "ing on");
    assert_int_equal(put(ends[CLIENT], "arrived"), GNT_OK);
    assert_reads(ends[SERVER], "arrived");
    hang_up();
    gnt_loop_fini(&fake_other.loop);
}

/* Each suite, and each kind of connection, in the other's words. */
static void test_ciphers(void **state)
{
    (void)state;
    static const struct {
        enum gnt_tls_version version;
        const char *cipher;
    } rows[] = {{GNT_TLS_1_3, "TLS_AES_128_GCM_SHA256"},
                {GNT_TLS_1_3, "TLS_AES_256_GCM_SHA384"},
                {GNT_TLS_1_3, "TLS_CHACHA20_POLY1305_SHA256"},
                {GNT_TLS_1_3, "TLS_AES_128_CCM_SHA256"},
                {GNT_TLS_1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"}};
    static const char *const protocols[] = {"mqtt"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool new = rows[i].version == GNT_TLS_1_3;
        for (int side = CLIENT; side <= SERVER; side++) {
            terms[side].greatest = rows[i].version;
            terms[side].suites = new ? rows[i].cipher : NULL;
            terms[side].ciphers = new ? NULL : rows[i].cipher;
            terms[side].protocols = protocols;
            terms[side].protocol_count = 1;
            agree((enum side)side);
        }
        meet(ROOM);
        struct gnt_tls_facts facts = gnt_tls_facts(ends[SERVER]);
        assert_string_equal(facts.cipher, rows[i].cipher);
        assert_string_equal(facts.host, "broker.example");
        assert_slice(facts.protocol, "mqtt");
        assert_int_equal(put(ends[CLIENT], "hello"), GNT_OK);
        assert_reads(ends[SERVER], "hello");
        assert_int_equal(put(ends[SERVER], "you too"), GNT_OK);
        assert_reads(ends[CLIENT], "you too");
    }
}

/* A client's certificate outlives what it was shown to. */
static void test_certificate_of_a_client(void **state)
{
    (void)state;
    terms[CLIENT].identities = &pki.client;
    terms[CLIENT].identity_count = 1;
    terms[SERVER].ask = GNT_TLS_REQUIRED;
    meet(ROOM);
    X509 *peer = gnt_tls_peer_certificate(ends[SERVER]);
    assert_non_null(peer);
    assert_int_equal(X509_cmp(peer, pki.client.certificate), 0);
}

/* It is in the ticket, too, which is several records of the server's then. */
static void test_large_certificate_of_a_client(void **state)
{
    (void)state;
    enum { NAMES = 1200 };
    static char text[NAMES][24], *names[NAMES];
    struct gnt_issue plan = {.role = GNT_ISSUE_CLIENT,
                             .subject = "CN=large",
                             .names = names,
                             .name_count = NAMES,
                             .until = (int64_t)time(NULL) + DAY,
                             .path_length = -1};
    struct gnt_pki_why why;
    X509 *certificate = NULL;
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(text[i], sizeof text[i], "device-%d.example", i);
        names[i] = text[i];
    }
    if (gnt_issue(&plan, pki.key, pki.ca, pki.ca_key, &certificate, &why))
        fail_msg("%s", why.text);
    struct gnt_identity large = identity_of(certificate);
    terms[CLIENT].identities = &large;
    terms[CLIENT].identity_count = 1;
    terms[SERVER].ask = GNT_TLS_REQUIRED;
    for (int i = 0; i < 2; i++) {
        meet(ROOM);
        assert_int_equal(gnt_tls_facts(ends[SERVER]).resumed, i);
        assert_int_equal(X509_cmp(gnt_tls_peer_certificate(ends[SERVER]), certificate), 0);
        assert_int_equal(put(ends[SERVER], "hello"), GNT_OK);
        assert_reads(ends[CLIENT], "hello");
    }
    gnt_identity_fini(&large);
}

/* ---- Others */

/* Of many handshakes that are ready at once, a turn takes only some steps. */
static void test_many_at_once(void **state)
{
    (void)state;
    enum { MANY = 10, A_TURN = 4 };
    struct gnt_stream *clients[MANY], *others[MANY];
    agree(CLIENT);
    for (int i = 0; i < MANY; i++) {
        struct gnt_stream *inner;
        assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &inner, &others[i]), GNT_OK);
        put_on(&inner, CLIENT);
        clients[i] = ends[CLIENT];
    }
    for (int begun = 0, before = 0; begun < MANY; before = begun) {
        turn(1);
        begun = 0;
        for (int i = 0; i < MANY; i++)
            begun += others[i]->events & GNT_READABLE ? 1 : 0;
        assert_int_equal(begun, before + A_TURN < MANY ? before + A_TURN : MANY);
    }
    ends[CLIENT] = NULL;
    for (int i = 0; i < MANY; i++) {
        gnt_stream_close(&clients[i]);
        gnt_stream_close(&others[i]);
    }
}

/* ---- Ends */

static void test_half_close(void **state)
{
    (void)state;
    static const enum gnt_tls_version versions[] = {GNT_TLS_1_2, GNT_TLS_1_3};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        terms[CLIENT].greatest = versions[i];
        agree(CLIENT);
        meet(ROOM);
        assert_int_equal(put(ends[CLIENT], "last"), GNT_OK);
        gnt_stream_finish(ends[CLIENT]);
        gnt_stream_finish(ends[CLIENT]);
        assert_int_equal(put(ends[CLIENT], "x"), GNT_CLOSED);
        assert_reads(ends[SERVER], "last");
        assert_int_equal(read_says(ends[SERVER]), GNT_CLOSED);
        assert_true(ends[SERVER]->events & GNT_READABLE);
        assert_int_equal(put(ends[SERVER], "the rest"), GNT_OK);
        assert_reads(ends[CLIENT], "the rest");
        gnt_stream_finish(ends[SERVER]);
        assert_int_equal(read_says(ends[CLIENT]), GNT_CLOSED);
        assert_words(ends[CLIENT], "");
    }
}

static void test_close_is_a_proper_end(void **state)
{
    (void)state;
    meet(ROOM);
    assert_int_equal(put(ends[SERVER], "bye"), GNT_OK);
    gnt_stream_close(&ends[SERVER]);
    assert_reads(ends[CLIENT], "bye");
    assert_int_equal(read_says(ends[CLIENT]), GNT_CLOSED);
}

static void test_cut_off_is_no_proper_end(void **state)
{
    (void)state;
    dial_by_hand();
    carry(CLIENT, 0);
    carry(SERVER, 0);
    carry(CLIENT, 0);
    assert_int_equal(put(ends[CLIENT], "bye"), GNT_OK);
    carry(CLIENT, 0);
    gnt_stream_close(&far[SERVER]);
    assert_reads(ends[SERVER], "bye");
    for (int i = 0; i < 2; i++)
        assert_int_equal(read_says(ends[SERVER]), GNT_IO);
    assert_words(ends[SERVER], "the connection has ended without close_notify");
    gnt_stream_close(&far[CLIENT]);
    assert_int_equal(put(ends[CLIENT], "x"), GNT_CLOSED);
    assert_int_equal(read_says(ends[CLIENT]), GNT_IO);
}

static void test_cut_off_in_the_handshake(void **state)
{
    (void)state;
    dial_by_hand();
    gnt_stream_close(&far[CLIENT]);
    gnt_stream_close(&far[SERVER]);
    turn(3);
    for (int side = CLIENT; side <= SERVER; side++) {
        assert_int_equal(ends[side]->events, GNT_READABLE | GNT_WRITABLE);
        assert_int_equal(read_says(ends[side]), GNT_IO);
        assert_int_equal(put(ends[side], "x"), GNT_IO);
    }
}

static void test_finish_while_the_wire_is_full(void **state)
{
    (void)state;
    static char big[SSL3_RT_MAX_PLAIN_LENGTH], got[sizeof big];
    const struct iovec iov = {big, sizeof big};
    size_t n, received = 0;
    meet(500);
    assert_reads(ends[CLIENT], "");
    assert_int_equal(gnt_stream_writev(ends[SERVER], &iov, 1, &n), GNT_OK);
    gnt_stream_finish(ends[SERVER]);
    gnt_err err = GNT_OK;
    for (int i = 0; i < 100 && err >= 0; i++, turn(1))
        if (!(err = gnt_stream_read(ends[CLIENT], got, sizeof got, &n)))
            received += n;
    assert_int_equal(err, GNT_CLOSED);
    assert_int_equal(received, sizeof big);
}

/* What FROM says is changed, and both hear of it. */
static void check_changed(enum gnt_tls_version version, enum side from)
{
    char bytes[ROOM];
    size_t n;
    terms[CLIENT].greatest = version;
    agree(CLIENT);
    dial_by_hand();
    for (int i = 0; i < 4; i++)
        carry((enum side)(i % 2), 0);
    assert_int_equal(read_says(ends[CLIENT]), GNT_MORE);
    assert_int_equal(put(ends[from], "pay 10"), GNT_OK);
    assert_int_equal(gnt_stream_read(far[from], bytes, sizeof bytes, &n), GNT_OK);
    bytes[n - 1] ^= 1;
    const struct iovec iov = {bytes, n};
    assert_int_equal(gnt_stream_writev(far[!from], &iov, 1, &n), GNT_OK);
    assert_int_equal(read_says(ends[!from]), GNT_PROTOCOL);
    carry((enum side) !from, 0);
    assert_int_equal(read_says(ends[from]), GNT_REFUSED);
    assert_words(ends[from], "the peer says: bad record mac");
    for (int side = CLIENT; side <= SERVER; side++)
        assert_false(gnt_tls_lasting(ends[side]));
    drop_by_hand();
}

static void test_changed_on_the_way(void **state)
{
    (void)state;
    for (int from = CLIENT; from <= SERVER; from++) {
        check_changed(GNT_TLS_1_2, (enum side)from);
        check_changed(GNT_TLS_1_3, (enum side)from);
    }
}

/* ---- Memory */

/* What an idle connection of a server costs, beside its end of the wire, whether the first that it
 * heard came together with the handshake or later. */
static void test_idle_is_small(void **state)
{
    (void)state;
    for (int together = 0; together < 2; together++) {
        dial_by_hand();
        carry(CLIENT, 0);
        carry(SERVER, 0);
        if (!together)
            carry(CLIENT, 0);
        assert_int_equal(put(ends[CLIENT], "hello"), GNT_OK);
        carry(CLIENT, 0);
        assert_reads(ends[SERVER], "hello");
        size_t before = mallinfo2().uordblks;
        gnt_stream_close(&ends[SERVER]);
        size_t freed = before - mallinfo2().uordblks;
        if (!GNT_ASAN)
            assert_in_range(freed, ROOM, ROOM + 1024);
    }
    drop_by_hand();
}

/* What fails is told, and leaves the stream below where it was. */
static void test_out_of_memory(void **state)
{
    (void)state;
    struct gnt_stream *inner, *s = NULL;
    agree(SERVER);
    assert_int_equal(gnt_pair_new(&fake.loop, &fake.loop, ROOM, &inner, &far[SERVER]), GNT_OK);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_tls_new(&inner, contexts[SERVER], NULL, &s), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_non_null(inner);
    gnt_stream_close(&inner);
    gnt_stream_close(&far[SERVER]);

    static char big[SSL3_RT_MAX_PLAIN_LENGTH];
    const struct iovec iov = {big, sizeof big};
    size_t n;
    meet(1000);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_stream_writev(ends[CLIENT], &iov, 1, &n), GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_int_equal(read_says(ends[CLIENT]), GNT_NOMEM);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_handshake_without_the_owners),
        T(test_nothing_before_the_handshake_is_over),
        T(test_handshake_cut_anywhere),
        T(test_what_was_read_before),
        T(test_no_hello_was_read_before),
        T(test_data_together_with_the_handshake),
        T(test_both_ways_at_once),
        T(test_one_writev_is_one_record),
        T(test_a_record_waits),
        T(test_ready_for_what_is_buffered),
        T(test_ready_for_what_came_with_the_handshake),
        T(test_many_key_updates),
        T(test_small_records_for_who_asks),
        T(test_moves_with_bytes_buffered),
        T(test_ciphers),
        T(test_certificate_of_a_client),
        T(test_large_certificate_of_a_client),
        T(test_many_at_once),
        T(test_half_close),
        T(test_close_is_a_proper_end),
        T(test_cut_off_is_no_proper_end),
        T(test_cut_off_in_the_handshake),
        T(test_finish_while_the_wire_is_full),
        T(test_changed_on_the_way),
        T(test_idle_is_small),
        T(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
