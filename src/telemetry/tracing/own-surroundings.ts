// Where OpenTelemetry's SDK and exporters are made, so that the configuration alone decides, and only for this proxy.
import process from 'node:process';
import { trace, type TracerProvider } from '@opentelemetry/api';

/**
 * OpenTelemetry's own variables have been weighed against the configuration before. The SDK would read them once more: it would stay
 * off where the configuration says on, and would send the fields of one collector to another.
 */
export function withoutVariables<Result>(make: () => Result): Result {
  const environment = process.env;
  const others = Object.entries(environment).filter(([name]) => !name.startsWith('OTEL_'));
  // For logs, there is no other way to say that none are exported.
  process.env = { ...Object.fromEntries(others), OTEL_LOGS_EXPORTER: 'none' };
  try {
    return make();
  } finally {
    process.env = environment;
  }
}

/**
 * A program that the proxy is part of may have a provider for the whole process, or get one later, and its spans are not ours.
 * @param start registers a provider for the whole process, unless it is kept from it.
 * @returns that provider, registered nowhere.
 */
export function takeProvider(start: () => void): TracerProvider {
  let taken: TracerProvider | undefined;
  trace.setGlobalTracerProvider = (provider) => {
    taken = provider;
    return true;
  };
  try {
    start();
  } finally {
    // Uncovers the method of the class.
    Reflect.deleteProperty(trace, 'setGlobalTracerProvider');
  }
  if (taken === undefined) throw new Error('the tracing SDK has registered no provider');
  return taken;
}
