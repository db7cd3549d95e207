/* The rule of the ready list, with a stream that answers what the test tells it to. */
#include "net/stream.h"

#include "support/unit.h"
#include "unit/net/fake_loop.h"

#include <stdio.h>
#include <sys/socket.h>

struct scripted {
    struct gnt_stream stream;
    gnt_err err; /* the next answer */
    size_t n;
    uint8_t cleared; /* by the implementation, on its own */
    int pieces;      /* what the last writev was given */
    bool finished, closed;
    struct gnt_loop *moved_to;
};

static struct scripted *scripted_of(struct gnt_stream *s)
{
    return GNT_CONTAINER(s, struct scripted, stream);
}

static gnt_err scripted_read(struct gnt_stream *s, void *to, size_t cap, size_t *n)
{
    (void)to;
    (void)cap;
    s->events &= (uint8_t)~scripted_of(s)->cleared;
    *n = scripted_of(s)->n;
    return scripted_of(s)->err;
}

static gnt_err scripted_writev(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n)
{
    (void)iov;
    scripted_of(s)->pieces = count;
    *n = scripted_of(s)->n;
    return scripted_of(s)->err;
}

static void scripted_finish(struct gnt_stream *s)
{
    scripted_of(s)->finished = true;
}

static void scripted_close(struct gnt_stream *s)
{
    assert_false(gnt_list_linked(&s->ready));
    gnt_stream_notify(s, GNT_WRITABLE); /* as a failure would */
    scripted_of(s)->closed = true;
}

static gnt_err scripted_move(struct gnt_stream *s, struct gnt_loop *loop)
{
    if (scripted_of(s)->err)
        return scripted_of(s)->err;
    scripted_of(s)->moved_to = loop;
    return GNT_OK;
}

static void scripted_peer(const struct gnt_stream *s, char *out, size_t cap)
{
    (void)s;
    snprintf(out, cap, "nobody");
}

static const struct gnt_stream_ops scripted_ops = {
    .read = scripted_read,
    .writev = scripted_writev,
    .finish = scripted_finish,
    .close = scripted_close,
    .move = scripted_move,
    .peer = scripted_peer,
};

static struct fake_loop fake, fake_other;
static struct scripted it;

static void on_ready(struct gnt_stream *s)
{
    (void)s;
}

static int setup(void **state)
{
    (void)state;
    fake_loop_init(&fake);
    fake_loop_init(&fake_other);
    it = (struct scripted){0};
    gnt_stream_init(&it.stream, &scripted_ops, &fake.loop);
    it.stream.on_ready = on_ready;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_list_remove(&it.stream.ready);
    gnt_loop_fini(&fake.loop);
    gnt_loop_fini(&fake_other.loop);
    return 0;
}

static bool in_ready_list(const struct fake_loop *f)
{
    return f->loop.ready.next == &it.stream.ready;
}

static void test_ready_is_wanted_and_possible(void **state)
{
    (void)state;
    for (unsigned want = 0; want < 4; want++) {
        for (unsigned events = 0; events < 4; events++) {
            /* In either order, and after having been ready. */
            gnt_stream_want(&it.stream, (uint8_t)want);
            it.stream.events = 0;
            gnt_stream_notify(&it.stream, (uint8_t)events);
            assert_int_equal(in_ready_list(&fake), (want & events) != 0);
            gnt_stream_want(&it.stream, 0);
            assert_false(in_ready_list(&fake));
            gnt_stream_want(&it.stream, (uint8_t)want);
            assert_int_equal(in_ready_list(&fake), (want & events) != 0);
            gnt_stream_notify(&it.stream, 0);
            assert_int_equal(it.stream.events, events);
        }
    }
}

static void read_answers(gnt_err err, size_t n, bool stays_readable)
{
    gnt_stream_want(&it.stream, GNT_READABLE);
    gnt_stream_notify(&it.stream, GNT_READABLE);
    it.err = err;
    it.n = n;
    char to[8];
    size_t got;
    assert_int_equal(gnt_stream_read(&it.stream, to, sizeof to, &got), err);
    assert_int_equal(got, n);
    assert_int_equal(it.stream.events & GNT_READABLE, stays_readable ? GNT_READABLE : 0);
    assert_int_equal(in_ready_list(&fake), stays_readable);
}

static void test_read(void **state)
{
    (void)state;
    read_answers(GNT_OK, 8, true);
    read_answers(GNT_OK, 3, true);
    read_answers(GNT_MORE, 0, false);
    read_answers(GNT_CLOSED, 0, true);
    read_answers(GNT_IO, 0, true);
    it.cleared = GNT_READABLE; /* the implementation knows better */
    read_answers(GNT_OK, 3, false);
}

static void write_answers(gnt_err err, size_t n, bool stays_writable)
{
    gnt_stream_want(&it.stream, GNT_WRITABLE);
    gnt_stream_notify(&it.stream, GNT_WRITABLE);
    it.err = err;
    it.n = n;
    struct iovec iov[] = {{NULL, 5}, {NULL, 0}, {NULL, 7}};
    size_t put;
    assert_int_equal(gnt_stream_writev(&it.stream, iov, 3, &put), err);
    assert_int_equal(put, n);
    assert_int_equal(it.stream.events & GNT_WRITABLE, stays_writable ? GNT_WRITABLE : 0);
    assert_int_equal(in_ready_list(&fake), stays_writable);
}

static void test_writev(void **state)
{
    (void)state;
    write_answers(GNT_OK, 12, true);
    write_answers(GNT_OK, 11, false);
    write_answers(GNT_MORE, 0, false);
    write_answers(GNT_CLOSED, 0, true);
}

static void test_too_many_pieces_are_left_for_the_next(void **state)
{
    (void)state;
    struct iovec iov[GNT_STREAM_IOV_MAX + 1];
    for (int i = 0; i <= GNT_STREAM_IOV_MAX; i++)
        iov[i] = (struct iovec){NULL, 1};
    gnt_stream_notify(&it.stream, GNT_WRITABLE);
    it.n = GNT_STREAM_IOV_MAX;
    size_t n;
    assert_int_equal(gnt_stream_writev(&it.stream, iov, GNT_STREAM_IOV_MAX + 1, &n), GNT_OK);
    assert_int_equal(it.pieces, GNT_STREAM_IOV_MAX);
    /* It took all that it was asked to, so the rest can be tried at once. */
    assert_true(it.stream.events & GNT_WRITABLE);
}

static void test_move(void **state)
{
    (void)state;
    gnt_stream_want(&it.stream, GNT_READABLE);
    gnt_stream_notify(&it.stream, GNT_READABLE);
    assert_int_equal(gnt_stream_move(&it.stream, NULL), GNT_OK);
    assert_false(gnt_list_linked(&it.stream.ready));
    gnt_stream_want(&it.stream, GNT_READABLE | GNT_WRITABLE); /* on the way: only remembered */
    assert_false(gnt_list_linked(&it.stream.ready));
    it.err = GNT_NOMEM;
    assert_int_equal(gnt_stream_move(&it.stream, &fake_other.loop), GNT_NOMEM);
    assert_null(it.stream.loop);
    it.err = GNT_OK;
    assert_int_equal(gnt_stream_move(&it.stream, &fake_other.loop), GNT_OK);
    assert_ptr_equal(it.moved_to, &fake_other.loop);
    assert_ptr_equal(it.stream.loop, &fake_other.loop);
    assert_true(in_ready_list(&fake_other));
}

static void test_close(void **state)
{
    (void)state;
    gnt_stream_want(&it.stream, GNT_READABLE | GNT_WRITABLE);
    gnt_stream_notify(&it.stream, GNT_READABLE);
    gnt_stream_finish(&it.stream);
    assert_true(it.finished);
    char peer[16];
    gnt_stream_peer(&it.stream, peer, sizeof peer);
    assert_string_equal(peer, "nobody");
    struct sockaddr_storage address = {.ss_family = AF_INET};
    gnt_stream_address(&it.stream, &address);
    assert_int_equal(address.ss_family, AF_UNSPEC);
    struct gnt_stream *s = &it.stream;
    gnt_stream_close(&s);
    assert_null(s);
    assert_true(it.closed);
    assert_true(gnt_list_empty(&fake.loop.ready));
    gnt_stream_close(&s); /* NULL is fine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ready_is_wanted_and_possible, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writev, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_pieces_are_left_for_the_next, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_move, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
