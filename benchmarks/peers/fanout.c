/* A broadcast server in C, as a yardstick: every text frame goes to all others.
 *
 *   fanout PORT join|single     join: the frames of one read go out in one send a socket; single: one send a message
 *
 * Prints "ready PORT" when it listens. No limits, no auth: a lower bound on work, not a server to run.
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
#include <unistd.h>

#define PEERS 4096
#define BUFFER 262144

typedef struct {
  int fd, open;
  size_t have;
  unsigned char in[65536];
  unsigned char *pending; /* what the kernel did not take */
  size_t waiting, room;
} peer;

static peer *peers[PEERS];
static int top;

static uint32_t rol(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1(const unsigned char *text, size_t length, unsigned char out[20]) {
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  unsigned char block[256] = {0};
  memcpy(block, text, length);
  block[length] = 0x80;
  size_t total = ((length + 8) / 64 + 1) * 64;
  for (int i = 0; i < 8; i++) block[total - 1 - i] = (length * 8) >> (8 * i);
  for (size_t at = 0; at < total; at += 64) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++) w[i] = block[at + 4 * i] << 24 | block[at + 4 * i + 1] << 16 | block[at + 4 * i + 2] << 8 | block[at + 4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6, t = rol(a, 5) + f + e + k + w[i];
      e = d, d = c, c = rol(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) out[i] = h[i / 4] >> (24 - 8 * (i % 4));
}

static void handshake(peer *p) {
  p->in[p->have < sizeof p->in ? p->have : sizeof p->in - 1] = 0;
  if (!strstr((char *)p->in, "\r\n\r\n")) return;
  char *key = strcasestr((char *)p->in, "sec-websocket-key: ");
  if (!key) {
    close(p->fd);
    return;
  }
  char joined[128] = "", answer[256];
  snprintf(joined, sizeof joined, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
  unsigned char digest[21] = {0};
  sha1((unsigned char *)joined, strlen(joined), digest);
  static const char *letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char accept[29] = "";
  for (int i = 0, o = 0; i < 21; i += 3) {
    uint32_t v = digest[i] << 16 | digest[i + 1] << 8 | digest[i + 2];
    for (int s = 18; s >= 0; s -= 6) accept[o++] = letters[v >> s & 63];
  }
  accept[27] = '=';
  int n = snprintf(answer, sizeof answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
  if (write(p->fd, answer, n) != n) perror("write");
  p->open = 1;
  p->have = 0;
}

static void deliver(peer *p, const unsigned char *bytes, size_t length, int poll, int index) {
  if (!p->waiting) {
    ssize_t w = send(p->fd, bytes, length, MSG_NOSIGNAL);
    if (w == (ssize_t)length) return;
    if (w < 0) w = 0;
    bytes += w, length -= w;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = index};
    epoll_ctl(poll, EPOLL_CTL_MOD, p->fd, &event);
  }
  if (p->waiting + length > p->room) p->pending = realloc(p->pending, p->room = (p->waiting + length) * 2);
  memcpy(p->pending + p->waiting, bytes, length);
  p->waiting += length;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  int join = !strcmp(argv[2], "join"), listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, poll = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) return 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("ready %d\n", ntohs(address.sin_port));
  fflush(stdout);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = 0xffffffff}, events[256];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  static unsigned char out[BUFFER];
  for (;;) {
    int ready = epoll_wait(poll, events, 256, -1);
    for (int e = 0; e < ready; e++) {
      uint32_t index = events[e].data.u32;
      if (index == 0xffffffff) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0 || top >= PEERS) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        peers[top] = calloc(1, sizeof(peer));
        peers[top]->fd = fd;
        struct epoll_event join_event = {.events = EPOLLIN, .data.u32 = top++};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &join_event);
        continue;
      }
      peer *p = peers[index];
      if (events[e].events & EPOLLOUT && p->waiting) {
        ssize_t w = send(p->fd, p->pending, p->waiting, MSG_NOSIGNAL);
        if (w > 0) memmove(p->pending, p->pending + w, p->waiting -= w);
        if (!p->waiting) {
          struct epoll_event quiet = {.events = EPOLLIN, .data.u32 = index};
          epoll_ctl(poll, EPOLL_CTL_MOD, p->fd, &quiet);
        }
      }
      if (!(events[e].events & EPOLLIN)) continue;
      ssize_t r = read(p->fd, p->in + p->have, sizeof p->in - 1 - p->have);
      if (r <= 0) {
        if (r == 0 || errno != EAGAIN) close(p->fd), p->open = 0, p->fd = -1;
        continue;
      }
      p->have += r;
      if (!p->open) {
        handshake(p);
        continue;
      }
      size_t at = 0, filled = 0;
      while (p->have - at >= 6) {
        unsigned length = p->in[at + 1] & 0x7f;
        size_t head = length == 126 ? 8 : 6;
        if (p->have - at < head) break;
        if (length == 126) length = p->in[at + 2] << 8 | p->in[at + 3];
        if (p->have - at < head + length) break;
        unsigned char *mask = p->in + at + head - 4, *payload = p->in + at + head, *frame = out + filled;
        for (unsigned i = 0; i < length; i++) payload[i] ^= mask[i & 3];
        size_t n = 0;
        frame[n++] = 0x81;
        if (length < 126) frame[n++] = length;
        else frame[n++] = 126, frame[n++] = length >> 8, frame[n++] = length & 255;
        memcpy(frame + n, payload, length);
        n += length;
        at += head + length;
        if (join) {
          filled += n;
          if (filled < BUFFER - 70000) continue;
        }
        size_t amount = join ? filled : n;
        for (int i = 0; i < top; i++)
          if (i != (int)index && peers[i]->open) deliver(peers[i], out, amount, poll, i);
        filled = 0;
      }
      if (filled)
        for (int i = 0; i < top; i++)
          if (i != (int)index && peers[i]->open) deliver(peers[i], out, filled, poll, i);
      memmove(p->in, p->in + at, p->have -= at);
    }
  }
}
