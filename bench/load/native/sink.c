/* A backend that speaks just enough S3 to be uploaded to: bodies are dropped inside the kernel, bytes are counted.
 *
 * usage: sink [--connection-rate BYTES_PER_SECOND] [--total-rate BYTES_PER_SECOND]
 * Prints its port, then serves until it is killed. GET /-/stats answers what it has seen, as JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES 65536
#define MAX_FDS 16384
#define TICK_MS 2
#define UNPACED_READ_BYTES (8 << 20)
#define ETAG "\"7215ee9c7d9dc229d2921a40e899ec5f\""

struct connection {
  int fd;
  int paused;
  int closing;
  int headBytes;
  int64_t bodyLeft; /* -1 while a head is read */
  double allowance; /* bytes that may be read now */
  double refilledAt;
  char method[8];
  char target[4096];
  char head[HEAD_BYTES];
};

static struct connection *connections[MAX_FDS];
static int pausedFds[MAX_FDS];
static int pausedCount;
static int epollFd;
static double connectionRate, totalRate, totalAllowance, totalRefilledAt;
static struct { uint64_t bytes, requests, puts, parts, creates, completes, aborts, accepted; } stats;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void drop(struct connection *c) {
  for (int i = 0; i < pausedCount; i++)
    if (pausedFds[i] == c->fd) pausedFds[i--] = pausedFds[--pausedCount];
  connections[c->fd] = NULL;
  close(c->fd);
  free(c);
}

/* Answers are far smaller than an empty socket buffer, so a short write means a peer that does not read: drop it. */
static int sendAll(struct connection *c, const char *text, int length) {
  return send(c->fd, text, length, MSG_NOSIGNAL) == length;
}

static int answer(struct connection *c, const char *status, const char *headers, const char *body) {
  char out[2048];
  int n = snprintf(out, sizeof out, "HTTP/1.1 %s\r\nServer: sink\r\nx-amz-request-id: 4442587FB7D0A2F9\r\n%sContent-Length: %zu\r\n\r\n%s",
                   status, headers, strlen(body), strcmp(c->method, "HEAD") ? body : "");
  return sendAll(c, out, n);
}

static int hasQuery(const char *target, const char *name) {
  const char *at = strchr(target, '?');
  size_t length = strlen(name);
  while (at) {
    at++;
    if (!strncmp(at, name, length) && (at[length] == 0 || at[length] == '=' || at[length] == '&')) return 1;
    at = strchr(at, '&');
  }
  return 0;
}

static int answerGet(struct connection *c) {
  char out[512];
  if (!strcmp(c->target, "/-/stats")) {
    snprintf(out, sizeof out,
             "{\"bytes\":%llu,\"requests\":%llu,\"puts\":%llu,\"parts\":%llu,\"creates\":%llu,\"completes\":%llu,\"aborts\":%llu,\"accepted\":%llu}",
             (unsigned long long)stats.bytes, (unsigned long long)stats.requests, (unsigned long long)stats.puts,
             (unsigned long long)stats.parts, (unsigned long long)stats.creates, (unsigned long long)stats.completes,
             (unsigned long long)stats.aborts, (unsigned long long)stats.accepted);
    return answer(c, "200 OK", "Content-Type: application/json\r\n", out);
  }
  if (hasQuery(c->target, "location"))
    return answer(c, "200 OK", "Content-Type: application/xml\r\n", "<LocationConstraint/>");
  if (hasQuery(c->target, "uploads"))
    return answer(c, "200 OK", "Content-Type: application/xml\r\n",
                  "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
  if (!strchr(c->target, '?') || hasQuery(c->target, "list-type"))
    return answer(c, "200 OK", "Content-Type: application/xml\r\n",
                  "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>");
  return answer(c, "404 Not Found", "Content-Type: application/xml\r\n",
                "<Error><Code>NoSuchKey</Code><Message>Nothing is kept here.</Message></Error>");
}

static int answerRequest(struct connection *c) {
  const char *xml = "Content-Type: application/xml\r\n";
  stats.requests++;
  if (!strcmp(c->method, "PUT")) {
    if (hasQuery(c->target, "uploadId")) stats.parts++;
    else stats.puts++;
    return answer(c, "200 OK", "ETag: " ETAG "\r\n", "");
  }
  if (!strcmp(c->method, "POST") && hasQuery(c->target, "uploads")) {
    stats.creates++;
    return answer(c, "200 OK", xml,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                  "<Bucket>bench</Bucket><Key>k</Key><UploadId>sink-upload-1</UploadId></InitiateMultipartUploadResult>");
  }
  if (!strcmp(c->method, "POST")) {
    stats.completes++;
    return answer(c, "200 OK", xml,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                  "<Bucket>bench</Bucket><Key>k</Key><ETag>" ETAG "</ETag></CompleteMultipartUploadResult>");
  }
  if (!strcmp(c->method, "DELETE")) {
    stats.aborts++;
    return sendAll(c, "HTTP/1.1 204 No Content\r\n\r\n", 27);
  }
  if (!strcmp(c->method, "HEAD")) return answer(c, "200 OK", "x-amz-bucket-region: us-east-1\r\n", "");
  return answerGet(c);
}

static const char *headerValue(const char *head, const char *name) {
  size_t length = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
    if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':') {
      const char *value = line + 3 + length;
      while (*value == ' ') value++;
      return value;
    }
  return NULL;
}

/* Reads one head out of the buffer; 1 when there was one, 0 when more is needed, -1 to hang up. */
static int parseHead(struct connection *c) {
  char *end = memmem(c->head, c->headBytes, "\r\n\r\n", 4);
  if (!end) return c->headBytes >= HEAD_BYTES - 1 ? -1 : 0;
  char kept = end[4];
  end[4] = 0; /* the buffer has one byte to spare */
  if (sscanf(c->head, "%7s %4095s", c->method, c->target) != 2) return -1;
  if (headerValue(c->head, "Transfer-Encoding")) {
    answer(c, "501 Not Implemented", "", "");
    return -1;
  }
  const char *length = headerValue(c->head, "Content-Length");
  c->bodyLeft = length ? strtoll(length, NULL, 10) : 0;
  const char *expect = headerValue(c->head, "Expect");
  if (expect && !strncasecmp(expect, "100-continue", 12) && !sendAll(c, "HTTP/1.1 100 Continue\r\n\r\n", 25)) return -1;
  const char *close = headerValue(c->head, "Connection");
  c->closing = close && !strncasecmp(close, "close", 5);
  end[4] = kept;
  int used = end + 4 - c->head;
  memmove(c->head, end + 4, c->headBytes - used);
  c->headBytes -= used;
  return 1;
}

/* Everything that can be done with what has been read; 0 to hang up. */
static int advance(struct connection *c) {
  for (;;) {
    if (c->bodyLeft < 0) {
      int found = c->headBytes ? parseHead(c) : 0;
      if (found <= 0) return found == 0;
    }
    if (c->headBytes) {
      int64_t taken = c->headBytes < c->bodyLeft ? c->headBytes : c->bodyLeft;
      memmove(c->head, c->head + taken, c->headBytes - taken);
      c->headBytes -= taken;
      c->bodyLeft -= taken;
      c->allowance -= taken;
      totalAllowance -= taken;
      stats.bytes += taken;
    }
    if (c->bodyLeft > 0) return 1;
    c->bodyLeft = -1;
    if (!answerRequest(c) || c->closing) return 0;
  }
}

/* How many bytes of a body may be taken now, given the rates. */
static int64_t allowed(struct connection *c, double at) {
  int64_t most = UNPACED_READ_BYTES;
  if (connectionRate > 0) {
    /* No more than 20 ms is saved up, so that a pause is not made good by a burst. */
    c->allowance += (at - c->refilledAt) * connectionRate;
    if (c->allowance > connectionRate * 0.02) c->allowance = connectionRate * 0.02;
    c->refilledAt = at;
    if (c->allowance < most) most = (int64_t)c->allowance;
  }
  if (totalRate > 0) {
    totalAllowance += (at - totalRefilledAt) * totalRate;
    if (totalAllowance > totalRate * 0.02) totalAllowance = totalRate * 0.02;
    totalRefilledAt = at;
    if (most > 65536) most = 65536; /* shares the rate out in small turns */
    if (totalAllowance < most) most = (int64_t)totalAllowance;
  }
  return most;
}

static void pauseReading(struct connection *c) {
  struct epoll_event event = {.events = 0, .data.fd = c->fd};
  epoll_ctl(epollFd, EPOLL_CTL_MOD, c->fd, &event);
  c->paused = 1;
  pausedFds[pausedCount++] = c->fd;
}

static void resumeAll(void) {
  for (int i = 0; i < pausedCount; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = pausedFds[i]};
    connections[pausedFds[i]]->paused = 0;
    epoll_ctl(epollFd, EPOLL_CTL_MOD, pausedFds[i], &event);
  }
  pausedCount = 0;
}

static int readBody(struct connection *c, int64_t most) {
  int64_t want = c->bodyLeft < most ? c->bodyLeft : most;
  /* MSG_TRUNC drops the bytes without copying them (tcp(7)); the buffer is never written to. */
  ssize_t n = recv(c->fd, c->head, want, MSG_TRUNC);
  if (n <= 0) return n < 0 && errno == EAGAIN;
  stats.bytes += n;
  c->bodyLeft -= n;
  c->allowance -= n;
  totalAllowance -= n;
  return c->bodyLeft > 0 ? 1 : advance(c);
}

static int onReadable(struct connection *c) {
  if (c->bodyLeft > 0) {
    int64_t most = allowed(c, connectionRate > 0 || totalRate > 0 ? now() : 0);
    if (most < 4096 && most < c->bodyLeft) {
      pauseReading(c);
      return 1;
    }
    return readBody(c, most);
  }
  ssize_t n = recv(c->fd, c->head + c->headBytes, HEAD_BYTES - 1 - c->headBytes, 0);
  if (n <= 0) return n < 0 && errno == EAGAIN;
  c->headBytes += n;
  return advance(c);
}

static void acceptAll(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    struct connection *c = fd < MAX_FDS ? calloc(1, sizeof *c) : NULL;
    if (!c) {
      close(fd);
      continue;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->fd = fd;
    c->bodyLeft = -1;
    c->refilledAt = now();
    connections[fd] = c;
    stats.accepted++;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epollFd, EPOLL_CTL_ADD, fd, &event);
  }
}

static int listenAnywhere(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int small = 262144;
  /* A paced backend must push back at once, not after the kernel has taken megabytes on its behalf. */
  if (connectionRate > 0 || totalRate > 0) setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1024)) return -1;
  getsockname(listener, (struct sockaddr *)&address, &length);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--connection-rate")) connectionRate = atof(argv[i + 1]);
    else if (!strcmp(argv[i], "--total-rate")) totalRate = atof(argv[i + 1]);
    else return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  epollFd = epoll_create1(0);
  totalRefilledAt = now();
  int listener = listenAnywhere();
  if (listener < 0) return perror("sink"), 1;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
  epoll_ctl(epollFd, EPOLL_CTL_ADD, listener, &event);
  double resumedAt = now();
  for (;;) {
    int n = epoll_wait(epollFd, events, 256, pausedCount ? TICK_MS : -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) acceptAll(listener);
      else if (connections[fd] && !connections[fd]->paused && !onReadable(connections[fd])) drop(connections[fd]);
      else if (connections[fd] && connections[fd]->paused && (events[i].events & EPOLLERR)) drop(connections[fd]);
    }
    if (pausedCount && now() - resumedAt >= TICK_MS / 1000.0) {
      resumedAt = now();
      resumeAll();
    }
  }
}
