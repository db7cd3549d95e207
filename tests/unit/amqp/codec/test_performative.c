#include "support/unit.h"

#include "support/alloc_fault.h"
#include "support/amqp_value.h"

#include "amqp/codec/composite.h"

enum { BYTES_MAX = 2048 };

static const enum gnt_amqp_descriptor composites[] = {
#define CODE(NAME, name, code, symbol, FIELDS) GNT_AMQP_##NAME,
    GNT_AMQP_COMPOSITES(CODE)
#undef CODE
};

/* The tables against the standard: every field once, in its place, and what the printer says of it.
 */
static const struct {
    const char *bytes, *told;
} rows[] = {
    {"00 53 10 c0 3d 0a a103'cid' a104'host' 7000010000 600fff 7000007530 a305'en-US'"
     "e0 08 01 a3 05'de-DE' a301'o' a301'd' c1 0b 02 a307'product' 43 ",
     "open(container-id=\"cid\" hostname=\"host\" max-frame-size=65536 channel-max=4095 "
     "idle-time-out=30000 outgoing-locales='en-US' incoming-locales=array['de-DE'] "
     "offered-capabilities='o' desired-capabilities='d' properties={'product': uint 0})"},
    {"00 53 11 c0 15 08 600001 5202 5203 5204 52ff a301'o' a301'd' c10100",
     "begin(remote-channel=1 next-outgoing-id=2 incoming-window=3 outgoing-window=4 "
     "handle-max=255 offered-capabilities='o' desired-capabilities='d' properties={})"},
    {"00 53 12 c0 2b 0e a104'link' 5201 41 5000 5001 005328 c003 01a100 005329 45 c10100 41 5205"
     "5306 a301'o' a301'd' c10100",
     "attach(name=\"link\" handle=1 role=receiver snd-settle-mode=unsettled "
     "rcv-settle-mode=second source=source(address=\"\") target=target unsettled={} "
     "incomplete-unsettled=true initial-delivery-count=5 max-message-size=6 "
     "offered-capabilities='o' desired-capabilities='d' properties={})"},
    {"00 53 13 c0 16 0b 5201 5202 5203 5204 5205 5206 5207 5208 41 41 c10100",
     "flow(next-incoming-id=1 incoming-window=2 next-outgoing-id=3 outgoing-window=4 handle=5 "
     "delivery-count=6 link-credit=7 available=8 drain=true echo=true properties={})"},
    {"00 53 14 c0 13 0b 43 5201 a001ff 43 41 42 5000 00532445 41 41 41",
     "transfer(handle=0 delivery-id=1 delivery-tag=b\"\\xff\" message-format=0 settled=true "
     "more=false rcv-settle-mode=first state=accepted resume=true aborted=true batchable=true)"},
    {"00 53 15 c0 0c 06 42 5201 5202 41 00532645 41",
     "disposition(role=sender first=1 last=2 settled=true state=released batchable=true)"},
    {"00 53 16 c0 0f 03 5201 41 00531d c006 01a303'a:b'",
     "detach(handle=1 closed=true error=error(condition='a:b'))"},
    {"00 53 17 c0 0b 01 00531d c005 01a302'ab'", "end(error=error(condition='ab'))"},
    {"00 53 18 c0 0b 01 00531d c005 01a302'ab'", "close(error=error(condition='ab'))"},
    {"00 53 1d c0 0d 03 a302'ab' a103'bad' c10100",
     "error(condition='ab' description=\"bad\" info={})"},
    {"00 53 23 c0 05 02 5201 5302", "received(section-number=1 section-offset=2)"},
    {"00 53 25 c0 0b 01 00531d c005 01a302'ab'", "rejected(error=error(condition='ab'))"},
    {"00 53 27 c0 06 03 41 42 c10100",
     "modified(delivery-failed=true undeliverable-here=false message-annotations={})"},
    {"00 53 28 c0 28 0b a101'q' 5202 a305'never' 523c 41 c10100 a304'move' c10100 00532445"
     "a303'a:a' a301'q'",
     "source(address=\"q\" durable=unsettled-state expiry-policy='never' timeout=60 dynamic=true "
     "dynamic-node-properties={} distribution-mode='move' filter={} default-outcome=accepted "
     "outcomes='a:a' capabilities='q')"},
    {"00 53 29 c0 14 07 a101'q' 43 a305'never' 43 42 c10100 a301'q'",
     "target(address=\"q\" durable=none expiry-policy='never' timeout=0 dynamic=false "
     "dynamic-node-properties={} capabilities='q')"},
    {"00 53 30 c0 04 01 a301'l'", "coordinator(capabilities='l')"},
    {"00 53 31 c0 03 01 5201", "declare(global-id=uint 1)"},
    {"00 53 32 c0 05 02 a00101 41", "discharge(txn-id=b\"\\x01\" fail=true)"},
    {"00 53 33 c0 04 01 a00101", "declared(txn-id=b\"\\x01\")"},
    {"00 53 34 c0 08 02 a00101 00532445",
     "transactional-state(txn-id=b\"\\x01\" outcome=accepted)"},
    {"00 53 40 c0 11 01 e0 0e 02 a3 05'PLAIN' 05'OTHER'",
     "sasl-mechanisms(sasl-server-mechanisms=array['PLAIN', 'OTHER'])"},
    {"00 53 41 c0 12 03 a305'PLAIN' a004'secr' a102'ho'",
     "sasl-init(mechanism='PLAIN' initial-response=(4 bytes) hostname=\"ho\")"},
    {"00 53 42 c0 04 01 a001'x'", "sasl-challenge(challenge=(1 bytes))"},
    {"00 53 43 c0 04 01 a001'x'", "sasl-response(response=(1 bytes))"},
    {"00 53 44 c0 06 02 5004 a001'x'", "sasl-outcome(code=sys-temp additional-data=(1 bytes))"},
    {"00 53 70 c0 09 05 41 5005 5206 41 5207",
     "header(durable=true priority=5 ttl=6 first-acquirer=true delivery-count=7)"},
    {"00 53 73 c0 32 0d 5301 a001'u' a101't' a101's' a101'r' a001'c' a301'j' a301'z'"
     "830000000000000001 830000000000000002 a101'g' 5203 a101'h'",
     "properties(message-id=ulong 1 user-id=b\"u\" to=\"t\" subject=\"s\" reply-to=\"r\" "
     "correlation-id=b\"c\" content-type='j' content-encoding='z' "
     "absolute-expiry-time=1970-01-01T00:00:00.001Z creation-time=1970-01-01T00:00:00.002Z "
     "group-id=\"g\" group-sequence=3 reply-to-group-id=\"h\")"},
};

static void test_tables(void **state)
{
    (void)state;
    assert_int_equal(COUNT_OF(rows), COUNT_OF(composites));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice bytes = gnt_test_amqp_bytes(rows[i].bytes);
        char *told = gnt_test_amqp_tell(bytes);
        assert_string_equal(told, rows[i].told);
        struct gnt_amqp_composite c;
        if (gnt_amqp_decode(bytes, &c) != GNT_OK)
            fail_msg("not decoded: %s", told);
        const struct gnt_amqp_row *row = gnt_amqp_row(c.code);
        assert_int_equal(bytes.data[5], row->count); /* all its fields are in the row */
        uint8_t again[BYTES_MAX];
        struct gnt_amqp_writer w = gnt_amqp_writer(again, sizeof again);
        gnt_amqp_put_composite(&w, &c);
        assert_true(gnt_slice_eq(gnt_amqp_written(&w), bytes));
        free(told);
        gnt_test_amqp_free(bytes);
    }
}

/* Cut anywhere a composite is none; nor is it with a byte behind it, or a field more than it has.
 */
static void test_cut_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_slice whole = gnt_test_amqp_bytes(rows[i].bytes);
        struct gnt_amqp_composite c;
        for (size_t cut = 0; cut < whole.size; cut++) {
            struct gnt_slice part = gnt_test_amqp_copy(whole, cut);
            struct gnt_reader in = gnt_reader(part);
            assert_int_equal(gnt_amqp_decode(part, &c), GNT_MALFORMED);
            assert_int_equal(gnt_amqp_read_composite(&in, &c), GNT_MALFORMED);
            assert_true(in.bad);
            gnt_test_amqp_free(part);
        }
        uint8_t longer[BYTES_MAX];
        memcpy(longer, whole.data, whole.size);
        longer[whole.size] = GNT_AMQP_FORM_NULL;
        const struct gnt_slice behind = gnt_slice(longer, whole.size + 1);
        assert_int_equal(gnt_amqp_decode(behind, &c), GNT_MALFORMED);
        struct gnt_reader in = gnt_reader(behind); /* a payload may be behind */
        assert_int_equal(gnt_amqp_read_composite(&in, &c), GNT_OK);
        assert_int_equal(gnt_read_left(&in), 1);
        longer[4]++; /* in the list's size and count: a field of null too many */
        longer[5]++;
        assert_int_equal(gnt_amqp_decode(behind, &c), GNT_MALFORMED);
        longer[5]--; /* only in its size */
        assert_int_equal(gnt_amqp_decode(behind, &c), GNT_MALFORMED);
        gnt_test_amqp_free(whole);
    }
}

/* A value for a field of KIND; SALT makes it differ from others of the kind. */
static const char *sample(enum gnt_amqp_kind kind, unsigned salt)
{
    static const char *const samples[GNT_AMQP_KIND_COUNT][2] = {
        [GNT_AMQP_KIND_BOOLEAN] = {"41", "42"},
        [GNT_AMQP_KIND_UBYTE] = {"50ff", "5000"},
        [GNT_AMQP_KIND_USHORT] = {"60ffff", "600000"},
        [GNT_AMQP_KIND_UINT] = {"70fffffffe", "43"},
        [GNT_AMQP_KIND_ULONG] = {"80fffffffffffffffe", "44"},
        [GNT_AMQP_KIND_TIMESTAMP] = {"83fffffffffffffffe", "830000000000000000"},
        [GNT_AMQP_KIND_BINARY] = {"a003 00 ff 01", "a000"},
        [GNT_AMQP_KIND_SECRET] = {"a003 00 ff 01", "a000"},
        [GNT_AMQP_KIND_STRING] = {"a102c3a9", "a100"},
        [GNT_AMQP_KIND_SYMBOL] = {"a303'a:b'", "a300"},
        [GNT_AMQP_KIND_SYMBOLS] = {"a303'a:b'", "e00602a30161 0162"},
        [GNT_AMQP_KIND_MAP] = {"c107 02 a30161 a10162", "c10100"},
        [GNT_AMQP_KIND_ANY] = {"c0 04 02 45 5201", "727fc00001"},
        [GNT_AMQP_KIND_MESSAGE_ID] = {"9800112233445566778899aabbccddeeff", "5301"},
        [GNT_AMQP_KIND_COMPOSITE] = {"005328c00401a10171", "00532445"},
        [GNT_AMQP_KIND_ROLE] = {"41", "42"},
        [GNT_AMQP_KIND_SENDER_MODE] = {"5001", "5002"},
        [GNT_AMQP_KIND_RECEIVER_MODE] = {"5001", "5000"},
        [GNT_AMQP_KIND_DURABILITY] = {"5202", "43"},
        [GNT_AMQP_KIND_SASL_CODE] = {"5004", "5000"},
    };
    return samples[kind][salt % 2];
}

/* Puts the composite of ROW with those fields that are in SET, all others null or left out; returns
 * whether a mandatory one is missing. */
static bool put_subset(struct gnt_amqp_writer *w, const struct gnt_amqp_row *row, uint64_t code,
                       unsigned set)
{
    unsigned count = 0;
    bool missing = false;
    gnt_amqp_put_descriptor(w, code);
    const size_t mark = gnt_amqp_begin_list(w);
    for (unsigned i = 0; i < row->count; i++) {
        missing |= row->fields[i].must && !(set >> i & 1);
        if (set >> i == 0)
            continue;
        if (set >> i & 1) {
            struct gnt_slice bytes =
                gnt_test_amqp_bytes(sample((enum gnt_amqp_kind)row->fields[i].kind, i + set));
            gnt_amqp_put_raw(w, bytes);
            gnt_test_amqp_free(bytes);
        } else {
            gnt_amqp_put_null(w);
        }
        count = i + 1;
    }
    gnt_amqp_end_list(w, mark, count);
    return missing;
}

/* Each composite with each set of its fields (of the large ones, every third set): what is decoded
 * comes out of its own encoding as the same bytes, and says of each field whether it was there.
 * With nulls at the end instead of a shorter list it is the same. */
static void test_every_subset(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(composites); i++) {
        const struct gnt_amqp_row *row = gnt_amqp_row(composites[i]);
        const unsigned step = row->count > 10 ? 3 : 1;
        for (unsigned set = 0; set < 1u << row->count; set += step) {
            uint8_t bytes[BYTES_MAX], again[BYTES_MAX], full[BYTES_MAX];
            struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
            const bool missing = put_subset(&w, row, composites[i], set);
            struct gnt_amqp_composite c, d;
            gnt_alloc_fail_at(0);
            gnt_err err = gnt_amqp_decode(gnt_amqp_written(&w), &c);
            assert_false(gnt_alloc_failed());
            gnt_alloc_fail_at(-1);
            assert_int_equal(err, missing ? GNT_PROTOCOL : GNT_OK);
            if (missing)
                continue;
            const bool *has = (const bool *)&c.open;
            for (unsigned f = 0; f < row->count; f++)
                assert_int_equal(has[f], set >> f & 1);
            struct gnt_amqp_writer v = gnt_amqp_writer(again, sizeof again);
            gnt_amqp_put_composite(&v, &c);
            assert_true(gnt_slice_eq(gnt_amqp_written(&v), gnt_amqp_written(&w)));

            struct gnt_amqp_writer u = gnt_amqp_writer(full, sizeof full);
            gnt_amqp_put_descriptor(&u, composites[i]);
            const size_t mark = gnt_amqp_begin_list(&u);
            struct gnt_amqp_value whole, descriptor, list, item;
            assert_int_equal(gnt_amqp_parse(gnt_amqp_written(&w), &whole), GNT_OK);
            assert_true(gnt_amqp_described(&whole, &descriptor, &list));
            struct gnt_amqp_items items = gnt_amqp_items(&list);
            for (unsigned f = 0; f < row->count; f++)
                if (gnt_amqp_items_next(&items, &item))
                    gnt_amqp_put_value(&u, &item);
                else
                    gnt_amqp_put_null(&u);
            gnt_amqp_end_list(&u, mark, row->count);
            assert_int_equal(gnt_amqp_decode(gnt_amqp_written(&u), &d), GNT_OK);
            v.size = 0;
            gnt_amqp_put_composite(&v, &d);
            assert_true(gnt_slice_eq(gnt_amqp_written(&v), gnt_amqp_written(&w)));
        }
    }
}

/* A value of another kind in each field's place is refused. */
static void test_wrong_types(void **state)
{
    (void)state;
    static const char *const others[] = {"41",   "5001",   "600001",   "5201",     "5301",
                                         "5401", "5501",   "a00101",   "a10161",   "a30161",
                                         "45",   "c10100", "e00200a3", "00532445", "5055"};
    static const struct {
        enum gnt_amqp_kind kind;
        const char *taken; /* the indices of OTHERS that the kind takes, as letters */
    } kinds[] = {
        {GNT_AMQP_KIND_BOOLEAN, "a"},
        {GNT_AMQP_KIND_UBYTE, "bo"},
        {GNT_AMQP_KIND_USHORT, "c"},
        {GNT_AMQP_KIND_UINT, "d"},
        {GNT_AMQP_KIND_ULONG, "e"},
        {GNT_AMQP_KIND_TIMESTAMP, ""},
        {GNT_AMQP_KIND_BINARY, "h"},
        {GNT_AMQP_KIND_SECRET, "h"},
        {GNT_AMQP_KIND_STRING, "i"},
        {GNT_AMQP_KIND_SYMBOL, "j"},
        {GNT_AMQP_KIND_SYMBOLS, "jkm"},
        {GNT_AMQP_KIND_MAP, "l"},
        {GNT_AMQP_KIND_ANY, "abcdefghijklmno"},
        {GNT_AMQP_KIND_MESSAGE_ID, "ehi"},
        {GNT_AMQP_KIND_COMPOSITE, "n"},
        {GNT_AMQP_KIND_ROLE, "a"},
        {GNT_AMQP_KIND_SENDER_MODE, "b"},
        {GNT_AMQP_KIND_RECEIVER_MODE, "b"},
        {GNT_AMQP_KIND_DURABILITY, "d"},
        {GNT_AMQP_KIND_SASL_CODE, "b"},
    };
    unsigned seen = 0;
    for (size_t i = 0; i < COUNT_OF(composites); i++) {
        const struct gnt_amqp_row *row = gnt_amqp_row(composites[i]);
        for (unsigned f = 0; f < row->count; f++)
            for (size_t o = 0; o < COUNT_OF(others); o++) {
                uint8_t bytes[BYTES_MAX];
                struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
                gnt_amqp_put_descriptor(&w, composites[i]);
                const size_t mark = gnt_amqp_begin_list(&w);
                for (unsigned g = 0; g <= f; g++) {
                    struct gnt_slice field = gnt_test_amqp_bytes(
                        g == f ? others[o] : sample((enum gnt_amqp_kind)row->fields[g].kind, 1));
                    gnt_amqp_put_raw(&w, field);
                    gnt_test_amqp_free(field);
                }
                gnt_amqp_end_list(&w, mark, f + 1);
                size_t k = 0;
                while (kinds[k].kind != (enum gnt_amqp_kind)row->fields[f].kind)
                    k++;
                const bool taken = strchr(kinds[k].taken, 'a' + (char)o) != NULL;
                struct gnt_amqp_composite c;
                gnt_err err = gnt_amqp_decode(gnt_amqp_written(&w), &c);
                if ((err == GNT_MALFORMED) == taken)
                    fail_msg("%s.%s takes %s", row->symbol, row->fields[f].name, others[o]);
                seen |= 1u << k;
            }
    }
    assert_int_equal(seen, (1u << COUNT_OF(kinds)) - 1);
}

static void check_error(const char *notation, gnt_err err)
{
    struct gnt_slice bytes = gnt_test_amqp_bytes(notation);
    struct gnt_amqp_composite c;
    if (gnt_amqp_decode(bytes, &c) != err)
        fail_msg("not %d: %s", err, notation);
    gnt_test_amqp_free(bytes);
}

static void test_bad(void **state)
{
    (void)state;
    check_error("00 53 10 c0 04 01 a101ff", GNT_MALFORMED);           /* no UTF-8 */
    check_error("00 53 10 45", GNT_PROTOCOL);                         /* no container-id */
    check_error("00 53 10 c0 02 01 40", GNT_PROTOCOL);                /* the same */
    check_error("00 53 10 c1 01 00", GNT_MALFORMED);                  /* no list */
    check_error("00 53 14 c0 07 05 43 40 40 40 5602", GNT_MALFORMED); /* neither true nor false */
    check_error("00 53 10 a100", GNT_MALFORMED);
    check_error("00 53 10 e0 03 01 a100", GNT_MALFORMED);
    check_error("00 53 1d c0 04 01 a30180", GNT_MALFORMED);          /* no ASCII */
    check_error("00 53 12 c0 07 04 a100 43 42 5003", GNT_MALFORMED); /* beyond the choices */
    check_error("00 53 12 c0 07 04 a100 43 42 5002", GNT_OK);
    check_error("00 53 12 c0 08 05 a100 43 42 40 5002", GNT_MALFORMED);
    check_error("00 53 44 c0 03 01 5005", GNT_MALFORMED);
    check_error("00 53 28 c0 05 02 a100 5203", GNT_MALFORMED);
    check_error("00 53 40 c0 06 01 e0 03 01 5001", GNT_MALFORMED);   /* an array of ubytes */
    check_error("00 53 40 c0 07 01 e0 04 01 a301ff", GNT_MALFORMED); /* of no symbols */
    check_error("00 53 40 c0 08 01 c0 05 01 a302'ab'", GNT_OK);  /* a list, as proton may send it */
    check_error("00 53 40 c0 05 01 c0 02 01 43", GNT_MALFORMED); /* of other things */
    check_error("00 53 73 c0 04 01 a101ff", GNT_MALFORMED);
    check_error("00 53 31 c0 05 01 c0 02 02 40", GNT_MALFORMED); /* broken inside */
    check_error("00 53 27 c0 08 03 40 40 c103 02 4056", GNT_MALFORMED);
    check_error("00 53 33 c0 06 01 b0 00000000", GNT_OK); /* forms longer than need be */
    check_error("00 80 0000000000000033 d0 00000009 00000001 b0 00000000", GNT_OK);
    check_error("10", GNT_MALFORMED);
    check_error("40", GNT_MALFORMED);
    check_error("53 10 45", GNT_MALFORMED);
    check_error("00 a10161 45", GNT_MALFORMED); /* a descriptor that is a string */
    check_error("00 53 2a 45", GNT_UNSUPPORTED);
    check_error("00 44 45", GNT_UNSUPPORTED);
    check_error("00 53 75 a000", GNT_UNSUPPORTED); /* a section */
    check_error("00 80 0000010000000010 45", GNT_UNSUPPORTED);
    check_error("00 a3 04'amqp' 45", GNT_UNSUPPORTED);
    check_error("00 53 2a 41 40", GNT_UNSUPPORTED);
    check_error("00 53 2a 3f", GNT_MALFORMED);
}

static void test_descriptors(void **state)
{
    (void)state;
    for (uint64_t code = 0; code <= 256; code++) {
        const struct gnt_amqp_row *row = gnt_amqp_row(code);
        assert_int_equal(gnt_amqp_descriptor_name(code).size == 0, row == NULL);
        if (!row)
            continue;
        uint8_t bytes[BYTES_MAX];
        struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
        gnt_amqp_put_raw(&w, LITERAL("\0"));
        gnt_amqp_put_symbol(&w, gnt_slice_str(row->symbol));
        assert_int_equal(gnt_amqp_code_of(gnt_amqp_written(&w)), code);
        gnt_amqp_put_raw(&w, LITERAL("\x45"));
        struct gnt_amqp_composite c;
        gnt_err err = gnt_amqp_decode(gnt_amqp_written(&w), &c);
        const bool needs = row->count > 0 && row->fields[0].must;
        bool must = needs;
        for (unsigned f = 0; f < row->count; f++)
            must |= row->fields[f].must;
        assert_int_equal(err, row->section ? GNT_UNSUPPORTED : must ? GNT_PROTOCOL : GNT_OK);
        assert_int_equal(c.code, code);
    }
    assert_slice(gnt_amqp_descriptor_name(GNT_AMQP_SASL_INIT), "sasl-init");
    assert_slice(gnt_amqp_descriptor_name(GNT_AMQP_VALUE), "amqp-value");
}

static void test_defaults(void **state)
{
    (void)state;
    struct gnt_amqp_open open;
    struct gnt_amqp_attach attach;
    struct gnt_amqp_header header;
    struct gnt_slice bytes = gnt_test_amqp_bytes("00 53 10 c0 03 01 a100");
    assert_int_equal(gnt_amqp_decode_open(bytes, &open), GNT_OK);
    assert_true(open.has.container_id && !open.has.max_frame_size && !open.has.properties);
    assert_int_equal(open.max_frame_size, UINT32_MAX);
    assert_int_equal(open.channel_max, UINT16_MAX);
    assert_int_equal(open.idle_time_out, 0);
    assert_int_equal(open.properties.type, GNT_AMQP_NULL);
    assert_int_equal(gnt_amqp_decode_attach(bytes, &attach), GNT_MALFORMED); /* another one */
    gnt_test_amqp_free(bytes);
    bytes = gnt_test_amqp_bytes("00 53 12 c0 05 03 a100 43 42");
    assert_int_equal(gnt_amqp_decode_attach(bytes, &attach), GNT_OK);
    assert_int_equal(attach.snd_settle_mode, GNT_AMQP_SENDER_MIXED);
    assert_int_equal(attach.rcv_settle_mode, GNT_AMQP_RECEIVER_FIRST);
    gnt_test_amqp_free(bytes);
    bytes = gnt_test_amqp_bytes("00 53 70 45");
    assert_int_equal(gnt_amqp_decode_header(bytes, &header), GNT_OK);
    assert_int_equal(header.priority, 4);
    assert_true(!header.durable && !header.has.durable);
    gnt_test_amqp_free(bytes);
}

/* How others put a composite into one another. */
static void test_building(void **state)
{
    (void)state;
    uint8_t inside[64], bytes[BYTES_MAX];
    struct gnt_amqp_source source = {0};
    GNT_AMQP_SET(&source, address, gnt_slice_str("q"));
    struct gnt_amqp_writer w = gnt_amqp_writer(inside, sizeof inside);
    gnt_amqp_put_source(&w, &source);
    struct gnt_amqp_attach attach = {0};
    GNT_AMQP_SET(&attach, name, gnt_slice_str("link"));
    GNT_AMQP_SET(&attach, handle, 0);
    GNT_AMQP_SET(&attach, role, GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&attach, source, gnt_amqp_encoded(gnt_amqp_written(&w)));
    w = gnt_amqp_writer(bytes, sizeof bytes);
    gnt_amqp_put_attach(&w, &attach);
    char *told = gnt_test_amqp_tell(gnt_amqp_written(&w));
    assert_string_equal(told, "attach(name=\"link\" handle=0 role=receiver "
                              "source=source(address=\"q\"))");
    free(told);

    struct gnt_amqp_disposition disposition = {0};
    GNT_AMQP_SET(&disposition, role, GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&disposition, first, 7);
    GNT_AMQP_SET(&disposition, settled, true);
    GNT_AMQP_SET(&disposition, state, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED));
    w = gnt_amqp_writer(bytes, sizeof bytes);
    gnt_amqp_put_disposition(&w, &disposition);
    assert_slice(gnt_amqp_written(&w), "\0\x53\x15\xc0\x0a\x05\x41\x52\x07\x40\x41\0\x53\x24\x45");
    struct gnt_amqp_value value = gnt_amqp_fieldless(GNT_AMQP_DELETE_ON_NO_LINKS_OR_MESSAGES);
    assert_int_equal(gnt_amqp_code_of(value.encoded), 0x2e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_every_subset), cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_bad),          cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_building),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
