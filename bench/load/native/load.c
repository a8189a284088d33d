/* A client that uploads as fast as it is let, on one thread: the same PUT again and again on keep-alive connections.
 *
 * usage: load --port N --path /p --payload FILE --body-bytes N --connections N (--requests N | --seconds N)
 *             [--timeout-seconds N] [--header "Name: value"]... [--frames FILE] [--turns FILE]
 * The payload's FILE is repeated from its start to make up a body. Frames are put between its bytes, each written as
 * `TEXT_LENGTH PAYLOAD_BYTES\n` and the text: the text is sent, then so many bytes of the payload. The lines of turns are
 * header fields: each request has the next of them. Prints one line of JSON; a latency is first byte out to last byte in.
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
#define HEAD_BYTES 32768
#define MAX_FAILURES 50
#define GATHERED_PIECES 64
#define GATHERED_BYTES (1 << 20)

struct piece {
  const char *bytes;
  int64_t length;
};

struct connection {
  int fd;
  int busy;
  int atPiece; /* 0 is the head, the others are the body's */
  int64_t atByte;
  int headBytes;
  int answerBytes;
  double startedAt;
  char head[HEAD_BYTES];
  char answer[ANSWER_BYTES];
};

/* Of every request, without the empty line at its end. */
static char commonHead[HEAD_BYTES];
static int commonHeadBytes, port, epollFd, inFlight;
static struct piece payload, *body, *turns;
static int bodyPieces, turnCount;
static int64_t payloadTaken, wireBytes, bodyBytes = -1;
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

static struct piece *append(struct piece *list, int *count, const char *bytes, int64_t length) {
  /* Grown at each power of two. */
  if ((*count & (*count - 1)) == 0) list = realloc(list, sizeof *list * (*count ? *count * 2 : 1));
  list[(*count)++] = (struct piece){bytes, length};
  return list;
}

static void appendBody(const char *bytes, int64_t length) {
  if (length == 0) return;
  body = append(body, &bodyPieces, bytes, length);
  wireBytes += length;
}

/* Goes on in the payload where it was left. */
static void appendPayload(int64_t length) {
  while (length > 0) {
    int64_t at = payloadTaken % payload.length, most = payload.length - at;
    if (most > length) most = length;
    appendBody(payload.bytes + at, most);
    payloadTaken += most;
    length -= most;
  }
}

static int isSent(struct connection *c) { return c->atPiece > bodyPieces; }

/* What is left of a piece. */
static struct piece rest(struct connection *c, int index) {
  struct piece p = index == 0 ? (struct piece){c->head, c->headBytes} : body[index - 1];
  int64_t done = index == c->atPiece ? c->atByte : 0;
  return (struct piece){p.bytes + done, p.length - done};
}

static void advance(struct connection *c, int64_t sent) {
  while (sent > 0) {
    int64_t left = rest(c, c->atPiece).length;
    if (sent < left) {
      c->atByte += sent;
      return;
    }
    sent -= left;
    c->atPiece++;
    c->atByte = 0;
  }
}

/* Sends what the socket takes; 0 when the connection is broken. */
static int sendMore(struct connection *c) {
  while (!isSent(c)) {
    struct iovec parts[GATHERED_PIECES];
    int count = 0;
    int64_t gathered = 0;
    for (int i = c->atPiece; i <= bodyPieces && count < GATHERED_PIECES && gathered < GATHERED_BYTES; i++) {
      struct piece p = rest(c, i);
      parts[count++] = (struct iovec){(char *)p.bytes, p.length};
      gathered += p.length;
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno != EAGAIN) return 0;
      watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
      return 1;
    }
    advance(c, n);
  }
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
  return 1;
}

static void writeHead(struct connection *c) {
  memcpy(c->head, commonHead, commonHeadBytes);
  c->headBytes = commonHeadBytes;
  if (turnCount) {
    struct piece turn = turns[started % turnCount];
    memcpy(c->head + c->headBytes, turn.bytes, turn.length);
    memcpy(c->head + c->headBytes + turn.length, "\r\n", 2);
    c->headBytes += turn.length + 2;
  }
  memcpy(c->head + c->headBytes, "\r\n", 2);
  c->headBytes += 2;
}

static void startNext(struct connection *c) {
  while (started < requestLimit && failed < MAX_FAILURES) {
    double at = now();
    if (at >= stopAt) return;
    c->atPiece = c->atByte = c->answerBytes = 0;
    writeHead(c);
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
  if (status == 200 && isSent(c)) {
    if ((size_t)succeeded == latencyRoom) {
      latencyRoom = latencyRoom ? latencyRoom * 2 : 65536;
      latenciesUs = realloc(latenciesUs, latencyRoom * sizeof *latenciesUs);
    }
    latenciesUs[succeeded++] = (uint32_t)((now() - c->startedAt) * 1e6);
  } else noteFault(status == 200 ? "answered before the body was sent:" : "answered", c->answer);
  char *close = strcasestr(c->answer, "\r\nConnection: close");
  if (close || !isSent(c)) reopen(c);
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

static void fail(const char *what, const char *path) {
  fprintf(stderr, "load: %s %s\n", what, path);
  exit(1);
}

/* Ends with a zero byte that is not counted. */
static struct piece readFile(const char *path) {
  int fd = open(path, O_RDONLY);
  int64_t length = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
  char *bytes = length > 0 ? malloc(length + 1) : NULL;
  if (!bytes || pread(fd, bytes, length, 0) != length) fail("cannot read", path);
  bytes[length] = 0;
  close(fd);
  return (struct piece){bytes, length};
}

static void readFrames(const char *path) {
  struct piece file = readFile(path);
  for (char *at = (char *)file.bytes, *end = at + file.length; at < end;) {
    int64_t textBytes = strtoll(at, &at, 10), payloadBytes = strtoll(at, &at, 10);
    if (*at != '\n' || textBytes < 0 || payloadBytes < 0 || textBytes > end - ++at) fail("not understood:", path);
    appendBody(at, textBytes);
    appendPayload(payloadBytes);
    at += textBytes;
  }
}

static void readTurns(const char *path) {
  struct piece file = readFile(path);
  for (const char *at = file.bytes, *end; (end = strchr(at, '\n')); at = end + 1) {
    if (commonHeadBytes + (end - at) + 4 > HEAD_BYTES) fail("a line is too long in", path);
    turns = append(turns, &turnCount, at, end - at);
  }
}

int main(int argc, char **argv) {
  const char *path = "/", *payloadPath = "", *framesPath = NULL, *turnsPath = NULL;
  char headers[12288] = "";
  int connectionCount = 1;
  double seconds = 0, timeoutSeconds = 600;
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (!strcmp(name, "--port")) port = atoi(value);
    else if (!strcmp(name, "--path")) path = value;
    else if (!strcmp(name, "--payload")) payloadPath = value;
    else if (!strcmp(name, "--frames")) framesPath = value;
    else if (!strcmp(name, "--turns")) turnsPath = value;
    else if (!strcmp(name, "--body-bytes")) bodyBytes = atoll(value);
    else if (!strcmp(name, "--connections")) connectionCount = atoi(value);
    else if (!strcmp(name, "--requests")) requestLimit = atoll(value);
    else if (!strcmp(name, "--seconds")) seconds = atof(value);
    else if (!strcmp(name, "--timeout-seconds")) timeoutSeconds = atof(value);
    else if (!strcmp(name, "--header") && strlen(headers) + strlen(value) + 3 < sizeof headers) strcat(strcat(headers, value), "\r\n");
    else return fprintf(stderr, "load: unknown or too long option %s\n", name), 2;
  }
  signal(SIGPIPE, SIG_IGN);
  payload = readFile(payloadPath);
  if (framesPath) readFrames(framesPath);
  else appendPayload(bodyBytes);
  if (payloadTaken != bodyBytes) fail("other bytes of payload than are to be sent:", framesPath ? framesPath : payloadPath);
  commonHeadBytes = snprintf(commonHead, sizeof commonHead, "PUT %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/octet-stream\r\nContent-Length: %lld\r\n%s",
                             path, port, (long long)wireBytes, headers);
  if (turnsPath) readTurns(turnsPath);
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
