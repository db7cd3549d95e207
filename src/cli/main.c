/* gnatter: one command, a table of subcommands. */
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const struct subcommand {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} subcommands[] = {
    {"broker", "runs the broker", gnt_command_broker},
    {"pub", "publishes messages, as mosquitto_pub does", gnt_command_pub},
    {"sub", "subscribes and prints messages, as mosquitto_sub does", gnt_command_sub},
    {"send", "sends messages over AMQP 1.0", gnt_command_send},
    {"receive", "receives messages over AMQP 1.0, and prints them", gnt_command_receive},
    {"peek", "prints the messages of a queue, and leaves them there", gnt_command_peek},
    {"queue", "lists, shows, makes, empties and deletes queues", gnt_command_queue},
    {"cert", "makes and shows certificates for TLS", gnt_command_cert},
    {"passwd", "keeps the file of users and their passwords", gnt_command_passwd},
    {"store", "looks at a data directory, checks it, makes it smaller", gnt_command_store},
    {"decode", "shows captured bytes of MQTT or AMQP as text", gnt_command_decode},
    {"bench", "puts a load on brokers and measures them", gnt_command_bench},
    {"thermometer", "reads a sensor and publishes what it says as JSON", gnt_command_thermometer},
};

enum { COUNT = sizeof subcommands / sizeof subcommands[0] };

static int version(int argc, char **argv)
{
    (void)argc, (void)argv;
    return gnt_say_version();
}

static int help(int argc, char **argv);

/* Words that are no subcommands of their own. */
static const struct subcommand words[] = {
    {"help", "", help},       {"--help", "", help},       {"-h", "", help},
    {"version", "", version}, {"--version", "", version},
};

static const struct subcommand *find(const struct subcommand *table, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, word) == 0)
            return &table[i];
    }
    return NULL;
}

static int unknown(const char *word)
{
    char shown[64];
    struct gnt_nearest near =
        gnt_nearest(gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
    for (size_t i = 0; i < COUNT; i++)
        gnt_nearest_offer(&near, subcommands[i].name);
    gnt_nearest_offer(&near, "help");
    if (near.word)
        fprintf(stderr, "gnatter: unknown command '%s', did you mean '%s'?\n", shown, near.word);
    else
        fprintf(stderr, "gnatter: unknown command '%s', see gnatter --help\n", shown);
    return EX_USAGE;
}

static void put_overview(FILE *to)
{
    fputs(
        "Usage: gnatter COMMAND [OPTION]...\n\n"
        "One small broker for MQTT and AMQP 1.0, and the commands that go with it.\n\nCommands:\n",
        to);
    for (size_t i = 0; i < COUNT; i++)
        fprintf(to, "  %-12s %s\n", subcommands[i].name, subcommands[i].about);
    fputs("\n"
          "  gnatter COMMAND --help    shows a command's options and examples\n"
          "  gnatter --version         shows the version\n\n"
          "A first try, in three terminals:\n"
          "  gnatter broker\n"
          "  gnatter sub -t '#' -v\n"
          "  gnatter pub -t greeting -m hello\n\n"
          "And by AMQP, through a queue:\n"
          "  gnatter send orders -m '3 apples'\n"
          "  gnatter receive orders -C 1\n",
          to);
}

static int help(int argc, char **argv)
{
    if (argc == 0) {
        put_overview(stdout);
        return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
    }
    const struct subcommand *subcommand = find(subcommands, COUNT, argv[0]);
    char option[] = "--help";
    char *asked[] = {option, NULL};
    return subcommand ? subcommand->run(1, asked) : unknown(argv[0]);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        put_overview(stderr);
        return EX_USAGE;
    }
    const struct subcommand *found = find(subcommands, COUNT, argv[1]);
    if (!found)
        found = find(words, sizeof words / sizeof words[0], argv[1]);
    return found ? found->run(argc - 2, argv + 2) : unknown(argv[1]);
}
