/* A client that uploads as fast as it is let, on one thread: the same PUT again and again on keep-alive connections.
 *
 * usage: load --port N --path /p --payload FILE --body-bytes N --connections N (--requests N | --seconds N)
 *             [--timeout-seconds N] [--header "Name: value"]...
 * FILE is repeated from its start to make up a body. Prints one line of JSON; a latency is first byte out to last byte in.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES 16384
#define MAX_FAILURES 50

struct connection {
  int fd;
  int busy;
  int64_t sent; /* of head and body together */
  int answerBytes;
  double startedAt;
  char answer[ANSWER_BYTES];
};

static char head[16384];
static int headBytes, port, epollFd, inFlight;
static char *payload;
static int64_t payloadBytes, bodyBytes = -1;
static int64_t requestLimit = INT64_MAX, started, succeeded, failed, reconnects;
static double stopAt = 1e300;
static uint32_t *latenciesUs;
static size_t latencyRoom;
static int statusCounts[600];
static char firstFault[256];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void watch(struct connection *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(epollFd, operation, c->fd, &event);
}

static void openConnection(struct connection *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
    fprintf(stderr, "load: cannot connect to port %d: %s\n", port, strerror(errno));
    exit(1);
  }
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void noteFault(const char *what, const char *text) {
  failed++;
  if (firstFault[0]) return;
  snprintf(firstFault, sizeof firstFault, "%s %.200s", what, text);
  for (char *p = firstFault; *p; p++)
    if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ') *p = ' ';
}

static void reopen(struct connection *c) {
  close(c->fd);
  reconnects++;
  openConnection(c);
}

/* Sends what the socket takes; 0 when the connection is broken. */
static int sendMore(struct connection *c) {
  int64_t total = headBytes + bodyBytes;
  while (c->sent < total) {
    struct iovec parts[2];
    int count = 0;
    int64_t inBody = c->sent > headBytes ? c->sent - headBytes : 0;
    if (c->sent < headBytes) parts[count++] = (struct iovec){head + c->sent, headBytes - c->sent};
    int64_t at = inBody % payloadBytes, most = payloadBytes - at;
    if (most > bodyBytes - inBody) most = bodyBytes - inBody;
    if (most > 0) parts[count++] = (struct iovec){payload + at, most};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno != EAGAIN) return 0;
      watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
      return 1;
    }
    c->sent += n;
  }
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
  return 1;
}

static void startNext(struct connection *c) {
  while (started < requestLimit && failed < MAX_FAILURES) {
    double at = now();
    if (at >= stopAt) return;
    c->sent = c->answerBytes = 0;
    c->startedAt = at;
    started++;
    if (sendMore(c)) {
      c->busy = 1;
      inFlight++;
      return;
    }
    noteFault("connection closed while sending", "");
    reopen(c);
  }
}

/* Length of the whole answer in the buffer; 0 when more is needed, -1 when its framing is not understood. */
static int answerLength(struct connection *c) {
  char *end = memmem(c->answer, c->answerBytes, "\r\n\r\n", 4);
  if (!end) return c->answerBytes >= ANSWER_BYTES - 1 ? -1 : 0;
  int head = end + 4 - c->answer;
  c->answer[c->answerBytes] = 0;
  char *length = strcasestr(c->answer, "\r\nContent-Length:");
  if (length && length < end) {
    int whole = head + atoi(length + 17);
    return c->answerBytes >= whole ? whole : 0;
  }
  char *chunked = strcasestr(c->answer, "\r\nTransfer-Encoding: chunked");
  if (!chunked || chunked > end) return -1;
  return c->answerBytes >= head + 5 && !memcmp(c->answer + c->answerBytes - 5, "0\r\n\r\n", 5) ? c->answerBytes : 0;
}

static void finish(struct connection *c) {
  int status = atoi(c->answer + 9);
  c->busy = 0;
  inFlight--;
  statusCounts[status > 0 && status < 600 ? status : 0]++;
  if (status == 200 && c->sent == headBytes + bodyBytes) {
    if ((size_t)succeeded == latencyRoom) {
      latencyRoom = latencyRoom ? latencyRoom * 2 : 65536;
      latenciesUs = realloc(latenciesUs, latencyRoom * sizeof *latenciesUs);
    }
    latenciesUs[succeeded++] = (uint32_t)((now() - c->startedAt) * 1e6);
  } else noteFault(status == 200 ? "answered before the body was sent:" : "answered", c->answer);
  char *close = strcasestr(c->answer, "\r\nConnection: close");
  if (close || c->sent < headBytes + bodyBytes) reopen(c);
  startNext(c);
}

static void onReadable(struct connection *c) {
  ssize_t n = recv(c->fd, c->answer + c->answerBytes, ANSWER_BYTES - 1 - c->answerBytes, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n > 0) {
    c->answerBytes += n;
    int length = answerLength(c);
    if (length == 0) return;
    if (length > 0 && c->busy) return finish(c);
  }
  /* A keep-alive connection may be closed while nothing is asked of it; that is no failure. */
  if (c->busy) {
    noteFault(n > 0 ? "answer not understood:" : "connection closed before the answer", n > 0 ? c->answer : "");
    inFlight--;
    c->busy = 0;
  }
  reopen(c);
  startNext(c);
}

static int byValue(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t percentile(double share) {
  return succeeded ? latenciesUs[(size_t)((succeeded - 1) * share)] : 0;
}

static void report(double seconds, int timedOut) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  qsort(latenciesUs, succeeded, sizeof *latenciesUs, byValue);
  printf("{\"seconds\":%.6f,\"succeeded\":%lld,\"failed\":%lld,\"bytes\":%lld,\"reconnects\":%lld,\"timedOut\":%s,", seconds,
         (long long)succeeded, (long long)failed, (long long)(succeeded * bodyBytes), (long long)reconnects, timedOut ? "true" : "false");
  printf("\"p50Us\":%u,\"p99Us\":%u,\"maxUs\":%u,\"cpuSeconds\":%.3f,\"firstFault\":\"%s\",\"statuses\":{", percentile(0.5),
         percentile(0.99), percentile(1), usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6 + usage.ru_stime.tv_sec + usage.ru_stime.tv_usec / 1e6, firstFault);
  for (int i = 0, first = 1; i < 600; i++)
    if (statusCounts[i]) printf("%s\"%d\":%d", first ? "" : ",", i, statusCounts[i]), first = 0;
  printf("}}\n");
}

static void readPayload(const char *path) {
  int fd = open(path, O_RDONLY);
  payloadBytes = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
  payload = payloadBytes > 0 ? malloc(payloadBytes) : NULL;
  if (!payload || pread(fd, payload, payloadBytes, 0) != payloadBytes) {
    fprintf(stderr, "load: cannot read %s\n", path);
    exit(1);
  }
  close(fd);
}

int main(int argc, char **argv) {
  const char *path = "/", *payloadPath = "";
  char headers[12288] = "";
  int connectionCount = 1;
  double seconds = 0, timeoutSeconds = 600;
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (!strcmp(name, "--port")) port = atoi(value);
    else if (!strcmp(name, "--path")) path = value;
    else if (!strcmp(name, "--payload")) payloadPath = value;
    else if (!strcmp(name, "--body-bytes")) bodyBytes = atoll(value);
    else if (!strcmp(name, "--connections")) connectionCount = atoi(value);
    else if (!strcmp(name, "--requests")) requestLimit = atoll(value);
    else if (!strcmp(name, "--seconds")) seconds = atof(value);
    else if (!strcmp(name, "--timeout-seconds")) timeoutSeconds = atof(value);
    else if (!strcmp(name, "--header") && strlen(headers) + strlen(value) + 3 < sizeof headers) strcat(strcat(headers, value), "\r\n");
    else return fprintf(stderr, "load: unknown or too long option %s\n", name), 2;
  }
  signal(SIGPIPE, SIG_IGN);
  readPayload(payloadPath);
  headBytes = snprintf(head, sizeof head, "PUT %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/octet-stream\r\nContent-Length: %lld\r\n%s\r\n",
                       path, port, (long long)bodyBytes, headers);
  epollFd = epoll_create1(0);
  double begunAt = now(), timeoutAt = begunAt + timeoutSeconds;
  if (seconds > 0) stopAt = begunAt + seconds;
  struct connection *all = calloc(connectionCount, sizeof *all);
  for (int i = 0; i < connectionCount; i++) openConnection(&all[i]), startNext(&all[i]);
  struct epoll_event events[256];
  while (inFlight && now() < timeoutAt) {
    int n = epoll_wait(epollFd, events, 256, 500);
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) onReadable(c);
      else if (c->busy && !sendMore(c)) {
        /* The answer that explains the reset may still be there to read. */
        onReadable(c);
      }
    }
  }
  report(now() - begunAt, inFlight > 0);
}
