/* $management: requests as messages, and what is answered; the asker, the queue and the queue for
 * answers at homes of their own. */
#include "support/unit.h"

#include "amqp/codec/message.h"
#include "amqp/codec/print.h"
#include "auth/access.h"
#include "core/queue.h"
#include "front/amqp/management.h"
#include "front/amqp/management_words.h"
#include "support/alloc_fault.h"
#include "support/queue_world.h"

#include <stdio.h>

enum { HOMES = 3, TEXT = 8192 };

static struct world w;
static unsigned done;
static char said[TEXT]; /* the last answer, as it is printed; "" for none */

static int setup(void **state)
{
    (void)state;
    world_init(&w, HOMES, NULL);
    queue_id(&w, "replies", NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

/* ---- The receiver of answers */

static void on_opened(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result result)
{
    (void)home;
    assert_int_equal(result, GNT_QUEUE_DONE);
    gnt_consumer_credit(c, 10, true);
}

static void on_deliver(struct gnt_home *home, struct gnt_consumer *c, const struct gnt_queued *d)
{
    (void)home, (void)c;
    struct gnt_buf text = {NULL, 0, 0, 0};
    struct gnt_amqp_message sections;
    assert_int_equal(d->message->format, GNT_EXTRAS_AMQP);
    assert_slice(d->message->topic, "$queue/replies");
    assert_int_equal(gnt_amqp_message_split(d->message->payload, &sections), GNT_OK);
    assert_true(gnt_amqp_message_valid(&sections));
    assert_int_equal(gnt_amqp_print_message(&text, TEXT - 1, d->message->payload), GNT_OK);
    struct gnt_slice all = gnt_buf_slice(&text);
    memcpy(said, all.data, all.size);
    said[all.size] = '\0';
    gnt_buf_fini(&text);
}

static void on_nothing(struct gnt_home *home, struct gnt_consumer *c, uint64_t upto)
{
    (void)home, (void)c, (void)upto;
}

static void on_told(struct gnt_home *home, struct gnt_consumer *c, uint64_t sequence,
                    enum gnt_queue_result result)
{
    (void)home, (void)c, (void)sequence, (void)result;
}

static void on_ended(struct gnt_home *home, struct gnt_consumer *c, enum gnt_queue_result why)
{
    (void)home, (void)c, (void)why;
}

static void on_closed(struct gnt_home *home, struct gnt_consumer *c)
{
    (void)home, (void)c;
}

static const struct gnt_consumer_ops ops = {.opened = on_opened,
                                            .deliver = on_deliver,
                                            .drained = on_nothing,
                                            .settled = on_told,
                                            .ended = on_ended,
                                            .closed = on_closed};

static void collect(void)
{
    struct gnt_consumer c = {.ops = &ops, .mode = GNT_CONSUME_TAKE};
    said[0] = '\0';
    gnt_consumer_open(&w.core->homes[2], queue_facts(&w, "replies").id, &c);
    world_settle(&w);
    gnt_consumer_close(&c, false);
    world_settle(&w);
}

/* ---- Requests */

struct request {
    const char *operation, *name, *type, *reply_to;
    void (*put_body)(struct gnt_amqp_writer *w);
};

static void put_string(struct gnt_amqp_writer *out, const char *text)
{
    gnt_amqp_put_string(out, gnt_slice_str(text));
}

static uint32_t put_pair(struct gnt_amqp_writer *out, const char *key, const char *value)
{
    if (!value)
        return 0;
    put_string(out, key);
    put_string(out, value);
    return 2;
}

static struct gnt_slice encode(const struct request *r, uint8_t *bytes, size_t cap)
{
    struct gnt_amqp_writer out = gnt_amqp_writer(bytes, cap);
    struct gnt_amqp_properties properties = {.group_sequence = 0};
    if (strcmp(r->reply_to, "") != 0)
        GNT_AMQP_SET(&properties, reply_to, gnt_slice_str(r->reply_to));
    GNT_AMQP_SET(&properties, message_id, gnt_amqp_number(GNT_AMQP_ULONG, 7));
    gnt_amqp_put_properties(&out, &properties);
    size_t mark = gnt_amqp_begin_section(&out, GNT_AMQP_APPLICATION_PROPERTIES);
    uint32_t count = put_pair(&out, "operation", r->operation);
    count += put_pair(&out, "name", r->name);
    count += put_pair(&out, "type", r->type);
    gnt_amqp_end_map(&out, mark, count);
    gnt_amqp_put_descriptor(&out, GNT_AMQP_VALUE);
    if (r->put_body)
        r->put_body(&out);
    else
        gnt_amqp_put_null(&out);
    assert_true(gnt_amqp_fits(&out));
    return gnt_amqp_written(&out);
}

static void on_managed(struct gnt_home *home, void *context)
{
    (void)home;
    assert_ptr_equal(context, &w);
    done++;
}

static gnt_err start(const struct request *r, struct gnt_rights *rights)
{
    uint8_t bytes[2048];
    done = 0;
    gnt_err err =
        gnt_manage(&w.core->homes[1], encode(r, bytes, sizeof bytes), rights, on_managed, &w);
    memset(bytes, 0xee, sizeof bytes); /* it was copied */
    assert_int_equal(done, 0);
    return err;
}

/* The answer to R. */
static const char *asked(struct request r, struct gnt_rights *rights)
{
    if (!r.reply_to)
        r.reply_to = "replies";
    assert_int_equal(start(&r, rights), GNT_OK);
    world_settle(&w);
    assert_int_equal(done, 1);
    collect();
    return said;
}

#define DO(word, whom)   .operation = (word), .name = (whom)
#define ASKED(word, ...) asked((struct request){.operation = (word), __VA_ARGS__}, NULL)

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no '%s' in '%s'", part, text);
}

/* ---- Bodies */

static void body_options(struct gnt_amqp_writer *out)
{
    size_t map = gnt_amqp_begin_map(out);
    put_string(out, "lock"), gnt_amqp_put_uint(out, 60000);
    put_string(out, "max_deliveries"), gnt_amqp_put_int(out, 3);
    put_string(out, "overflow"), put_string(out, "reject");
    put_string(out, "groups"), gnt_amqp_put_boolean(out, true);
    put_string(out, "bind");
    size_t list = gnt_amqp_begin_list(out);
    put_string(out, "orders/#");
    gnt_amqp_end_list(out, list, 1);
    gnt_amqp_end_map(out, map, 10);
}

static void body_many(struct gnt_amqp_writer *out)
{
    size_t map = gnt_amqp_begin_map(out);
    put_string(out, "bind");
    size_t list = gnt_amqp_begin_list(out);
    for (int i = 0; i <= GNT_MANAGEMENT_BIND_MAX; i++)
        put_string(out, "a");
    gnt_amqp_end_list(out, list, GNT_MANAGEMENT_BIND_MAX + 1);
    gnt_amqp_end_map(out, map, 2);
}

static void body_update(struct gnt_amqp_writer *out)
{
    size_t map = gnt_amqp_begin_map(out);
    gnt_amqp_put_symbol(out, gnt_slice_str("max_deliveries")), gnt_amqp_put_null(out);
    put_string(out, "durable"), put_string(out, "always");
    gnt_amqp_end_map(out, map, 4);
}

static void body_columns(struct gnt_amqp_writer *out)
{
    size_t map = gnt_amqp_begin_map(out);
    put_string(out, "attributeNames");
    size_t list = gnt_amqp_begin_list(out);
    put_string(out, "ready"), put_string(out, "name");
    gnt_amqp_end_list(out, list, 2);
    gnt_amqp_end_map(out, map, 2);
}

#define BODY(NAME, put_key, put_value_)                  \
    static void body_##NAME(struct gnt_amqp_writer *out) \
    {                                                    \
        size_t map = gnt_amqp_begin_map(out);            \
        put_key, put_value_;                             \
        gnt_amqp_end_map(out, map, 2);                   \
    }
BODY(unknown, put_string(out, "colour"), put_string(out, "red"))
BODY(range, put_string(out, "max_deliveries"), gnt_amqp_put_ulong(out, 1000001))
BODY(negative, put_string(out, "lock"), gnt_amqp_put_int(out, -1))
BODY(word, put_string(out, "overflow"), put_string(out, "explode"))
BODY(flag, put_string(out, "groups"), gnt_amqp_put_uint(out, 1))
BODY(number, put_string(out, "lock"), put_string(out, "60s"))
BODY(key, gnt_amqp_put_uint(out, 1), gnt_amqp_put_uint(out, 1))
BODY(never, put_string(out, "durable"), put_string(out, "never"))
BODY(bind, put_string(out, "bind"), put_string(out, "a/b"))

static void body_column(struct gnt_amqp_writer *out)
{
    size_t map = gnt_amqp_begin_map(out);
    put_string(out, "attributeNames");
    size_t list = gnt_amqp_begin_list(out);
    put_string(out, "colour");
    gnt_amqp_end_list(out, list, 1);
    gnt_amqp_end_map(out, map, 2);
}

static void body_text(struct gnt_amqp_writer *out)
{
    put_string(out, "lock=60s");
}

/* ---- */

static void a_life(void **state)
{
    (void)state;
    const char *text = ASKED("CREATE", .name = "orders", .type = "queue", .put_body = body_options);
    assert_has(text, "correlation-id=ulong 7");
    assert_has(text, "\"statusCode\": int 201");
    struct gnt_queue_facts facts = queue_facts(&w, "orders");
    assert_int_equal(facts.options.lock_ms, 60000);
    assert_int_equal(facts.options.max_deliveries, 3);
    assert_int_equal(facts.options.overflow, GNT_QUEUE_REJECT);
    assert_int_equal(facts.options.groups, 1);
    assert_int_equal(facts.options.priority, 1);

    queue_send(&w, 0, facts.id, "x", false, NULL);
    world_settle(&w);
    text = ASKED("READ", .name = "orders");
    assert_has(text, "\"statusCode\": int 200");
    assert_has(text, "\"name\": \"orders\", \"type\": \"queue\"");
    assert_has(text, "\"lock\": ulong 60000");
    assert_has(text, "\"overflow\": \"reject\"");
    assert_has(text, "\"groups\": true");
    assert_has(text, "\"ready\": ulong 1");
    assert_has(text, "\"temporary\": false");

    text = ASKED("UPDATE", .name = "orders", .put_body = body_update);
    assert_has(text, "\"statusCode\": int 200");
    assert_has(text, "\"max_deliveries\": ulong 10");
    assert_has(text, "\"lock\": ulong 60000");
    assert_has(text, "\"durable\": \"always\"");

    text = ASKED("PURGE", .name = "orders");
    assert_has(text, "{\"purged\": ulong 1}");
    assert_int_equal(queue_facts(&w, "orders").ready, 0);
    assert_has(ASKED("DELETE", .name = "orders"), "\"statusCode\": int 204");
    assert_has(ASKED("READ", .name = "orders"), "\"statusCode\": int 404");
}

/* Its filters are bound, and stay when it gets other options. */
static void bound(void **state)
{
    (void)state;
    ASKED("CREATE", .name = "orders", .put_body = body_options);
    ASKED("UPDATE", .name = "orders", .put_body = body_update);
    assert_has(ASKED("READ", .name = "orders"), "\"bind\": [\"orders/#\"]");
    assert_has(ASKED("READ", .name = "replies"), "\"bind\": []");
    const struct gnt_message_init init = {.topic = gnt_slice_str("orders/1"),
                                          .payload = gnt_slice_str("x"),
                                          .expires = GNT_NEVER};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    gnt_publish(&w.core->homes[0], m, NULL);
    gnt_message_unref(&m);
    world_settle(&w);
    assert_int_equal(queue_facts(&w, "orders").ready, 1);
}

static void lists(void **state)
{
    (void)state;
    ASKED("CREATE", .name = "a");
    const char *text = ASKED("QUERY", .put_body = body_columns);
    assert_has(text, "\"statusCode\": int 200");
    assert_has(text, "\"attributeNames\": [\"ready\", \"name\"]");
    assert_has(text, "[ulong 0, \"a\"]");
    assert_has(text, "[ulong 0, \"replies\"]");
    assert_has(text, "\"more\": false");
    text = asked((struct request){.operation = "QUERY"}, NULL);
    assert_has(text, "\"attributeNames\": [\"name\", \"type\", \"lock\"");
}

static void mistakes(void **state)
{
    (void)state;
    ASKED("CREATE", .name = "there");
    const struct {
        struct request request;
        const char *answer;
    } rows[] = {
        {{DO("CREATE", "there")}, "int 409"},
        {{DO("UPDATE", "there"), .put_body = body_never}, "int 409"},
        {{DO("CREATE", "")}, "int 400"},
        {{DO("CREATE", "queue://x")}, "no address, and neither $ nor / in front: queue://x"},
        {{DO("CREATE", "a/$management")}, "means something else: a/$management"},
        {{.operation = "CREATE"}, "int 400"},
        {{DO("CREATE", "there/$DeadLetterQueue")}, "int 409"},
        {{DO("CREATE", "x"), .put_body = body_unknown}, "a value for it: colour"},
        {{DO("CREATE", "x"), .put_body = body_range}, "a value for it: max_deliveries"},
        {{DO("CREATE", "x"), .put_body = body_negative}, "int 400"},
        {{DO("CREATE", "x"), .put_body = body_word}, "int 400"},
        {{DO("CREATE", "x"), .put_body = body_flag}, "int 400"},
        {{DO("CREATE", "x"), .put_body = body_number}, "int 400"},
        {{DO("CREATE", "x"), .put_body = body_key}, "int 400"},
        {{DO("CREATE", "x"), .put_body = body_bind}, "bind: a list"},
        {{DO("CREATE", "x"), .put_body = body_many}, "bind: a list"},
        {{DO("CREATE", "x"), .put_body = body_text}, "int 400"},
        {{DO("UPDATE", "there"), .put_body = body_bind}, "int 400"},
        {{DO("UPDATE", "nowhere")}, "int 404"},
        {{DO("UPDATE", "there/$DeadLetterQueue")}, "int 400"},
        {{DO("DELETE", "nowhere")}, "int 404"},
        {{DO("PURGE", "nowhere")}, "int 404"},
        {{DO("READ", "there"), .type = "topic"}, "a type that is known here: topic"},
        {{.operation = "QUERY", .put_body = body_column}, "attributeNames"},
        {{DO("EXPLODE", "there")}, "int 501"},
        {{.name = "there"}, "int 501"},
        {{DO("READ\n\x1b[31m", "there")}, "known here: READ\\\\x0a\\\\x1b[31m"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_has(asked(rows[i].request, NULL), rows[i].answer);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND, "x", NULL, NULL), GNT_QUEUE_NOT_FOUND);
}

/* What cannot be answered is not done. */
static void no_request(void **state)
{
    (void)state;
    const char *const addresses[] = {"", "topic://a", "$management", "q/$DeadLetterQueue"};
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        struct request r = {DO("CREATE", "x"), .reply_to = addresses[i]};
        assert_int_equal(start(&r, NULL), GNT_INVALID);
    }
    static uint8_t much[GNT_MANAGEMENT_REQUEST_MAX + 1];
    assert_int_equal(gnt_manage(&w.core->homes[0], gnt_slice("ab", 2), NULL, on_managed, &w),
                     GNT_MALFORMED);
    assert_int_equal(gnt_manage(&w.core->homes[0], gnt_slice(much, sizeof much), NULL, on_managed,
                                &w),
                     GNT_TOOBIG);
    world_settle(&w);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND, "x", NULL, NULL), GNT_QUEUE_NOT_FOUND);
}

/* It is dealt with, and nobody hears of it. */
static void nobody_to_answer(void **state)
{
    (void)state;
    struct request r = {DO("CREATE", "x"), .reply_to = "queue://nowhere"};
    assert_int_equal(start(&r, NULL), GNT_OK);
    world_settle(&w);
    assert_int_equal(done, 1);
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_FIND, "x", NULL, NULL), GNT_QUEUE_DONE);
}

static struct gnt_rights *rights_of(const char *manage, const char *send)
{
    struct gnt_access *access;
    struct gnt_rights *rights;
    const char *why;
    const struct gnt_access_rule rules[] = {
        {.verbs = GNT_VERB_MANAGE, .permits = true, .on = gnt_slice_str(manage)},
        {.verbs = GNT_VERB_SEND, .permits = true, .on = gnt_slice_str(send)},
    };
    assert_int_equal(gnt_access_new(&access), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        assert_int_equal(gnt_access_add(access, &rules[i], &why), GNT_OK);
    assert_int_equal(gnt_access_seal(access), GNT_OK);
    const struct gnt_principal who = {.user = gnt_slice_str("me")};
    assert_int_equal(gnt_access_rights(access, who, &rights), GNT_OK);
    gnt_access_unref(&access);
    return rights;
}

static void on_made(struct gnt_home *home, struct gnt_entity_asking *asking,
                    enum gnt_queue_result result)
{
    (void)home, (void)asking;
    assert_int_equal(result, GNT_QUEUE_DONE);
}

/* As a dynamic node is: whoever knows its name may send to it. */
static void make_temporary(const char *name)
{
    struct gnt_entity_asking asking = {
        .done = on_made, .verb = GNT_ENTITY_CREATE, .name = gnt_slice_str(name), .temporary = true};
    gnt_entity_ask(&w.core->homes[0], &asking);
    world_settle(&w);
}

static void rights(void **state)
{
    (void)state;
    struct gnt_rights *some = rights_of("mine/#", "replies");
    assert_has(asked((struct request){DO("CREATE", "mine/a")}, some), "int 201");
    const char *const operations[] = {"CREATE", "READ", "UPDATE", "DELETE", "PURGE"};
    for (size_t i = 0; i < COUNT_OF(operations); i++)
        assert_has(asked((struct request){DO(operations[i], "yours")}, some), "int 403");
    /* A queue of one's own is no way to what one may not subscribe to. */
    assert_has(asked((struct request){DO("CREATE", "mine/b"), .put_body = body_options}, some),
               "all of: orders/#");
    const char *text =
        asked((struct request){.operation = "QUERY", .put_body = body_columns}, some);
    assert_has(text, "\"results\": [[ulong 0, \"mine/a\"]]");
    gnt_rights_unref(&some);

    struct gnt_rights *mute = rights_of("#", "nothing");
    assert_string_equal(asked((struct request){DO("READ", "mine/a")}, mute), "");
    assert_int_equal(queue_ask(&w, 0, GNT_ENTITY_DELETE, "replies", NULL, NULL), GNT_QUEUE_DONE);
    make_temporary("replies");
    assert_has(asked((struct request){DO("READ", "mine/a")}, mute), "int 200");
    gnt_rights_unref(&mute);
}

/* Whatever memory is missing, it is told once that it is over, and nothing is left behind. */
static void out_of_memory(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        struct request r = {.operation = "QUERY", .reply_to = "replies"};
        gnt_alloc_fail_at(n);
        gnt_err err = start(&r, NULL);
        if (!err)
            world_settle(&w);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        world_settle(&w);
        assert_int_equal(done, err ? 0 : 1);
        collect();
        if (!failed)
            break;
    }
    assert_has(said, "int 200");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life, setup, teardown),
        cmocka_unit_test_setup_teardown(bound, setup, teardown),
        cmocka_unit_test_setup_teardown(lists, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes, setup, teardown),
        cmocka_unit_test_setup_teardown(no_request, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_to_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(rights, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
