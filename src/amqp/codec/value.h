/* AMQP values: the types of [AMQP 1.6] in every encoding of them, pulled off bytes.
 *
 * Nothing here allocates.  A value that was read borrows from the bytes it was read from.  Reading
 * one costs the same whatever is in it: of a list, a map, an array or a described value only the
 * frame is looked at, and the inside when it is walked.  So a walk asks whether the inside was
 * `bad` at its end; after gnt_amqp_valid() has said yes to the whole, that cannot be. */
#ifndef GNT_AMQP_CODEC_VALUE_H
#define GNT_AMQP_CODEC_VALUE_H

#include "base/err.h"
#include "base/slice.h"

/*    NAME        name for people */
#define GNT_AMQP_TYPES(X)       \
    X(NULL, "null")             \
    X(BOOLEAN, "boolean")       \
    X(UBYTE, "ubyte")           \
    X(USHORT, "ushort")         \
    X(UINT, "uint")             \
    X(ULONG, "ulong")           \
    X(BYTE, "byte")             \
    X(SHORT, "short")           \
    X(INT, "int")               \
    X(LONG, "long")             \
    X(FLOAT, "float")           \
    X(DOUBLE, "double")         \
    X(DECIMAL32, "decimal32")   \
    X(DECIMAL64, "decimal64")   \
    X(DECIMAL128, "decimal128") \
    X(CHAR, "char")             \
    X(TIMESTAMP, "timestamp")   \
    X(UUID, "uuid")             \
    X(BINARY, "binary")         \
    X(STRING, "string")         \
    X(SYMBOL, "symbol")         \
    X(LIST, "list")             \
    X(MAP, "map")               \
    X(ARRAY, "array")           \
    X(DESCRIBED, "described")

enum gnt_amqp_type {
#define GNT_AMQP_TYPE_ENUM(name, text) GNT_AMQP_##name,
    GNT_AMQP_TYPES(GNT_AMQP_TYPE_ENUM)
#undef GNT_AMQP_TYPE_ENUM
        GNT_AMQP_TYPE_COUNT
};

/* Constructors [AMQP 1.6].  The high digit says what follows [AMQP 1.2]: 4 nothing; 5, 6, 7, 8, 9
 * one, two, four, eight, sixteen bytes; a and b a size of one or four bytes and that many bytes; c
 * and d the same with a count of items in front of the items; e and f with a count and one
 * constructor in front of the elements.  00 is in front of a descriptor, behind which the value is.
 */
/* clang-format off */
/*    code  NAME          type */
#define GNT_AMQP_FORMS(X)      \
    X(0x40, NULL,         NULL)       \
    X(0x41, TRUE,         BOOLEAN)    \
    X(0x42, FALSE,        BOOLEAN)    \
    X(0x43, UINT0,        UINT)       \
    X(0x44, ULONG0,       ULONG)      \
    X(0x45, LIST0,        LIST)       \
    X(0x50, UBYTE,        UBYTE)      \
    X(0x51, BYTE,         BYTE)       \
    X(0x52, SMALLUINT,    UINT)       \
    X(0x53, SMALLULONG,   ULONG)      \
    X(0x54, SMALLINT,     INT)        \
    X(0x55, SMALLLONG,    LONG)       \
    X(0x56, BOOLEAN,      BOOLEAN)    \
    X(0x60, USHORT,       USHORT)     \
    X(0x61, SHORT,        SHORT)      \
    X(0x70, UINT,         UINT)       \
    X(0x71, INT,          INT)        \
    X(0x72, FLOAT,        FLOAT)      \
    X(0x73, CHAR,         CHAR)       \
    X(0x74, DECIMAL32,    DECIMAL32)  \
    X(0x80, ULONG,        ULONG)      \
    X(0x81, LONG,         LONG)       \
    X(0x82, DOUBLE,       DOUBLE)     \
    X(0x83, TIMESTAMP,    TIMESTAMP)  \
    X(0x84, DECIMAL64,    DECIMAL64)  \
    X(0x94, DECIMAL128,   DECIMAL128) \
    X(0x98, UUID,         UUID)       \
    X(0xa0, BINARY8,      BINARY)     \
    X(0xa1, STRING8,      STRING)     \
    X(0xa3, SYMBOL8,      SYMBOL)     \
    X(0xb0, BINARY32,     BINARY)     \
    X(0xb1, STRING32,     STRING)     \
    X(0xb3, SYMBOL32,     SYMBOL)     \
    X(0xc0, LIST8,        LIST)       \
    X(0xc1, MAP8,         MAP)        \
    X(0xd0, LIST32,       LIST)       \
    X(0xd1, MAP32,        MAP)        \
    X(0xe0, ARRAY8,       ARRAY)      \
    X(0xf0, ARRAY32,      ARRAY)
/* clang-format on */

enum gnt_amqp_form {
    GNT_AMQP_FORM_DESCRIBED = 0x00,
#define GNT_AMQP_FORM_ENUM(code, name, type) GNT_AMQP_FORM_##name = (code),
    GNT_AMQP_FORMS(GNT_AMQP_FORM_ENUM)
#undef GNT_AMQP_FORM_ENUM
};

enum {
    GNT_AMQP_DEPTH_MAX = 32, /* compounds and descriptions in one another */

    /* Elements of an array that take no bytes (null, true, 0, the empty list): without a bound ten
     * bytes could claim 2^32 of them. */
    GNT_AMQP_WIDTHLESS_MAX = 256,
};

/* One value, read or to be written.  A zeroed one is null.
 *
 * What was read has `encoded`: the value as it came, constructor and all; an element of an array
 * has none, for the constructor stands elsewhere.  What is to be written may leave it empty if it
 * is not DESCRIBED: then the smallest form is made of the other members. */
struct gnt_amqp_value {
    enum gnt_amqp_type type;
    uint32_t count; /* items of a LIST, elements of an ARRAY, keys plus values of a MAP */
    union {
        uint64_t
            number; /* BOOLEAN (0 or 1), UBYTE to ULONG, CHAR (code point); FLOAT, DOUBLE (bits) */
        int64_t integer; /* BYTE to LONG; TIMESTAMP: milliseconds since 1970 in UTC */

        /* BINARY, STRING, SYMBOL: the text.  DECIMAL32 to DECIMAL128, UUID: their 4 to 16 bytes.
         * LIST, MAP: the items.  ARRAY: constructor and elements.  DESCRIBED: descriptor and value.
         */
        struct gnt_slice bytes;
    };
    struct gnt_slice encoded;
};

/* ---- Making values to be written */

static inline struct gnt_amqp_value gnt_amqp_number(enum gnt_amqp_type type, uint64_t number)
{
    return (struct gnt_amqp_value){.type = type, .number = number};
}

static inline struct gnt_amqp_value gnt_amqp_integer(enum gnt_amqp_type type, int64_t integer)
{
    return (struct gnt_amqp_value){.type = type, .integer = integer};
}

static inline struct gnt_amqp_value gnt_amqp_bytes(enum gnt_amqp_type type, struct gnt_slice bytes)
{
    return (struct gnt_amqp_value){.type = type, .bytes = bytes};
}

struct gnt_amqp_value gnt_amqp_float(float number);
struct gnt_amqp_value gnt_amqp_double(double number);

/* The numbers that FLOAT and DOUBLE stand for. */
float gnt_amqp_as_float(const struct gnt_amqp_value *v);
double gnt_amqp_as_double(const struct gnt_amqp_value *v);

/* ---- Reading */

/* Takes one value off the front.  Sets in->bad, and *out is null, if there is none: the bytes end,
 * a constructor that does not exist, a boolean that is neither 0 nor 1, a size or a count that
 * cannot be (items that take more bytes than there are, a map with a key too few, more than
 * GNT_AMQP_WIDTHLESS_MAX elements without a byte).  Text is not looked at. */
void gnt_amqp_read(struct gnt_reader *in, struct gnt_amqp_value *out);

/* Jumps over one value by its size; of what is in it nothing is looked at. */
void gnt_amqp_skip(struct gnt_reader *in);

/* ENCODED as a value: GNT_MALFORMED if it is not exactly one, as gnt_amqp_read sees it. */
GNT_MUST gnt_err gnt_amqp_parse(struct gnt_slice encoded, struct gnt_amqp_value *out);

/* Whether ENCODED is exactly one value and good down to its leaves: what gnt_amqp_read asks for in
 * every place, strings in UTF-8, symbols in ASCII, chars that are Unicode scalar values, nothing
 * left over in any compound, nested GNT_AMQP_DEPTH_MAX deep at most.  A key may be in a map twice.
 * Costs O(bytes). */
bool gnt_amqp_valid(struct gnt_slice encoded);

/* UTF-8 as AMQP has it: unlike MQTT's it may contain U+0000 [AMQP 1.6.20]. */
bool gnt_amqp_text_valid(struct gnt_slice text);

/* Seven bits a character [AMQP 1.6.21]. */
bool gnt_amqp_ascii_valid(struct gnt_slice text);

/* ---- Walking a list, a map or an array
 *
 *     struct gnt_amqp_items items = gnt_amqp_items(&value);
 *     struct gnt_amqp_value key, item;
 *     while (gnt_amqp_items_pair(&items, &key, &item)) { ... }
 *     if (items.in.bad) return GNT_MALFORMED;
 */
struct gnt_amqp_items {
    struct gnt_reader in; /* what has not been taken; `bad` tells a broken inside */
    uint32_t left;        /* items that have not been taken; in a map keys count, too */
    uint8_t form; /* of an array: the constructor of its elements, enum gnt_amqp_form; else 0 */

    /* Of an array of described values: the descriptors that all of them have, as encoded, with the
     * 00 in front of each; else empty.  The elements are handed out without them. */
    struct gnt_slice descriptor;
};

/* Nothing to walk if VALUE is of another type. */
struct gnt_amqp_items gnt_amqp_items(const struct gnt_amqp_value *value);

/* The next item; false at the end, and then `bad` if bytes are left over. */
bool gnt_amqp_items_next(struct gnt_amqp_items *items, struct gnt_amqp_value *out);

/* The next key and value of a map. */
bool gnt_amqp_items_pair(struct gnt_amqp_items *items, struct gnt_amqp_value *key,
                         struct gnt_amqp_value *value);

/* The same for a "multiple" field of symbols, which is an array of them or one without an array
 * [AMQP 1.4]; VALUE was read, and null is none.  Walk with gnt_amqp_next_symbol. */
struct gnt_amqp_items gnt_amqp_symbols(const struct gnt_amqp_value *value);
bool gnt_amqp_next_symbol(struct gnt_amqp_items *symbols, struct gnt_slice *out);

/* The value in the map with the symbol or the string NAME as its key; the first, if there are
 * several.  False if MAP is no map, has no such key or is broken before it. */
bool gnt_amqp_find(const struct gnt_amqp_value *map, struct gnt_slice name,
                   struct gnt_amqp_value *out);

/* A DESCRIBED value taken apart; false, both null, if VALUE is none or is broken. */
bool gnt_amqp_described(const struct gnt_amqp_value *value, struct gnt_amqp_value *descriptor,
                        struct gnt_amqp_value *inner);

/* "uint", ... */
const char *gnt_amqp_type_name(enum gnt_amqp_type type);

#endif
