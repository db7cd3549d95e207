/* What the AMQP client can do at a broker that is not ours: amqp_client URL PREFIX CHECK...
 *
 * PREFIX stands in front of the names of queues.  The environment has what TLS takes: AMQP_CA and
 * AMQP_PFX, names of files.  Says "ok CHECK" for each that went well; ends
 * with 1 and what was wrong at the first that did not. */
#include <gnatter/amqp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SOON_MS = 30000 };

static const char *url, *prefix, *check;

#define REQUIRE(condition)                                                             \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, check, #condition); \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

#define GOOD(call)                                                                   \
    do {                                                                             \
        int error_ = (call);                                                         \
        if (error_) {                                                                \
            fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, check, #call, \
                    gnatter_error_text(error_));                                     \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

static gnatter_amqp *connect_with(uint32_t frame, uint32_t idle_ms)
{
    gnatter_amqp *c = NULL;
    struct gnatter_amqp_options o;
    gnatter_amqp_options_init(&o);
    o.url = url;
    o.max_frame_size = frame ? frame : o.max_frame_size;
    o.idle_timeout_ms = idle_ms;
    o.tls.ca_file = getenv("AMQP_CA");
    o.tls.identity.pfx = getenv("AMQP_PFX");
    GOOD(gnatter_amqp_new(&o, &c));
    struct gnatter_amqp_info info;
    int error = gnatter_amqp_connect(c, SOON_MS);
    gnatter_amqp_get_info(c, &info);
    if (error)
        fprintf(stderr, "%s: %s\n", info.why.condition, info.why.description);
    GOOD(error);
    return c;
}

static const char *queue(const char *name)
{
    static char address[128];
    snprintf(address, sizeof address, "%s%s-%s", prefix, check, name);
    return address;
}

static gnatter_amqp_sender *sender_to(gnatter_amqp *c, const char *address)
{
    gnatter_amqp_sender *s = NULL;
    GOOD(gnatter_amqp_sender_new(c, &(struct gnatter_amqp_link){.address = address}, &s));
    return s;
}

static gnatter_amqp_receiver *receiver_by(gnatter_amqp *c, const struct gnatter_amqp_link *link)
{
    gnatter_amqp_receiver *r = NULL;
    GOOD(gnatter_amqp_receiver_new(c, link, &r));
    return r;
}

static gnatter_amqp_receiver *receiver_of(gnatter_amqp *c, const char *address)
{
    return receiver_by(c, &(struct gnatter_amqp_link){.address = address});
}

static void send_bytes(gnatter_amqp_sender *s, const void *bytes, size_t size)
{
    gnatter_amqp_message *m;
    GOOD(gnatter_amqp_message_new(&m));
    GOOD(gnatter_amqp_add_data(m, bytes, size));
    GOOD(gnatter_amqp_send_wait(s, m, SOON_MS, NULL));
    gnatter_amqp_message_free(m);
}

static gnatter_amqp_delivery *next(gnatter_amqp_receiver *r)
{
    gnatter_amqp_delivery *d = NULL;
    struct gnatter_amqp_link_info info;
    int error = gnatter_amqp_receive(r, SOON_MS, &d);
    gnatter_amqp_receiver_get_info(r, &info);
    if (error)
        fprintf(stderr, "%s: %s\n", info.why.condition, info.why.description);
    GOOD(error);
    return d;
}

static struct gnatter_bytes body_of(gnatter_amqp_delivery *d)
{
    return gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(d));
}

/* ---- The checks */

/* By the mechanism that AMQP_MECHANISM names. */
static void mechanism(void)
{
    struct gnatter_amqp_info info;
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_get_info(c, &info);
    if (strcmp(info.mechanism, getenv("AMQP_MECHANISM")) != 0)
        fprintf(stderr, "by %s\n", info.mechanism);
    REQUIRE(strcmp(info.mechanism, getenv("AMQP_MECHANISM")) == 0);
    gnatter_amqp_free(c);
}

static void count_outcome(gnatter_amqp_sender *s, const struct gnatter_amqp_outcome *o, void *count)
{
    (void)s;
    REQUIRE(o->error == 0 && o->state == GNATTER_AMQP_ACCEPTED);
    ++*(int *)count;
}

static void in_order(void)
{
    enum { ALL = 500 };
    int accepted = 0;
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_sender *s = sender_to(c, queue("q"));
    for (int i = 0; i < ALL; i++) {
        gnatter_amqp_message *m;
        GOOD(gnatter_amqp_message_new(&m));
        GOOD(gnatter_amqp_add_data(m, &i, sizeof i));
        GOOD(gnatter_amqp_send(s, m, count_outcome, &accepted));
        gnatter_amqp_message_free(m);
    }
    GOOD(gnatter_amqp_sender_flush(s, SOON_MS));
    gnatter_amqp_receiver *r = receiver_of(c, queue("q"));
    for (int i = 0; i < ALL; i++) {
        int number;
        gnatter_amqp_delivery *d = next(r);
        REQUIRE(body_of(d).size == sizeof number);
        memcpy(&number, body_of(d).data, sizeof number);
        REQUIRE(number == i);
        GOOD(gnatter_amqp_accept(d));
    }
    GOOD(gnatter_amqp_close(c, SOON_MS));
    gnatter_amqp_free(c);
    REQUIRE(accepted == ALL);
}

static void fill(gnatter_amqp_message *m)
{
    static const char uuid[] = "0123456789abcdef";
    const struct gnatter_amqp_value simple[] = {
        gnatter_amqp_boolean(true),
        gnatter_amqp_number(GNATTER_AMQP_UBYTE, UINT8_MAX),
        gnatter_amqp_number(GNATTER_AMQP_USHORT, UINT16_MAX),
        gnatter_amqp_uint(UINT32_MAX),
        gnatter_amqp_ulong(UINT64_MAX),
        gnatter_amqp_integer(GNATTER_AMQP_BYTE, INT8_MIN),
        gnatter_amqp_integer(GNATTER_AMQP_SHORT, INT16_MIN),
        gnatter_amqp_int(INT32_MIN),
        gnatter_amqp_long(INT64_MIN),
        gnatter_amqp_real(GNATTER_AMQP_FLOAT, 1.5),
        gnatter_amqp_double(-1e300),
        gnatter_amqp_number(GNATTER_AMQP_CHAR, 0x1f40b),
        gnatter_amqp_timestamp(1234567890123),
        gnatter_amqp_bytes(GNATTER_AMQP_UUID, uuid, 16),
        gnatter_amqp_binary("\0\xff", 2),
        gnatter_amqp_string("\xc3\xa4\xe2\x82\xac"),
        gnatter_amqp_symbol("symbol"),
    };
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        GOOD(gnatter_amqp_put(m, GNATTER_AMQP_APPLICATION_PROPERTIES,
                              gnatter_amqp_type_name(simple[i].type), simple[i]));
    GOOD(gnatter_amqp_put(m, GNATTER_AMQP_MESSAGE_ANNOTATIONS, "x-opt-test", simple[8]));
    GOOD(gnatter_amqp_set(m, GNATTER_AMQP_MESSAGE_ID, gnatter_amqp_string("id-1")));
    GOOD(gnatter_amqp_set(m, GNATTER_AMQP_SUBJECT, gnatter_amqp_string("subject")));
    GOOD(gnatter_amqp_set(m, GNATTER_AMQP_REPLY_TO, gnatter_amqp_string("reply")));
    GOOD(gnatter_amqp_set(m, GNATTER_AMQP_CORRELATION_ID, gnatter_amqp_string("other")));
    GOOD(gnatter_amqp_set(m, GNATTER_AMQP_CREATION_TIME, gnatter_amqp_timestamp(1234567890123)));
    GOOD(gnatter_amqp_set(m, GNATTER_AMQP_CONTENT_TYPE, gnatter_amqp_symbol("a/b")));
    GOOD(gnatter_amqp_set(m, GNATTER_AMQP_DURABLE, gnatter_amqp_boolean(true)));
}

static void set_body(gnatter_amqp_message *m)
{
    gnatter_amqp_builder *b;
    struct gnatter_amqp_value map;
    GOOD(gnatter_amqp_builder_new(&b));
    gnatter_amqp_begin(b, GNATTER_AMQP_MAP);
    gnatter_amqp_add(b, gnatter_amqp_string("list"));
    gnatter_amqp_begin(b, GNATTER_AMQP_LIST);
    gnatter_amqp_add(b, gnatter_amqp_null());
    gnatter_amqp_add(b, gnatter_amqp_int(-7));
    gnatter_amqp_end(b);
    gnatter_amqp_add(b, gnatter_amqp_string("array"));
    gnatter_amqp_begin(b, GNATTER_AMQP_ARRAY);
    gnatter_amqp_add(b, gnatter_amqp_symbol("one"));
    gnatter_amqp_add(b, gnatter_amqp_symbol("two"));
    gnatter_amqp_end(b);
    gnatter_amqp_end(b);
    GOOD(gnatter_amqp_built(b, &map));
    GOOD(gnatter_amqp_set_value(m, map));
    gnatter_amqp_builder_free(b);
}

/* The same by what they are shown as: a map may come back in another order. */
static void compare(const gnatter_amqp_message *a, const gnatter_amqp_message *b)
{
    char left[1024], right[1024];
    struct gnatter_amqp_value v, w;
    struct gnatter_amqp_value all = gnatter_amqp_all(a, GNATTER_AMQP_APPLICATION_PROPERTIES);
    struct gnatter_amqp_walk items = gnatter_amqp_items(&all);
    while (gnatter_amqp_next(&items, &v) && gnatter_amqp_next(&items, &w)) {
        char key[64];
        struct gnatter_amqp_value found;
        snprintf(key, sizeof key, "%.*s", (int)v.bytes.size, (const char *)v.bytes.data);
        REQUIRE(gnatter_amqp_look(b, GNATTER_AMQP_APPLICATION_PROPERTIES, key, &found));
        gnatter_amqp_show(&w, left, sizeof left);
        gnatter_amqp_show(&found, right, sizeof right);
        if (found.type != w.type || strcmp(left, right) != 0)
            fprintf(stderr, "%s: %s became %s\n", key, left, right);
        REQUIRE(found.type == w.type && strcmp(left, right) == 0);
    }
    for (int f = GNATTER_AMQP_MESSAGE_ID; f <= GNATTER_AMQP_CREATION_TIME; f++) {
        bool is = gnatter_amqp_get(a, (enum gnatter_amqp_field)f, &v);
        REQUIRE(!is || gnatter_amqp_get(b, (enum gnatter_amqp_field)f, &w));
        REQUIRE(!is || strcmp(gnatter_amqp_show(&v, left, sizeof left),
                              gnatter_amqp_show(&w, right, sizeof right)) == 0);
    }
    REQUIRE(gnatter_amqp_body(a) == gnatter_amqp_body(b));
    REQUIRE(gnatter_amqp_body_at(a, 0, &v) && gnatter_amqp_body_at(b, 0, &w));
    REQUIRE(strcmp(gnatter_amqp_show(&v, left, sizeof left),
                   gnatter_amqp_show(&w, right, sizeof right)) == 0);
}

static void all_types(void)
{
    gnatter_amqp_message *m;
    gnatter_amqp *c = connect_with(0, 0);
    GOOD(gnatter_amqp_message_new(&m));
    fill(m);
    set_body(m);
    GOOD(gnatter_amqp_send_wait(sender_to(c, queue("q")), m, SOON_MS, NULL));
    gnatter_amqp_delivery *d = next(receiver_of(c, queue("q")));
    compare(m, gnatter_amqp_delivery_message(d));
    GOOD(gnatter_amqp_accept(d));
    gnatter_amqp_message_free(m);
    gnatter_amqp_free(c);
}

static void outcomes(void)
{
    static const struct {
        const char *address;
        enum gnatter_amqp_state state;
    } rows[] = {
        {"rejects", GNATTER_AMQP_REJECTED},
        {"releases", GNATTER_AMQP_RELEASED},
        {"modifies", GNATTER_AMQP_MODIFIED},
    };
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_message *m;
    GOOD(gnatter_amqp_message_new(&m));
    GOOD(gnatter_amqp_add_data(m, "x", 1));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gnatter_amqp_outcome o;
        gnatter_amqp_sender *s = sender_to(c, rows[i].address);
        REQUIRE(gnatter_amqp_send_wait(s, m, SOON_MS, &o) == GNATTER_EREFUSED);
        REQUIRE(o.state == rows[i].state);
        REQUIRE(i != 0 || strcmp(o.why.condition, "test:wrong") == 0);
        REQUIRE(i != 2 || (o.delivery_failed && o.undeliverable_here));
    }
    gnatter_amqp_message_free(m);
    gnatter_amqp_free(c);
}

static void released(void)
{
    gnatter_amqp *c = connect_with(0, 0);
    send_bytes(sender_to(c, queue("q")), "again", 5);
    gnatter_amqp_receiver *r = receiver_of(c, queue("q"));
    GOOD(gnatter_amqp_release(next(r)));
    gnatter_amqp_delivery *d = next(r);
    REQUIRE(body_of(d).size == 5);
    GOOD(gnatter_amqp_accept(d));
    gnatter_amqp_free(c);
}

/* In frames of 4 KiB. */
static void large_of(size_t size)
{
    gnatter_amqp *c = connect_with(4096, 0);
    char *bytes = malloc(size);
    REQUIRE(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 13 + i / 253);
    send_bytes(sender_to(c, queue("q")), bytes, size);
    gnatter_amqp_delivery *d = next(receiver_of(c, queue("q")));
    REQUIRE(body_of(d).size == size && memcmp(body_of(d).data, bytes, size) == 0);
    GOOD(gnatter_amqp_accept(d));
    free(bytes);
    gnatter_amqp_free(c);
}

static void large(void)
{
    large_of(5 << 20);
}

static void huge(void)
{
    large_of(50 << 20);
}

static void drained(void)
{
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_sender *s = sender_to(c, queue("q"));
    gnatter_amqp_delivery *d;
    for (int i = 0; i < 3; i++)
        send_bytes(s, "m", 1);
    gnatter_amqp_receiver *r =
        receiver_by(c, &(struct gnatter_amqp_link){.address = queue("q"), .manual = true});
    GOOD(gnatter_amqp_receiver_credit(r, 10));
    GOOD(gnatter_amqp_receiver_drain(r, SOON_MS));
    for (int i = 0; i < 3; i++) {
        GOOD(gnatter_amqp_receive(r, 0, &d));
        GOOD(gnatter_amqp_accept(d));
    }
    REQUIRE(gnatter_amqp_receive(r, 0, &d) == GNATTER_ETIMEOUT);
    gnatter_amqp_free(c);
}

static void reply_to(void)
{
    struct gnatter_amqp_link_info info;
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_receiver *r = receiver_by(c, &(struct gnatter_amqp_link){.dynamic = true});
    GOOD(gnatter_amqp_receiver_ready(r, SOON_MS));
    gnatter_amqp_receiver_get_info(r, &info);
    REQUIRE(info.address[0]);
    send_bytes(sender_to(c, info.address), "reply", 5);
    GOOD(gnatter_amqp_accept(next(r)));
    gnatter_amqp_free(c);
}

static void many_links(void)
{
    enum { SESSIONS = 100, LINKS = 10 };
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_sender *all[SESSIONS * LINKS];
    for (int i = 0; i < SESSIONS; i++) {
        gnatter_amqp_session *session;
        GOOD(gnatter_amqp_session_new(c, &session));
        const struct gnatter_amqp_link link = {.address = queue("q"), .session = session};
        for (int j = 0; j < LINKS; j++)
            GOOD(gnatter_amqp_sender_new(c, &link, &all[i * LINKS + j]));
    }
    for (int i = 0; i < SESSIONS * LINKS; i++)
        send_bytes(all[i], "m", 1);
    gnatter_amqp_receiver *r = receiver_of(c, queue("q"));
    for (int i = 0; i < SESSIONS * LINKS; i++)
        GOOD(gnatter_amqp_accept(next(r)));
    gnatter_amqp_free(c);
}

/* Empty frames keep it, both ways.  RabbitMQ counts in whole seconds. */
static void idle(void)
{
    struct gnatter_amqp_info info;
    gnatter_amqp *c = connect_with(0, 4000);
    nanosleep(&(struct timespec){.tv_sec = 5}, NULL);
    gnatter_amqp_get_info(c, &info);
    REQUIRE(info.connected && info.connections == 1);
    gnatter_amqp_free(c);
}

static void settled(void)
{
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_sender *s;
    struct gnatter_amqp_delivery_info info;
    const struct gnatter_amqp_link link = {.address = queue("q"), .settle = GNATTER_AMQP_SETTLED};
    GOOD(gnatter_amqp_sender_new(c, &link, &s));
    send_bytes(s, "m", 1);
    gnatter_amqp_delivery *d = next(receiver_by(c, &link));
    gnatter_amqp_delivery_get_info(d, &info);
    REQUIRE(info.settled);
    GOOD(gnatter_amqp_accept(d));
    gnatter_amqp_free(c);
}

static void send_coloured(gnatter_amqp_sender *s, const char *colour)
{
    gnatter_amqp_message *m;
    GOOD(gnatter_amqp_message_new(&m));
    GOOD(gnatter_amqp_put(m, GNATTER_AMQP_APPLICATION_PROPERTIES, "colour",
                          gnatter_amqp_string(colour)));
    GOOD(gnatter_amqp_add_data(m, colour, strlen(colour)));
    GOOD(gnatter_amqp_send_wait(s, m, SOON_MS, NULL));
    gnatter_amqp_message_free(m);
}

static void expect(gnatter_amqp_receiver *r, const char *words)
{
    gnatter_amqp_delivery *d = next(r);
    REQUIRE(body_of(d).size == strlen(words));
    REQUIRE(memcmp(body_of(d).data, words, strlen(words)) == 0);
    GOOD(gnatter_amqp_accept(d));
}

static void selector(void)
{
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_sender *s = sender_to(c, queue("q"));
    const struct gnatter_amqp_link red = {.address = queue("q"), .selector = "colour = 'red'"};
    send_coloured(s, "blue");
    send_coloured(s, "red");
    expect(receiver_by(c, &red), "red");
    expect(receiver_of(c, queue("q")), "blue");
    gnatter_amqp_free(c);
}

static void browse(void)
{
    gnatter_amqp_delivery *d;
    gnatter_amqp *c = connect_with(0, 0);
    const struct gnatter_amqp_link look = {.address = queue("q"), .browse = true, .manual = true};
    send_coloured(sender_to(c, queue("q")), "red");
    gnatter_amqp_receiver *r = receiver_by(c, &look);
    GOOD(gnatter_amqp_receiver_credit(r, 10));
    GOOD(gnatter_amqp_receiver_drain(r, SOON_MS));
    expect(r, "red");
    REQUIRE(gnatter_amqp_receive(r, 0, &d) == GNATTER_ETIMEOUT);
    expect(receiver_of(c, queue("q")), "red");
    gnatter_amqp_free(c);
}

static void transaction(void)
{
    struct gnatter_amqp_error why = {.condition = ""};
    gnatter_amqp_transaction *t;
    gnatter_amqp_delivery *d;
    gnatter_amqp_message *m;
    gnatter_amqp *c = connect_with(0, 0);
    gnatter_amqp_sender *s = sender_to(c, queue("q"));
    gnatter_amqp_receiver *r = receiver_of(c, queue("q"));
    GOOD(gnatter_amqp_message_new(&m));
    GOOD(gnatter_amqp_add_data(m, "m", 1));
    int error = gnatter_amqp_declare(c, NULL, SOON_MS, &t, &why);
    if (error)
        fprintf(stderr, "%s: %s\n", why.condition, why.description);
    GOOD(error);
    GOOD(gnatter_amqp_post(t, s, m, NULL, NULL));
    GOOD(gnatter_amqp_discharge(t, true, SOON_MS, NULL));
    REQUIRE(gnatter_amqp_receive(r, 100, &d) == GNATTER_ETIMEOUT);
    GOOD(gnatter_amqp_declare(c, NULL, SOON_MS, &t, NULL));
    GOOD(gnatter_amqp_post(t, s, m, NULL, NULL));
    GOOD(gnatter_amqp_discharge(t, false, SOON_MS, NULL));
    GOOD(gnatter_amqp_declare(c, NULL, SOON_MS, &t, NULL));
    GOOD(gnatter_amqp_retire(next(r), t));
    GOOD(gnatter_amqp_discharge(t, false, SOON_MS, NULL));
    REQUIRE(gnatter_amqp_receive(r, 100, &d) == GNATTER_ETIMEOUT);
    gnatter_amqp_message_free(m);
    gnatter_amqp_free(c);
}

static const struct {
    const char *name;
    void (*run)(void);
} checks[] = {
    {"in-order", in_order}, {"all-types", all_types}, {"outcomes", outcomes},
    {"released", released}, {"large", large},         {"huge", huge},
    {"drained", drained},   {"reply-to", reply_to},   {"many-links", many_links},
    {"idle", idle},         {"settled", settled},     {"mechanism", mechanism},
    {"selector", selector}, {"browse", browse},       {"transaction", transaction},
};

static void run(const char *name)
{
    check = name;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        if (strcmp(checks[i].name, name) == 0) {
            checks[i].run();
            printf("ok %s\n", name);
            return;
        }
    }
    REQUIRE(!"there is such a check");
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: amqp_client URL PREFIX CHECK...\n");
        return 2;
    }
    url = argv[1];
    prefix = argv[2];
    setlinebuf(stdout);
    for (int i = 3; i < argc; i++)
        run(argv[i]);
    return 0;
}
