/* Fan-out load: one publisher and N subscribers in one room, 200-byte text messages, at most W published and not yet received by all.
 *
 *   load HOST PORT PATH N W SECONDS [TICKETS]
 *
 * TICKETS is a file with one ticket a line, N + 1 of them, offered as a subprotocol beside partywidgets.v1.
 * LOAD_HEADER in the environment is one more header line of every handshake.
 * Prints one JSON line: deliveries a second over SECONDS, after one second of warm-up.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE 200
#define RING 65536
#define BUFFER 262144

typedef struct {
  int fd;
  size_t have;      /* bytes of an unfinished frame, at the start of buffer */
  uint64_t skip;    /* payload bytes of the current frame still to come */
  uint64_t received;
  unsigned char head[16];
} subscriber;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "failed");
  exit(1);
}

static int join_room(const char *host, int port, const char *path, const char *ticket) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &address.sin_addr);
  if (connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  char request[2048], protocol[768] = "";
  const char *header = getenv("LOAD_HEADER");
  if (ticket) snprintf(protocol, sizeof protocol, "Sec-WebSocket-Protocol: partywidgets.v1, partywidgets.ticket.%s\r\n", ticket);
  int n = snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
                   path, host, port, protocol, header ? header : "", header ? "\r\n" : "");
  if (n >= (int)sizeof request) die("too long a handshake");
  if (write(fd, request, n) != n) die("write");
  char answer[4096];
  size_t got = 0;
  while (got < sizeof answer - 1) { /* byte by byte: what follows the head is frames */
    ssize_t r = read(fd, answer + got, 1);
    if (r <= 0) die("handshake");
    got += r;
    answer[got] = 0;
    if (got >= 4 && !memcmp(answer + got - 4, "\r\n\r\n", 4)) break;
  }
  if (strncmp(answer, "HTTP/1.1 101", 12)) {
    fprintf(stderr, "load: refused: %.60s\n", answer);
    exit(1);
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

int main(int argc, char **argv) {
  if (argc < 7) {
    fprintf(stderr, "usage: load HOST PORT PATH N W SECONDS [TICKETS]\n");
    return 2;
  }
  const char *host = argv[1], *path = argv[3];
  int port = atoi(argv[2]), count = atoi(argv[4]), window = atoi(argv[5]);
  double seconds = atof(argv[6]);
  FILE *tickets = argc > 7 ? fopen(argv[7], "r") : NULL;
  subscriber *all = calloc(count, sizeof *all);
  static uint32_t remaining[RING];
  static unsigned char buffer[BUFFER];
  int poll = epoll_create1(0);
  char line[512];
  for (int i = 0; i <= count; i++) {
    char *ticket = NULL;
    if (tickets) {
      if (!fgets(line, sizeof line, tickets)) die("too few tickets");
      line[strcspn(line, "\r\n")] = 0;
      ticket = line;
    }
    int fd = join_room(host, port, path, ticket);
    if (i == count) {
      struct epoll_event event = {.events = EPOLLIN, .data.u32 = 0xffffffff};
      epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
      /* The publisher: its frames are masked with a key of zero, which leaves the payload as it is. */
      unsigned char frame[8 + SIZE] = {0x81, 0x80 | 126, 0, SIZE, 0, 0, 0, 0};
      memset(frame + 8, 'x', SIZE);
      unsigned char *burst = malloc((size_t)window * sizeof frame);
      for (int w = 0; w < window; w++) memcpy(burst + w * sizeof frame, frame, sizeof frame);
      uint64_t published = 0, complete = 0, delivered = 0, base = 0;
      double begin = now(), measure = begin + 1, end = measure + seconds, last = begin;
      int measuring = 0;
      struct epoll_event events[256];
      for (;;) {
        double t = now();
        if (!measuring && t >= measure) measuring = 1, base = delivered, measure = t;
        if (t >= end) break;
        if (delivered && t - last > 10) die("no delivery for 10 s");
        uint64_t may = window - (published - complete);
        if (may) {
          ssize_t want = may * sizeof frame, sent = 0;
          for (uint64_t k = 0; k < may; k++) remaining[(published + k) % RING] = count;
          while (sent < want) {
            ssize_t w = write(fd, burst + sent, want - sent);
            if (w > 0) sent += w;
            else if (errno != EAGAIN) die("publish");
          }
          published += may;
        }
        int ready = epoll_wait(poll, events, 256, 1000);
        for (int e = 0; e < ready; e++) {
          if (events[e].data.u32 == 0xffffffff) {
            if (read(fd, buffer, BUFFER) == 0) die("the server closed the publisher");
            continue;
          }
          subscriber *s = &all[events[e].data.u32];
          ssize_t r = read(s->fd, buffer, BUFFER);
          if (r == 0) die("the server closed a subscriber");
          if (r < 0) {
            if (errno == EAGAIN) continue;
            die("read");
          }
          size_t at = 0;
          while (at < (size_t)r) {
            if (s->skip) {
              size_t step = s->skip < (uint64_t)(r - at) ? s->skip : (size_t)(r - at);
              s->skip -= step;
              at += step;
              if (s->skip) break;
              if ((s->head[0] & 0x0f) == 1) {
                delivered++;
                if (--remaining[s->received++ % RING] == 0) complete++;
              }
              s->have = 0;
              continue;
            }
            s->head[s->have++] = buffer[at++];
            if (s->have < 2) continue;
            unsigned length = s->head[1] & 0x7f;
            size_t need = length == 126 ? 4 : length == 127 ? 10 : 2;
            if (s->have < need) continue;
            s->skip = length == 126 ? (s->head[2] << 8 | s->head[3]) : length;
            if (length == 127) {
              s->skip = 0;
              for (int b = 2; b < 10; b++) s->skip = s->skip << 8 | s->head[b];
            }
            if (!s->skip) s->have = 0;
          }
          last = t;
        }
      }
      double took = now() - measure;
      printf("{\"deliveries_per_s\": %.0f, \"seconds\": %.2f, \"subscribers\": %d, \"window\": %d}\n", (delivered - base) / took, took, count, window);
      return 0;
    }
    all[i].fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
  }
}
