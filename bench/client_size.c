/* The least program that uses all of the client engine's everyday work, for script/footprint to
 * link and weigh: connect, subscribe, publish at QoS 0 to 2, receive, keep alive, unsubscribe,
 * disconnect, in whichever version of MQTT the board asks for.  What a board has to bring is
 * declared here and defined by nobody's library: a transport and a clock. */
#include "mqtt/engine/client.h"

/* The board's.  The volatile keeps the compiler from knowing what they do. */
static volatile int board;
static uint8_t wire[64];

static __attribute__((noinline)) size_t board_read(uint8_t *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)board;
    return (size_t)board;
}

static __attribute__((noinline)) size_t board_write(const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        board = from[i];
    return size;
}

static __attribute__((noinline)) uint64_t board_now(void)
{
    return (uint64_t)board * GNT_NS_PER_MS;
}

static gnt_err publish_each_qos(struct gnt_client *c)
{
    gnt_err err = GNT_OK;
    struct gnt_client_publish p = {.topic = gnt_slice_str("board/reading"),
                                   .payload = gnt_slice_str("21.5")};
    for (p.qos = 0; !err && p.qos <= 2; p.qos++)
        err = gnt_client_publish(c, &p, NULL, board_now(), NULL);
    return err;
}

static void on_event(const struct gnt_client_event *e)
{
    if (e->type == GNT_CLIENT_MESSAGE)
        board = e->publish->payload.data[0];
}

int main(void)
{
    struct gnt_client_options options;
    struct gnt_client *c;
    gnt_client_options_init(&options);
    options.connect.version = (uint8_t)board;
    options.connect.client_id = gnt_slice_str("board");
    if (gnt_client_new(&options, &c) || gnt_client_connect(c, board_now()))
        return 1;
    const struct gnt_slice filter = gnt_slice_str("board/#");
    const struct gnt_mqtt_subscription wanted = {.filter = filter, .qos = 2};
    gnt_err err = gnt_client_subscribe(c, &wanted, 1, NULL, NULL, NULL);
    if (!err)
        err = publish_each_qos(c);
    while (!err && board) {
        struct gnt_client_event event;
        err = gnt_client_receive(c, gnt_slice(wire, board_read(wire, sizeof wire)), board_now());
        while (gnt_client_event(c, board_now(), &event))
            on_event(&event);
        struct gnt_slice out = gnt_client_output(c);
        gnt_client_sent(c, board_write(out.data, out.size), board_now());
        board = gnt_client_deadline(c) < board_now();
    }
    if (!err)
        err = gnt_client_unsubscribe(c, &filter, 1, NULL, NULL, NULL);
    if (!err)
        err = gnt_client_disconnect(c, 0, NULL);
    gnt_client_free(&c);
    return err != 0;
}
