/* Viewers of a terminal, so that the client is not the bottleneck. KIND is rich (partywidgets.terminal.v1) or terminado.
 *
 *   terminal_client pty COMMAND                                   bytes that the program writes to a bare PTY, read as they come
 *   terminal_client pty-echo COUNT                                keystroke to echo of a bash at a bare PTY
 *   terminal_client KIND HOST PORT PATH drain N COMMAND MARK      N viewers; the first types COMMAND; until all have seen MARK
 *   terminal_client KIND HOST PORT PATH echo COUNT N              keystroke to echo at a prompt of the first of N viewers
 *   terminal_client KIND HOST PORT PATH interrupt RATE            `yes` for 2 s, read at RATE bytes a second; Ctrl-C to prompt
 *   terminal_client KIND HOST PORT PATH join [FILE]               connection to the last byte of the first screen, its size; the screen into FILE
 *   terminal_client KIND HOST PORT PATH hold                      a viewer that reads until it is killed; "ready" once it has a screen
 *
 * TERMINAL_HEADER in the environment is one more header line of every handshake. Prints one JSON line. A rich viewer acknowledges every 128 KiB and when nothing comes for 5 ms; what it lost to a fresh screen is not counted as delivered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (256 * 1024)
#define CARRY 32
#define TAIL 4096 /* what is waited for comes last: the rest of a large piece is not searched */
#define ACK (128 * 1024)
#define MOST 64
#define READY "READY> "

typedef struct {
  int fd, rich, upgraded;
  unsigned char head[24];
  size_t have, kind_need, kind_have; /* of the frame's header, and of a rich frame's own */
  unsigned char kind[13];
  uint64_t left;
  int opcode;
  uint64_t offset, acknowledged, delivered, frames, screens, screen_bytes;
  char carry[CARRY + BUFFER + 1];
  size_t carried;
  const char *mark;
  int seen;
  char text[4096];
  size_t text_have;
  FILE *keep; /* its first screen goes there */
} viewer;

static unsigned char buffer[BUFFER];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
  fprintf(stderr, "terminal_client: %s: %s\n", what, errno ? strerror(errno) : "failed");
  exit(1);
}

static void send_all(int fd, const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  while (size) {
    ssize_t n = write(fd, at, size);
    if (n < 0) {
      if (errno != EAGAIN) die("write");
      struct pollfd wait = {.fd = fd, .events = POLLOUT};
      poll(&wait, 1, 1000);
      continue;
    }
    at += n;
    size -= n;
  }
}

/* Client frames are masked with a key of zero, which leaves the payload as it is. */
static void send_frame(viewer *v, int opcode, const void *payload, size_t size) {
  unsigned char frame[8 + 4096];
  size_t at = 0;
  if (size > 4096) die("too long to type");
  frame[at++] = 0x80 | opcode;
  if (size < 126) frame[at++] = 0x80 | size;
  else {
    frame[at++] = 0x80 | 126;
    frame[at++] = size >> 8;
    frame[at++] = size;
  }
  memset(frame + at, 0, 4);
  memcpy(frame + at + 4, payload, size);
  send_all(v->fd, frame, at + 4 + size);
}

static void type(viewer *v, const char *keys) {
  static uint64_t sequence;
  unsigned char frame[4096];
  size_t at = 0;
  if (v->rich) {
    sequence++;
    frame[at++] = 2;
    for (int b = 7; b >= 0; b--) frame[at++] = sequence >> (8 * b);
    memcpy(frame + at, keys, strlen(keys));
    send_frame(v, 2, frame, at + strlen(keys));
    return;
  }
  at = sprintf((char *)frame, "[\"stdin\", \"");
  for (; *keys; keys++) {
    if (*keys < 32 || *keys == 127) at += sprintf((char *)frame + at, "\\u%04x", *keys);
    else {
      if (*keys == '"' || *keys == '\\') frame[at++] = '\\';
      frame[at++] = *keys;
    }
  }
  at += sprintf((char *)frame + at, "\"]");
  send_frame(v, 1, frame, at);
}

static void acknowledge(viewer *v) {
  char message[80];
  int n = sprintf(message, "{\"type\":\"consumed\",\"offset\":%llu}", (unsigned long long)v->offset);
  send_frame(v, 1, message, n);
  v->acknowledged = v->offset;
}

static void look(viewer *v, const unsigned char *bytes, size_t size) {
  if (!v->mark) return;
  if (size > TAIL) bytes += size - TAIL, size = TAIL, v->carried = 0;
  memcpy(v->carry + v->carried, bytes, size);
  size_t all = v->carried + size;
  if (memmem(v->carry, all, v->mark, strlen(v->mark))) v->seen = 1;
  size_t keep = strlen(v->mark) - 1;
  if (keep > all) keep = all;
  memmove(v->carry, v->carry + all - keep, keep);
  v->carried = keep;
}

static void expect(viewer *v, const char *mark) {
  v->mark = mark;
  v->seen = 0;
  v->carried = 0;
}

static void payload(viewer *v, const unsigned char *bytes, size_t size) {
  if (v->opcode == 9) return;
  if (!v->rich) {
    v->delivered += size;
    look(v, bytes, size);
    return;
  }
  if (v->opcode == 1) {
    if (v->text_have + size < sizeof v->text) memcpy(v->text + v->text_have, bytes, size), v->text_have += size;
    return;
  }
  while (size && v->kind_have < v->kind_need) {
    v->kind[v->kind_have++] = *bytes++;
    size--;
    if (v->kind_have == 1) v->kind_need = v->kind[0] == 3 ? 13 : 9;
    if (v->kind_have == v->kind_need) {
      uint64_t offset = 0;
      for (int b = 1; b < 9; b++) offset = offset << 8 | v->kind[b];
      if (v->kind[0] == 3) v->screens++;
      else if (offset != v->offset && v->upgraded > 1) die("a hole in the output");
      v->offset = offset;
      v->upgraded = 2;
    }
  }
  if (!size) return;
  if (v->kind[0] == 1) v->offset += size, v->delivered += size;
  else {
    v->screen_bytes += size;
    if (v->keep) fwrite(bytes, 1, size, v->keep);
  }
  look(v, bytes, size);
}

static void ended(viewer *v) {
  v->frames++;
  if (v->opcode == 9) send_frame(v, 10, "", 0);
  if (v->opcode == 8) die("the server closed a viewer");
  if (v->rich && v->opcode == 1) {
    v->text[v->text_have] = 0;
    if (strstr(v->text, "\"failed\"")) fprintf(stderr, "%s\n", v->text), exit(1);
  }
  v->have = v->kind_have = v->text_have = 0;
  v->kind_need = 1;
  if (v->rich && v->offset - v->acknowledged >= ACK) acknowledge(v);
}

/* Reads once, at most `most` bytes; 0 when nothing was there. */
static size_t take(viewer *v, size_t most) {
  ssize_t r = recv(v->fd, buffer, most < BUFFER ? most : BUFFER, MSG_DONTWAIT);
  if (r == 0) die("the server closed a viewer");
  if (r < 0) {
    if (errno == EAGAIN) return 0;
    die("read");
  }
  size_t at = 0;
  while (at < (size_t)r) {
    if (v->left) {
      size_t step = v->left < (uint64_t)(r - at) ? v->left : (size_t)(r - at);
      payload(v, buffer + at, step);
      v->left -= step;
      at += step;
      if (!v->left) ended(v);
      continue;
    }
    v->head[v->have++] = buffer[at++];
    if (v->have < 2) continue;
    unsigned length = v->head[1] & 0x7f;
    size_t need = length == 126 ? 4 : length == 127 ? 10 : 2;
    if (v->have < need) continue;
    v->opcode = v->head[0] & 0x0f;
    v->left = length == 126 ? (v->head[2] << 8 | v->head[3]) : length;
    if (length == 127) {
      v->left = 0;
      for (int b = 2; b < 10; b++) v->left = v->left << 8 | v->head[b];
    }
    v->kind_have = 0;
    v->kind_need = 1;
    if (!v->left) ended(v);
  }
  return r;
}

static viewer *join(int rich, const char *host, int port, const char *path) {
  viewer *v = calloc(1, sizeof *v);
  int one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &address.sin_addr);
  v->fd = socket(AF_INET, SOCK_STREAM, 0);
  v->rich = rich;
  if (connect(v->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
  setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  char request[2048];
  const char *header = getenv("TERMINAL_HEADER");
  int n = snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
                   path, host, port, rich ? "Sec-WebSocket-Protocol: partywidgets.terminal.v1\r\n" : "", header ? header : "",
                   header ? "\r\n" : "");
  send_all(v->fd, request, n);
  char answer[4096];
  size_t got = 0;
  while (got < sizeof answer - 1) { /* byte by byte: what follows the head is frames */
    if (read(v->fd, answer + got, 1) <= 0) die("handshake");
    answer[++got] = 0;
    if (got >= 4 && !memcmp(answer + got - 4, "\r\n\r\n", 4)) break;
  }
  if (strncmp(answer, "HTTP/1.1 101", 12)) {
    fprintf(stderr, "terminal_client: refused: %.200s\n", answer);
    exit(1);
  }
  v->upgraded = 1;
  v->kind_need = 1;
  return v;
}

static void until(viewer **all, int count, double seconds, const char *what) {
  struct pollfd waits[MOST];
  double end = now() + seconds;
  for (;;) {
    int missing = 0;
    for (int i = 0; i < count; i++) {
      waits[i] = (struct pollfd){.fd = all[i]->fd, .events = POLLIN};
      missing += !all[i]->seen;
    }
    if (!missing) return;
    if (now() > end) {
      errno = 0;
      die(what);
    }
    if (poll(waits, count, 5) == 0)
      for (int i = 0; i < count; i++)
        if (all[i]->rich && all[i]->offset > all[i]->acknowledged) acknowledge(all[i]);
    for (int i = 0; i < count; i++)
      if (waits[i].revents) take(all[i], BUFFER);
  }
}

static void quiet(viewer **all, int count, int ms) {
  struct pollfd waits[MOST];
  for (;;) {
    for (int i = 0; i < count; i++) waits[i] = (struct pollfd){.fd = all[i]->fd, .events = POLLIN};
    if (poll(waits, count, ms) == 0) return;
    for (int i = 0; i < count; i++)
      if (waits[i].revents) take(all[i], BUFFER);
  }
}

/* Both kinds of shell get the same prompt. */
static void prompt(viewer **all, int count) {
  quiet(all, count, 500);
  for (int i = 0; i < count; i++) expect(all[i], READY);
  type(all[0], "PROMPT_COMMAND=; PS1='REA''DY> '\r");
  until(all, count, 10, "no prompt");
  quiet(all, count, 200);
}

static int opened(const char *program, char *const *arguments, pid_t *child) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) || unlockpt(master)) die("no PTY");
  char *name = ptsname(master);
  *child = fork();
  if (!*child) {
    setsid();
    int slave = open(name, O_RDWR);
    struct winsize size = {.ws_row = 30, .ws_col = 120};
    ioctl(slave, TIOCSWINSZ, &size);
    dup2(slave, 0), dup2(slave, 1), dup2(slave, 2);
    close(slave), close(master);
    execv(program, arguments);
    _exit(127);
  }
  return master;
}

static int bare(const char *command) {
  pid_t child;
  double begin = now();
  int master = opened("/bin/sh", (char *[]){"sh", "-c", (char *)command, NULL}, &child);
  uint64_t total = 0, reads = 0;
  for (;;) {
    ssize_t r = read(master, buffer, BUFFER);
    if (r <= 0) {
      if (errno == EIO) break;
      die("read");
    }
    total += r;
    reads++;
  }
  double took = now() - begin;
  waitpid(child, NULL, 0);
  printf("{\"mb_per_s\": %.2f, \"seconds\": %.3f, \"bytes\": %llu, \"reads\": %llu}\n", total / took / 1e6, took, (unsigned long long)total,
         (unsigned long long)reads);
  return 0;
}

static void told(double *times, int presses) {
  printf("{\"ms\": [");
  for (int i = 0; i < presses; i++) printf("%s%.3f", i ? ", " : "", times[i] * 1e3);
  printf("]}\n");
}

static int bare_echo(int presses) {
  pid_t child;
  int master = opened("/bin/bash", (char *[]){"bash", "--norc", NULL}, &child);
  struct pollfd wait = {.fd = master, .events = POLLIN};
  while (poll(&wait, 1, 500) > 0)
    if (read(master, buffer, BUFFER) <= 0) die("no shell");
  double *times = calloc(presses, sizeof *times);
  for (int i = 0; i < presses; i++) {
    double begin = now();
    send_all(master, i % 2 ? "\x7f" : "x", 1);
    if (poll(&wait, 1, 5000) != 1 || read(master, buffer, BUFFER) <= 0) errno = 0, die("no echo");
    times[i] = now() - begin;
    while (poll(&wait, 1, 25) > 0)
      if (read(master, buffer, BUFFER) <= 0) die("no shell");
  }
  close(master);
  waitpid(child, NULL, 0);
  told(times, presses);
  return 0;
}

static int drain(viewer **all, int count, const char *command, const char *mark) {
  prompt(all, count);
  char line[1024];
  uint64_t delivered = 0, screens = 0, frames = 0;
  for (int i = 0; i < count; i++) {
    expect(all[i], mark);
    delivered -= all[i]->delivered;
    screens -= all[i]->screens;
    frames -= all[i]->frames;
  }
  snprintf(line, sizeof line, "%s\r", command);
  double begin = now();
  type(all[0], line);
  until(all, count, 120, "the mark did not come");
  double took = now() - begin;
  for (int i = 0; i < count; i++) {
    delivered += all[i]->delivered;
    screens += all[i]->screens;
    frames += all[i]->frames;
  }
  printf("{\"seconds\": %.3f, \"delivered\": %llu, \"mb_per_s\": %.2f, \"screens\": %llu, \"frames\": %llu}\n", took, (unsigned long long)delivered,
         delivered / took / 1e6, (unsigned long long)screens, (unsigned long long)frames);
  return 0;
}

static int echo(viewer **all, int count, int presses) {
  prompt(all, count);
  double *times = calloc(presses, sizeof *times);
  for (int i = 0; i < presses; i++) {
    uint64_t before = all[0]->delivered;
    double begin = now(), end = begin + 5;
    type(all[0], i % 2 ? "\x7f" : "x");
    while (all[0]->delivered == before) {
      struct pollfd wait = {.fd = all[0]->fd, .events = POLLIN};
      poll(&wait, 1, 1000);
      take(all[0], BUFFER);
      if (now() > end) errno = 0, die("no echo");
    }
    times[i] = now() - begin;
    for (double rest = begin + 0.025; now() < rest;) {
      struct pollfd waits[MOST];
      for (int k = 0; k < count; k++) waits[k] = (struct pollfd){.fd = all[k]->fd, .events = POLLIN};
      int ms = (int)((rest - now()) * 1000) + 1;
      if (poll(waits, count, ms) > 0)
        for (int k = 0; k < count; k++)
          if (waits[k].revents) take(all[k], BUFFER);
    }
  }
  told(times, presses);
  return 0;
}

/* A viewer on a thin line: at most RATE bytes a second leave its small receive buffer. */
static int interrupt(viewer *v, double rate) {
  prompt(&v, 1);
  type(v, "yes\r");
  double begin = now(), taken = 0, pressed = 0;
  for (;;) {
    double t = now();
    if (!pressed && t - begin > 2) {
      pressed = t;
      expect(v, READY);
      type(v, "\x03");
    }
    if (pressed && v->seen) break;
    if (pressed && t - pressed > 20) break;
    double may = (t - begin) * rate - taken;
    if (may < 4096) {
      usleep(1000);
      continue;
    }
    size_t got = take(v, 4096);
    if (got) taken += got;
    else {
      taken = (t - begin) * rate - 4096; /* what nothing was sent for is not saved up */
      struct pollfd wait = {.fd = v->fd, .events = POLLIN};
      if (!poll(&wait, 1, 20) && v->rich && v->offset > v->acknowledged) acknowledge(v);
    }
    if (v->rich && v->offset - v->acknowledged >= 16384) acknowledge(v);
  }
  printf("{\"seconds\": %.3f, \"seen\": %s, \"screens\": %llu}\n", now() - pressed, v->seen ? "true" : "false", (unsigned long long)v->screens);
  return 0;
}

static void hold(viewer *v) {
  int said = 0;
  for (;;) {
    struct pollfd wait = {.fd = v->fd, .events = POLLIN};
    if (poll(&wait, 1, 5) > 0) take(v, BUFFER);
    else if (v->rich && v->offset > v->acknowledged) acknowledge(v);
    if (!said && (v->rich ? v->screens : v->delivered) && !v->left) said = printf("ready\n"), fflush(stdout);
  }
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "pty")) return bare(argv[2]);
  if (argc == 3 && !strcmp(argv[1], "pty-echo")) return bare_echo(atoi(argv[2]));
  if (argc < 6) {
    fprintf(stderr, "usage: see the top of terminal_client.c\n");
    return 2;
  }
  int rich = !strcmp(argv[1], "rich"), port = atoi(argv[3]);
  const char *mode = argv[5];
  viewer *all[MOST];
  if (!strcmp(mode, "join")) {
    double begin = now();
    viewer *v = join(rich, argv[2], port, argv[4]);
    if (argc == 7 && !(v->keep = fopen(argv[6], "w"))) die(argv[6]);
    while (!v->screens || v->left) {
      struct pollfd wait = {.fd = v->fd, .events = POLLIN};
      if (!poll(&wait, 1, 10000)) errno = 0, die("no screen");
      take(v, BUFFER);
    }
    printf("{\"seconds\": %.4f, \"bytes\": %llu}\n", now() - begin, (unsigned long long)v->screen_bytes);
    if (v->keep) fclose(v->keep);
    return 0;
  }
  int count = argc > 6 && !strcmp(mode, "drain") ? atoi(argv[6]) : argc > 7 && !strcmp(mode, "echo") ? atoi(argv[7]) : 1;
  if (count < 1 || count > MOST) die("1 to 64 viewers");
  for (int i = 0; i < count; i++) all[i] = join(rich, argv[2], port, argv[4]);
  if (!strcmp(mode, "drain") && argc == 9) return drain(all, count, argv[7], argv[8]);
  if (!strcmp(mode, "echo") && argc == 8) return echo(all, count, atoi(argv[6]));
  if (!strcmp(mode, "hold")) hold(all[0]);
  if (!strcmp(mode, "interrupt") && argc == 7) return interrupt(all[0], atof(argv[6]));
  fprintf(stderr, "usage: see the top of terminal_client.c\n");
  return 2;
}
