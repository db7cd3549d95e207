/* gnatter decode: captured bytes of AMQP or MQTT as readable text. */
#include "amqp/codec/message.h"
#include "amqp/codec/print.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/decoder.h"
#include "cli/input.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char name[] = "decode";

enum as { AS_FRAMES, AS_MESSAGE, AS_VALUE };
enum form { FORM_AUTO, FORM_HEX, FORM_RAW };

struct options {
    uint8_t as, form;
    uint8_t version;
    uint32_t max;
};

static const struct gnt_option_word as_words[] = {
    {"frames", AS_FRAMES}, {"message", AS_MESSAGE}, {"value", AS_VALUE}, {NULL, 0}};
static const struct gnt_option_word form_words[] = {
    {"auto", FORM_AUTO}, {"hex", FORM_HEX}, {"raw", FORM_RAW}, {NULL, 0}};
static const struct gnt_option_word version_words[] = {{"5", GNT_MQTT_5},
                                                       {"5.0", GNT_MQTT_5},
                                                       {"3.1.1", GNT_MQTT_3_1_1},
                                                       {"311", GNT_MQTT_3_1_1},
                                                       {"3.1", GNT_MQTT_3_1},
                                                       {"31", GNT_MQTT_3_1},
                                                       {NULL, 0}};

static const struct gnt_option rows[] = {
    {.flag = "as",
     .kind = GNT_OPTION_WORD,
     GNT_OPTION_FIELD(struct options, as),
     .fallback = "frames",
     .metavar = "WHAT",
     .words = as_words,
     .help = "What the bytes of AMQP are: frames, as a connection carries them; one message, as "
             "transfers carry it; or values, one behind the other."},
    {.flag = "input",
     .kind = GNT_OPTION_WORD,
     GNT_OPTION_FIELD(struct options, form),
     .fallback = "auto",
     .metavar = "FORM",
     .words = form_words,
     .help = "How they are written: raw, or hex digits, between which blanks, line breaks, colons, "
             "commas and 0x may stand. auto looks."},
    {.flag = "mqtt-version",
     .kind = GNT_OPTION_WORD,
     GNT_OPTION_FIELD(struct options, version),
     .fallback = "5",
     .metavar = "VERSION",
     .words = version_words,
     .help = "Of what comes before a CONNECT, which tells: 3.1, 3.1.1 or 5."},
    {.flag = "max",
     .kind = GNT_OPTION_SIZE,
     GNT_OPTION_FIELD(struct options, max),
     .fallback = "4KiB",
     .min = 16,
     .max = 1 << 30,
     .metavar = "SIZE",
     .help = "How much of a frame, packet or message is shown."},
};

static const struct gnt_args arguments = {
    .usage = "gnatter decode amqp [OPTION]... [FILE]\n"
             "gnatter decode mqtt [OPTION]... [FILE]",
    .about =
        "Shows what one side of a connection has sent, or both in turns: a line for each frame "
        "or packet, and one for each message of AMQP. Without FILE, or with -, it is read "
        "from standard input. Passwords are not shown.",
    .footer = "Examples:\n"
              "  gnatter decode mqtt capture.bin\n"
              "  echo 41 4d 51 50 00 01 00 00 | gnatter decode amqp\n"
              "  echo 0xa1056865 6c6c6f | gnatter decode amqp --as value\n"
              "  nc -l 1883 | gnatter decode mqtt --input raw\n"
              "\n"
              "Exit codes: 0 all was shown; else those of sysexits.h: 64 wrong usage, 65 the\n"
              "bytes are not what they should be, 66 there is no such file, 71 out of memory,\n"
              "74 it cannot be read or written.",
    .table = GNT_OPTION_TABLE(struct options, rows),
    .words_min = 1,
    .words_max = 2,
};

/* ---- Reading */

enum { INPUT_MAX = 1 << 30 };

/* A byte that may stand between hex digits. */
static bool is_between(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ':' || c == ',';
}

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Hex digits to bytes, in place, and *size is how many bytes.  False: it is not that, and *at is
 * the number of the character that shows it. */
static bool from_hex(uint8_t *bytes, size_t *size, size_t *at)
{
    size_t digits = 0;
    for (*at = 0; *at < *size; ++*at) {
        const uint8_t c = bytes[*at];
        const bool pause = digits % 2 == 0;
        if (pause && c == '0' && *at + 1 < *size && (bytes[*at + 1] | 0x20) == 'x') {
            ++*at;
        } else if (!is_between(c) || !pause) {
            const int value = digit(c);
            if (value < 0)
                break;
            bytes[digits / 2] = (uint8_t)(digits % 2 ? bytes[digits / 2] << 4 | value : value);
            digits++;
        }
    }
    const bool all = *at == *size && digits % 2 == 0;
    *at += *at < *size;
    *size = digits / 2;
    return all;
}

static bool looks_like_hex(struct gnt_slice bytes)
{
    size_t digits = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        const uint8_t c = bytes.data[i];
        const bool prefix = (c | 0x20) == 'x' && i > 0 && bytes.data[i - 1] == '0';
        if (!is_between(c) && digit(c) < 0 && !prefix)
            return false;
        digits += digit(c) >= 0;
    }
    return digits > 1;
}

struct work {
    const struct options *options;
    struct gnt_decoder decoder;
    enum gnt_mqtt_version version;
    struct gnt_input input;
    bool decided, hex;
};

static int say_failed(gnt_err err, const char *what)
{
    gnt_say(name, "%s: %s", what, gnt_err_text(err));
    return err == GNT_NOMEM ? EX_OSERR : EX_IOERR;
}

static void put_line(void *context, struct gnt_slice text)
{
    (void)context;
    fwrite(text.data, 1, text.size, stdout);
    putchar('\n');
}

/* ---- Showing */

static int show_frames(struct work *w, struct gnt_slice bytes)
{
    gnt_err err = gnt_decoder_feed(&w->decoder, bytes);
    if (err == GNT_NOMEM)
        return say_failed(err, "decoding");
    if (err) {
        fflush(stdout);
        gnt_say(name, "at byte %llu: %s", (unsigned long long)w->decoder.offset, w->decoder.why);
        return EX_DATAERR;
    }
    return EX_OK;
}

static int show_rest(const struct work *w)
{
    const size_t left = gnt_decoder_left(&w->decoder);
    if (left == 0)
        return EX_OK;
    fflush(stdout);
    gnt_say(name, "the last %zu %s no whole %s", left, left == 1 ? "byte is" : "bytes are",
            w->decoder.protocol == GNT_DECODER_AMQP ? "frame" : "packet");
    return EX_DATAERR;
}

static int show_message(struct work *w, struct gnt_slice bytes)
{
    struct gnt_buf text = {0};
    struct gnt_amqp_message message;
    gnt_err err = gnt_amqp_print_message(&text, w->options->max, bytes);
    if (!err)
        put_line(NULL, gnt_buf_slice(&text));
    gnt_buf_fini(&text);
    if (err)
        return say_failed(err, "decoding");
    if (gnt_amqp_message_split(bytes, &message) == GNT_OK && gnt_amqp_message_valid(&message))
        return EX_OK;
    fflush(stdout);
    gnt_say(name, "that is no message");
    return EX_DATAERR;
}

static int show_values(struct work *w, struct gnt_slice bytes)
{
    struct gnt_reader r = gnt_reader(bytes);
    while (gnt_read_left(&r)) {
        struct gnt_amqp_value value;
        struct gnt_buf text = {0};
        const size_t at = (size_t)(r.at - bytes.data);
        gnt_amqp_read(&r, &value);
        if (r.bad || !gnt_amqp_valid(value.encoded)) {
            fflush(stdout);
            gnt_say(name, "at byte %zu: not a value", at);
            return EX_DATAERR;
        }
        gnt_err err = gnt_amqp_print_value(&text, w->options->max, value.encoded);
        if (!err)
            put_line(NULL, gnt_buf_slice(&text));
        gnt_buf_fini(&text);
        if (err)
            return say_failed(err, "decoding");
    }
    return EX_OK;
}

/* ---- The input: raw frames are shown as they come, all else when it is there */

static bool decide(struct work *w)
{
    const struct gnt_slice held = gnt_buf_slice(&w->input.held);
    if (!w->decided && (w->options->form != FORM_AUTO || w->input.ended || !looks_like_hex(held))) {
        w->hex =
            w->options->form == FORM_HEX || (w->options->form == FORM_AUTO && looks_like_hex(held));
        w->decided = held.size > 0 || w->input.ended;
    }
    return w->decided;
}

static int show_some(struct work *w)
{
    if (!decide(w) || w->hex || w->options->as != AS_FRAMES)
        return EX_OK;
    const struct gnt_slice held = gnt_buf_slice(&w->input.held);
    const int code = show_frames(w, held);
    gnt_buf_take(&w->input.held, held.size);
    fflush(stdout);
    return code;
}

static int show_all(struct work *w)
{
    (void)decide(w);
    struct gnt_slice held = gnt_buf_slice(&w->input.held);
    size_t at;
    if (w->hex && !from_hex(w->input.held.data + w->input.held.start, &held.size, &at)) {
        gnt_say(name, "character %zu is no hex digit, or it is half a byte", at);
        return EX_DATAERR;
    }
    if (w->options->as == AS_MESSAGE)
        return show_message(w, held);
    if (w->options->as == AS_VALUE)
        return show_values(w, held);
    const int code = show_frames(w, held);
    return code ? code : show_rest(w);
}

static int decode(struct work *w, const char *path)
{
    for (;;) {
        gnt_err err = gnt_input_read(&w->input);
        if (err < 0) {
            gnt_say(name, "%s: %s", path,
                    err == GNT_TOOBIG ? "too much at once" : gnt_err_text(err));
            return EX_IOERR;
        }
        int code = err == GNT_OK ? show_all(w) : show_some(w);
        if (code || err == GNT_OK)
            return code;
    }
}

static int run(const struct options *options, const char *protocol, const char *path)
{
    static const struct {
        const char *word;
        enum gnt_decoder_protocol protocol;
    } protocols[] = {{"amqp", GNT_DECODER_AMQP}, {"mqtt", GNT_DECODER_MQTT}};
    const bool is_mqtt = strcmp(protocol, protocols[1].word) == 0;
    char shown[64];
    if (!is_mqtt && strcmp(protocol, protocols[0].word) != 0) {
        gnt_say(name, "unknown protocol '%s': amqp or mqtt is expected",
                gnt_utf8_printable(gnt_slice_str(protocol), shown, sizeof shown));
        return EX_USAGE;
    }
    if (is_mqtt && options->as != AS_FRAMES) {
        gnt_say(name, "--as is for amqp");
        return EX_USAGE;
    }
    const bool is_stdin = !path || strcmp(path, "-") == 0;
    struct work w = {.options = options, .version = (enum gnt_mqtt_version)options->version};
    w.input = (struct gnt_input){.max = INPUT_MAX, .fd = STDIN_FILENO};
    if (!is_stdin && (w.input.fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        gnt_say(name, "%s: %s", path, strerror(errno));
        return EX_NOINPUT;
    }
    gnt_decoder_init(&w.decoder, protocols[is_mqtt].protocol);
    w.decoder.line = put_line;
    w.decoder.max = options->max;
    w.decoder.version = &w.version;
    int code = decode(&w, is_stdin ? "standard input" : path);
    gnt_decoder_fini(&w.decoder);
    gnt_input_fini(&w.input);
    if (!is_stdin)
        close(w.input.fd);
    return fflush(stdout) == 0 || code ? code : EX_IOERR;
}

int gnt_command_decode(int argc, char **argv)
{
    struct options options;
    int code;
    if (!gnt_say_args(name, &arguments, argc, argv, &options, &code))
        return code;
    code = run(&options, argv[0], argv[1]);
    gnt_options_fini(&arguments.table, &options);
    return code;
}
