import type { Exchange, Fault } from './exchange.ts';

/** The same request with other parameters. */
function withQuery(exchange: Exchange, change: (parameters: URLSearchParams) => void): Exchange {
  const url = new URL(exchange.path, 'http://api.invalid');
  change(url.searchParams);
  return { ...exchange, path: url.pathname + url.search };
}

function parameterOf({ path }: Exchange, name: string): string | null {
  return new URL(path, 'http://api.invalid').searchParams.get(name);
}

function isLog({ method, path }: Exchange): boolean {
  return method === 'GET' && /^\/api\/v1\/namespaces\/[^/]+\/pods\/[^/]+\/log(\?|$)/.test(path);
}

/** Faults of Jobs and logs, by the name that suites/job-lifecycle/twins.yaml gives. */
export const JOB_FAULTS: Record<string, () => Fault> = {
  'orphans-pods': () => ({
    concerns: (exchange) =>
      exchange.method === 'DELETE' &&
      /^\/apis\/batch\/v1\/namespaces\/[^/]+\/jobs\/[^/]+/.test(exchange.path) &&
      parameterOf(exchange, 'propagationPolicy') === 'Background',
    answer: (exchange, send) =>
      send(withQuery(exchange, (parameters) => parameters.set('propagationPolicy', 'Orphan'))),
  }),
  'log-limit-ignored': () => ({
    concerns: (exchange) => isLog(exchange) && parameterOf(exchange, 'limitBytes') !== null,
    answer: (exchange, send) => send(withQuery(exchange, (parameters) => parameters.delete('limitBytes'))),
  }),
  'log-not-followed': () => ({
    concerns: (exchange) => isLog(exchange) && parameterOf(exchange, 'follow') === 'true',
    answer: (exchange, send) => send(withQuery(exchange, (parameters) => parameters.delete('follow'))),
  }),
};
