#include "support/alloc_fault.h"
#include "support/unit.h"

#include "base/outq.h"
#include "base/random.h"

#include <stdlib.h>

/* What a release function is told; the number that it counts up. */
static void count_release(void *context)
{
    ++*(int *)context;
}

/* The front of Q, at most CAP bytes of it, as one run of bytes; returns how many. */
static size_t peek(const struct gnt_outq *q, uint8_t *out, size_t cap)
{
    struct iovec iov[64];
    int n = gnt_outq_iov(q, iov, 64);
    size_t size = 0;
    for (int i = 0; i < n; i++) {
        size_t here = iov[i].iov_len < cap - size ? iov[i].iov_len : cap - size;
        assert_true(iov[i].iov_len > 0);
        memcpy(out + size, iov[i].iov_base, here);
        size += here;
    }
    return size;
}

static void assert_front(const struct gnt_outq *q, const char *text)
{
    uint8_t front[256];
    size_t size = peek(q, front, sizeof front);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(front, text, size);
    assert_int_equal(q->size, size);
}

static void test_copies_share_a_chunk(void **state)
{
    (void)state;
    struct gnt_outq q;
    struct iovec iov[4];
    gnt_outq_init(&q);
    assert_int_equal(gnt_outq_iov(&q, iov, 4), 0);
    assert_int_equal(gnt_outq_put(&q, LITERAL("one ")), GNT_OK);
    assert_int_equal(gnt_outq_put(&q, LITERAL("two")), GNT_OK);
    assert_int_equal(gnt_outq_iov(&q, iov, 4), 1);
    assert_front(&q, "one two");
    gnt_outq_take(&q, 2);
    assert_front(&q, "e two");
    gnt_outq_take(&q, 5);
    assert_front(&q, "");
    assert_null(q.chunks.first);
    gnt_outq_fini(&q);
}

static void test_references_are_linked_in_order(void **state)
{
    (void)state;
    struct gnt_outq q;
    struct iovec iov[4];
    int released = 0;
    static const char large[] = "LARGE";
    gnt_outq_init(&q);
    assert_int_equal(gnt_outq_put(&q, LITERAL("head ")), GNT_OK);
    assert_int_equal(gnt_outq_wrote_ref(&q, 0, LITERAL(large), count_release, &released), GNT_OK);
    assert_int_equal(gnt_outq_put(&q, LITERAL(" tail")), GNT_OK);
    assert_front(&q, "head LARGE tail");
    assert_int_equal(gnt_outq_iov(&q, iov, 4), 3);
    assert_ptr_equal(iov[1].iov_base, large);
    assert_int_equal(gnt_outq_iov(&q, iov, 2), 2);
    gnt_outq_take(&q, 9); /* all but the last byte of what is linked */
    assert_int_equal(released, 0);
    gnt_outq_take(&q, 1);
    assert_int_equal(released, 1);
    assert_front(&q, " tail");
    gnt_outq_fini(&q);
    assert_int_equal(released, 1);
}

static void test_fini_releases(void **state)
{
    (void)state;
    struct gnt_outq q;
    int released = 0;
    gnt_outq_init(&q);
    assert_int_equal(gnt_outq_wrote_ref(&q, 0, LITERAL("a"), count_release, &released), GNT_OK);
    assert_int_equal(gnt_outq_wrote_ref(&q, 0, LITERAL("b"), NULL, NULL), GNT_OK);
    assert_int_equal(gnt_outq_wrote_ref(&q, 0, LITERAL("c"), count_release, &released), GNT_OK);
    gnt_outq_take(&q, 1);
    assert_int_equal(released, 1);
    gnt_outq_fini(&q);
    assert_int_equal(released, 2);
    assert_int_equal(q.size, 0);
}

/* Nothing will ever be written for an empty piece, so nothing may wait for that. */
static void test_empty_pieces_hold_nothing(void **state)
{
    (void)state;
    struct gnt_outq q;
    int released = 0;
    gnt_outq_init(&q);
    assert_int_equal(gnt_outq_put(&q, gnt_slice(NULL, 0)), GNT_OK);
    assert_null(q.chunks.first);
    assert_int_equal(gnt_outq_wrote_ref(&q, 0, gnt_slice(NULL, 0), count_release, &released),
                     GNT_OK);
    assert_int_equal(released, 1);
    assert_null(q.chunks.first);
    gnt_outq_fini(&q);
    assert_int_equal(released, 1);
}

static void test_reserve(void **state)
{
    (void)state;
    struct gnt_outq q;
    uint8_t *at;
    gnt_outq_init(&q);
    assert_int_equal(gnt_outq_reserve(&q, 100000, &at), GNT_OK);
    memset(at, 'x', 100000);
    gnt_outq_wrote(&q, 3);
    assert_front(&q, "xxx");
    assert_int_equal(gnt_outq_reserve(&q, 8, &at), GNT_OK); /* fits behind it */
    memcpy(at, "yy", 2);
    gnt_outq_wrote(&q, 2);
    assert_front(&q, "xxxyy");
    assert_int_equal(gnt_outq_reserve(&q, 8, &at), GNT_OK);
    gnt_outq_wrote(&q, 0);
    assert_front(&q, "xxxyy");
    gnt_outq_fini(&q);
}

static void test_head_and_reference(void **state)
{
    (void)state;
    struct gnt_outq q;
    uint8_t *at;
    int released = 0;
    gnt_outq_init(&q);
    for (int i = 0; i < 2; i++) { /* into a new chunk, then behind what is linked */
        assert_int_equal(gnt_outq_reserve(&q, 16, &at), GNT_OK);
        memcpy(at, "head ", 5);
        assert_int_equal(gnt_outq_wrote_ref(&q, 5, LITERAL("body,"), count_release, &released),
                         GNT_OK);
    }
    assert_front(&q, "head body,head body,");
    assert_int_equal(gnt_outq_wrote_ref(&q, 0, LITERAL("more"), count_release, &released), GNT_OK);
    assert_front(&q, "head body,head body,more");
    gnt_outq_take(&q, 9);
    assert_int_equal(released, 0);
    gnt_outq_take(&q, 1);
    assert_int_equal(released, 1);
    gnt_outq_take(&q, q.size);
    assert_int_equal(released, 3);
    assert_int_equal(gnt_outq_reserve(&q, 16, &at), GNT_OK);
    memcpy(at, "alone", 5);
    assert_int_equal(gnt_outq_wrote_ref(&q, 5, gnt_slice(NULL, 0), count_release, &released),
                     GNT_OK);
    assert_int_equal(released, 4);
    assert_front(&q, "alone");
    gnt_outq_fini(&q);
    assert_int_equal(released, 4);
}

static void test_head_and_reference_without_memory(void **state)
{
    (void)state;
    struct gnt_outq q;
    uint8_t *at;
    int released = 0;
    gnt_outq_init(&q);
    assert_int_equal(gnt_outq_put(&q, LITERAL("before ")), GNT_OK);
    assert_int_equal(gnt_outq_reserve(&q, 16, &at), GNT_OK);
    memcpy(at, "head", 4);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_outq_wrote_ref(&q, 4, LITERAL("body"), count_release, &released),
                     GNT_NOMEM);
    gnt_alloc_fail_at(-1);
    assert_int_equal(released, 0);
    assert_front(&q, "before ");
    assert_int_equal(gnt_outq_put(&q, LITERAL("after")), GNT_OK);
    assert_front(&q, "before after");
    gnt_outq_fini(&q);
    assert_int_equal(released, 0);
}

static void test_allocation_failure_changes_nothing(void **state)
{
    (void)state;
    uint8_t large[3000];
    memset(large, 'z', sizeof large);
    for (long n = 0;; n++) {
        struct gnt_outq q;
        int released = 0;
        gnt_outq_init(&q);
        gnt_alloc_fail_at(n);
        gnt_err a = gnt_outq_put(&q, LITERAL("abc"));
        gnt_err b = gnt_outq_wrote_ref(&q, 0, LITERAL("ref"), count_release, &released);
        gnt_err c = gnt_outq_put(&q, gnt_slice(large, sizeof large));
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(released, 0);
        assert_int_equal(q.size, (a ? 0u : 3u) + (b ? 0u : 3u) + (c ? 0u : sizeof large));
        uint8_t front[4000];
        assert_int_equal(peek(&q, front, sizeof front), q.size);
        assert_int_equal(failed, a || b || c);
        gnt_outq_fini(&q);
        assert_int_equal(released, b ? 0 : 1);
        if (!failed) {
            assert_int_equal(n, 3);
            return;
        }
    }
}

enum { REF_SIZE = 5000 };

struct stream {
    struct gnt_outq q;
    struct gnt_seeded g;
    uint64_t in, out; /* byte number I of the stream is I's low byte */
    int linked, released;
};

struct piece { /* lives until it is released */
    struct stream *s;
    uint8_t bytes[REF_SIZE];
};

static void release_piece(void *context)
{
    struct piece *piece = context;
    piece->s->released++;
    free(piece);
}

static void put_some(struct stream *s, bool link)
{
    struct piece *piece = malloc(sizeof *piece);
    assert_non_null(piece);
    piece->s = s;
    size_t n = (size_t)gnt_random_below(&s->g.door, REF_SIZE);
    for (size_t i = 0; i < n; i++)
        piece->bytes[i] = (uint8_t)(s->in + i);
    s->in += n;
    struct gnt_slice bytes = gnt_slice(piece->bytes, n);
    if (link) {
        assert_int_equal(gnt_outq_wrote_ref(&s->q, 0, bytes, release_piece, piece), GNT_OK);
        s->linked++;
    } else {
        assert_int_equal(gnt_outq_put(&s->q, bytes), GNT_OK);
        free(piece);
    }
}

static void take_some(struct stream *s)
{
    static uint8_t front[64 * 1024];
    size_t have = peek(&s->q, front, sizeof front);
    size_t n = (size_t)gnt_random_below(&s->g.door, have + 1);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(front[i], (uint8_t)(s->out + i));
    gnt_outq_take(&s->q, n);
    s->out += n;
}

static void test_random_stream(void **state)
{
    (void)state;
    struct stream s = {.in = 0};
    gnt_outq_init(&s.q);
    gnt_seeded_init(&s.g, 11);
    for (int turn = 0; turn < 3000; turn++) {
        uint64_t what = gnt_random_below(&s.g.door, 4);
        if (what < 2)
            put_some(&s, what == 0);
        else
            take_some(&s);
        assert_int_equal(s.q.size, s.in - s.out);
        assert_int_equal(s.q.size == 0, s.q.chunks.first == NULL);
    }
    gnt_outq_take(&s.q, s.q.size);
    assert_int_equal(s.released, s.linked);
    gnt_outq_fini(&s.q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_share_a_chunk),
        cmocka_unit_test(test_references_are_linked_in_order),
        cmocka_unit_test(test_fini_releases),
        cmocka_unit_test(test_empty_pieces_hold_nothing),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_head_and_reference),
        cmocka_unit_test(test_head_and_reference_without_memory),
        cmocka_unit_test(test_allocation_failure_changes_nothing),
        cmocka_unit_test(test_random_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
