// What OpenTelemetry's environment variables say of tracing, where the configuration says nothing.
// Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter": an empty value counts as unset, and
// what is not valid is told and otherwise ignored.
import { describeIssue } from './describe-issue.ts';
import type { Environment } from './expand-variables.ts';
import { tracing as tracingSchema } from './telemetry-schema.ts';

type Mapping = Record<string, unknown>;

export interface FilledConfig {
  /** The configuration, with `tracing` filled up. */
  readonly value: unknown;
  /** Variables that were ignored, and why. */
  readonly notices: readonly string[];
}

interface Candidate {
  readonly variable: string;
  /** What stands in the configuration for it. */
  readonly steps: readonly [string, ...string[]];
  readonly value: unknown;
}

/** Fills nothing up where tracing is off: variables that are there for others are no business of ours. */
export function fillFromOtelEnvironment(config: unknown, env: Environment): FilledConfig {
  if (!isMapping(config)) return { value: config, notices: [] };
  const given = config['tracing'] ?? {};
  if (!isMapping(given) || !isEnabled(given, env)) return { value: config, notices: [] };
  const notices = findIdle(env).map((variable) => `${variable} has no effect`);
  const tracing: Mapping = { ...given, enabled: given['enabled'] ?? true };
  const candidates = [
    ...readResource(env, notices),
    ...readExporter(env, givenProtocol(given), notices),
    ...(isGiven(given, ['sampling', 'strategy']) ? [] : readSampler(env, notices)),
    ...readBatch(env),
  ];
  const faulty = new Set<string | undefined>();
  for (const { variable, steps, value } of candidates) {
    const fault = findFault(steps, value);
    if (fault !== undefined) {
      notices.push(`${variable} is ignored: ${fault}`);
      faulty.add(steps[1]);
    } else if (steps[1] === 'headers' && faulty.has('endpoint')) {
      notices.push(`${variable} is ignored: it is for an endpoint that is`);
    } else {
      fill(tracing, steps, value);
    }
  }
  // Spans that somebody wants elsewhere do not go to this host instead.
  if (faulty.has('endpoint') && given['enabled'] === undefined) return { value: config, notices };
  return { value: { ...config, tracing }, notices };
}

/** Said nowhere in the configuration, it is on when the environment names a collector. */
function isEnabled(given: Mapping, env: Environment): boolean {
  const { enabled } = given;
  if (enabled !== undefined) return enabled === true || enabled === 'true';
  const exporter = read(env, 'OTEL_TRACES_EXPORTER');
  if (read(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporter === 'none') return false;
  const [endpoint] = readForTraces(env, 'ENDPOINT');
  return endpoint !== undefined || exporter === 'otlp';
}

const ofTraces = /^OTEL_(?:EXPORTER_OTLP_(?!METRICS_|LOGS_|PROFILES_)|BSP_|(?:SPAN|EVENT|LINK|ATTRIBUTE)_.*_LIMIT$)/;
const honoured =
  /^OTEL_(?:EXPORTER_OTLP_(?:TRACES_)?(?:ENDPOINT|PROTOCOL|HEADERS|TIMEOUT|COMPRESSION|CERTIFICATE)|BSP_(?:SCHEDULE_DELAY|MAX_QUEUE_SIZE|MAX_EXPORT_BATCH_SIZE))$/;

/** What somebody has set for traces and nothing here reads. */
function findIdle(env: Environment): string[] {
  const set = Object.keys(env).filter((variable) => read(env, variable) !== undefined);
  const idle = set.filter((variable) => ofTraces.test(variable) && !honoured.test(variable));
  if (!['otlp', undefined].includes(read(env, 'OTEL_TRACES_EXPORTER'))) idle.push('OTEL_TRACES_EXPORTER');
  // Trace context is what is read and written; baggage passes by.
  if (
    read(env, 'OTEL_PROPAGATORS')
      ?.split(',')
      .some((name) => !/^ *(?:tracecontext|baggage) *$/.test(name)) === true
  )
    idle.push('OTEL_PROPAGATORS');
  return idle.toSorted();
}

function readResource(env: Environment, notices: string[]): Candidate[] {
  const variable = 'OTEL_RESOURCE_ATTRIBUTES';
  const attributes = readPairs(env, variable, notices);
  const { 'service.name': nameOfAttribute, ...others } = attributes ?? {};
  const name = read(env, 'OTEL_SERVICE_NAME');
  return [
    ...(name === undefined ? [] : [{ variable: 'OTEL_SERVICE_NAME', steps: ['service_name'], value: name } as const]),
    ...(nameOfAttribute === undefined ? [] : [{ variable, steps: ['service_name'], value: nameOfAttribute } as const]),
    ...Object.entries(others).map(
      ([key, value]) => ({ variable, steps: ['resource_attributes', key], value }) as const,
    ),
  ];
}

function readExporter(env: Environment, given: unknown, notices: string[]): Candidate[] {
  const candidates: Candidate[] = [];
  const add = (name: string, key: string, toValue: (text: string) => unknown = (text) => text): void => {
    const [text, variable] = readForTraces(env, name);
    if (text !== undefined) candidates.push({ variable, steps: ['otlp', key], value: toValue(text) });
  };
  add('PROTOCOL', 'protocol');
  add('TIMEOUT', 'timeout_seconds', (text) => (/^[0-9]{1,9}$/.test(text) ? Number(text) / 1000 : text));
  add('COMPRESSION', 'compression');
  add('CERTIFICATE', 'ca_file');
  const protocol = given ?? candidates.find(({ steps }) => steps[1] === 'protocol')?.value;
  const [endpoint, endpointVariable] = readForTraces(env, 'ENDPOINT');
  if (endpoint !== undefined) {
    // The variable for all signals is a base, below which each has its own path.
    const isBase = endpointVariable === 'OTEL_EXPORTER_OTLP_ENDPOINT' && protocol === 'http/protobuf';
    const value = isBase ? `${endpoint.replace(/\/$/, '')}/v1/traces` : endpoint;
    candidates.push({ variable: endpointVariable, steps: ['otlp', 'endpoint'], value });
  }
  const [, headersVariable] = readForTraces(env, 'HEADERS');
  const headers = readPairs(env, headersVariable, notices);
  if (headers !== undefined) candidates.push({ variable: headersVariable, steps: ['otlp', 'headers'], value: headers });
  return candidates;
}

function readSampler(env: Environment, notices: string[]): Candidate[] {
  const variable = 'OTEL_TRACES_SAMPLER';
  const argumentVariable = 'OTEL_TRACES_SAMPLER_ARG';
  const name = read(env, variable);
  const argument = read(env, argumentVariable);
  const strategies: Readonly<Record<string, readonly [strategy: string, ratio?: number | 'argument']>> = {
    always_on: ['always'],
    always_off: ['never'],
    traceidratio: ['ratio', 'argument'],
    parentbased_always_on: ['parent_based', 1],
    parentbased_always_off: ['parent_based', 0],
    parentbased_traceidratio: ['parent_based', 'argument'],
  };
  const [strategy, ratio] =
    (name !== undefined && Object.hasOwn(strategies, name) ? strategies[name] : undefined) ?? [];
  if (argument !== undefined && ratio !== 'argument') notices.push(`${argumentVariable} has no effect`);
  if (strategy === undefined) {
    if (name !== undefined)
      notices.push(`${variable} is ignored: must be one of ${Object.keys(strategies).join(', ')}`);
    return [];
  }
  const sampler = { variable, steps: ['sampling', 'strategy'], value: strategy } as const;
  if (ratio === undefined) return [sampler];
  if (ratio !== 'argument') return [sampler, { variable, steps: ['sampling', 'ratio'], value: ratio }];
  const argued = { variable: argumentVariable, steps: ['sampling', 'ratio'], value: argument } as const;
  return argument === undefined ? [sampler] : [sampler, argued];
}

function readBatch(env: Environment): Candidate[] {
  const settings = {
    OTEL_BSP_SCHEDULE_DELAY: 'scheduled_delay_millis',
    OTEL_BSP_MAX_QUEUE_SIZE: 'max_queue_size',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 'max_export_batch_size',
  };
  return Object.entries(settings).flatMap(([variable, key]): Candidate[] => {
    const value = read(env, variable);
    return value === undefined ? [] : [{ variable, steps: ['batch', key], value }];
  });
}

function read(env: Environment, variable: string): string | undefined {
  const text = Object.hasOwn(env, variable) ? env[variable]?.trim() : undefined;
  return text === '' ? undefined : text;
}

/** What is said for traces alone wins over what is said for all signals. */
function readForTraces(env: Environment, name: string): readonly [text: string | undefined, variable: string] {
  const own = `OTEL_EXPORTER_OTLP_TRACES_${name}`;
  const shared = `OTEL_EXPORTER_OTLP_${name}`;
  const text = read(env, own);
  return text === undefined ? [read(env, shared), shared] : [text, own];
}

/** `name=value,name=value`, percent-encoded; one fault, and none of it counts. */
function readPairs(env: Environment, variable: string, notices: string[]): Record<string, string> | undefined {
  const text = read(env, variable);
  if (text === undefined) return undefined;
  try {
    const pairs = text.split(',').filter((pair) => pair.trim() !== '');
    return Object.fromEntries(
      pairs.map((pair) => {
        const at = pair.indexOf('=');
        const name = decodeURIComponent(pair.slice(0, at).trim());
        if (at < 1 || name === '') throw new URIError('no name');
        return [name, decodeURIComponent(pair.slice(at + 1).trim())];
      }),
    );
  } catch {
    // Not what it says: collectors are sent their tokens so.
    notices.push(`${variable} is ignored: must be name=value pairs, separated by commas and percent-encoded`);
    return undefined;
  }
}

function givenProtocol({ otlp }: Mapping): unknown {
  return isMapping(otlp) ? otlp['protocol'] : undefined;
}

function isGiven(tracing: Mapping, [first, second]: readonly string[]): boolean {
  const mapping = tracing[first ?? ''];
  return isMapping(mapping) && mapping[second ?? ''] !== undefined;
}

function findFault([first, second]: Candidate['steps'], value: unknown): string | undefined {
  const parsed = tracingSchema.safeParse(
    { [first]: second === undefined ? value : { [second]: value } },
    { error: describeIssue },
  );
  return parsed.success ? undefined : (parsed.error.issues[0]?.message ?? 'not valid');
}

/** Only where there is nothing yet; what is there and is no mapping is a fault of the configuration, told by others. */
function fill(tracing: Mapping, [first, second]: Candidate['steps'], value: unknown): void {
  if (second === undefined) {
    tracing[first] ??= value;
    return;
  }
  const mapping = tracing[first] ?? {};
  if (isMapping(mapping)) tracing[first] = { ...mapping, [second]: mapping[second] ?? value };
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
