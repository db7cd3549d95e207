#include "support/unit.h"

#include "mqtt/codec/reason.h"

#include <string.h>

/* [MQTT5 2.4], written down a second time: C CONNACK, A PUBACK, R PUBREC, L PUBREL, P PUBCOMP,
 * S SUBACK, U UNSUBACK, D DISCONNECT, H AUTH. */
static const struct {
    uint8_t code;
    const char *in;
} standard[] = {
    {0x00, "CARLPSUDH"}, {0x01, "S"},      {0x02, "S"},  {0x04, "D"},      {0x10, "AR"},
    {0x11, "U"},         {0x18, "H"},      {0x19, "H"},  {0x80, "CARSUD"}, {0x81, "CD"},
    {0x82, "CD"},        {0x83, "CARSUD"}, {0x84, "C"},  {0x85, "C"},      {0x86, "C"},
    {0x87, "CARSUD"},    {0x88, "C"},      {0x89, "CD"}, {0x8a, "C"},      {0x8b, "D"},
    {0x8c, "CD"},        {0x8d, "D"},      {0x8e, "D"},  {0x8f, "SUD"},    {0x90, "CARD"},
    {0x91, "ARSU"},      {0x92, "LP"},     {0x93, "D"},  {0x94, "D"},      {0x95, "CD"},
    {0x96, "D"},         {0x97, "CARSD"},  {0x98, "D"},  {0x99, "CARD"},   {0x9a, "CD"},
    {0x9b, "CD"},        {0x9c, "CD"},     {0x9d, "CD"}, {0x9e, "SD"},     {0x9f, "CD"},
    {0xa0, "D"},         {0xa1, "SD"},     {0xa2, "SD"},
};

static const struct {
    char letter;
    uint32_t where;
} kinds[] = {
    {'C', GNT_IN_CONNACK},     {'A', GNT_IN_PUBACK},     {'R', GNT_IN_PUBREC},
    {'L', GNT_IN_PUBREL},      {'P', GNT_IN_PUBCOMP},    {'S', GNT_IN_SUBACK},
    {'U', GNT_IN_UNSUBACK},    {'D', GNT_IN_DISCONNECT}, {'H', GNT_IN_AUTH},
    {'-', GNT_IN_CONNECT},     {'-', GNT_IN_PUBLISH},    {'-', GNT_IN_SUBSCRIBE},
    {'-', GNT_IN_UNSUBSCRIBE}, {'-', GNT_IN_WILL},
};

static const char *where_allowed(unsigned code)
{
    for (size_t i = 0; i < COUNT_OF(standard); i++)
        if (standard[i].code == code)
            return standard[i].in;
    return NULL;
}

static void test_every_code_in_every_packet(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        const char *in = where_allowed(code);
        for (size_t k = 0; k < COUNT_OF(kinds); k++)
            assert_int_equal(gnt_mqtt_reason_allowed((uint8_t)code, kinds[k].where),
                             in != NULL && strchr(in, kinds[k].letter) != NULL);
    }
}

static void test_texts(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        const char *text = gnt_mqtt_reason_text((uint8_t)code);
        if (where_allowed(code))
            assert_string_not_equal(text, "unknown reason");
        else
            assert_string_equal(text, "unknown reason");
    }
    assert_string_equal(gnt_mqtt_reason_text(GNT_REASON_SUCCESS), "success");
    assert_string_equal(gnt_mqtt_reason_text(0x8e), "session taken over");
}

static void test_v3_connack(void **state)
{
    (void)state;
    static const struct {
        uint8_t code, v3;
    } rows[] = {
        {GNT_REASON_SUCCESS, 0},
        {GNT_REASON_UNSUPPORTED_VERSION, 1},
        {GNT_REASON_CLIENT_ID_NOT_VALID, 2},
        {GNT_REASON_SERVER_UNAVAILABLE, 3},
        {GNT_REASON_SERVER_BUSY, 3},
        {GNT_REASON_QUOTA_EXCEEDED, 3},
        {GNT_REASON_BAD_USER_OR_PASSWORD, 4},
        {GNT_REASON_NOT_AUTHORIZED, 5},
        {GNT_REASON_BANNED, 5},
        {0xff, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(gnt_mqtt_reason_to_v3_connack(rows[i].code), rows[i].v3);
    for (unsigned code = 0x80; code < 256; code++) /* a refusal must never become an acceptance */
        assert_in_range(gnt_mqtt_reason_to_v3_connack((uint8_t)code), 1, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_in_every_packet),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_v3_connack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
