#include "model/address.h"

#include "support/unit.h"

#define NAME(kind) GNT_ADDRESS_##kind

static void good(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum gnt_address_kind kind;
        const char *entity, *group, *part;
        bool dead_letter;
    } rows[] = {
        {"orders", NAME(ENTITY), "orders", "", "", false},
        {"/orders", NAME(ENTITY), "orders", "", "", false},
        {"//orders", NAME(ENTITY), "/orders", "", "", false},
        {"a/b/c", NAME(ENTITY), "a/b/c", "", "", false},
        {"amqp://host/orders", NAME(ENTITY), "orders", "", "", false},
        {"AMQPS://host:5671/a/b", NAME(ENTITY), "a/b", "", "", false},
        {"sb://ns.example/orders", NAME(ENTITY), "orders", "", "", false},
        {"ws://[::1]:80/orders", NAME(ENTITY), "orders", "", "", false},
        {"mqtt://host/orders", NAME(ENTITY), "mqtt://host/orders", "", "", false},
        {"queue://orders", NAME(QUEUE), "orders", "", "", false},
        {"QUEUE://a/Partitions/0", NAME(QUEUE), "a/Partitions/0", "", "", false},
        {"queue://$cbs", NAME(QUEUE), "$cbs", "", "", false},
        {"topic://a/+/#", NAME(TOPIC), "a/+/#", "", "", false},
        {"topic:///a", NAME(TOPIC), "/a", "", "", false},
        {"topic://t/$management", NAME(TOPIC), "t/$management", "", "", false},
        {"topic://t/$DeadLetterQueue", NAME(TOPIC), "t/$DeadLetterQueue", "", "", false},
        {"topic://$queue/orders", NAME(QUEUE), "orders", "", "", false},
        {"topic://$queue/a/$DeadLetterQueue", NAME(QUEUE), "a", "", "", true},
        {"topic://$queue/", NAME(TOPIC), "$queue/", "", "", false},
        {"$cbs", NAME(CBS), "", "", "", false},
        {"$CBS", NAME(CBS), "", "", "", false},
        {"amqps://ns.example/$cbs", NAME(CBS), "", "", "", false},
        {"a/$cbs", NAME(ENTITY), "a/$cbs", "", "", false},
        {"$management", NAME(MANAGEMENT), "", "", "", false},
        {"orders/$management", NAME(MANAGEMENT), "orders", "", "", false},
        {"t/Subscriptions/s/$Management", NAME(MANAGEMENT), "t/Subscriptions/s", "", "", false},
        {"hub/Partitions/0", NAME(PARTITION), "hub", "", "0", false},
        {"hub/partitions/12", NAME(PARTITION), "hub", "", "12", false},
        {"hub/ConsumerGroups/$Default/Partitions/3", NAME(PARTITION), "hub", "$Default", "3",
         false},
        {"a/b/consumergroups/g/PARTITIONS/3", NAME(PARTITION), "a/b", "g", "3", false},
        {"ConsumerGroups/g/Partitions/3", NAME(PARTITION), "ConsumerGroups/g", "", "3", false},
        {"hub/Publishers/dev-1", NAME(PUBLISHER), "hub", "", "dev-1", false},
        {"Publishers/dev-1", NAME(ENTITY), "Publishers/dev-1", "", "", false},
        {"hub/Publishers/", NAME(ENTITY), "hub/Publishers/", "", "", false},
        {"t/Subscriptions/s", NAME(SUBSCRIPTION), "t", "", "s", false},
        {"orders/$DeadLetterQueue", NAME(ENTITY), "orders", "", "", true},
        {"queue://orders/$deadletterqueue", NAME(QUEUE), "orders", "", "", true},
        {"t/subscriptions/s/$deadletterqueue", NAME(SUBSCRIPTION), "t", "", "s", true},
        {"$DeadLetterQueue", NAME(ENTITY), "$DeadLetterQueue", "", "", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_address a;
        print_message("%s\n", rows[i].text);
        assert_int_equal(gnt_address_parse(gnt_slice_str(rows[i].text), &a), GNT_OK);
        assert_int_equal(a.kind, rows[i].kind);
        assert_true(gnt_slice_eq_str(a.entity, rows[i].entity));
        assert_true(gnt_slice_eq_str(a.group, rows[i].group));
        assert_true(gnt_slice_eq_str(a.part, rows[i].part));
        assert_int_equal(a.dead_letter, rows[i].dead_letter);
    }
}

static void bad(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "/",
        "amqp://",
        "amqp://host",
        "amqp://host/",
        "topic://",
        "queue://",
        "queue:///$DeadLetterQueue/$DeadLetterQueue",
        "orders/$DeadLetterQueue/$DeadLetterQueue",
        "hub/Partitions/0/$DeadLetterQueue",
        "hub/Publishers/p/$DeadLetterQueue",
        "$cbs/$DeadLetterQueue",
        "orders/$management/$DeadLetterQueue",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_address a = {.kind = GNT_ADDRESS_DYNAMIC};
        print_message("%s\n", rows[i]);
        assert_int_equal(gnt_address_parse(gnt_slice_str(rows[i]), &a), GNT_INVALID);
        assert_int_equal(a.kind, GNT_ADDRESS_DYNAMIC);
    }
}

/* Any bytes, and any front part of an address, can be looked at. */
static void any_bytes(void **state)
{
    (void)state;
    static const char text[] = "amqp://\xff/t/Subscriptions/\0s/$DeadLetterQueue";
    for (size_t from = 0; from < sizeof text; from++) {
        for (size_t to = from; to < sizeof text; to++) {
            struct gnt_address a;
            if (gnt_address_parse(gnt_slice(text + from, to - from), &a) == GNT_OK)
                assert_in_range(a.kind, 0, GNT_ADDRESS_SUBSCRIPTION);
        }
    }
    struct gnt_address a;
    assert_int_equal(gnt_address_parse(gnt_slice(NULL, 0), &a), GNT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
