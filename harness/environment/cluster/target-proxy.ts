import type { ApiRecord } from '../../kubernetes/api-record.ts';
import type { ApiFault } from '../../rpc/target-access.ts';
import { ArmedFaults } from './target-proxy/faults.ts';
import { Listeners } from './target-proxy/listeners.ts';
import { RequestRecorder } from './target-proxy/recorder.ts';
import { forwardRequest } from './target-proxy/requests.ts';
import { StaleAnswers } from './target-proxy/stale-answers.ts';
import { forwardUpgrade } from './target-proxy/upgrades.ts';
import { upstreamOf } from './target-proxy/upstream.ts';
import { OpenWatches } from './target-proxy/watches.ts';

/**
 * The API server as a target sees it: a proxy that passes the target's own credentials on, records every request, and
 * fails on demand as API servers and networks do. It speaks HTTP/1.1, so that upgrades (exec, attach, port-forward)
 * pass, too.
 */
export interface TargetProxy {
  /** One for each of `hosts`, in their order. */
  addresses: { host: string; port: number }[];
  /** The requests that were kept, in the order of their arrival, and how many were not. */
  records(): { records: ApiRecord[]; dropped: number };
  /** Replaces the faults; an empty list ends them all. */
  setFaults(faults: ApiFault[]): void;
  close(): Promise<void>;
}

export interface TargetProxyOptions {
  /** Kubeconfig, YAML; of it the cluster counts, never the credentials. */
  kubeConfig: string;
  /** Server certificate for the addresses, PEM. */
  tls: { cert: string; key: string };
  /** Addresses to listen at; each gets a free port. */
  hosts: string[];
  /** How many requests are kept; the rest is counted. */
  keep?: number;
}

/** Enough for a day's work of a job runner; what a target can make the harness hold has a bound. */
const KEPT_RECORDS = 100_000;

/** Starts the proxy. @throws HarnessError where the kubeconfig has no current context */
export async function startTargetProxy(options: TargetProxyOptions): Promise<TargetProxy> {
  const { kubeConfig, tls, hosts, keep = KEPT_RECORDS } = options;
  const upstream = await upstreamOf(kubeConfig);
  const recorder = new RequestRecorder(keep);
  const faults = new ArmedFaults();
  const staleAnswers = new StaleAnswers(faults);
  const watches = new OpenWatches(faults);
  const path = { upstream, recorder, faults, staleAnswers, watches };
  const listeners = await Listeners.open({
    hosts,
    tls,
    onRequest: (request, response) => forwardRequest(path, request, response),
    onUpgrade: (request, socket, head) => forwardUpgrade(path, request, socket, head),
    // An outage of so many connections leaves the listeners open.
    isReset: () => faults.take(['outage']) !== undefined,
  });

  const begin = (fault: ApiFault): void => {
    if (fault.kind === 'outage') {
      if (fault.times === undefined) {
        listeners.goAway(fault.forSeconds);
      }
      for (const exchange of recorder.underWay()) {
        exchange.blame(fault);
      }
      listeners.resetConnections();
    }
    if (fault.kind === 'cut-watch' || fault.kind === 'expired') {
      watches.endAll(fault);
    }
  };

  return {
    addresses: listeners.addresses,
    records: () => recorder.records(),
    setFaults(list) {
      listeners.comeBack();
      staleAnswers.clear();
      faults.set(list, begin);
    },
    async close() {
      faults.clear();
      await listeners.close();
      upstream.close();
    },
  };
}
