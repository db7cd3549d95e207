/* A client engine against a scripted server, as text: what the client does is compared with a line
 * of words, so that a test reads like the trace of a connection.
 *
 *     expect_events(s, "connected new|done publish #1 ok")
 *     expect_output(s, "PUBLISH q1 #1 topic=payload|PUBREL #2")
 */
#ifndef GNT_TESTS_CLIENT_SCRIPT_H
#define GNT_TESTS_CLIENT_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "mqtt/engine/client.h"

#include <stdio.h>
#include <stdlib.h>

struct script {
    struct gnt_client *c;
    enum gnt_mqtt_version version;
    uint64_t now;
    struct gnt_buf said; /* the client's bytes that no expect_output has seen */
    char text[8192];
};

__attribute__((format(printf, 2, 3))) static inline void say(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, sizeof((struct script *)0)->text - used, format, arguments);
    va_end(arguments);
}

static inline int size_of(struct gnt_slice s)
{
    return (int)s.size;
}

static inline const char *chars(struct gnt_slice s)
{
    return s.size ? (const char *)s.data : "";
}

/* ---- The client's side */

static inline struct gnt_client_options script_options(enum gnt_mqtt_version version)
{
    struct gnt_client_options o;
    gnt_client_options_init(&o);
    o.connect.version = (uint8_t)version;
    o.connect.client_id = gnt_slice_str("me");
    return o;
}

static inline void script_new(struct script *s, const struct gnt_client_options *o)
{
    *s = (struct script){.version = o->connect.version, .now = 1000 * GNT_NS_PER_S};
    assert_int_equal(gnt_client_new(o, &s->c), GNT_OK);
}

static inline void script_free(struct script *s)
{
    gnt_client_free(&s->c);
    gnt_buf_fini(&s->said);
}

static inline const char *request_name(uint8_t request)
{
    return request == GNT_MQTT_PUBLISH     ? "publish"
           : request == GNT_MQTT_SUBSCRIBE ? "subscribe"
                                           : "unsubscribe";
}

static inline const char *err_word(gnt_err err)
{
    switch (err) {
#define ERR_WORD(name, value, text) \
    case GNT_##name: return err == GNT_OK ? "ok" : #name;
        GNT_ERRS(ERR_WORD)
#undef ERR_WORD
    }
    return "?";
}

static inline void say_event(struct script *s, const struct gnt_client_event *e)
{
    const struct gnt_mqtt_publish *p = e->publish;
    if (s->text[0])
        say(s->text, "|");
    switch (e->type) {
    case GNT_CLIENT_CONNECTED:
        say(s->text, "connected %s", e->session_present ? "again" : "new");
        return;
    case GNT_CLIENT_CLOSED: say(s->text, "closed %s", err_word(e->err)); break;
    case GNT_CLIENT_MESSAGE:
        assert_int_equal(p->topic.data[p->topic.size], 0);
        say(s->text, "message q%d %s=%.*s%s%s", p->qos, (const char *)p->topic.data,
            size_of(p->payload), chars(p->payload), p->dup ? " dup" : "",
            p->retain ? " retain" : "");
        return;
    case GNT_CLIENT_DONE:
        say(s->text, "done %s #%d %s", request_name(e->request), (int)e->token, err_word(e->err));
        for (size_t i = 0; i < e->codes.size; i++)
            say(s->text, " %02x", e->codes.data[i]);
        break;
    case GNT_CLIENT_AUTH: say(s->text, "auth"); break;
    }
    if (e->code)
        say(s->text, " !%02x", e->code);
}

/* Takes the client's output into `said`. */
static inline void take_output(struct script *s)
{
    struct gnt_slice out = gnt_client_output(s->c);
    assert_int_equal(gnt_buf_put(&s->said, out), GNT_OK);
    gnt_client_sent(s->c, out.size, s->now);
}

static inline const char *events_text(struct script *s)
{
    struct gnt_client_event e;
    s->text[0] = '\0';
    do {
        while (gnt_client_event(s->c, s->now, &e))
            say_event(s, &e);
        take_output(s);
    } while (gnt_client_deadline(s->c) == 0);
    return s->text;
}

#define expect_events(s, wanted) assert_string_equal(events_text(s), wanted)

static inline void say_publish(struct script *s, const struct gnt_mqtt_packet *packet)
{
    const struct gnt_mqtt_publish *p = &packet->publish;
    say(s->text, " q%d", p->qos);
    if (p->id)
        say(s->text, " #%d", p->id);
    if (p->dup)
        say(s->text, " dup");
    if (p->retain)
        say(s->text, " retain");
    say(s->text, " %.*s=%.*s", size_of(p->topic), chars(p->topic),
        size_of(p->payload) < 40 ? size_of(p->payload) : 40, chars(p->payload));
    if (gnt_mqtt_has(&packet->props, GNT_PROP_TOPIC_ALIAS))
        say(s->text, " alias=%u", packet->props.number[GNT_PROP_TOPIC_ALIAS]);
    if (gnt_mqtt_has(&packet->props, GNT_PROP_MESSAGE_EXPIRY))
        say(s->text, " expiry=%u", packet->props.number[GNT_PROP_MESSAGE_EXPIRY]);
    if (gnt_mqtt_has(&packet->props, GNT_PROP_USER_PROPERTY))
        say(s->text, " user=%.*s", size_of(packet->props.text[GNT_PROP_USER_PROPERTY]),
            chars(packet->props.text[GNT_PROP_USER_PROPERTY]));
}

static inline void say_filters(struct script *s, const struct gnt_mqtt_packet *packet)
{
    struct gnt_slice list = packet->filters.list, filter;
    struct gnt_mqtt_subscription sub;
    say(s->text, " #%d", packet->filters.id);
    if (packet->type == GNT_MQTT_UNSUBSCRIBE)
        while (gnt_mqtt_next_filter(&list, &filter))
            say(s->text, " %.*s", size_of(filter), chars(filter));
    else
        while (gnt_mqtt_next_subscription(&list, s->version, &sub))
            say(s->text, " %.*s:%d", size_of(sub.filter), chars(sub.filter), sub.qos);
    if (gnt_mqtt_has(&packet->props, GNT_PROP_SUBSCRIPTION_ID))
        say(s->text, " id=%u", packet->props.number[GNT_PROP_SUBSCRIPTION_ID]);
}

static inline void say_packet(struct script *s, const struct gnt_mqtt_packet *p)
{
    say(s->text, "%s%s", s->text[0] ? "|" : "", gnt_mqtt_type_name(p->type));
    uint8_t code = 0;
    if (p->type == GNT_MQTT_CONNECT)
        say(s->text, " v%d %s id=%.*s", p->connect.version, p->connect.clean_start ? "clean" : "go",
            size_of(p->connect.client_id), chars(p->connect.client_id));
    if (p->type == GNT_MQTT_PUBLISH)
        say_publish(s, p);
    if (p->type == GNT_MQTT_SUBSCRIBE || p->type == GNT_MQTT_UNSUBSCRIBE)
        say_filters(s, p);
    if (p->type >= GNT_MQTT_PUBACK && p->type <= GNT_MQTT_PUBCOMP) {
        say(s->text, " #%d", p->ack.id);
        code = p->ack.code;
    }
    if (p->type == GNT_MQTT_DISCONNECT || p->type == GNT_MQTT_AUTH)
        code = p->close.code;
    if (code)
        say(s->text, " !%02x", code);
}

/* The next packet that the client has sent; false: none. */
static inline bool next_output(struct script *s, struct gnt_mqtt_packet *packet, size_t *size)
{
    struct gnt_mqtt_frame frame;
    uint8_t reason;
    if (gnt_buf_size(&s->said) == 0)
        return false;
    assert_int_equal(gnt_mqtt_frame(gnt_buf_slice(&s->said), SIZE_MAX, &frame), GNT_OK);
    assert_int_equal(gnt_mqtt_decode(&frame, s->version, GNT_MQTT_FROM_CLIENT, packet, &reason),
                     GNT_OK);
    *size = frame.size;
    return true;
}

static inline const char *output_text(struct script *s)
{
    struct gnt_mqtt_packet packet;
    size_t size;
    s->text[0] = '\0';
    take_output(s);
    while (next_output(s, &packet, &size)) {
        say_packet(s, &packet);
        gnt_buf_take(&s->said, size);
    }
    return s->text;
}

#define expect_output(s, wanted) assert_string_equal(output_text(s), wanted)

static inline uint64_t publish(struct script *s, uint8_t qos, const char *topic,
                               const char *payload)
{
    const struct gnt_client_publish p = {.topic = gnt_slice_str(topic),
                                         .payload = gnt_slice_str(payload),
                                         .qos = qos};
    uint64_t token = 0;
    assert_int_equal(gnt_client_publish(s->c, &p, NULL, s->now, &token), GNT_OK);
    return token;
}

static inline void subscribe(struct script *s, const char *filter, uint8_t qos)
{
    const struct gnt_mqtt_subscription sub = {.filter = gnt_slice_str(filter), .qos = qos};
    assert_int_equal(gnt_client_subscribe(s->c, &sub, 1, NULL, NULL, NULL), GNT_OK);
}

/* ---- The server's side: each gives the client bytes. */

static inline void serve(struct script *s, const void *bytes, size_t size)
{
    assert_int_equal(gnt_client_receive(s->c, gnt_slice(bytes, size), s->now), GNT_OK);
}

static inline void serve_connack_with(struct script *s, bool present, uint8_t code,
                                      const struct gnt_mqtt_prop *props, size_t count)
{
    uint8_t bytes[512];
    const struct gnt_mqtt_connack p = {present, code};
    const struct gnt_mqtt_proplist list = {.list = props, .count = count};
    assert_in_range(gnt_mqtt_connack_size(&p, s->version, &list), 1, sizeof bytes);
    uint8_t *end = gnt_mqtt_connack_write(bytes, &p, s->version, &list);
    serve(s, bytes, (size_t)(end - bytes));
}

static inline void serve_connack(struct script *s, bool present, uint8_t code)
{
    serve_connack_with(s, present, code, NULL, 0);
}

static inline void serve_ack(struct script *s, enum gnt_mqtt_type type, uint16_t id, uint8_t code)
{
    uint8_t bytes[16];
    const struct gnt_mqtt_ack p = {id, code};
    uint8_t *end = gnt_mqtt_ack_write(bytes, type, &p, s->version, NULL);
    serve(s, bytes, (size_t)(end - bytes));
}

static inline void serve_codes(struct script *s, enum gnt_mqtt_type type, uint16_t id,
                               const char *codes, size_t count)
{
    uint8_t bytes[64];
    const struct gnt_mqtt_codes p = {id, gnt_slice(codes, count)};
    uint8_t *end = gnt_mqtt_codes_write(bytes, type, &p, s->version, NULL);
    serve(s, bytes, (size_t)(end - bytes));
}

static inline void serve_publish_with(struct script *s, const struct gnt_mqtt_publish *p,
                                      const struct gnt_mqtt_prop *props, size_t count)
{
    uint8_t bytes[1024];
    const struct gnt_mqtt_proplist list = {.list = props, .count = count};
    uint8_t *at = gnt_mqtt_publish_head_write(bytes, p, s->version, &list);
    if (p->payload.size)
        memcpy(at, p->payload.data, p->payload.size);
    serve(s, bytes, (size_t)(at - bytes) + p->payload.size);
}

static inline void serve_publish(struct script *s, uint8_t qos, uint16_t id, const char *topic,
                                 const char *payload)
{
    const struct gnt_mqtt_publish p = {
        .qos = qos, .id = id, .topic = gnt_slice_str(topic), .payload = gnt_slice_str(payload)};
    serve_publish_with(s, &p, NULL, 0);
}

static inline void serve_close(struct script *s, enum gnt_mqtt_type type, uint8_t code,
                               const struct gnt_mqtt_prop *props, size_t count)
{
    uint8_t bytes[256];
    const struct gnt_mqtt_close p = {code};
    const struct gnt_mqtt_proplist list = {.list = props, .count = count};
    uint8_t *end = gnt_mqtt_close_write(bytes, type, &p, s->version, &list);
    serve(s, bytes, (size_t)(end - bytes));
}

static inline void serve_pong(struct script *s)
{
    uint8_t bytes[GNT_MQTT_PING_SIZE];
    gnt_mqtt_ping_write(bytes, GNT_MQTT_PINGRESP);
    serve(s, bytes, sizeof bytes);
}

/* Connects, with the session there or not; what the client says is thrown away. */
static inline void script_connect(struct script *s, bool present)
{
    assert_int_equal(gnt_client_connect(s->c, s->now), GNT_OK);
    take_output(s);
    gnt_buf_clear(&s->said);
    serve_connack(s, present, 0);
}

static inline void script_up(struct script *s)
{
    script_connect(s, false);
    expect_events(s, "connected new");
    output_text(s);
}

static inline void script_lost(struct script *s)
{
    gnt_client_lost(s->c, GNT_CLOSED);
    expect_events(s, "closed CLOSED");
    gnt_buf_clear(&s->said);
}

/* Whatever of its properties a test wants in CONNECT, on the stack of the caller. */
#define WITH_PROPS(options, ...)                                                        \
    const struct gnt_mqtt_prop props_[] = {__VA_ARGS__};                                \
    const struct gnt_mqtt_proplist list_ = {.list = props_,                             \
                                            .count = sizeof props_ / sizeof props_[0]}; \
    (options).props = &list_

#endif
