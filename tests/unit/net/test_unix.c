#include "net/unix.h"

#include "net/acceptor.h"
#include "net/epoll.h"
#include "net/tcp.h"
#include "support/place.h"
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

static gnt_err listen_at(const char *path, int *fd, struct gnt_unix_file *file)
{
    return gnt_unix_listen(path, 0600, 16, fd, file);
}

static int listening(const char *path, struct gnt_unix_file *file)
{
    int fd = -1;
    assert_int_equal(listen_at(path, &fd, file), GNT_OK);
    assert_true(fd >= 0);
    return fd;
}

static bool is_there(const char *path)
{
    struct stat there;
    return lstat(path, &there) == 0;
}

/* 0, or errno. */
static int dial(const char *path)
{
    struct sockaddr_un address;
    assert_int_equal(gnt_unix_address(path, &address), GNT_OK);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int number = connect(fd, (struct sockaddr *)&address, sizeof address) ? errno : 0;
    close(fd);
    return number;
}

static void test_listens_with_its_mode(void **state)
{
    struct place *place = *state;
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0};
    mode_t before = umask(077); /* has no say */
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct gnt_unix_file file;
        struct stat there;
        int fd = -1;
        assert_int_equal(gnt_unix_listen(place->path, modes[i], 16, &fd, &file), GNT_OK);
        assert_int_equal(stat(place->path, &there), 0);
        assert_true(S_ISSOCK(there.st_mode));
        assert_int_equal(there.st_mode & 07777, modes[i]);
        assert_int_equal(there.st_ino, file.inode);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        gnt_unix_remove(place->path, &file);
        assert_false(is_there(place->path));
        close(fd);
    }
    umask(before);
}

static void test_a_live_one_is_left_alone(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file, other;
    int fd = listening(place->path, &file), second = -1;
    assert_int_equal(listen_at(place->path, &second, &other), GNT_BUSY);
    assert_int_equal(second, -1);
    assert_int_equal(dial(place->path), 0);
    gnt_unix_remove(place->path, &file);
    close(fd);
}

/* One that nobody can connect to for now is not dead. */
static void test_a_full_one_is_alive(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file, other;
    struct sockaddr_un address;
    int fd = -1, second, waiting[8];
    assert_int_equal(gnt_unix_listen(place->path, 0600, 0, &fd, &file), GNT_OK);
    assert_int_equal(gnt_unix_address(place->path, &address), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(waiting[i], (struct sockaddr *)&address, sizeof address);
    }
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(listen_at(place->path, &second, &other), GNT_BUSY);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        close(waiting[i]);
    gnt_unix_remove(place->path, &file);
    close(fd);
}

static void test_a_dead_one_is_replaced(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file;
    close(listening(place->path, &file)); /* as kill -9 leaves it */
    assert_true(is_there(place->path));
    assert_int_equal(dial(place->path), ECONNREFUSED);
    int fd = listening(place->path, &file);
    assert_int_equal(dial(place->path), 0);
    gnt_unix_remove(place->path, &file);
    close(fd);
}

static void test_what_is_no_socket_stays(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file;
    char target[160];
    int fd = -1;
    /* A file, a directory, and links: to nothing, and to a dead socket. */
    int plain = open(place->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(plain >= 0);
    close(plain);
    assert_int_equal(listen_at(place->path, &fd, &file), GNT_EXISTS);
    assert_true(is_there(place->path));
    unlink(place->path);

    assert_int_equal(mkdir(place->path, 0700), 0);
    assert_int_equal(listen_at(place->path, &fd, &file), GNT_EXISTS);
    assert_int_equal(rmdir(place->path), 0);

    assert_int_equal(symlink("/nowhere", place->path), 0);
    assert_int_equal(listen_at(place->path, &fd, &file), GNT_EXISTS);
    unlink(place->path);

    snprintf(target, sizeof target, "%s/dead", place->base);
    close(listening(target, &file));
    assert_int_equal(symlink(target, place->path), 0);
    assert_int_equal(listen_at(place->path, &fd, &file), GNT_EXISTS);
    assert_true(is_there(place->path) && is_there(target));
    unlink(place->path);
    unlink(target);
    assert_int_equal(fd, -1);
}

/* Somebody's who speaks datagrams. */
static void test_another_kind_of_socket_stays(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file;
    struct sockaddr_un address;
    int fd = -1, other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(gnt_unix_address(place->path, &address), GNT_OK);
    assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen_at(place->path, &fd, &file), GNT_BUSY);
    assert_true(is_there(place->path));
    close(other);
    unlink(place->path);
}

static void test_only_its_own_file_is_removed(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file, other;
    char moved[160];
    snprintf(moved, sizeof moved, "%s/moved", place->base);
    int fd = listening(place->path, &file);
    assert_int_equal(rename(place->path, moved), 0);
    gnt_unix_remove(place->path, &file); /* nothing is there */
    int second = listening(place->path, &other);
    gnt_unix_remove(place->path, &file);
    assert_true(is_there(place->path) && is_there(moved));
    gnt_unix_remove(place->path, &other);
    gnt_unix_remove(moved, &file);
    assert_false(is_there(place->path) || is_there(moved));
    close(fd);
    close(second);
}

/* Another that starts there right now. */
static void test_one_at_a_time(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file;
    int fd = -1, lock = open(place->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_int_equal(listen_at(place->path, &fd, &file), GNT_BUSY);
    assert_false(is_there(place->path));
    close(lock);
    close(listening(place->path, &file));
    gnt_unix_remove(place->path, &file);
}

static void test_where_there_is_no_place(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file;
    struct sockaddr_un address;
    char path[200];
    int fd = -1;
    snprintf(path, sizeof path, "%s/nowhere/socket", place->base);
    assert_int_equal(listen_at(path, &fd, &file), GNT_NOTFOUND);
    assert_int_equal(errno, ENOENT);
    memset(path, 'x', 108);
    path[0] = '/';
    path[108] = '\0';
    assert_int_equal(listen_at(path, &fd, &file), GNT_TOOBIG);
    assert_int_equal(gnt_unix_address(path, &address), GNT_TOOBIG);
    path[107] = '\0';
    assert_int_equal(gnt_unix_address(path, &address), GNT_OK);
    assert_string_equal(address.sun_path, path);
}

/* ---- As streams */

static struct gnt_stream *accepted;

static void on_accept(void *context, struct gnt_stream *s)
{
    (void)context;
    accepted = s;
}

static void test_streams(void **state)
{
    struct place *place = *state;
    struct gnt_unix_file file;
    struct sockaddr_un address;
    struct sockaddr_storage who;
    struct gnt_loop loop;
    struct gnt_poller *poller;
    struct gnt_acceptor *acceptor;
    struct gnt_stream *client, *none;
    char got[8];
    size_t n;
    int fd = listening(place->path, &file);
    assert_int_equal(gnt_epoll_new(&poller), GNT_OK);
    assert_int_equal(gnt_loop_init(&loop, &gnt_clock_system, &poller), GNT_OK);
    assert_int_equal(gnt_acceptor_new(&loop, fd, on_accept, NULL, &acceptor), GNT_OK);
    assert_int_equal(gnt_unix_address(place->path, &address), GNT_OK);
    assert_int_equal(gnt_tcp_connect(&loop, (struct sockaddr *)&address, sizeof address, &client),
                     GNT_OK);
    while (!accepted || !(client->events & GNT_WRITABLE))
        gnt_loop_turn(&loop, GNT_NS_PER_MS);
    gnt_stream_peer(accepted, got, sizeof got);
    assert_string_equal(got, "unix");
    struct gnt_stream *both[] = {accepted, client};
    for (size_t i = 0; i < 2; i++) {
        static const struct sockaddr_storage empty;
        gnt_stream_address(both[i], &who);
        assert_int_equal(who.ss_family, AF_UNIX);
        assert_memory_equal((char *)&who + sizeof who.ss_family,
                            (const char *)&empty + sizeof who.ss_family,
                            sizeof who - sizeof who.ss_family);
    }
    struct iovec hello = {(char[]){"hello"}, 5};
    assert_int_equal(gnt_stream_writev(client, &hello, 1, &n), GNT_OK);
    while (!(accepted->events & GNT_READABLE))
        gnt_loop_turn(&loop, GNT_NS_PER_MS);
    assert_int_equal(gnt_stream_read(accepted, got, sizeof got, &n), GNT_OK);
    assert_int_equal(n, 5);
    assert_int_equal(gnt_stream_writev(client, &hello, 1, &n), GNT_OK);
    assert_int_equal(gnt_stream_writev(accepted, &hello, 1, &n), GNT_OK);
    gnt_stream_close(&accepted); /* with unread input; what was written arrives */
    while (!(client->events & GNT_READABLE))
        gnt_loop_turn(&loop, GNT_NS_PER_MS);
    assert_int_equal(gnt_stream_read(client, got, sizeof got, &n), GNT_OK);
    assert_int_equal(n, 5);
    gnt_stream_close(&client);
    gnt_acceptor_free(&acceptor);
    gnt_unix_remove(place->path, &file);

    assert_int_equal(gnt_tcp_connect(&loop, (struct sockaddr *)&address, sizeof address, &none),
                     GNT_OK);
    assert_int_equal(gnt_stream_read(none, got, sizeof got, &n), GNT_NOTFOUND);
    gnt_stream_close(&none);
    gnt_loop_fini(&loop);
    close(fd);
}

#define T(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_listens_with_its_mode),        T(test_a_live_one_is_left_alone),
        T(test_a_full_one_is_alive),          T(test_a_dead_one_is_replaced),
        T(test_what_is_no_socket_stays),      T(test_another_kind_of_socket_stays),
        T(test_only_its_own_file_is_removed), T(test_one_at_a_time),
        T(test_where_there_is_no_place),      T(test_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
