#include "support/store_contract.h"

#include "base/random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { PATIENCE_S = 20, THREADS = 4, ROUNDS = 300 };

static const struct store_under_test *sut;

/* A thread's mailbox: completions come from whatever thread the engine has, and run here. */
struct desk {
    pthread_mutex_t lock; /* guards the list; held for a push or a pop */
    pthread_cond_t filled;
    struct gnt_list list;
};

static void desk_init(struct desk *d)
{
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->filled, NULL);
    gnt_list_init(&d->list);
}

static void desk_fini(struct desk *d)
{
    pthread_cond_destroy(&d->filled);
    pthread_mutex_destroy(&d->lock);
}

static void desk_deliver(void *context, struct gnt_completion *c)
{
    struct desk *d = context;
    pthread_mutex_lock(&d->lock);
    gnt_list_push_back(&d->list, &c->link);
    pthread_cond_signal(&d->filled);
    pthread_mutex_unlock(&d->lock);
}

/* Completes the next one that arrives. */
static void desk_next(struct desk *d, struct gnt_store *s)
{
    if (sut->run)
        sut->run(s);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    int late = 0;
    pthread_mutex_lock(&d->lock);
    while (gnt_list_empty(&d->list) && !late)
        late = pthread_cond_timedwait(&d->filled, &d->lock, &until);
    struct gnt_list *link = gnt_list_pop_front(&d->list);
    pthread_mutex_unlock(&d->lock);
    assert_non_null(link); /* else a completion never came */
    gnt_store_complete(GNT_CONTAINER(link, struct gnt_completion, link));
}

struct commit {
    struct gnt_completion completion;
    unsigned done; /* how often */
    gnt_err result;
    unsigned place; /* in the order of completions */
};

static _Thread_local unsigned completions;

static void commit_done(struct gnt_completion *c, gnt_err result)
{
    struct commit *commit = GNT_CONTAINER(c, struct commit, completion);
    commit->done++;
    commit->result = result;
    commit->place = completions++;
}

static void commit_init(struct commit *c, struct desk *d)
{
    *c = (struct commit){.completion = {commit_done, desk_deliver, d, {NULL, NULL}, 0, NULL, NULL}};
}

static gnt_err commit_on(struct gnt_store *s, struct desk *d, struct gnt_batch *b)
{
    struct commit c;
    commit_init(&c, d);
    gnt_store_commit(s, b, &c.completion);
    assert_int_equal(b->count, 0); /* taken */
    while (!c.done)
        desk_next(d, s);
    assert_int_equal(c.done, 1);
    return c.result;
}

/* What a read brought, as text: "key=value " for a table's records, "7=value " for a log's entries,
 * "(payload)" behind the value if there is a message, "..." if there are more. */
struct reading {
    struct gnt_store_read read;
    char text[8192];
    size_t size;
    unsigned records, done;
    gnt_err result;
    struct gnt_slice last_key; /* in key */
    char key[GNT_STORE_KEY_MAX];
};

__attribute__((format(printf, 2, 3))) static void say(struct reading *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(r->text + r->size, sizeof r->text - r->size, format, args);
    va_end(args);
    assert_in_range(n, 0, sizeof r->text - r->size - 1);
    r->size += (size_t)n;
}

static void reading_record(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct reading *r = GNT_CONTAINER(read, struct reading, read);
    assert_int_equal(r->done, 0);
    r->records++;
    if (record->key.size) {
        assert_int_equal(record->sequence, 0);
        say(r, "%.*s", (int)record->key.size, (const char *)record->key.data);
        memcpy(r->key, record->key.data, record->key.size);
        r->last_key = gnt_slice(r->key, record->key.size);
    } else {
        say(r, "%llu", (unsigned long long)record->sequence);
    }
    say(r, "=%.*s", (int)record->value.size, (const char *)record->value.data);
    if (record->message)
        say(r, "(%.*s)", (int)record->message->payload.size,
            (const char *)record->message->payload.data);
    say(r, " ");
}

static void reading_done(struct gnt_completion *c, gnt_err result)
{
    struct gnt_store_read *read = GNT_CONTAINER(c, struct gnt_store_read, completion);
    struct reading *r = GNT_CONTAINER(read, struct reading, read);
    r->done++;
    r->result = result;
    if (read->more)
        say(r, "...");
}

static void reading_init(struct reading *r, struct desk *d)
{
    memset(r, 0, sizeof *r);
    r->read.completion.done = reading_done;
    r->read.completion.deliver = desk_deliver;
    r->read.completion.context = d;
    r->read.record = reading_record;
}

/* One test's store and desk. */
struct bench {
    struct gnt_store *store;
    struct desk desk;
    struct reading reading;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    desk_init(&b->desk);
    assert_int_equal(sut->open(&b->store), GNT_OK);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    gnt_store_close(&b->store);
    assert_null(b->store);
    desk_fini(&b->desk);
    free(b);
    return 0;
}

static struct gnt_slice str(const char *text)
{
    return gnt_slice_str(text);
}

static gnt_err commit(struct bench *b, struct gnt_batch *batch)
{
    return commit_on(b->store, &b->desk, batch);
}

static const char *await_reading(struct bench *b)
{
    while (!b->reading.done)
        desk_next(&b->desk, b->store);
    return b->reading.result ? gnt_err_text(b->reading.result) : b->reading.text;
}

static const char *get(struct bench *b, const char *table, const char *key)
{
    reading_init(&b->reading, &b->desk);
    gnt_store_get(b->store, str(table), str(key), &b->reading.read);
    return await_reading(b);
}

static const char *scan(struct bench *b, const char *table, const char *prefix, const char *after,
                        uint32_t most)
{
    reading_init(&b->reading, &b->desk);
    gnt_store_scan(b->store, str(table), str(prefix), str(after), most, &b->reading.read);
    return await_reading(b);
}

static const char *read_log(struct bench *b, const char *log, uint64_t from, uint32_t most)
{
    reading_init(&b->reading, &b->desk);
    gnt_store_read(b->store, str(log), from, most, &b->reading.read);
    return await_reading(b);
}

static void assert_log(struct bench *b, const char *log, uint64_t first, uint64_t last,
                       uint64_t count)
{
    assert_string_equal(read_log(b, log, 1, 0), count ? "..." : "");
    assert_int_equal(b->reading.read.log.first, first);
    assert_int_equal(b->reading.read.log.last, last);
    assert_int_equal(b->reading.read.log.count, count);
}

static void put(struct bench *b, const char *table, const char *key, const char *value)
{
    struct gnt_batch batch = {0};
    gnt_batch_put(&batch, str(table), str(key), str(value), NULL);
    assert_int_equal(commit(b, &batch), GNT_OK);
}

static gnt_err append(struct bench *b, const char *log, uint64_t sequence, const char *value)
{
    struct gnt_batch batch = {0};
    gnt_batch_append(&batch, str(log), sequence, str(value), NULL);
    return commit(b, &batch);
}

static struct gnt_message *message(const char *payload)
{
    struct gnt_message_init init = {
        .topic = str("t"), .payload = str(payload), .qos = 1, .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

static void tables(void **state)
{
    struct bench *b = *state;
    assert_string_equal(get(b, "t", "k"), gnt_err_text(GNT_NOTFOUND));
    put(b, "t", "k", "one");
    assert_string_equal(get(b, "t", "k"), "k=one ");
    put(b, "t", "k", "two");
    assert_string_equal(get(b, "t", "k"), "k=two ");
    assert_string_equal(get(b, "u", "k"), gnt_err_text(GNT_NOTFOUND));
    assert_string_equal(get(b, "t", "kk"), gnt_err_text(GNT_NOTFOUND));
    put(b, "t", "kk", "longer");
    assert_string_equal(get(b, "t", "k"), "k=two ");
    put(b, "t", "empty", "");
    assert_string_equal(get(b, "t", "empty"), "empty= ");
    struct gnt_batch batch = {0};
    gnt_batch_delete(&batch, str("t"), str("k"));
    gnt_batch_delete(&batch, str("t"), str("never there"));
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_string_equal(get(b, "t", "k"), gnt_err_text(GNT_NOTFOUND));
    assert_string_equal(get(b, "t", "kk"), "kk=longer ");
}

static void scans(void **state)
{
    struct bench *b = *state;
    static const char *const keys[] = {"c", "a", "b/2", "b", "b/1", "b/10", "d"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(b, "t", keys[i], "");
    put(b, "s", "x", "");
    put(b, "tt", "y", "");
    assert_string_equal(scan(b, "t", "", "", 100), "a= b= b/1= b/10= b/2= c= d= ");
    assert_string_equal(scan(b, "t", "", "", 7), "a= b= b/1= b/10= b/2= c= d= ");
    assert_string_equal(scan(b, "t", "", "", 2), "a= b= ...");
    assert_string_equal(scan(b, "t", "", "b", 3), "b/1= b/10= b/2= ...");
    assert_string_equal(scan(b, "t", "", "d", 3), "");
    assert_string_equal(scan(b, "t", "", "bb", 3), "c= d= "); /* no such key */
    assert_string_equal(scan(b, "t", "b/", "", 9), "b/1= b/10= b/2= ");
    assert_string_equal(scan(b, "t", "b/", "b/1", 1), "b/10= ...");
    assert_string_equal(scan(b, "t", "b/", "a", 9), "b/1= b/10= b/2= ");
    assert_string_equal(scan(b, "t", "b/", "c", 9), "");
    assert_string_equal(scan(b, "t", "b/1", "b/1", 9), "b/10= ");
    assert_string_equal(scan(b, "u", "", "", 9), "");
    assert_string_equal(scan(b, "s", "", "", 9), "x= ");
}

/* In slices of one, while what has been seen goes and what is ahead comes. */
static void a_scan_bears_changes(void **state)
{
    struct bench *b = *state;
    put(b, "t", "a", "");
    put(b, "t", "c", "");
    put(b, "t", "e", "");
    assert_string_equal(scan(b, "t", "", "", 1), "a= ...");
    struct gnt_batch batch = {0};
    gnt_batch_delete(&batch, str("t"), str("a"));
    gnt_batch_put(&batch, str("t"), str("b"), str(""), NULL);
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_string_equal(scan(b, "t", "", "a", 1), "b= ...");
    assert_string_equal(scan(b, "t", "", "b", 1), "c= ...");
    assert_string_equal(scan(b, "t", "", "c", 1), "e= ");
}

static void logs(void **state)
{
    struct bench *b = *state;
    assert_log(b, "l", 0, 0, 0);
    assert_int_equal(append(b, "l", 1, "one"), GNT_OK);
    assert_int_equal(append(b, "l", 2, "two"), GNT_OK);
    assert_int_equal(append(b, "l", 300, "gap"), GNT_OK); /* compares as a number, not as text */
    assert_int_equal(append(b, "ll", 7, "other"), GNT_OK);
    assert_int_equal(append(b, "l", UINT64_C(1) << 40, "far"), GNT_OK);
    assert_log(b, "l", 1, UINT64_C(1) << 40, 4);
    assert_string_equal(read_log(b, "l", 0, 100), "1=one 2=two 300=gap 1099511627776=far ");
    assert_string_equal(read_log(b, "l", 2, 2), "2=two 300=gap ...");
    assert_string_equal(read_log(b, "l", 3, 1), "300=gap ...");
    assert_string_equal(read_log(b, "l", (UINT64_C(1) << 40) + 1, 9), "");
    assert_string_equal(read_log(b, "ll", 1, 9), "7=other ");

    struct gnt_batch batch = {0};
    gnt_batch_remove(&batch, str("l"), 2);
    gnt_batch_remove(&batch, str("l"), 3); /* was never there */
    gnt_batch_remove(&batch, str("none"), 3);
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_string_equal(read_log(b, "l", 1, 2), "1=one 300=gap ...");
    assert_log(b, "l", 1, UINT64_C(1) << 40, 3);

    gnt_batch_trim(&batch, str("l"), 300);
    gnt_batch_trim(&batch, str("none"), 300);
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_log(b, "l", UINT64_C(1) << 40, UINT64_C(1) << 40, 1);
    assert_string_equal(read_log(b, "ll", 1, 9), "7=other ");
}

/* A batch that had to wait comes behind those that were numbered after it. */
static void numbers_come_in_any_order(void **state)
{
    struct bench *b = *state;
    static const uint64_t numbers[] = {5, 9, 3, 8, 7, 1};
    assert_int_equal(append(b, "l", 0, "none"), GNT_INVALID);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_int_equal(append(b, "l", numbers[i], "x"), GNT_OK);
    assert_string_equal(read_log(b, "l", 1, 9), "1=x 3=x 5=x 7=x 8=x 9=x ");
    assert_string_equal(read_log(b, "l", 4, 2), "5=x 7=x ...");
    assert_log(b, "l", 1, 9, 6);
    struct gnt_batch batch = {0};
    gnt_batch_trim(&batch, str("l"), 5);
    gnt_batch_append(&batch, str("l"), 4, str("late"), NULL); /* stands, though it is below */
    gnt_batch_append(&batch, str("l"), 6, str("late"), NULL);
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_string_equal(read_log(b, "l", 1, 9), "4=late 6=late 7=x 8=x 9=x ");
    gnt_batch_trim(&batch, str("l"), UINT64_MAX);
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_log(b, "l", 0, 9, 0); /* empty, but it remembers */
    assert_int_equal(append(b, "l", 2, "late"), GNT_OK);
    assert_log(b, "l", 2, 9, 1);
    gnt_batch_drop(&batch, str("l"));
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_log(b, "l", 0, 0, 0);
    assert_int_equal(append(b, "l", 1, "a new life"), GNT_OK);
    assert_string_equal(read_log(b, "l", 1, 9), "1=a new life ");
    assert_log(b, "l", 1, 1, 1);
}

static void a_batch_in_order(void **state)
{
    struct bench *b = *state;
    struct gnt_batch batch = {0};
    assert_int_equal(append(b, "l", 9, "old"), GNT_OK);
    gnt_batch_put(&batch, str("t"), str("k"), str("1"), NULL);
    gnt_batch_delete(&batch, str("t"), str("k"));
    gnt_batch_put(&batch, str("t"), str("k"), str("2"), NULL);
    gnt_batch_put(&batch, str("t"), str("gone"), str("3"), NULL);
    gnt_batch_delete(&batch, str("t"), str("gone"));
    gnt_batch_drop(&batch, str("l"));
    gnt_batch_append(&batch, str("l"), 1, str("new"), NULL);
    gnt_batch_append(&batch, str("l"), 2, str("newer"), NULL);
    gnt_batch_remove(&batch, str("l"), 1);
    gnt_batch_append(&batch, str("m"), 1, str("brief"), NULL);
    gnt_batch_drop(&batch, str("m"));
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_string_equal(scan(b, "t", "", "", 9), "k=2 ");
    assert_string_equal(read_log(b, "l", 1, 9), "2=newer ");
    assert_log(b, "l", 2, 2, 1);
    assert_log(b, "m", 0, 0, 0);
}

static void all_or_nothing(void **state)
{
    struct bench *b = *state;
    put(b, "t", "old", "1");
    assert_int_equal(append(b, "l", 5, "x"), GNT_OK);
    struct gnt_batch batch = {0};
    gnt_batch_put(&batch, str("t"), str("new"), str("2"), NULL);
    gnt_batch_put(&batch, str("t"), str("old"), str("2"), NULL);
    gnt_batch_delete(&batch, str("t"), str("old"));
    gnt_batch_append(&batch, str("fresh"), 1, str("y"), NULL);
    gnt_batch_append(&batch, str("l"), 6, str("y"), NULL);
    gnt_batch_trim(&batch, str("l"), 6);
    gnt_batch_append(&batch, str("l"), 0, str("a number that there is not"), NULL);
    assert_int_equal(commit(b, &batch), GNT_INVALID);
    assert_string_equal(scan(b, "t", "", "", 9), "old=1 ");
    assert_string_equal(read_log(b, "l", 1, 9), "5=x ");
    assert_log(b, "l", 5, 5, 1);
    assert_log(b, "fresh", 0, 0, 0);
    assert_int_equal(append(b, "l", 6, "y"), GNT_OK); /* its number was not used up */
    assert_int_equal(append(b, "fresh", 1, "y"), GNT_OK);
}

static void messages(void **state)
{
    struct bench *b = *state;
    struct gnt_message *m = message("21.5");
    struct gnt_batch batch = {0};
    gnt_batch_append(&batch, str("a"), 1, str("h1"), m);
    gnt_batch_append(&batch, str("b"), 1, str("h2"), m);
    gnt_batch_put(&batch, str("retained"), str("t"), str(""), m);
    gnt_message_unref(&m); /* the batch has its own */
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_string_equal(read_log(b, "a", 1, 9), "1=h1(21.5) ");
    gnt_batch_drop(&batch, str("a"));
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_string_equal(read_log(b, "b", 1, 9), "1=h2(21.5) ");
    gnt_batch_remove(&batch, str("b"), 1);
    assert_int_equal(commit(b, &batch), GNT_OK);
    assert_string_equal(get(b, "retained", "t"), "t=(21.5) ");
    put(b, "retained", "t", "none");
    assert_string_equal(get(b, "retained", "t"), "t=none ");
}

static void limits(void **state)
{
    struct bench *b = *state;
    static char text[GNT_STORE_VALUE_MAX + 1];
    memset(text, 'x', sizeof text);
    struct gnt_slice name = gnt_slice(text, GNT_STORE_NAME_MAX), nothing = {NULL, 0};
    struct gnt_slice key = gnt_slice(text, GNT_STORE_KEY_MAX);
    struct gnt_slice value = gnt_slice(text, GNT_STORE_VALUE_MAX);
    struct gnt_batch batch = {0};
    gnt_batch_put(&batch, name, key, value, NULL);
    gnt_batch_append(&batch, name, UINT64_MAX, value, NULL);
    assert_int_equal(commit(b, &batch), GNT_OK);
    gnt_batch_delete(&batch, name, key);
    gnt_batch_drop(&batch, name);
    assert_int_equal(commit(b, &batch), GNT_OK);
    const struct {
        struct gnt_slice name, key, value;
        gnt_err err;
    } rows[] = {
        {gnt_slice(text, GNT_STORE_NAME_MAX + 1), key, value, GNT_TOOBIG},
        {name, gnt_slice(text, GNT_STORE_KEY_MAX + 1), value, GNT_TOOBIG},
        {name, key, gnt_slice(text, GNT_STORE_VALUE_MAX + 1), GNT_TOOBIG},
        {nothing, key, value, GNT_INVALID},
        {name, nothing, value, GNT_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gnt_batch_put(&batch, str("t"), str("good"), str(""), NULL);
        gnt_batch_put(&batch, rows[i].name, rows[i].key, rows[i].value, NULL);
        gnt_batch_put(&batch, str("t"), str("good, too"), str(""), NULL);
        assert_int_equal(commit(b, &batch), rows[i].err);
        assert_string_equal(scan(b, "t", "", "", 9), "");
    }
    assert_string_equal(scan(b, "t", "", "", 0), gnt_err_text(GNT_INVALID));
    assert_string_equal(scan(b, "t", "", "", GNT_STORE_READ_MAX + 1), gnt_err_text(GNT_INVALID));
    assert_string_equal(read_log(b, "l", 1, GNT_STORE_READ_MAX + 1), gnt_err_text(GNT_INVALID));
    assert_string_equal(read_log(b, "", 1, 1), gnt_err_text(GNT_INVALID));
    assert_string_equal(get(b, "t", ""), gnt_err_text(GNT_INVALID));
}

static void commits_complete_in_order(void **state)
{
    struct bench *b = *state;
    struct commit c[5];
    completions = 0;
    for (uint64_t i = 0; i < 5; i++) {
        struct gnt_batch batch = {0};
        if (i != 3) /* an empty one waits its turn as well */
            gnt_batch_append(&batch, str("l"), i + 1, str("x"), NULL);
        commit_init(&c[i], &b->desk);
        gnt_store_commit(b->store, &batch, &c[i].completion);
    }
    while (!c[4].done)
        desk_next(&b->desk, b->store);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(c[i].done, 1);
        assert_int_equal(c[i].result, GNT_OK);
        assert_int_equal(c[i].place, i);
    }
    assert_string_equal(read_log(b, "l", 1, 9), "1=x 2=x 3=x 5=x ");
}

static void failures_leave_nothing(void **state)
{
    struct bench *b = *state;
    if (!sut->fail_next)
        skip();
    static const gnt_err errs[] = {GNT_IO, GNT_FULL};
    for (size_t i = 0; i < 2; i++) {
        struct gnt_batch batch = {0};
        struct gnt_message *m = message("lost");
        sut->fail_next(b->store, errs[i]);
        gnt_batch_put(&batch, str("t"), str("k"), str("v"), m);
        gnt_batch_append(&batch, str("l"), 1, str("v"), m);
        gnt_message_unref(&m);
        assert_int_equal(commit(b, &batch), errs[i]);
        assert_string_equal(scan(b, "t", "", "", 9), "");
        assert_log(b, "l", 0, 0, 0);
    }
    assert_int_equal(append(b, "l", 1, "now"), GNT_OK);
    assert_string_equal(read_log(b, "l", 1, 9), "1=now ");
}

/* A commit whose completion commits again, as many times as `left` says. */
struct chain {
    struct gnt_completion completion;
    struct gnt_store *store;
    uint64_t next, left;
};

static void chain_done(struct gnt_completion *c, gnt_err result)
{
    struct chain *chain = GNT_CONTAINER(c, struct chain, completion);
    assert_int_equal(result, GNT_OK);
    if (chain->left-- == 0)
        return;
    struct gnt_batch batch = {0};
    gnt_batch_append(&batch, str("l"), ++chain->next, str("x"), NULL);
    gnt_store_commit(chain->store, &batch, &chain->completion);
}

static void a_completion_may_commit(void **state)
{
    struct bench *b = *state;
    struct chain chain = {.store = b->store, .left = 3};
    chain.completion.done = chain_done;
    chain.completion.deliver = desk_deliver;
    chain.completion.context = &b->desk;
    struct gnt_batch batch = {0};
    gnt_store_commit(b->store, &batch, &chain.completion);
    while (chain.left != UINT64_MAX)
        desk_next(&b->desk, b->store);
    assert_string_equal(read_log(b, "l", 1, 9), "1=x 2=x 3=x ");
}

/* A reader that removes each entry as it sees it, and starts to read again. */
struct consumer {
    struct gnt_store_read read;
    struct bench *bench;
    struct commit commits[3];
    unsigned seen;
};

static void consume(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    struct consumer *c = GNT_CONTAINER(read, struct consumer, read);
    struct gnt_batch batch = {0};
    gnt_batch_remove(&batch, str("l"), record->sequence);
    commit_init(&c->commits[c->seen], &c->bench->desk);
    gnt_store_commit(c->bench->store, &batch, &c->commits[c->seen++].completion);
    assert_int_equal(record->value.size, 3); /* still lent, whatever was committed */
    assert_memory_equal(record->message->payload.data, "payload", 7);
}

static void consumed(struct gnt_completion *c, gnt_err result)
{
    (void)c;
    assert_int_equal(result, GNT_OK);
}

static void a_reader_may_commit(void **state)
{
    struct bench *b = *state;
    struct gnt_message *m = message("payload");
    struct gnt_batch batch = {0};
    for (uint64_t i = 1; i <= 3; i++)
        gnt_batch_append(&batch, str("l"), i, str("abc"), m);
    gnt_message_unref(&m);
    assert_int_equal(commit(b, &batch), GNT_OK);
    struct consumer c = {.bench = b};
    c.read.completion.done = consumed;
    c.read.completion.deliver = desk_deliver;
    c.read.completion.context = &b->desk;
    c.read.record = consume;
    gnt_store_read(b->store, str("l"), 1, 9, &c.read);
    while (c.seen < 3 || !c.commits[2].done)
        desk_next(&b->desk, b->store);
    assert_log(b, "l", 0, 3, 0);
}

enum { KEYS = 20, LOGS = 3, ENTRIES = 400, STEPS = 3000 };

/* The same contents in arrays. */
struct naive {
    int table[KEYS]; /* value, -1: none */
    bool entry[LOGS][ENTRIES + 1];
    bool used[LOGS][ENTRIES + 1]; /* the number; each comes once */
    uint64_t last[LOGS];
};

static void naive_append(struct naive *n, struct gnt_batch *batch, unsigned log, uint64_t number)
{
    char name[8];
    snprintf(name, sizeof name, "log%u", log);
    gnt_batch_append(batch, str(name), number, str(""), NULL);
    n->entry[log][number] = n->used[log][number] = true;
    if (number > n->last[log])
        n->last[log] = number;
}

static void random_write(struct naive *n, struct gnt_batch *batch, uint64_t r)
{
    unsigned key = (unsigned)(r >> 8) % KEYS, log = (unsigned)(r >> 16) % LOGS;
    uint64_t at = (r >> 24) % (n->last[log] + 2);
    char key_text[8], log_text[8], value[8];
    snprintf(key_text, sizeof key_text, "k%02u", key);
    snprintf(log_text, sizeof log_text, "log%u", log);
    snprintf(value, sizeof value, "%u", (unsigned)(r >> 40) % 1000);
    switch (r % 8) {
    case 0:
    case 1:
        gnt_batch_put(batch, str("t"), str(key_text), str(value), NULL);
        n->table[key] = (int)(r >> 40) % 1000;
        return;
    case 2:
        gnt_batch_delete(batch, str("t"), str(key_text));
        n->table[key] = -1;
        return;
    case 3:
        gnt_batch_remove(batch, str(log_text), at);
        n->entry[log][at] = false;
        return;
    case 4:
        if ((r >> 50) % 8)
            return;
        gnt_batch_trim(batch, str(log_text), at);
        for (uint64_t i = 0; i <= at; i++)
            n->entry[log][i] = false;
        return;
    default:
        if ((r >> 50) % 4 == 0 && at > 0 && !n->used[log][at]) { /* a late one */
            naive_append(n, batch, log, at);
            return;
        }
        if (n->last[log] < ENTRIES - 3) {
            naive_append(n, batch, log, n->last[log] + 1 + (r >> 52) % 2);
            return;
        }
        gnt_batch_drop(batch, str(log_text));
        memset(n->entry[log], 0, sizeof n->entry[log]);
        memset(n->used[log], 0, sizeof n->used[log]);
        n->last[log] = 0;
    }
}

static void compare(struct bench *b, const struct naive *n)
{
    struct reading want;
    want.size = 0;
    want.text[0] = '\0';
    for (unsigned i = 0; i < KEYS; i++)
        if (n->table[i] >= 0)
            say(&want, "k%02u=%d ", i, n->table[i]);
    assert_string_equal(scan(b, "t", "", "", KEYS), want.text);
    for (unsigned log = 0; log < LOGS; log++) {
        char name[8];
        snprintf(name, sizeof name, "log%u", log);
        want.size = 0;
        want.text[0] = '\0';
        uint64_t count = 0, first = 0;
        for (unsigned i = 1; i <= ENTRIES; i++) {
            if (!n->entry[log][i])
                continue;
            say(&want, "%u= ", i);
            first = count++ ? first : i;
        }
        assert_string_equal(read_log(b, name, 1, ENTRIES), want.text);
        assert_log(b, name, first, n->last[log], count);
    }
}

static void random_against_arrays(void **state)
{
    struct bench *b = *state;
    const char *given = getenv("GNATTER_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 4711;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct gnt_seeded g;
    gnt_seeded_init(&g, seed);
    static struct naive n, before;
    n = (struct naive){0};
    for (unsigned i = 0; i < KEYS; i++)
        n.table[i] = -1;
    for (unsigned step = 0; step < STEPS; step++) {
        struct gnt_batch batch = {0};
        before = n;
        for (uint64_t left = gnt_seeded_next(&g) % 8; left > 0; left--)
            random_write(&n, &batch, gnt_seeded_next(&g));
        bool bad = gnt_seeded_next(&g) % 8 == 0;
        if (bad) { /* the whole batch must vanish */
            gnt_batch_append(&batch, str("log0"), 0, str(""), NULL);
            n = before;
        }
        assert_int_equal(commit(b, &batch), bad ? GNT_INVALID : GNT_OK);
        if (step % 20 == 0)
            compare(b, &n);
    }
    compare(b, &n);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int store_contract(const struct store_under_test *under_test)
{
    const struct CMUnitTest tests[] = {
        TEST(tables),
        TEST(scans),
        TEST(a_scan_bears_changes),
        TEST(logs),
        TEST(numbers_come_in_any_order),
        TEST(a_batch_in_order),
        TEST(all_or_nothing),
        TEST(messages),
        TEST(limits),
        TEST(commits_complete_in_order),
        TEST(failures_leave_nothing),
        TEST(a_completion_may_commit),
        TEST(a_reader_may_commit),
        TEST(random_against_arrays),
    };
    sut = under_test;
    return cmocka_run_group_tests_name(under_test->name, tests, NULL, NULL);
}

/* One thread with a log and keys of its own, and a table that all write to. */
struct worker {
    pthread_t thread;
    struct gnt_store *store;
    struct gnt_message *message; /* the same for all */
    unsigned number;
    unsigned failures;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct desk desk;
    desk_init(&desk);
    char log[8];
    snprintf(log, sizeof log, "log%u", w->number);
    struct reading *r = calloc(1, sizeof *r);
    for (uint64_t i = 1; r && i <= ROUNDS; i++) {
        struct gnt_batch batch = {0};
        gnt_batch_append(&batch, str(log), i, str("x"), w->message);
        gnt_batch_put(&batch, str("all"), str("k"), str(log), w->message);
        if (i > 3)
            gnt_batch_remove(&batch, str(log), i - 3);
        w->failures += commit_on(w->store, &desk, &batch) != GNT_OK;
        reading_init(r, &desk);
        gnt_store_read(w->store, str(log), 1, 9, &r->read);
        while (!r->done)
            desk_next(&desk, w->store);
        w->failures += r->result != GNT_OK || r->records != (i < 3 ? i : 3);
        reading_init(r, &desk);
        gnt_store_scan(w->store, str("all"), str(""), str(""), 9, &r->read);
        while (!r->done)
            desk_next(&desk, w->store);
        w->failures += r->result != GNT_OK || r->records != 1;
    }
    w->failures += !r;
    free(r);
    desk_fini(&desk);
    return NULL;
}

static void many_threads(void **state)
{
    struct bench *b = *state;
    struct worker workers[THREADS];
    struct gnt_message *m = message("shared");
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = b->store, .message = m, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].failures, 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        char log[8];
        snprintf(log, sizeof log, "log%u", i);
        assert_log(b, log, ROUNDS - 2, ROUNDS, 3);
    }
    gnt_message_unref(&m);
}

int store_contract_threads(const struct store_under_test *under_test)
{
    const struct CMUnitTest tests[] = {TEST(many_threads)};
    sut = under_test;
    return cmocka_run_group_tests_name(under_test->name, tests, NULL, NULL);
}
