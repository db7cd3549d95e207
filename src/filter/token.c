#include "filter/token.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_MAX = 100 }; /* characters */

static const struct {
    const char *word;
    enum gnt_token_kind kind;
} keywords[] = {
    {"AND", GNT_TOKEN_AND},   {"OR", GNT_TOKEN_OR},           {"NOT", GNT_TOKEN_NOT},
    {"IN", GNT_TOKEN_IN},     {"IS", GNT_TOKEN_IS},           {"NULL", GNT_TOKEN_NULL},
    {"LIKE", GNT_TOKEN_LIKE}, {"BETWEEN", GNT_TOKEN_BETWEEN}, {"ESCAPE", GNT_TOKEN_ESCAPE},
    {"TRUE", GNT_TOKEN_TRUE}, {"FALSE", GNT_TOKEN_FALSE},
};

/* Longer ones first. */
static const struct {
    const char *sign;
    enum gnt_token_kind kind;
} signs[] = {
    {"<>", GNT_TOKEN_NE},    {"<=", GNT_TOKEN_LE},  {">=", GNT_TOKEN_GE},   {"<", GNT_TOKEN_LT},
    {">", GNT_TOKEN_GT},     {"=", GNT_TOKEN_EQ},   {"(", GNT_TOKEN_OPEN},  {")", GNT_TOKEN_CLOSE},
    {",", GNT_TOKEN_COMMA},  {"+", GNT_TOKEN_PLUS}, {"-", GNT_TOKEN_MINUS}, {"*", GNT_TOKEN_TIMES},
    {"/", GNT_TOKEN_DIVIDE},
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c >= 0x80;
}

static bool is_part(uint8_t c)
{
    return is_letter(c) || is_digit(c);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : c;
}

/* Whether TEXT is WORD, whatever the case of its letters. */
static bool is_word(struct gnt_slice text, const char *word)
{
    size_t i = 0;
    while (i < text.size && word[i] && lower(text.data[i]) == lower((uint8_t)word[i]))
        i++;
    return i == text.size && !word[i];
}

/* The byte at AT, 0 behind the end. */
static uint8_t peek(struct gnt_slice text, size_t at)
{
    return at < text.size ? text.data[at] : 0;
}

static struct gnt_token bad(struct gnt_slice text, const char *why)
{
    return (struct gnt_token){.kind = GNT_TOKEN_BAD, .text = text, .why = why};
}

static struct gnt_token take_name(struct gnt_slice rest)
{
    bool dashes = gnt_slice_starts(rest, gnt_slice_str("amqp."));
    size_t size = 1;
    while (is_part(peek(rest, size)) ||
           ((peek(rest, size) == '.' || (dashes && peek(rest, size) == '-')) &&
            is_part(peek(rest, size + 1))))
        size++;
    struct gnt_token token = {.kind = GNT_TOKEN_NAME, .text = gnt_slice(rest.data, size)};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (is_word(token.text, keywords[i].word))
            token.kind = keywords[i].kind;
    return token;
}

/* Up to the QUOTE that has no other behind it. */
static struct gnt_token take_quoted(struct gnt_slice rest)
{
    bool string = rest.data[0] == '\'';
    for (size_t i = 1; i < rest.size; i++) {
        if (rest.data[i] != rest.data[0])
            continue;
        if (peek(rest, i + 1) == rest.data[0]) {
            i++;
            continue;
        }
        return (struct gnt_token){.kind = string ? GNT_TOKEN_STRING : GNT_TOKEN_QUOTED_NAME,
                                  .text = gnt_slice(rest.data, i + 1),
                                  .inside = gnt_slice(rest.data + 1, i - 1)};
    }
    return bad(rest, string ? "a string without its closing '" : "a name without its closing \"");
}

/* ---- Numbers */

/* Digits of BASE without anything else. */
static struct gnt_token whole(struct gnt_slice text, struct gnt_slice digits, unsigned base)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size; i++) {
        uint8_t c = lower(digits.data[i]);
        unsigned digit = is_digit(c)            ? c - (unsigned)'0'
                         : c >= 'a' && c <= 'f' ? c - 'a' + 10u
                                                : base;
        if (digit >= base)
            return bad(text, base == 8 ? "0 in front makes a number octal, and this one is not"
                                       : "not a number");
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value) || value > (uint64_t)INT64_MAX + 1)
            return bad(text, "a number over 64 bits");
    }
    return digits.size == 0
               ? bad(text, "not a number")
               : (struct gnt_token){.kind = GNT_TOKEN_INTEGER, .text = text, .integer = value};
}

/* The point is taken out and its place put into the exponent: so the program's locale, in which a
 * comma may be the point, does not matter. */
static struct gnt_token broken(struct gnt_slice text, struct gnt_slice number)
{
    char digits[NUMBER_MAX + 16];
    size_t used = 0, i = 0;
    long behind = 0, exponent = 0;
    for (bool point = false; i < number.size && lower(number.data[i]) != 'e'; i++) {
        if (!is_digit(number.data[i]) && (point || number.data[i] != '.'))
            return bad(text, "not a number");
        if (number.data[i] == '.') {
            point = true;
            continue;
        }
        digits[used++] = (char)number.data[i];
        behind += point;
    }
    if (i < number.size) {
        char *end, copy[NUMBER_MAX + 1] = {0};
        memcpy(copy, number.data + i + 1, number.size - i - 1);
        exponent = strtol(copy, &end, 10);
        if (end == copy || *end || is_space((uint8_t)copy[0]))
            return bad(text, "not a number");
        exponent = exponent > 9999 ? 9999 : exponent < -9999 ? -9999 : exponent;
    }
    snprintf(digits + used, sizeof digits - used, "e%ld", exponent - behind);
    double value = strtod(digits, NULL);
    if (isinf(value))
        return bad(text, "a number over what a double holds");
    return (struct gnt_token){.kind = GNT_TOKEN_REAL, .text = text, .real = value};
}

/* How far what begins with a digit or a point goes: to where nothing of a number could be. */
static size_t number_size(struct gnt_slice rest)
{
    bool hex = lower(peek(rest, 1)) == 'x';
    size_t size = 1;
    for (;; size++) {
        uint8_t c = peek(rest, size);
        bool sign = (c == '+' || c == '-') && !hex && lower(rest.data[size - 1]) == 'e';
        if (!is_part(c) && c != '.' && !sign)
            return size;
    }
}

static struct gnt_token take_number(struct gnt_slice rest)
{
    struct gnt_slice text = gnt_slice(rest.data, number_size(rest)), number = text;
    if (text.size > NUMBER_MAX)
        return bad(text, "a number of more than 100 characters");
    uint8_t suffix = lower(text.data[text.size - 1]);
    bool hex = lower(peek(text, 1)) == 'x';
    size_t digits = 0;
    while (is_digit(peek(text, digits)))
        digits++;
    number.size -= suffix == 'l' || (!hex && (suffix == 'd' || suffix == 'f'));
    if (hex)
        return whole(text, gnt_slice_skip(number, 2), text.data[0] == '0' ? 16 : 0);
    if (digits == text.size || (digits == number.size && suffix == 'l'))
        return whole(text, number, digits > 1 && text.data[0] == '0' ? 8 : 10);
    return suffix == 'l' ? bad(text, "not a number") : broken(text, number);
}

static struct gnt_token take_sign(struct gnt_slice rest)
{
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        struct gnt_slice sign = gnt_slice_str(signs[i].sign);
        if (gnt_slice_starts(rest, sign))
            return (struct gnt_token){.kind = signs[i].kind,
                                      .text = gnt_slice(rest.data, sign.size)};
    }
    return bad(gnt_slice(rest.data, 1), "a character that means nothing here");
}

struct gnt_token gnt_token_take(struct gnt_slice *rest)
{
    struct gnt_token token = {.kind = GNT_TOKEN_END};
    while (is_space(peek(*rest, 0)))
        *rest = gnt_slice_skip(*rest, 1);
    uint8_t first = peek(*rest, 0);
    if (rest->size == 0)
        token.text = *rest;
    else if (is_letter(first))
        token = take_name(*rest);
    else if (first == '\'' || first == '"')
        token = take_quoted(*rest);
    else if (is_digit(first) || (first == '.' && is_digit(peek(*rest, 1))))
        token = take_number(*rest);
    else
        token = take_sign(*rest);
    *rest = gnt_slice_skip(*rest, token.text.size);
    return token;
}
