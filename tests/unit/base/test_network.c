#include "base/network.h"

#include "support/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int family;
        unsigned bits;
    } rows[] = {
        {"192.0.2.1", AF_INET, 32},
        {"10.0.0.0/8", AF_INET, 8},
        {"0.0.0.0/0", AF_INET, 0},
        {"10.128.0.0/9", AF_INET, 9},
        {"192.0.2.1/32", AF_INET, 32},
        {"::1", AF_INET6, 128},
        {"fd00::/8", AF_INET6, 8},
        {"::/0", AF_INET6, 0},
        {"2001:db8::/33", AF_INET6, 33},
        {"::1/128", AF_INET6, 128},
        {"unix", AF_UNIX, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_network n;
        const char *problem = NULL;
        assert_int_equal(gnt_network_parse(rows[i].text, &n, &problem), GNT_OK);
        assert_int_equal(n.family, rows[i].family);
        assert_int_equal(n.bits, rows[i].bits);
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const char any[] = "expected an address, a network such as 10.0.0.0/8 or fd00::/8, or "
                              "unix";
    static const char v4[] = "expected 0 to 32 bits behind the /";
    static const char v6[] = "expected 0 to 128 bits behind the /";
    static const char beyond[] = "the address goes on behind its network's bits: leave out the /, "
                                 "or put zeros";
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"", any},
        {"localhost", any},
        {"unix/0", any},
        {"Unix", any},
        {"1.2.3", any},
        {"1.2.3.4.5", any},
        {"01.2.3.4", any},
        {" 1.2.3.4", any},
        {"::1%lo", any},
        {":::", any},
        {"/8", any},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", any},
        {"10.0.0.0/", v4},
        {"10.0.0.0/33", v4},
        {"10.0.0.0/08", v4},
        {"10.0.0.0/-1", v4},
        {"10.0.0.0/8 ", v4},
        {"10.0.0.0/8/8", v4},
        {"10.0.0.0/256", v4},
        {"10.0.0.0/4294967304", v4},
        {"::/129", v6},
        {"10.0.0.1/8", beyond},
        {"10.192.0.0/9", beyond},
        {"192.0.2.1/31", beyond},
        {"::1/127", beyond},
        {"fd00::/7", beyond},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_network n = {.bits = 77};
        const char *problem = NULL;
        assert_int_equal(gnt_network_parse(rows[i].text, &n, &problem), GNT_INVALID);
        assert_string_equal(problem, rows[i].problem);
        assert_int_equal(n.bits, 77);
    }
}

/* TEXT: an address, "unix", or "other" for a family that nobody names. */
static void read_address(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 0xffff};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = 0xffff};
    *out = (struct sockaddr_storage){.ss_family = AF_UNIX};
    if (strcmp(text, "other") == 0)
        out->ss_family = AF_APPLETALK;
    else if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(out, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(out, &v6, sizeof v6);
    else
        assert_string_equal(text, "unix");
}

static void test_having(void **state)
{
    (void)state;
    static const struct {
        const char *network, *address;
        bool has;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.128.0.0/9", "10.128.0.1", true},
        {"10.128.0.0/9", "10.127.255.255", false},
        {"192.0.2.0/31", "192.0.2.1", true},
        {"192.0.2.0/31", "192.0.2.2", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"0.0.0.0/0", "unix", false},
        {"0.0.0.0/0", "other", false},
        {"::/0", "::1", true},
        {"::/0", "127.0.0.1", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
        {"2001:db8:8000::/33", "2001:db8:8000::1", true},
        {"2001:db8:8000::/33", "2001:db8:7fff::1", false},
        {"unix", "unix", true},
        {"unix", "127.0.0.1", false},
        {"unix", "other", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_network items[2];
        const struct gnt_networks both = {items, 2}, none = {NULL, 0};
        struct sockaddr_storage address;
        const char *problem;
        assert_int_equal(gnt_network_parse("198.51.100.7", &items[0], &problem), GNT_OK);
        assert_int_equal(gnt_network_parse(rows[i].network, &items[1], &problem), GNT_OK);
        read_address(rows[i].address, &address);
        assert_int_equal(gnt_networks_have(&both, (struct sockaddr *)&address), rows[i].has);
        assert_false(gnt_networks_have(&none, (struct sockaddr *)&address));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_having),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
