// Every metric of the proxy's own: its name, its labels, and what it says to whoever operates it.
import { DistributionFamily, FigureFamily, type FamilyHead } from './families.ts';
import type { MetricSnapshot } from './snapshot.ts';

/** From a small object on a local network to a large one on a bad line. */
const uploadSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800];
const callSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Of what is often known without asking anybody. */
const decisionSeconds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export type MetricSet = ReturnType<typeof createMetricSet>;

/** Empty families: the series come with the buckets that are configured. */
export function createMetricSet() {
  return { ...uploadMetrics(), ...flowMetrics(), ...backendMetrics(), ...accessMetrics(), ...processMetrics() };
}

export function readMetricSet(set: MetricSet): MetricSnapshot[] {
  return Object.values(set).map((family) => family.read());
}

function uploadMetrics() {
  return {
    uploads: counter({
      name: 'mizuchi_uploads_total',
      labels: ['bucket', 'operation', 'status'],
      help: 'Upload requests that have ended, by S3 operation, also those that were refused unread (memory was short, or the proxy stops); status: success, refused (answered 4xx or 501: the client must change something), failure (answered 5xx), client_gone (the client left before it was answered). Requests that are no operation as they stand (a key that is too long, a part number that is none) are among the errors alone.',
    }),
    uploadSeconds: new DistributionFamily(
      {
        name: 'mizuchi_upload_duration_seconds',
        labels: ['bucket', 'operation'],
        help: 'How long upload requests that succeeded took, from their head to their answer.',
      },
      uploadSeconds,
    ),
    firstByteSeconds: new DistributionFamily(
      {
        name: 'mizuchi_upload_first_byte_seconds',
        labels: ['bucket'],
        help: 'From the head of a request to the first byte of its body that was ready for the backend.',
      },
      callSeconds,
    ),
    errors: counter({
      name: 'mizuchi_errors_total',
      labels: ['bucket', 'code'],
      help: 'Requests answered with an error, by S3 error code; Other is a code of the backend that was passed on. Bucket - stands for requests that reached none.',
    }),
    disconnects: counter({
      name: 'mizuchi_client_disconnects_total',
      labels: ['bucket'],
      help: 'Requests whose client closed the connection before it was answered.',
    }),
    multipartUploads: counter({
      name: 'mizuchi_multipart_uploads_total',
      labels: ['bucket', 'status'],
      help: 'Multipart uploads at the backend, those of clients and those that the proxy cuts itself: started, completed, aborted (with success), swept (left by a process that is no more, and aborted). What the proxy has aborted is aborted once more a second later: a process that ends before that has succeeded leaves it to be counted as swept too. One that a client completes or aborts again is counted once, as long as the same process is asked and remembers it (the last 10,000).',
    }),
    abortFailures: counter({
      name: 'mizuchi_multipart_abort_failures_total',
      labels: ['bucket'],
      help: 'Attempts to abort a multipart upload that failed. Each is made again; until one succeeds, parts lie in the backend and cost money.',
    }),
    abortsPending: gauge({
      name: 'mizuchi_multipart_aborts_pending',
      labels: [],
      help: 'Multipart uploads whose abort, or the one that is made once more after it, has failed so far and is tried again in the background.',
    }),
    uploadsOpen: gauge({
      name: 'mizuchi_multipart_uploads_open',
      labels: [],
      help: 'Multipart uploads that the proxy has opened and not yet completed or aborted.',
    }),
    uploadsAbandoned: new FigureFamily(
      'gauge',
      {
        name: 'mizuchi_multipart_uploads_abandoned',
        labels: [],
        help: 'Entries in the journals of processes that are no more, still to be aborted; looked for at start and once a minute.',
      },
      // All workers look into one folder.
      'max',
    ),
    journalFailures: counter({
      name: 'mizuchi_journal_failures_total',
      labels: [],
      help: 'Times that the journal of open multipart uploads could not be written or read. An upload that is not in it is not found again after a crash.',
    }),
  };
}

function flowMetrics() {
  return {
    receivedBytes: counter({
      name: 'mizuchi_received_bytes_total',
      labels: ['bucket'],
      help: 'Bytes of bodies received from clients, framing and failed uploads included, as they arrive until the answer is known.',
    }),
    sentBytes: counter({
      name: 'mizuchi_sent_bytes_total',
      labels: ['bucket'],
      help: 'Bytes of bodies taken by the backend, repeated ones included, while they are sent.',
    }),
    uploadBytes: counter({
      name: 'mizuchi_upload_bytes_total',
      labels: ['bucket'],
      help: 'Bytes that PutObject and UploadPart requests which succeeded have stored.',
    }),
    waitSeconds: counter({
      name: 'mizuchi_wait_seconds_total',
      labels: ['bucket', 'reason'],
      help: 'What uploads have waited for, parts in flight added up: client (no bytes had come that could be sent), backend (bytes were ready and the backend did not take them), memory (it was short), slot (max_concurrent_uploads was reached). Counted as each part ends; what was waited between parts, when the upload ends.',
    }),
    requestsInFlight: gauge({
      name: 'mizuchi_requests_in_flight',
      labels: [],
      help: 'Requests that have not been answered.',
    }),
    uploadsInFlight: gauge({
      name: 'mizuchi_uploads_in_flight',
      labels: [],
      help: 'Upload requests with a body that hold a slot of max_concurrent_uploads.',
    }),
    uploadsQueued: gauge({
      name: 'mizuchi_uploads_queued',
      labels: [],
      help: 'Upload requests with a body that wait for a slot.',
    }),
    lentBytes: gauge({
      name: 'mizuchi_memory_lent_bytes',
      labels: [],
      help: 'Memory that holds bytes of bodies at this moment.',
    }),
    reservedBytes: gauge({
      name: 'mizuchi_memory_reserved_bytes',
      labels: [],
      help: 'Memory set aside for bodies of unknown length, whether it holds bytes already or not: at most half of the budget.',
    }),
    budgetBytes: gauge({
      name: 'mizuchi_memory_budget_bytes',
      labels: [],
      help: 'Memory that bodies may take: memory_budget, of all workers together.',
    }),
    memoryWaits: counter({
      name: 'mizuchi_memory_waits_total',
      labels: [],
      help: 'Times that an upload has waited for memory.',
    }),
    memoryWaitSeconds: counter({
      name: 'mizuchi_memory_wait_seconds_total',
      labels: [],
      help: 'How long uploads have waited for memory, all together, while they wait.',
    }),
    connections: gauge({
      name: 'mizuchi_connections',
      labels: [],
      help: 'Connections of clients that are open, with a request or without.',
    }),
  };
}

function backendMetrics() {
  return {
    callsInFlight: gauge({
      name: 'mizuchi_backend_requests_in_flight',
      labels: ['bucket', 'operation'],
      help: 'Calls to the backend that have not been answered; UploadPart: the parts in flight.',
    }),
    callSeconds: new DistributionFamily(
      {
        name: 'mizuchi_backend_request_duration_seconds',
        labels: ['bucket', 'operation'],
        help: 'How long calls to the backend took, each attempt by itself, less the time for which the backend waited for bytes of the client.',
      },
      callSeconds,
    ),
    callErrors: counter({
      name: 'mizuchi_backend_errors_total',
      labels: ['bucket', 'code'],
      help: 'Calls to the backend that it refused or could not serve, each attempt by itself, by S3 error code. What the client broke off is not among them.',
    }),
    retries: counter({
      name: 'mizuchi_backend_retries_total',
      labels: ['bucket', 'operation'],
      help: 'Calls to the backend that were made again after a failure.',
    }),
  };
}

function accessMetrics() {
  return {
    authRequests: counter({
      name: 'mizuchi_auth_requests_total',
      labels: ['bucket', 'method', 'result'],
      help: 'Authentications: method jwt, sigv4, anonymous (the bucket asks for nothing) or none (no credential was there); result success, failure, or unavailable (keys could not be had). A signature that was used before is a success here.',
    }),
    authSeconds: new DistributionFamily(
      {
        name: 'mizuchi_auth_duration_seconds',
        labels: ['method'],
        help: 'How long authentication took, the fetch of keys included when a request had to wait for one.',
      },
      decisionSeconds,
    ),
    jwtCacheHits: counter({
      name: 'mizuchi_jwt_cache_hits_total',
      labels: ['bucket'],
      help: 'Tokens that were found good without a verification, as the same one had been verified before.',
    }),
    replaysRejected: counter({
      name: 'mizuchi_replays_rejected_total',
      labels: [],
      help: 'Signatures that were refused because they had been used before.',
    }),
    jwksFetches: counter({
      name: 'mizuchi_jwks_fetches_total',
      labels: ['bucket', 'result'],
      help: 'Fetches of the identity provider’s keys.',
    }),
    jwksAgeSeconds: new FigureFamily(
      'gauge',
      {
        name: 'mizuchi_jwks_age_seconds',
        labels: ['bucket'],
        help: 'Since the identity provider’s keys were last fetched with success, or since the start. It grows while nobody needs them; of several workers it is that of the freshest, those left out that have fetched none where another has.',
      },
      // A worker that has nothing to verify fetches nothing.
      'min',
    ),
    decisions: counter({
      name: 'mizuchi_authz_decisions_total',
      labels: ['bucket', 'engine', 'decision', 'cached'],
      help: 'Decisions of policy engines, by who refused, or all that allowed (opa+openfga); cached: true when none was asked for this very question. What fail_mode: open lets through nobody has decided.',
    }),
    decisionSeconds: new DistributionFamily(
      {
        name: 'mizuchi_authz_duration_seconds',
        labels: ['bucket'],
        help: 'How long requests waited for their decision, cached and failed ones included.',
      },
      decisionSeconds,
    ),
    engineSeconds: new DistributionFamily(
      {
        name: 'mizuchi_authz_engine_duration_seconds',
        labels: ['bucket', 'engine'],
        help: 'How long a policy engine took for a question that it was really asked.',
      },
      decisionSeconds,
    ),
    engineErrors: counter({
      name: 'mizuchi_authz_engine_errors_total',
      labels: ['bucket', 'engine'],
      help: 'Questions that a policy engine did not answer, or not as it should.',
    }),
    failedOpen: counter({
      name: 'mizuchi_authz_failed_open_total',
      labels: ['bucket', 'engine'],
      help: 'Requests let through without a decision, because fail_mode is open.',
    }),
    auditLinesLost: counter({
      name: 'mizuchi_audit_lines_lost_total',
      labels: [],
      help: 'Lines of the audit log that could not be written to its file, or not whole.',
    }),
  };
}

function processMetrics() {
  return {
    spans: counter({
      name: 'mizuchi_trace_spans_total',
      labels: ['result'],
      help: 'Spans: exported, dropped (there were too many to keep), failed (the collector could not be reached or did not take them).',
    }),
    ...supervisionMetrics(),
    buildInfo: new FigureFamily(
      'gauge',
      { name: 'mizuchi_build_info', labels: ['version', 'node'], help: 'Always 1; what runs is in the labels.' },
      'max',
    ),
  };
}

/** Of several workers, their supervisor has them too. */
export function supervisionMetrics() {
  return {
    workers: gauge({
      name: 'mizuchi_workers',
      labels: [],
      help: 'Processes that serve: of several workers, those that have answered this scrape within 2 s.',
    }),
    workersConfigured: gauge({
      name: 'mizuchi_workers_configured',
      labels: [],
      help: 'Processes that should serve: server.workers; of several, none once they are being stopped.',
    }),
    workerRestarts: counter({
      name: 'mizuchi_worker_restarts_total',
      labels: [],
      help: 'Workers that were started in the place of one that had ended by itself.',
    }),
  };
}

function counter<const Label extends string>(head: FamilyHead<Label>): FigureFamily<Label> {
  return new FigureFamily('counter', head);
}

function gauge<const Label extends string>(head: FamilyHead<Label>): FigureFamily<Label> {
  return new FigureFamily('gauge', head);
}
